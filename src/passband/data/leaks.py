"""Pictures to score on that were learned from: the same files, and pictures that are nearly the same.

Frames of one video are nearly the same picture: a network that has learned one of them knows the other. They are found
by a hash of the lowest frequencies, which recompressing and resizing hardly change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from passband.data.duplicates import duplicates
from passband.data.images import NAMED
from passband.data.masks import MaskPair
from passband.data.scenes import connected
from passband.io.image import ImageError
from passband.io.thumbnail import read_thumbnail
from passband.naming import listed
from passband.ops.dct import dct2

SIDE = 32
"""Pixels a side of the picture whose frequencies are hashed."""
LOWEST = 16
"""Frequencies of each direction that are hashed; 16 x 16 without the mean are 255 bits. With 8 x 8, the 63 bits of
different endoscopic pictures, which share their frame and their vignette, differ by no more than those of one picture
after it is cut by 2 %."""
ALIKE = 30
"""Bits of 255 by which pictures may differ that count as nearly the same. Measured: JPEG at quality 30, half the
size or 1.3 times the brightness change at most 27; neighboring frames of a moving street in heavy rain differ by 22 in
the median; each of 100 endoscopic pictures differs from each of 800 others by 43 at least."""


@dataclass(frozen=True)
class LeakReport:
    """Which pictures to score on are learned from, by name."""

    scored: int
    """Pictures that were looked for."""
    identical: tuple[tuple[str, str], ...]
    """One to score on, and the one to learn from that is the same file."""
    alike: tuple[tuple[str, str, int], ...]
    """One to score on, the one to learn from that is nearest to it, and the bits by which they differ, for those that
    are nearly the same and not identical."""

    def lines(self, most: int = NAMED) -> list[str]:
        """What a person should know of it, in sentences; none where nothing leaks.

        Args:
            most: pairs that are named of each kind.
        """
        found = []
        if self.identical:
            some = [f"{one} is {other}" for one, other in self.identical]
            found.append(
                f"{len(some)} of {self.scored} pictures to score on are learned from, too, byte for byte: "
                f"{listed(some, most, '; ')}"
            )
        if self.alike:
            some = [f"{one} is like {other}" for one, other, _ in self.alike]
            found.append(
                f"{len(some)} of {self.scored} pictures to score on are nearly the same as ones that are learned from, "
                f"as frames of one video are: {listed(some, most, '; ')}"
            )
        return found


def leak_report(learned: Sequence[MaskPair], scored: Sequence[MaskPair], distance: int = ALIKE) -> LeakReport:
    """Look for pictures to score on among those to learn from.

    Files that cannot be read are passed over.

    Args:
        learned: pairs to learn from.
        scored: pairs to score on.
        distance: bits of 255 by which pictures may differ that count as nearly the same.
    """
    by_path = {pair.image: pair.name for pair in learned}
    same = {
        path: by_path[original]
        for path, original in duplicates([pair.image for pair in scored], [pair.image for pair in learned])
    }
    ours, theirs = _hashes([pair.image for pair in learned]), _hashes([pair.image for pair in scored])
    alike: list[tuple[str, str, int]] = []
    if ours and theirs:
        codes = torch.stack(list(ours.values()))
        names = [learned[number].name for number in ours]
        for number, code in theirs.items():
            differing = hash_distances(code[None], codes)[0]
            nearest = int(differing.argmin())
            if scored[number].image not in same and differing[nearest] <= distance:
                alike.append((scored[number].name, names[nearest], int(differing[nearest])))
    identical = tuple((pair.name, same[pair.image]) for pair in scored if pair.image in same)
    return LeakReport(len(scored), identical, tuple(alike))


def sequences_by_likeness(pairs: Sequence[MaskPair], distance: int = ALIKE) -> list[str]:
    """The sequence of each picture by what it shows: those nearly the same, directly or through others, are of one.

    Args:
        pairs: whose pictures are read; one that cannot be is a sequence of its own.
        distance: as for `leak_report`.

    Returns:
        The name of the first picture of its sequence, for each.
    """
    codes = _hashes([pair.image for pair in pairs])
    numbers = list(codes)
    links: list[tuple[int, int]] = []
    if codes:
        table = torch.stack(list(codes.values()))
        for place, number in enumerate(numbers):
            near = (hash_distances(table[place : place + 1], table[place + 1 :])[0] <= distance).nonzero().flatten()
            links += [(number, numbers[place + 1 + int(other)]) for other in near]
    labels = [""] * len(pairs)
    for group in connected(len(pairs), links):
        for number in group:
            labels[number] = pairs[group[0]].name
    return labels


def perceptual_hash(thumbnail: Float[Tensor, "*B S S"]) -> Bool[Tensor, "*B 255"]:
    """The signs of the lowest frequencies but the mean: whether each is above 0.

    Args:
        thumbnail: a small gray square of a picture, at least `LOWEST` pixels a side.
    """
    return dct2(thumbnail)[..., :LOWEST, :LOWEST].flatten(-2)[..., 1:] > 0


def hash_distances(some: Bool[Tensor, "A 255"], others: Bool[Tensor, "B 255"]) -> Int64[Tensor, "A B"]:
    """By how many bits each hash differs from each other one."""
    ones, others_ones = some.float() * 2 - 1, others.float() * 2 - 1
    return ((some.shape[-1] - ones @ others_ones.mT) / 2).round().long()


def _hashes(paths: Sequence[Path]) -> dict[int, Bool[Tensor, "255"]]:
    """The hash of each picture that can be read, by its number."""
    found: dict[int, Tensor] = {}
    for number, path in enumerate(paths):
        try:
            found[number] = perceptual_hash(read_thumbnail(path, SIDE))
        except (ImageError, OSError):
            continue
    return found
