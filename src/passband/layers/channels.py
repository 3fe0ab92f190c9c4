"""Named choices of frequency channels: which of the 192 of Y, Cb and Cr a network gets.

The published static subsets (Xu et al., CVPR 2020) under their own names: a number of channels, and S for the squares
of the released code, D for the choice that their gate learned. Two kinds are ours, because no list of theirs was
published: the triangles T, whose channels are the first in zigzag order, as many of Y, Cb and Cr as in the square of
the same number; and `12`, the first 8, 2 and 2 in that order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64, Num
from torch import Tensor

from passband.naming import entry
from passband.ops.dct import zigzag

COMPONENTS = ("Y", "Cb", "Cr")
SIDE = 8
"""Frequencies of an 8 x 8 block along each direction, by which channels are numbered: component 64 + 8 v + u."""

Frequency = tuple[int, int]
"""Vertical frequency v and horizontal frequency u, each 0 to 7."""
_LOW = tuple(8 * v + u for v in range(4) for u in range(4))
INSPECTED: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] = (tuple(range(64)), _LOW, _LOW)
"""Raster indices 8v + u of the frequencies of Y, Cb and Cr that an inspector sees: all of Y, and those of chroma that a
JPEG file with chroma at half the size has."""


@dataclass(frozen=True)
class ChannelSubset:
    """Some of the frequency channels of Y, Cb and Cr, in the order of their numbers.

    Attributes:
        y: frequencies (v, u) of Y, ascending.
        cb: of Cb.
        cr: of Cr.

    Raises:
        ValueError: for a frequency outside 0 to 7, one that is named twice or out of order, or none at all.
    """

    y: tuple[Frequency, ...]
    cb: tuple[Frequency, ...] = ()
    cr: tuple[Frequency, ...] = ()

    def __post_init__(self):
        for name, frequencies in zip(COMPONENTS, self.components, strict=True):
            for v, u in frequencies:
                if not (0 <= v < SIDE and 0 <= u < SIDE):
                    raise ValueError(f"frequencies are 0 to {SIDE - 1}, got (v, u) = ({v}, {u}) of {name}")
            if sorted({*frequencies}) != list(frequencies):
                raise ValueError(f"frequencies of {name} need ascending order (v, u), each once; got {frequencies}")
        if not len(self):
            raise ValueError("a subset needs at least one frequency channel, got none")

    @property
    def components(self) -> tuple[tuple[Frequency, ...], ...]:
        """Frequencies of Y, of Cb and of Cr."""
        return self.y, self.cb, self.cr

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many channels are of Y, of Cb and of Cr."""
        return len(self.y), len(self.cb), len(self.cr)

    def __len__(self) -> int:
        """How many channels there are."""
        return sum(self.counts)

    def lists(self, block: int = SIDE) -> tuple[list[int], list[int], list[int]]:
        """Raster indices `block * v + u` of Y, of Cb and of Cr, as `block_dct` and `assemble_cube` take them.

        Args:
            block: side of the blocks, in pixels.

        Raises:
            ValueError: where a block of that side has not all the frequencies.
        """
        for name, frequencies in zip(COMPONENTS, self.components, strict=True):
            for v, u in frequencies:
                if max(v, u) >= block:
                    fitting = [known for known, subset in SUBSETS.items() if subset.highest < block]
                    raise ValueError(
                        f"a block of {block} has frequencies 0 to {block - 1}, but this subset of {len(self)} channels "
                        f"needs (v, u) = ({v}, {u}) of {name}; take blocks of {self.highest + 1} or more, or a subset "
                        f"that fits ({', '.join(fitting) or 'a list of your own'})"
                    )
        y, cb, cr = ([block * v + u for v, u in frequencies] for frequencies in self.components)
        return y, cb, cr

    def indices(self, block: int = SIDE) -> list[int]:
        """Positions of the channels in a whole cube, whose component c begins at c block^2.

        Args:
            block: side of the cube's blocks, in pixels. At 8 the positions are the channels' numbers, 0 to 191, which
                `channel_subset` takes.

        Raises:
            ValueError: as `lists`.
        """
        return [
            component * block * block + index for component, wanted in enumerate(self.lists(block)) for index in wanted
        ]

    @property
    def highest(self) -> int:
        """The highest frequency of either direction."""
        return max(max(frequency) for frequencies in self.components for frequency in frequencies)

    def select(self, cube: Num[Tensor, "B C h w"], block: int = SIDE) -> Num[Tensor, "B K h w"]:
        """Take these channels of a whole cube.

        Args:
            cube: all 3 block^2 channels.
            block: side of the cube's blocks, in pixels.

        Raises:
            ValueError: as `lists`, or where the cube is not whole.
        """
        if cube.shape[1] != 3 * block * block:
            raise ValueError(f"a whole cube of blocks of {block} has {3 * block * block} channels, got {cube.shape[1]}")
        return cube.index_select(1, self._positions(block, cube))

    def embed(self, selected: Num[Tensor, "B K h w"], block: int = SIDE) -> Num[Tensor, "B C h w"]:
        """Put these channels into a whole cube that is zero elsewhere, to look at what they hold.

        Args:
            selected: as `select` gives them.
            block: side of the cube's blocks, in pixels.

        Raises:
            ValueError: as `lists`, or for another number of channels.
        """
        self._check(selected)
        batch, _, height, width = selected.shape
        whole = selected.new_zeros(batch, 3 * block * block, height, width)
        return whole.index_copy(1, self._positions(block, selected), selected)

    def flip(self, selected: Num[Tensor, "B K h w"]) -> Num[Tensor, "B K h w"]:
        """Exchange left and right of the picture, exactly, without its other channels.

        Args:
            selected: as `select` gives them.

        Raises:
            ValueError: for another number of channels.
        """
        self._check(selected)
        signs = [1 - 2 * (u % 2) for frequencies in self.components for _, u in frequencies]
        return selected.flip(-1) * torch.tensor(signs, device=selected.device).to(selected.dtype)[:, None, None]

    def _check(self, selected: Num[Tensor, "B K h w"]) -> None:
        """Refuse a tensor of other channels."""
        if selected.shape[1] != len(self):
            raise ValueError(f"this subset has {len(self)} channels, got a tensor with {selected.shape[1]}")

    def _positions(self, block: int, like: Tensor) -> Int64[Tensor, " K"]:
        """`indices` where a tensor lies."""
        return torch.tensor(self.indices(block), device=like.device)


def from_indices(indices: Iterable[int]) -> ChannelSubset:
    """The subset of some channels' numbers.

    Args:
        indices: component 64 + 8 v + u, in any order, each once: 0 to 63 of Y, to 127 of Cb, to 191 of Cr.

    Raises:
        ValueError: for a number out of range or twice, or none at all.
    """
    numbers = sorted(indices)
    size = SIDE * SIDE
    for number in numbers:
        if not 0 <= number < 3 * size:
            raise ValueError(
                f"frequency channels are numbered 0 to {3 * size - 1} (component 64 + 8 v + u), got {number}"
            )
    twice = {number for number in numbers if numbers.count(number) > 1}
    if twice:
        raise ValueError(f"each frequency channel is named once, got {', '.join(map(str, sorted(twice)))} more often")
    return ChannelSubset(
        *(tuple(divmod(number % size, SIDE) for number in numbers if number // size == c) for c in range(3))
    )


def triangle(y: int, cb: int, cr: int) -> ChannelSubset:
    """The first frequencies in zigzag order.

    Args:
        y: how many of Y, 0 to 64.
        cb: of Cb.
        cr: of Cr.

    Raises:
        ValueError: for a number out of range, or zero channels in all.
    """
    order = zigzag(SIDE)
    for name, count in zip(COMPONENTS, (y, cb, cr), strict=True):
        if not 0 <= count <= len(order):
            raise ValueError(f"a component has 0 to {len(order)} frequencies, got {count} of {name}")
    return ChannelSubset(*(tuple(sorted(divmod(index, SIDE) for index in order[:count])) for count in (y, cb, cr)))


def zigzag_order(numbers: Sequence[int]) -> list[int]:
    """Places of channels from the lowest frequency to the highest: along the zigzag, each of Y, of Cb, then of Cr.

    Args:
        numbers: of channels, 0 to 191, as `ChannelSubset.indices` gives them.
    """
    along = zigzag(SIDE)
    places = {index: place for place, index in enumerate(along)}
    component_and_index = [divmod(number, SIDE * SIDE) for number in numbers]
    ranks = [(places[index], component) for component, index in component_and_index]
    return sorted(range(len(ranks)), key=ranks.__getitem__)


def channel_subset(choice: str | Sequence[int]) -> ChannelSubset:
    """The subset of a name, or of channels' numbers.

    Args:
        choice: a name of `SUBSETS`, in any case; `6S`, `12S` and `32S` are `6`, `12` and `32`. Or numbers as
            `from_indices` takes them.

    Raises:
        ValueError: for an unknown name, with the nearest, or one that several subsets share, such as 24; for numbers,
            as `from_indices`.
    """
    if not isinstance(choice, str):
        return from_indices(choice)
    name = _ALIASES.get(choice.upper(), choice.upper())
    several = [known for known in SUBSETS if known[:-1] == name and not known[-1].isdigit()]
    if several:
        raise ValueError(f"{choice!r} may be any of the channel subsets {', '.join(several)}; name one of them")
    return entry(name, SUBSETS, "channel subset")


def _stairs(y: Sequence[int], chroma: Sequence[int]) -> ChannelSubset:
    """The subset of the lowest horizontal frequencies, so many for each vertical one, of Y and of both Cb and Cr."""
    luma, color = (tuple((v, u) for v, count in enumerate(counts) for u in range(count)) for counts in (y, chroma))
    return ChannelSubset(luma, color, color)


_LEARNED_CHROMA = ((0, 0), (0, 1), (0, 3), (1, 0), (3, 0))

SUBSETS: Mapping[str, ChannelSubset] = {
    "6": _stairs([2, 2], [1]),
    "12": triangle(8, 2, 2),
    "24S": _stairs([4, 4, 4, 4], [2, 2]),
    # of the learned choice's 14 frequencies of Y the publication leaves one uncertain
    "24D": ChannelSubset(_stairs([6, 3, 3, 1, 1], []).y, _LEARNED_CHROMA, _LEARNED_CHROMA),
    "24T": triangle(16, 4, 4),
    "32": _stairs([5, 5, 5, 4, 3], [3, 2]),
    "48S": _stairs([6, 6, 6, 6, 4, 4], [3, 3, 2]),
    "48T": triangle(32, 8, 8),
    "64S": _stairs([7, 7, 6, 6, 6, 6, 6], [3, 3, 2, 2]),
    "64T": triangle(44, 10, 10),
    "192": _stairs([8] * 8, [8] * 8),
}
"""Name to subset. `12` and those on T are ours, the others published; the module says more."""

_ALIASES = {"6S": "6", "12S": "12", "32S": "32"}
