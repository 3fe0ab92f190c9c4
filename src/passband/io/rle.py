"""Masks as COCO files hold them: run-length codes and polygons, by the mask functions of faster-coco-eval.

A code says how many pixels, column after column, are outside, then inside, and so on. Its counts are a list of numbers,
or compressed to text. A polygon is x1, y1, x2, y2, ... in pixels; an instance may have several.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

Rle = dict[str, Any]
"""`size`, (height, width) in pixels, and `counts`, compressed to text."""
Segmentation = Rle | Sequence[Sequence[float]] | Sequence[np.ndarray]
"""A code, compressed or not, or polygons."""


class MaskError(ValueError):
    """What should be a mask, and is none."""


@cache
def mask_functions() -> Any:
    """The module that codes masks.

    Raises:
        ImportError: where it is not installed, saying how it is.
    """
    try:
        from faster_coco_eval.core import mask
    except ImportError as missing:
        raise ImportError(
            "masks of COCO files are read and written by the package faster-coco-eval: pip install "
            "'passband[detection]' (boxes alone are read without it)"
        ) from missing
    return mask


def encode_mask(mask: Bool[Tensor, "H W"] | UInt8[Tensor, "H W"]) -> Rle:
    """The compressed code of a mask.

    Args:
        mask: nonzero inside.
    """
    # column after column, as the code counts
    pixels = np.asfortranarray((mask != 0).cpu().numpy().view(np.uint8))
    return _as_text(mask_functions().encode(pixels))


def decode_mask(rle: Rle) -> UInt8[Tensor, "H W"]:
    """The pixels of a compressed code, 1 inside.

    Args:
        rle: as `compress` or `encode_mask` gives it.

    Raises:
        MaskError: where it is damaged.
    """
    height, width = rle["size"]
    counts = _counts(rle["counts"])
    if counts.sum() != height * width or (counts < 0).any():
        raise MaskError(
            f"the mask needs a run-length code of {height} x {width} pixels; got one of {counts.sum()} pixels in "
            f"{len(counts)} runs"
        )
    inside = np.arange(len(counts), dtype=np.uint8) & 1  # outside and inside by turns
    columns = np.repeat(inside, counts).reshape(width, height)
    return torch.from_numpy(columns).T


def compress(segmentation: Segmentation, height: int, width: int) -> Rle:
    """The compressed code of a mask in any form that COCO files have.

    Args:
        segmentation: polygons of at least three points, whose union is meant and whose parts outside the image do
            not count; or a code of the image's size.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Raises:
        MaskError: for a code of another size, or that is damaged.
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
        raise MaskError(f"the mask's counts are no runs of {height} x {width} pixels: {error}") from error


def mask_area(rle: Rle) -> int:
    """How many pixels are inside.

    Args:
        rle: compressed.
    """
    return int(mask_functions().area(rle))


def _as_text(rle: Any) -> Rle:
    """A code whose counts are text, as JSON can hold them."""
    height, width = (int(side) for side in rle["size"])
    counts = rle["counts"]
    return {"size": [height, width], "counts": counts.decode() if isinstance(counts, bytes) else str(counts)}


def _counts(text: str | bytes) -> np.ndarray:
    """The runs of compressed counts.

    Characters from 48 on hold 5 bits, the lowest first, and whether more follow; the last one's highest bit is the
    sign. From the fourth on, a count is the difference to the one before the last.

    Args:
        text: of a code.

    Raises:
        MaskError: where it holds other characters, or ends too early.
    """
    data = text.encode() if isinstance(text, str) else text
    values = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if not len(values) or values.min() < 0 or values.max() > 63 or values[-1] & 32:
        raise MaskError(f"the counts {data[:20]!r}... of a mask are no compressed run-length code")
    ends = np.flatnonzero(values & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(values)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 6:  # 35 bits, more than any image has pixels
        raise MaskError(f"the counts {data[:20]!r}... of a mask are no compressed run-length code")
    counts = np.add.reduceat((values & 31) << 5 * place, starts)
    counts -= np.where(values[ends] & 16, np.int64(1) << 5 * (ends - starts + 1), 0)
    counts[1::2] = counts[1::2].cumsum()
    counts[2::2] = counts[2::2].cumsum()
    return counts
