"""What a detector learns from a picture, and changing it together with the picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from passband.data.coco import CocoImage
from passband.data.coco.annotation import CROWD
from passband.io.rle import MaskError, compress, decode_mask

TRIES = 10
"""Random crops that are drawn before a picture is taken whole, where they show none of its instances."""
SMALLEST = 1.0
"""Sides of the smallest box that is learned from, in pixels."""


class DetectionTarget(TypedDict):
    """The instances of a picture, as torchvision's detectors take them."""

    boxes: Float[Tensor, "N 4"]
    """x1, y1, x2, y2 in pixels, within the picture."""
    labels: Int64[Tensor, " N"]
    """From 1; 0 is the background."""
    masks: NotRequired[UInt8[Tensor, "N H W"]]
    image_id: int
    area: Float[Tensor, " N"]
    iscrowd: Int64[Tensor, " N"]


@dataclass(frozen=True)
class InstanceAugmentation:
    """How a picture and its instances are changed for training.

    Attributes:
        flip: mirror left to right half of the time.
        scale: least and greatest factor by which the picture is resized; (1, 1) for none. Scale jitter, as in Ghiasi et
            al., "Simple copy-paste is a strong data augmentation method", CVPR 2021.
        crop: least share of each side that is kept; 1 for none.

    Raises:
        ValueError: for factors or shares out of range.
    """

    flip: bool = True
    scale: tuple[float, float] = (1.0, 1.0)
    crop: float = 1.0

    def __post_init__(self):
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale needs a least and a greatest factor above 0, got {self.scale}")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop needs a share above 0 and up to 1, got {self.crop}")

    @property
    def keeps_size(self) -> bool:
        """Whether pictures are mirrored at most."""
        return self.scale == (1.0, 1.0) and self.crop == 1

    def mirrors(self, rng: np.random.Generator) -> bool:
        """Draw whether a picture is mirrored.

        Args:
            rng: draws it.
        """
        return self.flip and bool(rng.integers(2))


def instance_target(image: CocoImage, labels: Mapping[int, int], *, masks: bool, crowds: bool) -> DetectionTarget:
    """The instances of a picture that can be learned from.

    Args:
        image: the picture.
        labels: of each category's number.
        masks: give masks, too; N H W bytes.
        crowds: give crowds, too.

    Returns:
        Boxes cut at the picture's edges.

    Raises:
        ImportError: for masks, where the package faster-coco-eval is missing.
        MaskError: for a damaged mask, naming the picture and the annotation.
    """
    height, width = image.height, image.width
    chosen = [one for one in image.instances if not one.skip or (crowds and one.skip == CROWD)]
    boxes = torch.tensor([one.box for one in chosen], dtype=torch.float32).reshape(-1, 4)
    target: DetectionTarget = {
        "boxes": boxes.clamp(min=0).minimum(torch.tensor([width, height, width, height])),
        "labels": torch.tensor([labels[one.category] for one in chosen], dtype=torch.int64),
        "image_id": image.number,
        "area": torch.tensor([one.area for one in chosen], dtype=torch.float32),
        "iscrowd": torch.tensor([int(one.is_crowd) for one in chosen], dtype=torch.int64),
    }
    if masks:
        pixels = torch.zeros(len(chosen), height, width, dtype=torch.uint8)
        for place, one in enumerate(chosen):
            if one.segmentation is not None:
                try:
                    pixels[place] = decode_mask(compress(one.segmentation, height, width))
                except MaskError as error:
                    raise MaskError(f"{image.path} (image {image.number}), annotation {one.number}: {error}") from error
        target["masks"] = pixels
    return target


def mirrored(target: DetectionTarget, width: int) -> DetectionTarget:
    """The instances of the picture with left and right exchanged.

    Args:
        target: before.
        width: of the picture, in pixels.
    """
    left, top, right, bottom = target["boxes"].unbind(1)
    changed: DetectionTarget = {**target, "boxes": torch.stack([width - right, top, width - left, bottom], 1)}
    if "masks" in target:
        changed["masks"] = target["masks"].flip(-1)
    return changed


def augmented(
    image: Float[Tensor, "3 H W"], target: DetectionTarget, augmentation: InstanceAugmentation, rng: np.random.Generator
) -> tuple[Float[Tensor, "3 h w"], DetectionTarget]:
    """A picture changed together with its instances, by torchvision's transforms of paired tensors.

    Args:
        image: RGB in [0, 1].
        target: its instances.
        augmentation: how they are changed.
        rng: draws it; no other generator is touched.

    Returns:
        Both. Of instances that a crop cuts, boxes are those of what is left of their masks; instances that are left out
        of it, or smaller than a pixel, are gone, but never all.
    """
    flips = augmentation.mirrors(rng)
    if not augmentation.keeps_size:
        image, target = _cropped(image, target, augmentation.crop, rng)
        image, target = _resized(image, target, rng.uniform(*augmentation.scale))
    return (image.flip(-1), mirrored(target, image.shape[-1])) if flips else (image, target)


def _cropped(
    image: Float[Tensor, "3 H W"], target: DetectionTarget, least: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "3 h w"], DetectionTarget]:
    """A random part that shows at least one instance."""
    if least == 1:
        return image, target
    for _ in range(TRIES):
        height, width = (max(1, round(side * rng.uniform(least, 1))) for side in image.shape[-2:])
        top, left = (
            int(rng.integers(side - part + 1)) for side, part in zip(image.shape[-2:], (height, width), strict=True)
        )
        seen = _cut(target, top, left, height, width)
        if len(seen["boxes"]):
            return image[:, top : top + height, left : left + width], seen
    return image, target


def _cut(target: DetectionTarget, top: int, left: int, height: int, width: int) -> DetectionTarget:
    """What a window shows of the instances."""
    from torchvision.ops import masks_to_boxes

    moved = target["boxes"] - torch.tensor([left, top, left, top])
    boxes = moved.clamp(min=0).minimum(torch.tensor([width, height, width, height]))
    masks = target["masks"][:, top : top + height, left : left + width] if "masks" in target else None
    is_cut = (boxes != moved).any(1)
    if masks is not None:
        seen = (masks != 0).flatten(1).any(1)
        tighten = is_cut & seen
        if tighten.any():
            # the last row and column are inside
            boxes[tighten] = masks_to_boxes(masks[tighten]) + torch.tensor([0.0, 0, 1, 1])
    else:
        seen = torch.ones(len(boxes), dtype=torch.bool)
    changed: DetectionTarget = {**target, "boxes": boxes}
    if masks is not None:
        changed["masks"] = masks
    return _of(_measured(changed, is_cut), seen & _has_area(boxes))


def _resized(
    image: Float[Tensor, "3 H W"], target: DetectionTarget, factor: float
) -> tuple[Float[Tensor, "3 h w"], DetectionTarget]:
    """A picture of another size, with its instances."""
    from torchvision.transforms.v2 import functional as paired

    height, width = image.shape[-2:]
    size = [max(1, round(side * factor)) for side in (height, width)]
    if size == [height, width]:
        return image, target
    boxes, _ = paired.resize_bounding_boxes(target["boxes"], (height, width), size)
    changed: DetectionTarget = {**target, "boxes": boxes}
    if "masks" in target:
        changed["masks"] = paired.resize_mask(target["masks"], size)
    kept = _has_area(changed["boxes"])
    kept = kept if kept.any() else torch.ones_like(kept)
    image = paired.resize(image, size, antialias=True)
    return image, _of(_measured(changed, torch.ones_like(kept)), kept)


def _has_area(boxes: Float[Tensor, "N 4"]) -> Tensor:
    """Which boxes are at least a pixel wide and high."""
    return ((boxes[:, 2:] - boxes[:, :2]) >= SMALLEST).all(1)


def _measured(target: DetectionTarget, which: Tensor) -> DetectionTarget:
    """New areas for some instances: of their masks, or else of their boxes."""
    if "masks" in target:
        areas = target["masks"].flatten(1).sum(1).float()
    else:
        areas = (target["boxes"][:, 2:] - target["boxes"][:, :2]).prod(1)
    return {**target, "area": areas.where(which, target["area"])}


def _of(target: DetectionTarget, kept: Tensor) -> DetectionTarget:
    """Some of the instances."""
    chosen: DetectionTarget = {
        "boxes": target["boxes"][kept],
        "labels": target["labels"][kept],
        "image_id": target["image_id"],
        "area": target["area"][kept],
        "iscrowd": target["iscrowd"][kept],
    }
    if "masks" in target:
        chosen["masks"] = target["masks"][kept]
    return chosen
