"""Finds nearly the same images, such as frames of one video, by a hash of the lowest frequencies.

Recompressing and resizing an image hardly change the hash. `duplicates` finds files with the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from passband.data.masks import MaskPair
from passband.data.scenes import connected
from passband.io.image import ImageError
from passband.io.thumbnail import read_thumbnail
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


def sequences_by_likeness(pairs: Sequence[MaskPair]) -> list[str]:
    """Label the sequence of each image by its content.

    Images that are nearly the same, directly or through others, form one sequence.

    Args:
        pairs: pairs whose images are read; an image that cannot be read is a sequence of its own.

    Returns:
        For each image, the name of the first image of its sequence.
    """
    codes = image_hashes([pair.image for pair in pairs])
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


def image_hashes(paths: Sequence[Path]) -> dict[int, Bool[Tensor, "255"]]:
    """Return the hash of each image that can be read, by its index.

    Args:
        paths: image files; those that cannot be read are left out.

    Returns:
        Hashes of `perceptual_hash`, by the place of the file, from 0.
    """
    found: dict[int, Tensor] = {}
    for number, path in enumerate(paths):
        try:
            found[number] = perceptual_hash(read_thumbnail(path, SIDE))
        except (ImageError, OSError):
            continue
    return found
