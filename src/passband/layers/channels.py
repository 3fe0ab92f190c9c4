"""Named subsets of the 192 frequency channels of Y, Cb and Cr.

The published static subsets (Xu et al., CVPR 2020) have their own names: the number of channels, and S for the squares
of the released code or D for the choice that their gate learned. Two kinds are ours, because the authors published no
list of theirs. The triangles T hold the first channels in zigzag order, as many of Y, Cb and Cr as the square of the
same number. `12` holds the first 8, 2 and 2 in that order.
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
"""Number of frequencies of an 8 x 8 block along each direction; channels are numbered component 64 + 8 v + u."""

Frequency = tuple[int, int]
"""Vertical frequency v and horizontal frequency u, each 0 to 7."""
_LOW = tuple(8 * v + u for v in range(4) for u in range(4))
INSPECTED: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] = (tuple(range(64)), _LOW, _LOW)
"""Raster indices 8v + u of the frequencies of Y, Cb and Cr that an inspector sees: all of Y, and the chroma frequencies
that a JPEG file with chroma at half the size has."""


@dataclass(frozen=True)
class ChannelSubset:
    """Some of the frequency channels of Y, Cb and Cr, in the order of their numbers.

    Attributes:
        y: frequencies (v, u) of Y, ascending.
        cb: frequencies of Cb, ascending.
        cr: frequencies of Cr, ascending.

    Raises:
        ValueError: if a frequency is not from 0 to 7, is repeated or out of order, or if there are none.
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
        """Numbers of channels of Y, of Cb and of Cr."""
        return len(self.y), len(self.cb), len(self.cr)

    def __len__(self) -> int:
        """Return the number of channels."""
        return sum(self.counts)

    def lists(self, block: int = SIDE) -> tuple[list[int], list[int], list[int]]:
        """Return raster indices `block * v + u` of Y, of Cb and of Cr, as `block_dct` and `assemble_cube` take them.

        Args:
            block: side of the blocks, in pixels.

        Raises:
            ValueError: if a block of that side does not have all these frequencies.
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
        """Return the positions of the channels in a whole cube, whose component c begins at c block^2.

        Args:
            block: side of the cube's blocks, in pixels. At 8 the positions are the channels' numbers, 0 to 191, which
                `channel_subset` takes.

        Raises:
            ValueError: if a block of that side does not have all these frequencies.
        """
        return [
            component * block * block + index for component, wanted in enumerate(self.lists(block)) for index in wanted
        ]

    @property
    def highest(self) -> int:
        """The highest frequency along either direction."""
        return max(max(frequency) for frequencies in self.components for frequency in frequencies)

    def select(self, cube: Num[Tensor, "B C h w"], block: int = SIDE) -> Num[Tensor, "B K h w"]:
        """Select these channels from a whole cube.

        Args:
            cube: cube with all 3 block^2 channels.
            block: side of the cube's blocks, in pixels.

        Returns:
            The selected channels.

        Raises:
            ValueError: if a block does not have all these frequencies, or the cube is not whole.
        """
        if cube.shape[1] != 3 * block * block:
            raise ValueError(f"a whole cube of blocks of {block} has {3 * block * block} channels, got {cube.shape[1]}")
        return cube.index_select(1, self._positions(block, cube))

    def embed(self, selected: Num[Tensor, "B K h w"], block: int = SIDE) -> Num[Tensor, "B C h w"]:
        """Put these channels into a whole cube that is zero elsewhere, for example to show their content.

        Args:
            selected: channels that `select` returned.
            block: side of the cube's blocks, in pixels.

        Returns:
            The whole cube.

        Raises:
            ValueError: if a block does not have all these frequencies, or the number of channels differs.
        """
        self._check(selected)
        batch, _, height, width = selected.shape
        whole = selected.new_zeros(batch, 3 * block * block, height, width)
        return whole.index_copy(1, self._positions(block, selected), selected)

    def flip(self, selected: Num[Tensor, "B K h w"]) -> Num[Tensor, "B K h w"]:
        """Mirror the image left to right exactly, from these channels alone.

        Args:
            selected: channels that `select` returned.

        Returns:
            The channels of the mirrored image.

        Raises:
            ValueError: if the number of channels differs.
        """
        self._check(selected)
        signs = [1 - 2 * (u % 2) for frequencies in self.components for _, u in frequencies]
        return selected.flip(-1) * torch.tensor(signs, device=selected.device).to(selected.dtype)[:, None, None]

    def _check(self, selected: Num[Tensor, "B K h w"]) -> None:
        """Raise an error if the number of channels differs."""
        if selected.shape[1] != len(self):
            raise ValueError(f"this subset has {len(self)} channels, got a tensor with {selected.shape[1]}")

    def _positions(self, block: int, like: Tensor) -> Int64[Tensor, " K"]:
        """Return `indices` on the device of a tensor."""
        return torch.tensor(self.indices(block), device=like.device)


def from_indices(indices: Iterable[int]) -> ChannelSubset:
    """Return the subset of channels with these numbers.

    Args:
        indices: numbers component 64 + 8 v + u, in any order and each once: Y has 0 to 63, Cb has 64 to 127, Cr has 128
            to 191.

    Returns:
        The subset.

    Raises:
        ValueError: if a number is out of range or repeated, or there are none.
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
    """Return the subset of the first frequencies in zigzag order.

    Args:
        y: number of frequencies of Y, 0 to 64.
        cb: number of frequencies of Cb.
        cr: number of frequencies of Cr.

    Returns:
        The subset.

    Raises:
        ValueError: if a number is out of range, or all are zero.
    """
    order = zigzag(SIDE)
    for name, count in zip(COMPONENTS, (y, cb, cr), strict=True):
        if not 0 <= count <= len(order):
            raise ValueError(f"a component has 0 to {len(order)} frequencies, got {count} of {name}")
    return ChannelSubset(*(tuple(sorted(divmod(index, SIDE) for index in order[:count])) for count in (y, cb, cr)))


def zigzag_order(numbers: Sequence[int]) -> list[int]:
    """Return the places of channels from the lowest frequency to the highest: along the zigzag, each of Y, Cb, then Cr.

    Args:
        numbers: numbers of the channels, 0 to 191, as `ChannelSubset.indices` returns them.

    Returns:
        The places within `numbers`.
    """
    along = zigzag(SIDE)
    places = {index: place for place, index in enumerate(along)}
    component_and_index = [divmod(number, SIDE * SIDE) for number in numbers]
    ranks = [(places[index], component) for component, index in component_and_index]
    return sorted(range(len(ranks)), key=ranks.__getitem__)


def channel_subset(choice: str | Sequence[int]) -> ChannelSubset:
    """Return the subset of a name, or of channels' numbers.

    Args:
        choice: name from `SUBSETS`, in any case; `6S`, `12S` and `32S` stand for `6`, `12` and `32`. Or numbers, as for
            `from_indices`.

    Returns:
        The subset.

    Raises:
        ValueError: if the name is unknown or fits several subsets, such as 24, or the numbers are invalid.
    """
    if not isinstance(choice, str):
        return from_indices(choice)
    name = _ALIASES.get(choice.upper(), choice.upper())
    several = [known for known in SUBSETS if known[:-1] == name and not known[-1].isdigit()]
    if several:
        raise ValueError(f"{choice!r} may be any of the channel subsets {', '.join(several)}; name one of them")
    return entry(name, SUBSETS, "channel subset")


def _stairs(y: Sequence[int], chroma: Sequence[int]) -> ChannelSubset:
    """Return the subset of the lowest horizontal frequencies, counted for each vertical one, of Y and of chroma."""
    luma, color = (tuple((v, u) for v, count in enumerate(counts) for u in range(count)) for counts in (y, chroma))
    return ChannelSubset(luma, color, color)


_LEARNED_CHROMA = ((0, 0), (0, 1), (0, 3), (1, 0), (3, 0))

SUBSETS: Mapping[str, ChannelSubset] = {
    "6": _stairs([2, 2], [1]),
    "12": triangle(8, 2, 2),
    "24S": _stairs([4, 4, 4, 4], [2, 2]),
    # the publication leaves one of the 14 frequencies of Y of the learned choice uncertain
    "24D": ChannelSubset(_stairs([6, 3, 3, 1, 1], []).y, _LEARNED_CHROMA, _LEARNED_CHROMA),
    "24T": triangle(16, 4, 4),
    "32": _stairs([5, 5, 5, 4, 3], [3, 2]),
    "48S": _stairs([6, 6, 6, 6, 4, 4], [3, 3, 2]),
    "48T": triangle(32, 8, 8),
    "64S": _stairs([7, 7, 6, 6, 6, 6, 6], [3, 3, 2, 2]),
    "64T": triangle(44, 10, 10),
    "192": _stairs([8] * 8, [8] * 8),
}
"""Subsets by name. `12` and those with T are ours, the others are published; see the module."""

_ALIASES = {"6S": "6", "12S": "12", "32S": "32"}
