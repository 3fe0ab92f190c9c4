"""Mask files in and out: images whose numbers are classes, not colors."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, Int64
from numpy import ndarray
from PIL import Image
from torch import Tensor

from passband.io.files import write_whole
from passband.io.image import DEFAULT_MAX_PIXELS, ImageError
from passband.io.image.decode import decode
from passband.io.image.formats.png import open_png
from passband.io.image.kinds import HEAD, NAMES, kind_of
from passband.io.image.metadata.exif import turn, upright
from passband.io.image.pillow import strict_pillow
from passband.io.image.size import READERS
from passband.io.quiet import without_warnings

COLORED = 24
"""Mean difference of the greatest and the least of R, G and B, in levels of 255, from which a lossy mask is colored;
gray ones stay below 2."""


@dataclass(frozen=True)
class StoredMask:
    """A mask as its file has it, turned upright."""

    values: Int64[Tensor, "H W"]
    """Gray levels, indices into a palette, or alpha where the mask lies in it."""
    grays: Int64[Tensor, "H W"] | None
    """Gray levels of 255; None where a palette has colors."""
    exact: bool
    """Whether the file type keeps values as they were: PNG, TIFF, BMP and lossless WebP do."""


@without_warnings()
def read_stored_mask(path: Path | str, *, is_binary: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS) -> StoredMask:
    """Read a mask file without taking its numbers for colors.

    Args:
        path: a PNG, JPEG, WebP, TIFF or BMP file: gray of any depth, of two levels, with a palette, or RGB with three
            equal channels. Alpha is left out, unless the mask lies in it: where all pixels have one color, and alpha
            differs between them.
        is_binary: the mask tells two classes apart. Then it also lies in alpha where all pixels that can be seen have
            one color, and others are transparent.
        max_pixels: refuse a file whose header claims more, before decoding it.

    Raises:
        ImageError: as `io.image.read_picture`; and for a colored image without a palette.
        OSError: the file cannot be read.
    """
    data = Path(path).read_bytes()
    kind = kind_of(data[:HEAD])
    if kind is None:
        raise ImageError(f"{path} is empty or no {NAMES} image; a mask is one of these")
    decoded = decode(data, kind, str(path), max_pixels)
    exact = kind in ("PNG", "TIFF", "BMP") or (kind == "WEBP" and decoded.meta.lossless)
    if kind in ("PNG", "TIFF", "BMP"):
        stored = _opened(data, kind, str(path))
        if stored is not None:
            return _indices(*stored, is_binary)
    pixels = decoded.pixels
    top = np.iinfo(pixels.dtype).max
    if _lies_in_alpha(pixels, is_binary):
        alpha = torch.from_numpy(pixels[..., -1].astype(np.int64))
        return StoredMask(alpha, (alpha * 255).div(top, rounding_mode="floor"), exact)
    values = _gray(pixels, exact, path)
    depth, color_type = open_png(data, str(path)).header[8:10] if kind == "PNG" else (8, 0)
    if color_type == 0 and depth in (2, 4):
        values //= 255 // (2**depth - 1)  # Pillow stretches few levels over 255
        top = 2**depth - 1
    return StoredMask(values, (values * 255).div(top, rounding_mode="floor"), exact)


def write_mask(path: Path | str, mask: Int[Tensor, "H W"], classes: int) -> None:
    """Write classes as a gray PNG: 0 and 255 where there is one class beside the background, else their numbers.

    Args:
        path: the file to write, whole or not at all; missing folders are made.
        mask: numbers of classes, from 0; with `classes` 1, 1 is the foreground.
        classes: 1 for foreground and background, else how many there are with the background.

    Raises:
        ImageError: for another suffix than .png, values that are no classes, or an empty mask.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ImageError(f"{path} cannot be written: masks are PNG files, which keep numbers as they are")
    highest = max(classes - 1, 1)
    if not mask.numel() or int(mask.min()) < 0 or int(mask.max()) > highest:
        found = f"{int(mask.min())} to {int(mask.max())}" if mask.numel() else "no pixels"
        raise ImageError(f"{path} cannot be written: classes are 0 to {highest}, the mask has {found}")
    values = mask.detach().cpu().numpy()
    pixels = (values * 255 if classes == 1 else values).astype(np.uint8 if highest < 256 else np.uint16)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    with write_whole(path) as temporary:
        temporary.write_bytes(file.getvalue())


def _lies_in_alpha(pixels: ndarray, is_binary: bool) -> bool:
    """Whether colors say nothing and alpha says something, see `read_stored_mask`."""
    if pixels.shape[-1] not in (2, 4):
        return False
    colors, alpha = pixels[..., :-1].reshape(-1, pixels.shape[-1] - 1), pixels[..., -1].ravel()
    if (alpha == alpha[0]).all():
        return False
    seen = colors[alpha > 0] if is_binary and not alpha.all() else colors
    return bool((seen == seen[0]).all())


def _opened(data: bytes, kind: str, name: str) -> tuple[Image.Image, int] | None:
    """The file as Pillow loads it, and the orientation in which it lies; None where Pillow does not know its layout."""
    orientation = 1
    if kind == "PNG":
        png = open_png(data, name)
        orientation = upright(png.meta.exif)[0] if png.meta.exif else 1
        data = png.still
    try:
        image = READERS[kind](io.BytesIO(data))
    except (SyntaxError, OSError, ValueError):
        return None
    if image.mode not in ("P", "1"):
        return None
    with strict_pillow(image.width * image.height):
        image.load()  # which turns a TIFF upright
    return image, orientation


def _indices(image: Image.Image, orientation: int, is_binary: bool) -> StoredMask:
    """A mask of two levels, or of indices into a palette."""

    def upright_values(image: Image.Image) -> ndarray:
        pixels = np.asarray(image)
        return turn(pixels if pixels.ndim == 3 else pixels[..., None], orientation)

    if "transparency" in image.info:
        pixels = upright_values(image.convert("RGBA"))
        if _lies_in_alpha(pixels, is_binary):
            alpha = torch.from_numpy(pixels[..., -1].astype(np.int64))
            return StoredMask(alpha, alpha, True)
    values = torch.from_numpy(upright_values(image)[..., 0].astype(np.int64))
    if image.mode == "1":
        return StoredMask(values, values * 255, True)
    colors = torch.tensor(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    colors = torch.cat([colors, colors.new_zeros(256, 3)])  # a palette may be shorter than its indices
    used = colors[values.unique()]
    gray = bool((used == used[:, :1]).all())
    return StoredMask(values, colors[:, 0][values] if gray else None, True)


def _gray(pixels: ndarray, exact: bool, path: Path | str) -> Int64[Tensor, "H W"]:
    """The one number of each pixel, of gray images that may be stored with three channels, and with alpha."""
    planes = torch.from_numpy(pixels.astype(np.int64))
    if planes.shape[-1] <= 2:
        return planes[..., 0]
    colors = planes[..., :3]
    spread = colors.amax(-1) - colors.amin(-1)
    colored = bool(spread.any()) if exact else spread.double().mean() >= COLORED
    if colored:
        raise ImageError(
            f"{path} is a colored image, which does not say which color is which class: a mask is gray or has a palette"
        )
    return colors[..., 0] if exact else colors.sum(-1).div(3, rounding_mode="floor")
