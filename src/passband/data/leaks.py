"""Finds validation images that are also training images: the same files, and nearly the same images.

Frames of one video are nearly the same image, and a network that is trained on one of them knows the other. They are
found by a hash of the lowest frequencies, which recompressing and resizing hardly change.
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
"""Side in pixels of the image whose frequencies are hashed."""
LOWEST = 16
"""Number of frequencies along each direction that are hashed; 16 x 16 without the mean are 255 bits.

8 x 8 would be too few: the 63 bits of different endoscopic images, which share their frame and their vignette, differ
by no more than those of one image after 2 % of it are cut off."""
ALIKE = 30
"""Greatest number of the 255 bits by which nearly equal images differ.

Measured: JPEG at quality 30, half the size or 1.3 times the brightness change at most 27 bits. Neighboring frames of a
moving street in heavy rain differ by 22 bits in the median. Each of 100 endoscopic images differs from each of 800
others by at least 43 bits."""


@dataclass(frozen=True)
class LeakReport:
    """The validation images that are also training images, by name."""

    scored: int
    """Number of validation images that were checked."""
    identical: tuple[tuple[str, str], ...]
    """Names of validation images, each with the training image that is the same file."""
    alike: tuple[tuple[str, str, int], ...]
    """Names of validation images, each with the nearest training image and the bits by which they differ. Identical
    images are not listed again."""

    def lines(self, most: int = NAMED) -> list[str]:
        """Describe the leaks in sentences; the list is empty if there are none.

        Args:
            most: largest number of pairs to name of each kind.
        """
        sentences = []
        if self.identical:
            pairs = [f"{one} is {other}" for one, other in self.identical]
            sentences.append(
                f"{len(pairs)} of {self.scored} validation images are also training images, byte for byte: "
                f"{listed(pairs, most, '; ')}"
            )
        if self.alike:
            pairs = [f"{one} is like {other}" for one, other, _ in self.alike]
            sentences.append(
                f"{len(pairs)} of {self.scored} validation images are nearly the same as training images, like frames "
                f"of one video: {listed(pairs, most, '; ')}"
            )
        return sentences


def leak_report(learned: Sequence[MaskPair], scored: Sequence[MaskPair]) -> LeakReport:
    """Look for validation images among training images. Files that cannot be read are ignored.

    Args:
        learned: training pairs.
        scored: validation pairs.

    Returns:
        The images found.
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
            if scored[number].image not in same and differing[nearest] <= ALIKE:
                alike.append((scored[number].name, names[nearest], int(differing[nearest])))
    identical = tuple((pair.name, same[pair.image]) for pair in scored if pair.image in same)
    return LeakReport(len(scored), identical, tuple(alike))


def sequences_by_likeness(pairs: Sequence[MaskPair]) -> list[str]:
    """Label the sequence of each image by its content.

    Images that are nearly the same, directly or through others, form one sequence.

    Args:
        pairs: pairs whose images are read; an image that cannot be read is a sequence of its own.

    Returns:
        For each image, the name of the first image of its sequence.
    """
    codes = _hashes([pair.image for pair in pairs])
    numbers = list(codes)
    links: list[tuple[int, int]] = []
    if codes:
        table = torch.stack(list(codes.values()))
        for place, number in enumerate(numbers):
            near = (hash_distances(table[place : place + 1], table[place + 1 :])[0] <= ALIKE).nonzero().flatten()
            links += [(number, numbers[place + 1 + int(other)]) for other in near]
    labels = [""] * len(pairs)
    for group in connected(len(pairs), links):
        for number in group:
            labels[number] = pairs[group[0]].name
    return labels


def perceptual_hash(thumbnail: Float[Tensor, "*B S S"]) -> Bool[Tensor, "*B 255"]:
    """Return the signs of the lowest frequencies, without the mean: whether each is above 0.

    Args:
        thumbnail: small gray square of an image, at least `LOWEST` pixels a side.

    Returns:
        255 bits of each image.
    """
    return dct2(thumbnail)[..., :LOWEST, :LOWEST].flatten(-2)[..., 1:] > 0


def hash_distances(some: Bool[Tensor, "A 255"], others: Bool[Tensor, "B 255"]) -> Int64[Tensor, "A B"]:
    """Count the bits by which each hash differs from each hash of another set.

    Args:
        some: hashes of `perceptual_hash`.
        others: hashes of the other set.

    Returns:
        Numbers of bits, from 0 to 255.
    """
    ones, others_ones = some.float() * 2 - 1, others.float() * 2 - 1
    return ((some.shape[-1] - ones @ others_ones.mT) / 2).round().long()


def _hashes(paths: Sequence[Path]) -> dict[int, Bool[Tensor, "255"]]:
    """Return the hash of each image that can be read, by its index."""
    found: dict[int, Tensor] = {}
    for number, path in enumerate(paths):
        try:
            found[number] = perceptual_hash(read_thumbnail(path, SIDE))
        except (ImageError, OSError):
            continue
    return found
