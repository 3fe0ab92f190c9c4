"""One instance of a COCO file: its box, its mask, and whether it is trained on."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passband.data.coco.entries import CocoError
from passband.io.rle import compress, mask_area

CROWD, NO_AREA, NO_MASK, EMPTY = "crowd", "box without area in the picture", "no mask", "picture without instances"
SKIPS = (NO_AREA, NO_MASK, CROWD, EMPTY)
"""What is not trained on: instances of the first three kinds, and pictures in which no instance is left."""
FARTHEST = 100_000
"""How far from the picture's corner polygons may be, in pixels; what is farther is no coordinate in pixels."""
LEAST_SIDE = 2**-18
"""Least side of a box in the picture, as a share of the picture's longer side. Less may vanish where a box is rounded
to float32, mirrored or resized, and detectors refuse a batch with a box that has no width or height."""


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One thing in a picture.

    Attributes:
        number: of its annotation in the file.
        category: number of its category in the file.
        bbox: x, y, width and height in pixels, as the file has them, so that they may lie outside the picture.
        area: in pixels, by which it is small, medium or large; of its mask where it has one.
        is_crowd: it is a region of many that are not told apart.
        segmentation: polygons, each x1, y1, x2, y2, ... in pixels, or a run-length code; None without a mask.
        skip: why it is not trained on, one of `SKIPS`; empty where it is.
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
        """What a COCO file says of it.

        Args:
            image: number of its picture.
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
    """An instance, checked, and whether it is trained on.

    Args:
        entry: of the file's `annotations`, with a picture and a category that it lists.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        masks: read its mask, too.
        about: file, annotation and picture, for errors.

    Raises:
        CocoError: for a box, polygon or code that is none.
        ImportError: for an area that has to be counted, where the package faster-coco-eval is missing.
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
    if area is None:  # some tools do not write it
        area = across * down if segmentation is None else mask_area(compress(segmentation, height, width))
    bbox = left, top, across, down
    return Instance(entry["id"], entry["category_id"], bbox, float(area), is_crowd, segmentation, skip)


def _is_seen(start: float, end: float, side: int, least: float) -> bool:
    """Whether what lies in a picture of a box, along one side, is more than the least as float32 has it."""
    first, last = (float(np.float32(min(max(value, 0.0), side))) for value in (start, end))
    return last - first > least


def _is_crowd(value: Any, about: str) -> bool:
    """What `iscrowd` says: 0 or 1 of any type, or nothing for 0."""
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
    """The area in pixels; None where there is none."""
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
    """A mask's polygons or code, checked; None where there is none in the picture."""
    if isinstance(value, dict):
        if "counts" not in value or value.get("size") not in ([height, width], (height, width)):
            raise CocoError(
                f"{about} needs a mask of the picture's size, {height} x {width}, with counts; got one of "
                f"{str(value.get('size'))[:60]}"
            )
        return value
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(polygon, list) for polygon in value):
        raise CocoError(f"{about} needs polygons or a run-length code for its mask; got {str(value)[:60]!r}")
    for polygon in value:
        if len(polygon) % 2 or not _are_finite(polygon) or max(map(abs, polygon), default=0) > FARTHEST:
            raise CocoError(
                f"{about} has a polygon that is no list of x and y in pixels, but {str(polygon)[:60]!r}: pairs of "
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
    """Whether all are numbers, and finite."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        for value in values
    )
