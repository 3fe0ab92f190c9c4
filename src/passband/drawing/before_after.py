"""A picture before and after, as the files hold it: gray stays gray, and alpha shows as a checkerboard."""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.comparison import GAP, MARGIN, text_size
from passband.drawing.lettering import font, line_height, text_strip
from passband.io.image import ImageMeta, StoredImage, read_stored_image, write_stored_image

LABELS = ("degraded", "restored")
PIXELS = 2_000_000
"""A comparison has at most as many, unless more are asked for: enough for a slide."""
LEAST_PIXELS = 20_000
"""Of a comparison, so that pictures of any shape have room beside the labels."""
WIDE = 1.6
"""Width over height above which the pictures stand one above the other."""
SQUARE = 8
"""Side of the checkerboard's squares, in pixels."""
GRAYS = (0.75, 1.0)
"""Of the checkerboard."""


def before_after(before: StoredImage, after: StoredImage, pixels: int | None = PIXELS) -> StoredImage:
    """Both pictures with a label each: side by side, or one above the other where they are wide.

    Args:
        before: the degraded picture.
        after: the restored one as it was saved, of the same size.
        pixels: that the comparison has at most; larger pictures are shrunk. None keeps every pixel.

    Returns:
        An opaque picture of 8 bits: gray where both are, with the color profile of the restored one.

    Raises:
        ValueError: for pictures of two sizes, or so few pixels that no picture fits beside the labels.
    """
    height, width = before.image.shape[-2:]
    if after.image.shape[-2:] != (height, width):
        raise ValueError(
            f"a comparison needs two pictures of one size, got {width}x{height} and {after.image.shape[-1]}x"
            f"{after.image.shape[-2]} pixels."
        )
    stacked = width > WIDE * height
    size = _size(height, width, stacked, pixels)
    sides = [_labeled(_resized(_opaque(one), size), label) for one, label in zip((before, after), LABELS, strict=True)]
    gap = sides[0].new_ones(3, GAP, sides[0].shape[-1]) if stacked else sides[0].new_ones(3, sides[0].shape[-2], GAP)
    sheet = torch.cat([sides[0], gap, sides[1]], dim=-2 if stacked else -1)
    gray = before.meta.gray and after.meta.gray
    meta = ImageMeta("PNG", gray=gray, icc=after.meta.icc)
    return StoredImage(F.pad(sheet, (MARGIN,) * 4, value=1.0), None, meta)


def write_comparison(
    before: Path | StoredImage, after: Path, target: Path, *, pixels: int | None = PIXELS, max_pixels: int | None = None
) -> None:
    """Write `before_after` of two files; nothing is restored for it.

    Args:
        before: the degraded picture, or its file.
        after: the file of the restored one, which is read again, so that the comparison shows what was saved.
        target: the file to write; its suffix says the type.
        pixels: as in `before_after`.
        max_pixels: larger files are refused before they are decoded; None as `read_stored_image` does.

    Raises:
        ImageError: for a file that is not a picture.
        OSError: for one that cannot be read or written.
        ValueError: as `before_after`.
    """
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    first = before if isinstance(before, StoredImage) else read_stored_image(before, **limit)
    write_stored_image(target, before_after(first, read_stored_image(after, **limit), pixels))


def _size(height: int, width: int, stacked: bool, pixels: int | None) -> tuple[int, int]:
    """Height and width of each picture, in pixels, so that the whole is not too large."""
    ratio = 1.0
    while True:
        size = max(1, int(height * ratio)), max(1, int(width * ratio))
        if pixels is None or _area(size, stacked) <= pixels:
            return size
        if size == (1, 1):
            raise ValueError(
                f"a comparison of {pixels:,} pixels has no room for pictures; at least {LEAST_PIXELS:,} are needed."
            )
        ratio *= min(0.99, max(0.5, (pixels / _area(size, stacked)) ** 0.5))


def _area(size: tuple[int, int], stacked: bool) -> int:
    """Pixels of a comparison of pictures of a size."""
    letters = text_size(_column(size[1]))
    height, width = size[0] + line_height(letters), _column(size[1])
    height, width = (2 * height + GAP, width) if stacked else (height, 2 * width + GAP)
    return (height + 2 * MARGIN) * (width + 2 * MARGIN)


def _column(width: int) -> int:
    """The width of a column, in pixels: that of its picture or, where it is wider, of its label."""
    letters = font(text_size(width))
    return max(width, *(-int(-letters.getlength(label) // 1) for label in LABELS))


def _labeled(image: Float[Tensor, "3 h w"], label: str) -> Float[Tensor, "3 H W"]:
    """A picture below its label."""
    width = _column(image.shape[-1])
    strip = text_strip(label, width, text_size(width))
    return torch.cat([strip, F.pad(image, (0, width - image.shape[-1]), value=1.0)], -2)


def _opaque(picture: StoredImage) -> Float[Tensor, "3 H W"]:
    """A picture over a checkerboard where it is transparent."""
    if picture.alpha is None:
        return picture.image
    rows, columns = (torch.arange(side) // SQUARE for side in picture.image.shape[-2:])
    board = torch.tensor(GRAYS)[(rows[:, None] + columns) % 2]
    return picture.alpha * picture.image + (1 - picture.alpha) * board


def _resized(image: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    """A picture made smaller by the means of its pixels."""
    return image if image.shape[-2:] == size else F.interpolate(image[None], size, mode="area")[0]
