"""Reads and writes masks in COCO format (run-length codes and polygons) with the functions of faster-coco-eval.

A run-length code lists the numbers of pixels that are outside, then inside, then outside the mask and so on, column
after column. Its counts are a list of numbers or a compressed text. A polygon is a list x1, y1, x2, y2 and so on, in
pixels. An instance may have several polygons.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from numpy import ndarray
from torch import Tensor

Rle = dict[str, Any]
"""Dictionary with `size`, (height, width) in pixels, and `counts`, the runs compressed to text."""
Segmentation = Rle | Sequence[Sequence[float]] | Sequence[np.ndarray]
"""A run-length code, compressed or not, or polygons."""


class MaskError(ValueError):
    """The data are not a valid mask."""


@cache
def mask_functions() -> Any:
    """Import the module that encodes and decodes masks.

    Raises:
        ImportError: if faster-coco-eval is not installed.
    """
    try:
        from faster_coco_eval.core import mask
    except ImportError as missing:
        raise ImportError(
            "masks of COCO files need the package faster-coco-eval: pip install 'passband[detection]'. Boxes can be "
            "read without it."
        ) from missing
    return mask


def encode_mask(mask: Bool[Tensor, "H W"] | UInt8[Tensor, "H W"]) -> Rle:
    """Encode a mask as a compressed run-length code.

    Args:
        mask: nonzero inside the mask.
    """
    # The code counts column after column.
    pixels = np.asfortranarray((mask != 0).cpu().numpy().view(np.uint8))
    return _as_text(mask_functions().encode(pixels))


def decode_mask(rle: Rle) -> UInt8[Tensor, "H W"]:
    """Decode a compressed run-length code.

    Args:
        rle: code from `compress` or `encode_mask`.

    Returns:
        The mask, 1 inside and 0 outside.

    Raises:
        MaskError: if the code is damaged.
    """
    height, width = rle["size"]
    counts = run_lengths(rle)
    inside = np.arange(len(counts), dtype=np.uint8) & 1  # runs are outside and inside by turns
    columns = np.repeat(inside, counts).reshape(width, height)
    return torch.from_numpy(columns).T


def run_lengths(rle: Rle) -> Int64[ndarray, " R"]:
    """Return the numbers of pixels that are outside, inside, outside the mask and so on.

    Args:
        rle: code from `compress` or `encode_mask`.

    Raises:
        MaskError: if the code is damaged, so that the runs do not fill the mask.
    """
    height, width = rle["size"]
    counts = _counts(rle["counts"])
    if counts.sum() != height * width or (counts < 0).any():
        raise MaskError(
            f"the mask needs a run-length code of {height} x {width} pixels; got one of {counts.sum()} pixels in "
            f"{len(counts)} runs"
        )
    return counts


def compress(segmentation: Segmentation, height: int, width: int) -> Rle:
    """Convert a mask in any form of the COCO format to a compressed run-length code.

    Args:
        segmentation: a code of the image's size, or polygons of at least three points. The mask is the union of the
            polygons; parts outside the image are cut off.
        height: height of the image, in pixels.
        width: width of the image, in pixels.

    Raises:
        MaskError: if the code is damaged or has another size, or if a polygon has too few points.
        ImportError: if the package faster-coco-eval is not installed.
    """
    functions = mask_functions()
    if not isinstance(segmentation, dict):
        polygons = [np.asarray(polygon, dtype=np.float64).tolist() for polygon in segmentation]
        if not polygons or min(map(len, polygons)) < 6:
            raise MaskError(f"a mask needs polygons of at least 3 points, got {len(polygons)} polygons")
        return _as_text(functions.merge(functions.frPyObjects(polygons, height, width)))
    if list(segmentation["size"]) != [height, width]:
        raise MaskError(f"the mask needs the image's size, {height} x {width}; got {segmentation['size']}")
    if isinstance(segmentation["counts"], str | bytes):
        return _as_text(segmentation)
    try:
        return _as_text(functions.frPyObjects(segmentation, height, width))
    except (ValueError, RuntimeError) as error:
        counts = str(segmentation["counts"])[:40]
        raise MaskError(f"the mask's counts are not runs for {height} x {width} pixels, but {counts}") from error


def mask_area(rle: Rle) -> int:
    """Return the number of pixels inside a mask.

    Args:
        rle: code from `compress` or `encode_mask`.

    Raises:
        MaskError: if the code is damaged.
    """
    return int(run_lengths(rle)[1::2].sum())


def _as_text(rle: Any) -> Rle:
    """Return a code whose counts are text, which JSON can hold."""
    height, width = (int(side) for side in rle["size"])
    counts = rle["counts"]
    return {"size": [height, width], "counts": counts.decode() if isinstance(counts, bytes) else str(counts)}


def _counts(text: str | bytes) -> np.ndarray:
    """Decode the runs of compressed counts.

    Each character minus 48 holds 5 bits of a number, lowest bits first. Its next bit tells whether more characters
    follow; the highest bit of the last character is the sign. From the fourth run on, the number is the difference to
    the run before the previous one.

    Args:
        text: counts of a code.

    Raises:
        MaskError: if the text holds other characters or ends too early.
    """
    data = text.encode() if isinstance(text, str) else text
    values = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if not len(values) or values.min() < 0 or values.max() > 63 or values[-1] & 32:
        raise MaskError(f"the counts of a mask are not a compressed run-length code: they begin with {data[:20]!r}")
    ends = np.flatnonzero(values & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    digit = np.arange(len(values)) - np.repeat(starts, ends - starts + 1)
    if digit.max() > 6:  # 35 bits; no image has that many pixels
        raise MaskError(f"the counts of a mask are not a compressed run-length code: they begin with {data[:20]!r}")
    counts = np.add.reduceat((values & 31) << 5 * digit, starts)
    counts -= np.where(values[ends] & 16, np.int64(1) << 5 * (ends - starts + 1), 0)
    counts[1::2] = counts[1::2].cumsum()
    counts[2::2] = counts[2::2].cumsum()
    return counts
