"""Compares an image before and after its restoration, as stored: gray stays gray, and alpha shows as a checkerboard."""

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
"""Default limit of the number of pixels of a comparison, which is enough for a slide."""
LEAST_PIXELS = 20_000
"""Smallest limit of the number of pixels. Images of any shape then have room next to the labels."""
WIDE = 1.6
"""Ratio of width to height above which the images stand one above the other."""
SQUARE = 8
"""Side of the squares of the checkerboard in pixels."""
GRAYS = (0.75, 1.0)
"""Gray values of the checkerboard in [0, 1]."""


def before_after(before: StoredImage, after: StoredImage, pixels: int | None = PIXELS) -> StoredImage:
    """Put both images with labels side by side, or one above the other if they are wide.

    Args:
        before: degraded image.
        after: restored image as it was saved, of the same size.
        pixels: largest number of pixels of the comparison. Larger images are reduced. None keeps every pixel.

    Returns:
        An opaque image of 8 bits with the color profile of the restored image. It is gray if both images are gray.

    Raises:
        ValueError: if the images differ in size, or if `pixels` leaves no room for images next to the labels.
    """
    height, width = before.image.shape[-2:]
    if after.image.shape[-2:] != (height, width):
        raise ValueError(
            f"a comparison needs two images of one size, got {width}x{height} and {after.image.shape[-1]}x"
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
    """Write a comparison of two files.

    Args:
        before: degraded image, or path of its file.
        after: path of the restored image. It is read from the file, so that the comparison shows the saved image.
        target: file to write. Its suffix decides the type.
        pixels: largest number of pixels of the comparison, as in `before_after`.
        max_pixels: largest number of pixels of an input file. Larger files are refused before they are decoded. None
            uses the limit of `read_stored_image`.

    Raises:
        ImageError: if a file is not an image.
        OSError: if a file cannot be read or written.
        ValueError: if the images differ in size, or if `pixels` leaves no room for images next to the labels.
    """
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    degraded = before if isinstance(before, StoredImage) else read_stored_image(before, **limit)
    write_stored_image(target, before_after(degraded, read_stored_image(after, **limit), pixels))


def _size(height: int, width: int, stacked: bool, pixels: int | None) -> tuple[int, int]:
    """Return height and width in pixels of each image in the comparison, within the limit of pixels."""
    ratio = 1.0
    while True:
        size = max(1, int(height * ratio)), max(1, int(width * ratio))
        if pixels is None or _area(size, stacked) <= pixels:
            return size
        if size == (1, 1):
            raise ValueError(
                f"a comparison needs at least {LEAST_PIXELS:,} pixels; {pixels:,} pixels leave no room for images."
            )
        ratio *= min(0.99, max(0.5, (pixels / _area(size, stacked)) ** 0.5))


def _area(size: tuple[int, int], stacked: bool) -> int:
    """Return the number of pixels of a comparison whose images have this size."""
    letters = text_size(_column(size[1]))
    height, width = size[0] + line_height(letters), _column(size[1])
    height, width = (2 * height + GAP, width) if stacked else (height, 2 * width + GAP)
    return (height + 2 * MARGIN) * (width + 2 * MARGIN)


def _column(width: int) -> int:
    """Return the width of a column in pixels: that of its image or of its label, whichever is wider."""
    letters = font(text_size(width))
    return max(width, *(-int(-letters.getlength(label) // 1) for label in LABELS))


def _labeled(image: Float[Tensor, "3 h w"], label: str) -> Float[Tensor, "3 H W"]:
    """Put a label above an image."""
    width = _column(image.shape[-1])
    strip = text_strip(label, width, text_size(width))
    return torch.cat([strip, F.pad(image, (0, width - image.shape[-1]), value=1.0)], -2)


def _opaque(stored: StoredImage) -> Float[Tensor, "3 H W"]:
    """Put a transparent image over a checkerboard."""
    if stored.alpha is None:
        return stored.image
    rows, columns = (torch.arange(side) // SQUARE for side in stored.image.shape[-2:])
    board = torch.tensor(GRAYS)[(rows[:, None] + columns) % 2]
    return stored.alpha * stored.image + (1 - stored.alpha) * board


def _resized(image: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    """Reduce an image to a size by averaging its pixels."""
    return image if image.shape[-2:] == size else F.interpolate(image[None], size, mode="area")[0]
