"""Makes the target of an image that a detector learns from, and changes both together at random."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from passband.data.coco import CocoImage
from passband.data.coco.annotation import CROWD
from passband.io.rle import compress, decode_mask

TRIES = 10
"""Number of random crops that are tried before an image is used whole, if the crops show none of its instances."""
SMALLEST = 1.0
"""Least width and height in pixels of a box to train on."""


class DetectionTarget(TypedDict):
    """The instances of an image, as torchvision's detectors take them."""

    boxes: Float[Tensor, "N 4"]
    """x1, y1, x2, y2 in pixels, within the image."""
    labels: Int64[Tensor, " N"]
    """Labels from 1; 0 is the background."""
    masks: NotRequired[UInt8[Tensor, "N H W"]]
    image_id: int
    area: Float[Tensor, " N"]
    iscrowd: Int64[Tensor, " N"]


@dataclass(frozen=True)
class InstanceAugmentation:
    """Random changes of an image and its instances.

    Attributes:
        flip: whether to mirror left to right half of the time.
        scale: smallest and greatest factor of the size; (1, 1) keeps the size. This is the scale jitter of Ghiasi et
            al., "Simple copy-paste is a strong data augmentation method", CVPR 2021.
        crop: least share of each side to keep; 1 does not crop.

    Raises:
        ValueError: if a factor or a share is out of its range.
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
        """Whether images are mirrored at most."""
        return self.scale == (1.0, 1.0) and self.crop == 1

    def mirrors(self, rng: np.random.Generator) -> bool:
        """Draw whether to mirror an image.

        Args:
            rng: random generator.
        """
        return self.flip and bool(rng.integers(2))


def instance_target(image: CocoImage, labels: Mapping[int, int], *, masks: bool, crowds: bool) -> DetectionTarget:
    """Make the target of an image from the instances to train on.

    Args:
        image: image with its instances.
        labels: label of each category id.
        masks: whether to include masks, of shape N H W in bytes.
        crowds: whether to include crowds.

    Returns:
        The target, with boxes that are cut at the image's edges.

    Raises:
        ImportError: if masks are needed and the package faster-coco-eval is not installed.
        MaskError: if the code of a mask is damaged.
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
                pixels[place] = decode_mask(compress(one.segmentation, height, width))
        target["masks"] = pixels
    return target


def mirrored(target: DetectionTarget, width: int) -> DetectionTarget:
    """Mirror a target left to right.

    Args:
        target: instances of the image.
        width: width of the image, in pixels.

    Returns:
        The target of the mirrored image.
    """
    left, top, right, bottom = target["boxes"].unbind(1)
    changed: DetectionTarget = {**target, "boxes": torch.stack([width - right, top, width - left, bottom], 1)}
    if "masks" in target:
        changed["masks"] = target["masks"].flip(-1)
    return changed


def augmented(
    image: Float[Tensor, "3 H W"], target: DetectionTarget, augmentation: InstanceAugmentation, rng: np.random.Generator
) -> tuple[Float[Tensor, "3 h w"], DetectionTarget]:
    """Change an image and its instances at random.

    Args:
        image: RGB image in [0, 1].
        target: instances of the image.
        augmentation: random changes.
        rng: random generator; no other generator is used.

    Returns:
        The changed image and target. If a crop cuts an instance, its box is that of the remaining mask. Instances
        outside the crop or smaller than a pixel are dropped, but never all of them.
    """
    flips = augmentation.mirrors(rng)
    if not augmentation.keeps_size:
        image, target = _cropped(image, target, augmentation.crop, rng)
        image, target = _resized(image, target, rng.uniform(*augmentation.scale))
    return (image.flip(-1), mirrored(target, image.shape[-1])) if flips else (image, target)


def _cropped(
    image: Float[Tensor, "3 H W"], target: DetectionTarget, least: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "3 h w"], DetectionTarget]:
    """Crop a random part that shows at least one instance."""
    if least == 1:
        return image, target
    for _ in range(TRIES):
        height, width = (max(1, round(side * rng.uniform(least, 1))) for side in image.shape[-2:])
        top, left = (
            int(rng.integers(side - part + 1)) for side, part in zip(image.shape[-2:], (height, width), strict=True)
        )
        part_target = _target_in_window(target, top, left, height, width)
        if len(part_target["boxes"]):
            return image[:, top : top + height, left : left + width], part_target
    return image, target


def _target_in_window(target: DetectionTarget, top: int, left: int, height: int, width: int) -> DetectionTarget:
    """Return the target of a part of the image."""
    from torchvision.ops import masks_to_boxes

    moved = target["boxes"] - torch.tensor([left, top, left, top])
    boxes = moved.clamp(min=0).minimum(torch.tensor([width, height, width, height]))
    masks = target["masks"][:, top : top + height, left : left + width] if "masks" in target else None
    is_cut = (boxes != moved).any(1)
    if masks is not None:
        seen = (masks != 0).flatten(1).any(1)
        tighten = is_cut & seen
        if tighten.any():
            # masks_to_boxes returns the last row and column, which lie inside the mask
            boxes[tighten] = masks_to_boxes(masks[tighten]) + torch.tensor([0.0, 0, 1, 1])
    else:
        seen = torch.ones(len(boxes), dtype=torch.bool)
    changed: DetectionTarget = {**target, "boxes": boxes}
    if masks is not None:
        changed["masks"] = masks
    return _select(_measured(changed, is_cut), seen & _has_area(boxes))


def _resized(
    image: Float[Tensor, "3 H W"], target: DetectionTarget, factor: float
) -> tuple[Float[Tensor, "3 h w"], DetectionTarget]:
    """Resize an image and its instances."""
    from torchvision.transforms.v2 import functional as paired

    height, width = image.shape[-2:]
    size = [max(1, round(side * factor)) for side in (height, width)]
    if size == [height, width]:
        return image, target
    boxes, _ = paired.resize_bounding_boxes(target["boxes"], (height, width), size)
    changed: DetectionTarget = {**target, "boxes": boxes}
    if "masks" in target:
        changed["masks"] = paired.resize_mask(target["masks"], size)
    mask = _has_area(changed["boxes"])
    mask = mask if mask.any() else torch.ones_like(mask)
    image = paired.resize(image, size, antialias=True)
    return image, _select(_measured(changed, torch.ones_like(mask)), mask)


def _has_area(boxes: Float[Tensor, "N 4"]) -> Tensor:
    """Tell which boxes are at least a pixel wide and high."""
    return ((boxes[:, 2:] - boxes[:, :2]) >= SMALLEST).all(1)


def _measured(target: DetectionTarget, which: Tensor) -> DetectionTarget:
    """Replace the areas of some instances by those of their masks, or else of their boxes."""
    if "masks" in target:
        areas = target["masks"].flatten(1).sum(1).float()
    else:
        areas = (target["boxes"][:, 2:] - target["boxes"][:, :2]).prod(1)
    return {**target, "area": areas.where(which, target["area"])}


def _select(target: DetectionTarget, mask: Tensor) -> DetectionTarget:
    """Select instances of a target."""
    chosen: DetectionTarget = {
        "boxes": target["boxes"][mask],
        "labels": target["labels"][mask],
        "image_id": target["image_id"],
        "area": target["area"][mask],
        "iscrowd": target["iscrowd"][mask],
    }
    if "masks" in target:
        chosen["masks"] = target["masks"][mask]
    return chosen
