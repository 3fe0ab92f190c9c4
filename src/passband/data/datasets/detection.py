"""Data sets of pictures and their instances, in which a sample's number decides everything about it."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from passband.data.coco import CocoImage, CocoImages
from passband.data.coco.targets import (
    DetectionTarget,
    InstanceAugmentation,
    augmented,
    instance_target,
    mirrored,
)
from passband.data.cubes.fixed_size import read_pixels
from passband.data.cubes.native_size import NativeFormat, read_native_cube
from passband.data.datasets.order import usable
from passband.io.files import failure
from passband.io.image import ImageError
from passband.io.rle import MaskError

FLIPPED = InstanceAugmentation()
"""Mirrored half of the time, at their own size."""


class DetectionSample(TypedDict):
    """One picture, ready for a detector."""

    image: Float[Tensor, "C h w"]
    """RGB in [0, 1], or a cube at stride 4."""
    size: tuple[int, int]
    """(Height, width) of the picture that it shows, in pixels."""
    target: DetectionTarget
    name: str
    number: int
    problem: str
    """Why a file could not be read; empty where it could."""


class DetectionBatch(TypedDict):
    """Pictures of different sizes, each in a tensor of its own."""

    images: list[Float[Tensor, "C _ _"]]
    targets: list[DetectionTarget]
    sizes: list[tuple[int, int]]
    names: list[str]
    numbers: list[int]
    problems: list[str]


class DetectionTrainingSet(Dataset[DetectionSample]):
    """Pictures to learn from, changed at random; a sample's number decides how.

    Args:
        pictures: with instances to train on, see `CocoImages.for_training`.
        seed: with the sample's number decides order and changes.
        augmentation: how pictures change. Cubes are mirrored at most, and only where that is exact: where the width is
            a multiple of 4 pixels, or the file is no JPEG file.
        cubes: read cubes at stride 4 rather than pixels.
        skip_bad: take the next picture instead of one that cannot be read.

    Raises:
        ValueError: for cubes that shall change their size, or pictures without an instance to train on.
    """

    def __init__(
        self,
        pictures: CocoImages,
        seed: int,
        *,
        augmentation: InstanceAugmentation = FLIPPED,
        cubes: NativeFormat | None = None,
        skip_bad: bool = False,
    ):
        if cubes is not None and not augmentation.keeps_size:
            raise ValueError(
                f"cubes of coefficients keep their size: scale (1, 1) and crop 1 are needed, got {augmentation.scale} "
                f"and {augmentation.crop}; train on pixels to change it"
            )
        if empty := [image for image in pictures.images if not image.trained]:
            raise ValueError(
                f"{pictures.source}: image {empty[0].number} ({empty[0].path.name}) has no instances to train on: use "
                "the pictures of for_training()"
            )
        self.pictures, self.seed, self.augmentation = pictures, seed, augmentation
        self.cubes, self.skip_bad = cubes, skip_bad

    def __len__(self) -> int:
        """Pictures, one sample of each being an epoch."""
        return len(self.pictures)

    def __getitem__(self, number: int) -> DetectionSample:
        """The sample of this number; numbers go on past the first epoch.

        Raises:
            ImageError: where no picture can be used at all.
        """

        def prepare(index: int) -> DetectionSample:
            rng = np.random.default_rng([self.seed, number, 1])
            try:
                return self._sample(self.pictures.images[index], number, rng)
            except (ImageError, OSError, MaskError) as error:
                return _unread(self.pictures, index, number, error)

        return usable(prepare, number, len(self.pictures), self.seed, skip_bad=self.skip_bad)

    def _sample(self, image: CocoImage, number: int, rng: np.random.Generator) -> DetectionSample:
        """A picture and its instances, changed."""
        labels, masks = self.pictures.labels, self.pictures.has_masks
        if self.cubes is None:
            values = _pixels(image)
            target = instance_target(image, labels, masks=masks, crowds=False)
            values, target = augmented(values, target, self.augmentation, rng)
            size = values.shape[-2], values.shape[-1]
        else:
            values, size, flipped = _cube(image, self.cubes, self.augmentation.mirrors(rng))
            target = instance_target(image, labels, masks=masks, crowds=False)
            target = mirrored(target, image.width) if flipped else target
        return {
            "image": values,
            "size": size,
            "target": target,
            "name": str(image.path),
            "number": number,
            "problem": "",
        }


class DetectionValidationSet(Dataset[DetectionSample]):
    """Every picture as it is, in order, to score on.

    Args:
        pictures: all that are scored, those without instances, too.
        cubes: read cubes at stride 4 rather than pixels.
        masks: give the masks of targets, which scores do not need: they come from `CocoImages.ground_truth`.
    """

    def __init__(self, pictures: CocoImages, *, cubes: NativeFormat | None = None, masks: bool = False):
        self.pictures, self.cubes, self.masks = pictures, cubes, masks

    def __len__(self) -> int:
        """Pictures."""
        return len(self.pictures)

    def __getitem__(self, number: int) -> DetectionSample:
        """The sample of this number, whose target has the crowds, too; of a file that cannot be read it is empty."""
        if not 0 <= number < len(self.pictures):  # what ends a `for` over the data set
            raise IndexError(f"there are {len(self.pictures)} pictures, numbered from 0; got {number}")
        image = self.pictures.images[number]
        try:
            if self.cubes is None:
                values, size = _pixels(image), (image.height, image.width)
            else:
                values, size, _ = _cube(image, self.cubes, wants_mirrored=False)
            target = instance_target(image, self.pictures.labels, masks=self.masks, crowds=True)
        except Exception as error:  # of any kind: a bad file may break what reads it in any way
            return _unread(self.pictures, number, number, error)
        return {
            "image": values,
            "size": size,
            "target": target,
            "name": str(image.path),
            "number": number,
            "problem": "",
        }


def collate_instances(samples: Sequence[DetectionSample]) -> DetectionBatch:
    """Put samples side by side, as torchvision's detectors take them: nothing is stacked.

    Args:
        samples: of any sizes.
    """
    return {
        "images": [sample["image"] for sample in samples],
        "targets": [sample["target"] for sample in samples],
        "sizes": [sample["size"] for sample in samples],
        "names": [sample["name"] for sample in samples],
        "numbers": [sample["number"] for sample in samples],
        "problems": [sample["problem"] for sample in samples],
    }


def _pixels(image: CocoImage) -> Float[Tensor, "3 H W"]:
    """The pixels of a picture, which has the size that its annotations are for."""
    values = read_pixels(image.path)
    _check_size(image, values.shape[-2], values.shape[-1])
    return values


def _cube(
    image: CocoImage, form: NativeFormat, wants_mirrored: bool
) -> tuple[Float[Tensor, "K h w"], tuple[int, int], bool]:
    """The cube of a picture, its size in pixels, and whether it is mirrored."""
    cube = read_native_cube(image.path, form, mirrored=wants_mirrored)
    _check_size(image, cube.height, cube.width)
    return cube.values, (cube.height, cube.width), cube.mirrored


def _check_size(image: CocoImage, height: int, width: int) -> None:
    """Refuse a picture of another size than its annotations say."""
    if (height, width) != (image.height, image.width):
        turned = " (turned upright as its EXIF data say)" if (width, height) == (image.height, image.width) else ""
        raise ImageError(
            f"{image.path} has {height} x {width} pixels{turned}, but its annotations (image {image.number}) are for "
            f"{image.height} x {image.width}: boxes and masks need the picture that they were drawn on"
        )


def _unread(pictures: CocoImages, index: int, number: int, error: Exception) -> DetectionSample:
    """What stands for a picture that cannot be read: a black one without instances."""
    image = pictures.images[index]
    target: DetectionTarget = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "image_id": image.number,
        "area": torch.zeros(0),
        "iscrowd": torch.zeros(0, dtype=torch.int64),
    }
    if pictures.has_masks:
        target["masks"] = torch.zeros(0, 1, 1, dtype=torch.uint8)
    return {
        "image": torch.zeros(3, 1, 1),
        "size": (1, 1),
        "target": target,
        "name": str(image.path),
        "number": number,
        "problem": failure(error, image.path, pictures.source),
    }
