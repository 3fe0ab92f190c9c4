"""Training and validation sets of images and masks. The number of a sample decides everything about it.

Images are resized to a square, whatever their shape, as in the published polyp networks. Training masks are resized
alike, by `ops.areas.shrunk_mask`.
"""

import math
import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import reduction
from multiprocessing.context import get_spawning_popen
from typing import Any, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int32, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from passband.data.datasets.order import usable
from passband.data.datasets.shard_order import order_of
from passband.data.masks import MaskPair, read_mask_pair
from passband.io.failures import failure
from passband.io.image import ImageError
from passband.ops.areas import shrunk_mask
from passband.ops.labels import IGNORED

STORED_IGNORED = 255
"""Byte that stands for `IGNORED` in masks that are kept in memory."""
MEMORY_SHARE = 0.4
"""Share of the free memory that cached images may take."""


class SegmentationSample(TypedDict):
    """One image and its mask."""

    image: Float[Tensor, "3 h w"]
    mask: Int64[Tensor, "H W"]
    name: str
    number: int
    problem: str
    """The reason why the files cannot be used; empty if they can be used."""


@dataclass(frozen=True)
class SegmentationAugmentation:
    """Random changes of an image and its mask. A change that is switched off draws no random numbers.

    Attributes:
        flip: whether to mirror left to right and top to bottom, each half of the time.
        turn: whether to rotate by 0, 90, 180 or 270 degrees, each a quarter of the time.
        scale: smallest and greatest share of the area that a random square shows, which is then enlarged; (1, 1) keeps
            the whole image.
        brightness: greatest change b of the brightness, 0 to 1; the image is multiplied by 1 - b to 1 + b.
        contrast: greatest change of the contrast, 0 to 1, alike.
        saturation: greatest change of the saturation, 0 to 1, alike.
        hue: greatest shift of the hue as a share of the color circle, 0 to 0.5.

    Raises:
        ValueError: if a number is out of its range.
    """

    flip: bool = True
    turn: bool = True
    scale: tuple[float, float] = (0.5, 1.0)
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale is two shares of the area, 0 < least <= greatest <= 1; got {self.scale}")
        for name in ("brightness", "contrast", "saturation", "hue"):
            most = 0.5 if name == "hue" else 1.0
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is 0 (off) to {most:g}; got {getattr(self, name)}")

    def apply(
        self, image: UInt8[Tensor, "3 S S"], mask: UInt8[Tensor, "1 S S"], seed: int
    ) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "1 S S"]]:
        """Change an image and its mask.

        Args:
            image: image in levels of 0 to 255.
            mask: mask of the same size.
            seed: seed of everything random; the random generators of the process keep their states.

        Returns:
            The changed image and mask.
        """
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        steps: list[Any] = []
        if self.flip:
            steps += [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
        if self.scale != (1, 1):
            steps.append(v2.RandomResizedCrop(image.shape[-2:], self.scale, ratio=(1.0, 1.0), antialias=True))
        if self.brightness or self.contrast or self.saturation or self.hue:
            steps.append(v2.ColorJitter(self.brightness, self.contrast, self.saturation, self.hue))
        with _seeded(seed):
            if self.turn:
                turns = int(torch.randint(4, ()))
                image, mask = image.rot90(turns, (-2, -1)), mask.rot90(turns, (-2, -1))
            if steps:
                image, mask = v2.Compose(steps)(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)


class SegmentationTrainingSet(Dataset[SegmentationSample]):
    """Images and masks of one size.

    Args:
        pairs: files of the images and masks.
        classes: number of classes, as in `data.masks.read_mask`.
        size: side of the samples, in pixels.
        seed: seed of the order and of the changes.
        augmentation: random changes; None for no changes.
        cache: whether to keep decoded and resized images in memory if they fit. Samples are the same without it.
        skip_bad: whether to use the next pair instead of one that cannot be used.
        batch: samples of a step, over all processes, for the order of shards.
        ignore_label: value of ignored pixels in the mask files, as in `data.masks.read_mask`.

    Raises:
        ValueError: if there are more than 255 classes, which do not fit into a byte beside ignored pixels.
    """

    def __init__(
        self,
        pairs: Sequence[MaskPair],
        classes: int,
        size: int,
        seed: int,
        *,
        augmentation: SegmentationAugmentation | None = None,
        cache: bool = True,
        skip_bad: bool = False,
        batch: int = 1,
        ignore_label: int | None = None,
    ):
        self.pairs, self.classes, self.size, self.seed = pairs, classes, size, seed
        self.augmentation, self.skip_bad, self.ignore_label = augmentation, skip_bad, ignore_label
        self.order = order_of((pair.image for pair in pairs), seed, batch)
        if classes > STORED_IGNORED:
            raise ValueError(f"masks must have at most {STORED_IGNORED} classes for training; got {classes}")
        self.cached = (
            _SharedArrays(len(pairs), (4, size, size)) if cache and _fits(4 * size * size * len(pairs)) else None
        )

    def __len__(self) -> int:
        """Return the number of pairs; one sample of each is an epoch."""
        return len(self.pairs)

    def __getitem__(self, number: int) -> SegmentationSample:
        """Return the sample of a number. Numbers continue after the first epoch.

        Raises:
            ImageError: if no pair can be used.
        """
        prepare = partial(self._sample, number=number)
        return usable(prepare, number, self.order, skip_bad=self.skip_bad)

    def _sample(self, index: int, number: int) -> SegmentationSample:
        """Make the sample of a pair, or of files that cannot be used."""
        name, problem = self.pairs[index].name, ""
        try:
            planes = self._planes(index)
            image, mask = planes[:3], planes[3:]
            if self.augmentation is not None:
                image, mask = self.augmentation.apply(image, mask, self.seed * 1_000_003 + number)
            pixels, classes = image.float() / 255, _labels(mask[0])
        except (ImageError, OSError) as error:
            pixels, problem = torch.zeros(3, self.size, self.size), str(error)
            classes = torch.full((self.size, self.size), IGNORED)
        return {"image": pixels, "mask": classes, "name": name, "number": number, "problem": problem}

    def _planes(self, index: int) -> UInt8[Tensor, "4 S S"]:
        """Return the resized red, green, blue and mask planes of a pair."""
        if self.cached is not None and (known := self.cached.get(index)) is not None:
            return known
        image, mask = read_mask_pair(self.pairs[index], self.classes, self.ignore_label)
        small = shrunk_mask(mask, max(self.classes, 2), (self.size, self.size))
        planes = torch.cat([_levels(image, self.size), small[None].remainder(256).to(torch.uint8)])
        if self.cached is not None:
            self.cached.put(index, planes)
        return planes


class SegmentationValidationSet(Dataset[SegmentationSample]):
    """Images of one size with masks in their stored sizes, in order.

    Args:
        pairs: files of the images and masks.
        classes: number of classes, as in `data.masks.read_mask`.
        size: side of the images, in pixels.
        cache: whether to keep decoded and resized images and their masks in memory if they fit. Samples are the same
            without it.
        ignore_label: value of ignored pixels in the mask files, as in `data.masks.read_mask`.
    """

    def __init__(
        self,
        pairs: Sequence[MaskPair],
        classes: int,
        size: int,
        *,
        cache: bool = True,
        ignore_label: int | None = None,
    ):
        self.pairs, self.classes, self.size, self.ignore_label = pairs, classes, size, ignore_label
        # masks mostly have the size of the samples; their true sizes are known only after reading
        self.cached: dict[int, tuple[Tensor, Tensor]] | None = {} if cache and _fits(5 * size**2 * len(pairs)) else None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    def __getitem__(self, number: int) -> SegmentationSample:
        """Return the sample of a number. Unusable files give an image of zeros and a mask with one `IGNORED`."""
        if not 0 <= number < len(self.pairs):  # ends a `for` loop over the data set
            raise IndexError(f"there are {len(self.pairs)} pairs, numbered from 0; got {number}")
        problem = ""
        try:
            levels, stored = self._pair(number)
            image, mask = levels.float() / 255, _labels(stored)
        except Exception as error:  # a damaged file can raise any error in the code that reads it
            image, mask = torch.zeros(3, self.size, self.size), torch.full((1, 1), IGNORED)
            problem = failure(error, self.pairs[number].image, self.pairs[number].mask)
        return {"image": image, "mask": mask, "name": self.pairs[number].name, "number": number, "problem": problem}

    def _pair(self, number: int) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "H W"] | Int32[Tensor, "H W"]]:
        """Return the resized image and the mask of a pair."""
        if self.cached is not None and number in self.cached:
            return self.cached[number]
        image, mask = read_mask_pair(self.pairs[number], self.classes, self.ignore_label)
        fits = self.classes <= STORED_IGNORED
        pair = _levels(image, self.size), mask.remainder(256).to(torch.uint8) if fits else mask.to(torch.int32)
        if self.cached is not None and _fits(pair[1].nbytes):
            self.cached[number] = pair
        return pair


def collate_masks(samples: Sequence[SegmentationSample]) -> dict[str, Any]:
    """Make a batch of samples whose masks may differ in size.

    Args:
        samples: samples whose images have one size.

    Returns:
        `image` of shape B 3 h w, `mask` as a list of masks H W, `name` and `problem` as lists, and `number` of shape B.
    """
    return {
        "image": torch.stack([sample["image"] for sample in samples]),
        "mask": [sample["mask"] for sample in samples],
        "name": [sample["name"] for sample in samples],
        "number": torch.tensor([sample["number"] for sample in samples]),
        "problem": [sample["problem"] for sample in samples],
    }


def _labels(stored: UInt8[Tensor, "H W"] | Int32[Tensor, "H W"]) -> Int64[Tensor, "H W"]:
    """Return the labels of a mask that is kept in memory."""
    labels = stored.long()
    return labels.masked_fill(labels == STORED_IGNORED, IGNORED) if stored.dtype == torch.uint8 else labels


def _levels(image: Float[Tensor, "3 H W"], size: int) -> UInt8[Tensor, "3 S S"]:
    """Resize an image to a square and convert it to levels of 0 to 255."""
    if image.shape[-2:] != (size, size):
        image = F.interpolate(image[None], (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
    return image.mul(255).round().clamp(0, 255).to(torch.uint8)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the CPU's generator and restore its state afterwards; the generators of devices are not changed."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed % 2**63)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def _fits(size: int) -> bool:
    """Tell whether a number of bytes fits into the share of the memory that may be used."""
    import psutil

    return size <= MEMORY_SHARE * psutil.virtual_memory().available


class _SharedArrays:
    """Arrays that this process and the worker processes of its loaders share.

    A worker inherits the memory if it is forked. Other workers get it as an open file, which exists on Linux only;
    elsewhere they keep their own arrays. Both are limited only by the machine's memory, unlike /dev/shm.

    Args:
        count: number of arrays.
        shape: shape of each array.
        file: open file with the memory of another process; None for new memory.
    """

    def __init__(self, count: int, shape: tuple[int, ...], file: int | None = None):
        self.count, self.shape = count, shape
        size = max(1, count * (1 + math.prod(shape)))
        if file is None and hasattr(os, "memfd_create"):
            file = os.memfd_create("passband")
            os.truncate(file, size)
        self.file = file
        if file is not None:
            weakref.finalize(self, os.close, file)
        memory = np.frombuffer(mmap.mmap(-1 if file is None else file, size), np.uint8)
        self.flags = memory[:count]
        self.values = memory[count : count * (1 + math.prod(shape))].reshape(count, *shape)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.file is None or get_spawning_popen() is None:  # a copy that is not for a process that starts now
            return _SharedArrays, (self.count, self.shape)
        return _received_arrays, (self.count, self.shape, reduction.DupFd(self.file))

    def get(self, index: int) -> Tensor | None:
        """Return a copy of the stored values, or None if nothing is stored."""
        return torch.from_numpy(self.values[index].copy()) if self.flags[index] else None

    def put(self, index: int, values: Tensor) -> None:
        """Store values. Two processes that store at once store the same values."""
        self.values[index] = values.numpy()
        self.flags[index] = 1


def _received_arrays(count: int, shape: tuple[int, ...], file: Any) -> _SharedArrays:
    """Return the arrays of the process that starts this one."""
    return _SharedArrays(count, shape, file.detach())
