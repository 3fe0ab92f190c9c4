"""Reads images and pairs, crops them, and degrades crops."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.degradations import NEWEST, degrade, degrade_and_develop
from passband.data.pairs import Pair
from passband.io.image import read_image
from passband.ops.tiling import pad_to_multiple

CLEAN = "clean"
"""The kind of a sample without degradation, from which a network learns to leave clean images unchanged."""
CACHE_BYTES = 1_000_000_000
"""Bytes of decoded images that each data set, in each worker process, keeps in memory."""
UNUSABLE = (ValueError, OSError)
"""Errors that a damaged or missing file raises, or a pair whose images differ in size."""


class ImageCache:
    """Read images and keep the ones used last in memory.

    Args:
        capacity: bytes of decoded images to keep.
    """

    def __init__(self, capacity: int = CACHE_BYTES):
        self.capacity, self.size = capacity, 0
        self.images: OrderedDict[Path, Tensor] = OrderedDict()

    def __call__(self, path: Path) -> Float[Tensor, "3 H W"]:
        """Return the image in a file."""
        if path in self.images:
            self.images.move_to_end(path)
            return _as_unit(self.images[path])
        image = read_image(path)
        levels = image.mul(255).round_().to(torch.uint8)
        # images of 8-bit files are kept as bytes, which takes a quarter of the memory and loses nothing
        cached = levels if torch.equal(_as_unit(levels), image) else image
        self.images[path] = cached
        self.size += cached.nbytes
        while self.size > self.capacity:  # an image larger than the capacity removes itself
            self.size -= self.images.popitem(last=False)[1].nbytes
        return image


def _as_unit(image: Tensor) -> Float[Tensor, "3 H W"]:
    """Return a cached image in [0, 1], by the same arithmetic as when it was read."""
    return image / 255 if image.dtype == torch.uint8 else image


def crop_and_flip(
    images: list[Float[Tensor, "_ H W"]], side: int, rng: np.random.Generator | None
) -> list[Float[Tensor, "_ S S"]]:
    """Cut the same square from images of one size and mirror it left to right half of the time.

    Args:
        images: images of one size and any range. Images smaller than the crop are padded as
            `ops.tiling.pad_to_multiple` pads them.
        side: side of the square, in pixels.
        rng: generator that draws position and flip; None cuts the center without a flip.

    Returns:
        The squares, which share no memory with the images.
    """
    images = [pad_to_multiple(image[None], 1, side)[0][0] for image in images]
    height, width = images[0].shape[-2:]
    if rng is None:
        top, left, mirrored = (height - side) // 2, (width - side) // 2, False
    else:
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        mirrored = bool(rng.integers(2))
    squares = [image[:, top : top + side, left : left + side] for image in images]
    return [square.flip(-1) if mirrored else square.clone() for square in squares]


def degraded_as_file(
    image: Float[Tensor, "3 H W"], kind: str, *, seed: int, index: int, version: int = NEWEST
) -> Float[Tensor, "3 H W"]:
    """Degrade an image and round it to 8 bits, as images in files are.

    Args:
        image: clean image in [0, 1].
        kind: degradation, a key of `degradations.KINDS` or several joined by `+`; `"clean"` returns the image as it is.
        seed: seed of the degradation.
        index: number of the sample, which decides the degradation together with the seed.
        version: version of the simulators, a key of `degradations.VERSIONS`.

    Returns:
        The degraded image.
    """
    return degraded_crop(image, kind, version, False, seed, index)[0]


def degraded_crop(
    image: Float[Tensor, "3 H W"], kind: str, version: int, developed: bool, seed: int, index: int
) -> tuple[Float[Tensor, "3 H W"], Float[Tensor, "3 H W"]]:
    """Return the degraded image, rounded to 8 bits, and the clean image.

    If `developed` is true, a random camera develops both, so that they have the same exposure.

    Args:
        image: clean image in [0, 1].
        kind: degradation, a key of `degradations.KINDS` or several joined by `+`; `"clean"` returns the image twice.
        version: version of the simulators, a key of `degradations.VERSIONS`.
        developed: whether a random camera develops both images.
        seed: seed of the degradation and of the camera.
        index: number of the sample, which decides the degradation together with the seed.

    Returns:
        Both images, in [0, 1].

    Raises:
        ValueError: if the kind or the version is unknown.
    """
    if kind == CLEAN:
        return image, image
    if developed:
        degraded, image = degrade_and_develop(image, kind, seed=seed, index=index, version=version)
    else:
        degraded = degrade(image, kind, seed=seed, index=index, version=version)
    return degraded.mul(255).round_().div_(255), image


def read_pair(pair: Pair, read: Callable[[Path], Tensor] = read_image) -> list[Float[Tensor, "_ H W"]]:
    """Read the degraded and the clean image of a pair.

    Args:
        pair: pair of two files, or of three with a right view.
        read: function that reads the image in a file.

    Returns:
        The degraded image, with 3 channels or with 6 for a left and a right view, and the clean image with 3 channels.

    Raises:
        ValueError: if the images differ in size.
    """
    paths = [pair.degraded, pair.clean] if pair.right is None else [pair.degraded, pair.right, pair.clean]
    *views, clean = images = [read(path) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != clean.shape:
            sizes = [f"{shape[2]}x{shape[1]}" for shape in (image.shape, clean.shape)]
            raise ValueError(f"{path} is {sizes[0]} but {pair.clean} is {sizes[1]}: a pair has one size")
    return [views[0] if len(views) == 1 else torch.cat(views), clean]
