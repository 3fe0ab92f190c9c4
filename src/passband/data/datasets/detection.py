"""Training and validation sets of images and their instances. The number of a sample decides everything about it."""

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
from passband.data.cubes.native_size import NativeFormat, read_native_cube
from passband.data.datasets.order import usable
from passband.data.datasets.shard_order import order_of
from passband.io.failures import failure
from passband.io.image import ImageError, read_image

FLIPPED = InstanceAugmentation()
"""The default augmentation: images keep their size and are mirrored half of the time."""


class DetectionSample(TypedDict):
    """One image, ready for a detector."""

    image: Float[Tensor, "C h w"]
    """An RGB image in [0, 1], or a cube at a stride of 4 pixels."""
    size: tuple[int, int]
    """Height and width in pixels of the image that `image` shows."""
    target: DetectionTarget
    name: str
    number: int
    problem: str
    """The reason why the file cannot be read; empty if it can be read."""


class DetectionBatch(TypedDict):
    """Images of different sizes, each in its own tensor."""

    images: list[Float[Tensor, "C _ _"]]
    targets: list[DetectionTarget]
    sizes: list[tuple[int, int]]
    names: list[str]
    numbers: list[int]
    problems: list[str]


class DetectionTrainingSet(Dataset[DetectionSample]):
    """Images that are changed at random. The number of a sample decides how.

    Args:
        images: images that have instances to train on, see `CocoImages.for_training`.
        seed: seed that decides order and changes together with the number of the sample.
        augmentation: random changes. Cubes can only be mirrored, and only where this is exact: if the width is a
            multiple of 4 pixels, or the file is not a JPEG file.
        cubes: format of cubes at a stride of 4 pixels; None reads pixels.
        skip_bad: whether to use the next image instead of one that cannot be read.
        batch: samples of a step, over all processes, for the order of shards.

    Raises:
        ValueError: if the augmentation changes the size of cubes, or an image has no instances to train on.
    """

    def __init__(
        self,
        images: CocoImages,
        seed: int,
        *,
        augmentation: InstanceAugmentation = FLIPPED,
        cubes: NativeFormat | None = None,
        skip_bad: bool = False,
        batch: int = 1,
    ):
        if cubes is not None and not augmentation.keeps_size:
            raise ValueError(
                f"cubes of coefficients keep their size: scale (1, 1) and crop 1 are needed, got {augmentation.scale} "
                f"and {augmentation.crop}; train on pixels to change it"
            )
        if empty := [image for image in images if not image.trained]:
            raise ValueError(
                f"{images.source}: image {empty[0].number} ({empty[0].path.name}) has no instances to train on: use "
                "the images of for_training()"
            )
        self.images, self.seed, self.augmentation = images, seed, augmentation
        self.cubes, self.skip_bad = cubes, skip_bad
        self.order = order_of((image.path for image in images), seed, batch)

    def __len__(self) -> int:
        """Return the number of images; one sample of each is an epoch."""
        return len(self.images)

    def __getitem__(self, number: int) -> DetectionSample:
        """Return the sample of a number. Numbers continue after the first epoch.

        Raises:
            ImageError: if no image can be used.
        """

        def prepare(index: int) -> DetectionSample:
            rng = np.random.default_rng([self.seed, number, 1])
            try:
                return self._sample(self.images[index], number, rng)
            except (ImageError, OSError) as error:
                return _unusable_sample(self.images, index, number, error)

        return usable(prepare, number, self.order, skip_bad=self.skip_bad)

    def _sample(self, image: CocoImage, number: int, rng: np.random.Generator) -> DetectionSample:
        """Make the sample of an image with its instances."""
        labels, masks = self.images.labels, self.images.has_masks
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
    """Every image unchanged and in order. Targets have no masks: scores use `CocoImages.ground_truth`.

    Args:
        images: all images to score, including those without instances.
        cubes: format of cubes at a stride of 4 pixels; None reads pixels.
    """

    def __init__(self, images: CocoImages, *, cubes: NativeFormat | None = None):
        self.images, self.cubes = images, cubes

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __getitem__(self, number: int) -> DetectionSample:
        """Return the sample of a number; its target includes crowds.

        A file that cannot be read gives a black image without instances.
        """
        if not 0 <= number < len(self.images):  # ends a `for` loop over the data set
            raise IndexError(f"there are {len(self.images)} images, numbered from 0; got {number}")
        image = self.images[number]
        try:
            if self.cubes is None:
                values, size = _pixels(image), (image.height, image.width)
            else:
                values, size, _ = _cube(image, self.cubes, wants_mirrored=False)
            target = instance_target(image, self.images.labels, masks=False, crowds=True)
        except Exception as error:  # a damaged file can raise any error in the code that reads it
            return _unusable_sample(self.images, number, number, error)
        return {
            "image": values,
            "size": size,
            "target": target,
            "name": str(image.path),
            "number": number,
            "problem": "",
        }


def collate_instances(samples: Sequence[DetectionSample]) -> DetectionBatch:
    """Put samples into a batch as torchvision's detectors take it, without stacking them.

    Args:
        samples: samples of any sizes.
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
    """Read the pixels of an image and check that its size fits the annotations."""
    values = read_image(image.path)
    _check_size(image, values.shape[-2], values.shape[-1])
    return values


def _cube(
    image: CocoImage, form: NativeFormat, wants_mirrored: bool
) -> tuple[Float[Tensor, "K h w"], tuple[int, int], bool]:
    """Read the cube of an image; return it with the image's size in pixels and whether it is mirrored."""
    cube = read_native_cube(image.path, form, mirrored=wants_mirrored)
    _check_size(image, cube.height, cube.width)
    return cube.values, (cube.height, cube.width), cube.mirrored


def _check_size(image: CocoImage, height: int, width: int) -> None:
    """Raise an error if an image differs in size from its annotations."""
    if (height, width) != (image.height, image.width):
        turned = " (turned upright as its EXIF data say)" if (width, height) == (image.height, image.width) else ""
        raise ImageError(
            f"{image.path} has {height} x {width} pixels{turned}, but its annotations (image {image.number}) are for "
            f"{image.height} x {image.width}: boxes and masks need the image on which they were drawn"
        )


def _unusable_sample(images: CocoImages, index: int, number: int, error: Exception) -> DetectionSample:
    """Make the sample of an image that cannot be read: a black image without instances."""
    image = images[index]
    target: DetectionTarget = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "image_id": image.number,
        "area": torch.zeros(0),
        "iscrowd": torch.zeros(0, dtype=torch.int64),
    }
    if images.has_masks:
        target["masks"] = torch.zeros(0, 1, 1, dtype=torch.uint8)
    return {
        "image": torch.zeros(3, 1, 1),
        "size": (1, 1),
        "target": target,
        "name": str(image.path),
        "number": number,
        "problem": failure(error, image.path, images.source),
    }
