"""Reads one instance of a COCO file: its box, its mask, and whether to train on it."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passband.data.coco.entries import CocoError
from passband.io.rle import MaskError, compress, mask_area, run_lengths

CROWD, NO_AREA, NO_MASK, EMPTY = "crowd", "box without area in the picture", "no mask", "picture without instances"
SKIPS = (NO_AREA, NO_MASK, CROWD, EMPTY)
"""Reasons to leave out of training: the first three hold for instances, and the last for images without instances to
train on."""
FARTHEST = 100_000
"""Greatest distance in pixels between a polygon and the image's corner; larger values are not coordinates in pixels."""
LEAST_SIDE = 2**-18
"""Least side of a box inside the image, as a share of the image's longer side.

A smaller side may vanish when the box is rounded to float32, mirrored or resized, and detectors refuse a batch with a
box without width or height."""


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One object in an image.

    Attributes:
        number: id of its annotation in the file.
        category: id of its category in the file.
        bbox: x, y, width and height in pixels as given in the file; the box may reach beyond the image.
        area: area in pixels that decides whether it counts as small, medium or large; the mask's area if it has a mask.
        is_crowd: whether it is a region of many instances that are not separated.
        segmentation: polygons, each x1, y1, x2, y2 and so on in pixels, or a run-length code; None without a mask.
        skip: reason not to train on it, one of `SKIPS`; empty if it is trained on.
    """

    number: int
    category: int
    bbox: tuple[float, float, float, float]
    area: float
    is_crowd: bool = False
    segmentation: tuple[np.ndarray, ...] | dict[str, Any] | None = None
    skip: str = ""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 in pixels."""
        left, top, width, height = self.bbox
        return left, top, left + width, top + height

    def annotation(self, image: int) -> dict[str, Any]:
        """Return the entry of a COCO file for this instance.

        Args:
            image: id of its image.
        """
        polygons = self.segmentation
        return {
            "id": self.number,
            "image_id": image,
            "category_id": self.category,
            "bbox": list(self.bbox),
            "area": self.area,
            "iscrowd": int(self.is_crowd),
            "segmentation": [polygon.tolist() for polygon in polygons] if isinstance(polygons, tuple) else polygons,
        }


def read_instance(entry: Mapping[str, Any], height: int, width: int, masks: bool, about: str) -> Instance:
    """Check an instance and decide whether to train on it.

    Args:
        entry: entry of the file's `annotations`, whose image and category are listed in the file.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        masks: whether to read its mask.
        about: file, annotation and image, for error messages.

    Returns:
        The instance.

    Raises:
        CocoError: if the box, a polygon or the mask's code is invalid.
        ImportError: if a mask has a run-length code, or its area must be counted, and the package faster-coco-eval is
            not installed.
    """
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not _are_finite(box):
        raise CocoError(f"{about} needs a bbox of four finite numbers, x, y, width and height; got {box!r}")
    left, top, across, down = map(float, box)
    segmentation = _segmentation(entry.get("segmentation"), height, width, about) if masks else None
    is_crowd = _is_crowd(entry.get("iscrowd"), about)
    skip = ""
    if is_crowd:
        skip = CROWD
    elif not _is_seen(left, left + across, width, LEAST_SIDE * max(height, width)) or not _is_seen(
        top, top + down, height, LEAST_SIDE * max(height, width)
    ):
        skip = NO_AREA
    elif masks and segmentation is None:
        skip = NO_MASK
    area = _area(entry.get("area"), about)
    if area is None:  # some annotation tools do not write the area
        area = across * down if segmentation is None else mask_area(compress(segmentation, height, width))
    bbox = left, top, across, down
    return Instance(entry["id"], entry["category_id"], bbox, float(area), is_crowd, segmentation, skip)


def _is_seen(start: float, end: float, side: int, least: float) -> bool:
    """Tell whether a box shows more than the least side inside the image, along one direction and in float32."""
    first, last = (float(np.float32(min(max(value, 0.0), side))) for value in (start, end))
    return last - first > least


def _is_crowd(value: Any, about: str) -> bool:
    """Read `iscrowd`: 0 or 1 of any type; a missing value counts as 0."""
    if value is None:
        return False
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if number not in (0, 1):
        raise CocoError(f"{about} needs 0 or 1 as iscrowd; got {str(value)[:60]!r}")
    return number == 1


def _area(value: Any, about: str) -> float | None:
    """Read the area in pixels; None if there is none."""
    if value is None:
        return None
    try:
        area = float(value)
    except (TypeError, ValueError, OverflowError):
        area = math.nan
    if not math.isfinite(area):
        raise CocoError(f"{about} needs a finite number of pixels as area, or none; got {str(value)[:60]!r}")
    return area


def _segmentation(value: Any, height: int, width: int, about: str) -> tuple[np.ndarray, ...] | dict[str, Any] | None:
    """Check the polygons or the code of a mask; None if no part of it lies in the image."""
    if isinstance(value, dict):
        if "counts" not in value or value.get("size") not in ([height, width], (height, width)):
            raise CocoError(
                f"{about} needs a mask of the image's size, {height} x {width}, with counts; got one of "
                f"{str(value.get('size'))[:60]}"
            )
        try:
            run_lengths(compress(value, height, width))
        except MaskError as error:  # COCO's own tool does not check codes, and a damaged one may never end its scoring
            raise CocoError(f"{about} has a damaged mask: {error}") from error
        return value
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(polygon, list) for polygon in value):
        raise CocoError(f"{about} needs polygons or a run-length code for its mask; got {str(value)[:60]!r}")
    for polygon in value:
        if len(polygon) % 2 or not _are_finite(polygon) or max(map(abs, polygon), default=0) > FARTHEST:
            raise CocoError(
                f"{about} has a polygon that is not a list of x and y in pixels, but {str(polygon)[:60]!r}: pairs of "
                f"finite numbers within {FARTHEST} are needed"
            )
    polygons = (np.array(polygon, dtype=np.float64) for polygon in value if len(polygon) >= 6)
    inside = [
        polygon
        for polygon in polygons
        if polygon[::2].max() > 0
        and polygon[::2].min() < width
        and polygon[1::2].max() > 0
        and polygon[1::2].min() < height
    ]
    return tuple(inside) or None


def _are_finite(values: Sequence[Any]) -> bool:
    """Tell whether all values are finite numbers."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        for value in values
    )
