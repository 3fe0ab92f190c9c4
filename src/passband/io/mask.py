"""Reads and writes mask files: images whose values are class numbers instead of colors."""

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
from passband.io.image.formats.tiff_directory import with_single_values
from passband.io.image.kinds import HEAD, NAMES, kind_of
from passband.io.image.metadata.exif import reset_orientation, turn_upright
from passband.io.image.pillow import strict_pillow
from passband.io.image.size import READERS
from passband.io.paths import as_path
from passband.io.quiet import without_warnings

COLORED = 24
"""Mean difference between the largest and the smallest of R, G and B, in levels of 255, from which a lossy mask counts
as colored. Gray masks stay below 2."""


@dataclass(frozen=True)
class StoredMask:
    """A mask as its file stores it, turned upright."""

    values: Int64[Tensor, "H W"]
    """Gray levels, indices into a palette, or alpha if the alpha channel holds the mask."""
    grays: Int64[Tensor, "H W"] | None
    """Gray levels, 0 to 255; None if the palette has colors."""
    exact: bool
    """Whether the file type stores values without loss: PNG, TIFF, BMP and lossless WebP do."""


@without_warnings()
def read_stored_mask(path: Path | str, *, is_binary: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS) -> StoredMask:
    """Read a mask file as numbers, without interpreting them as colors.

    Args:
        path: path of a PNG, JPEG, WebP, TIFF or BMP file. It may be gray of any depth, have two levels or a palette, or
            be RGB with three equal channels. Alpha is left out unless it holds the mask: all pixels have the same
            color, and alpha varies.
        is_binary: whether the mask separates two classes. Alpha then also holds the mask if all visible pixels have the
            same color and other pixels are transparent.
        max_pixels: largest number of pixels; larger files are refused before they are decoded.

    Raises:
        ImageError: if the file is damaged, too large or not an image, as in `io.image.read_stored_image`, or if it is a
            colored image without a palette.
        OSError: if the file cannot be read.
    """
    data = as_path(path).read_bytes()
    kind = kind_of(data[:HEAD])
    if kind is None:
        raise ImageError(f"{path} is empty or not a {NAMES} image, but a mask must be one")
    decoded = decode(data, kind, str(path), max_pixels)
    exact = kind in ("PNG", "TIFF", "BMP") or (kind == "WEBP" and decoded.meta.lossless)
    if kind in ("PNG", "TIFF", "BMP"):
        stored = _load_stored(data, kind, str(path))
        if stored is not None:
            return _mask_of_indices(*stored, is_binary)
    pixels = decoded.pixels
    top = np.iinfo(pixels.dtype).max
    if _lies_in_alpha(pixels, is_binary):
        alpha = torch.from_numpy(pixels[..., -1].astype(np.int64))
        return StoredMask(alpha, (alpha * 255).div(top, rounding_mode="floor"), exact)
    values = _gray_levels(pixels, exact, path)
    del pixels, decoded
    depth, color_type = open_png(data, str(path)).header[8:10] if kind == "PNG" else (8, 0)
    if color_type == 0 and depth in (2, 4):
        values //= 255 // (2**depth - 1)  # Pillow stretches the levels to the range 0 to 255
        top = 2**depth - 1
    # The division is in place, because large masks take much memory with 8 bytes per pixel.
    grays = values if top == 255 else (values * 255).div_(top, rounding_mode="floor")
    return StoredMask(values, grays, exact)


def write_mask(path: Path | str, mask: Int[Tensor, "H W"], classes: int) -> None:
    """Write a mask as a gray PNG file.

    A binary mask is written as 0 and 255, a mask of several classes as the class numbers.

    Args:
        path: path of the file. It is written completely or not at all; missing folders are created.
        mask: class numbers from 0. With `classes` 1, the foreground is 1.
        classes: number of classes including the background, or 1 for foreground and background.

    Raises:
        ImageError: if the suffix is not .png, if the mask is empty, or if it holds other class numbers.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ImageError(f"{path} cannot be written: masks need the suffix .png, because PNG keeps numbers exactly")
    highest = max(classes - 1, 1)
    if not mask.numel() or int(mask.min()) < 0 or int(mask.max()) > highest:
        content = f"{int(mask.min())} to {int(mask.max())}" if mask.numel() else "no pixels"
        raise ImageError(f"{path} cannot be written: classes must be 0 to {highest}; the mask has {content}")
    values = mask.detach().cpu().numpy()
    pixels = (values * 255 if classes == 1 else values).astype(np.uint8 if highest < 256 else np.uint16)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    with write_whole(path) as temporary:
        temporary.write_bytes(file.getvalue())


def _lies_in_alpha(pixels: ndarray, is_binary: bool) -> bool:
    """Tell whether the alpha channel holds the mask; see `read_stored_mask`."""
    if pixels.shape[-1] not in (2, 4):
        return False
    colors, alpha = pixels[..., :-1].reshape(-1, pixels.shape[-1] - 1), pixels[..., -1].ravel()
    if (alpha == alpha[0]).all():
        return False
    visible_colors = colors[alpha > 0] if is_binary and not alpha.all() else colors
    return bool((visible_colors == visible_colors[0]).all())


def _load_stored(data: bytes, kind: str, name: str) -> tuple[Image.Image, int] | None:
    """Load a file with Pillow, and return the image and its orientation.

    Returns None if Pillow does not know the file's layout, or if it has neither two levels nor a palette.
    """
    orientation = 1
    if kind == "PNG":
        png = open_png(data, name)
        orientation = reset_orientation(png.meta.exif)[0] if png.meta.exif else 1
        data = png.still
    if kind == "TIFF":
        data = with_single_values(data)
    try:
        image = READERS[kind](io.BytesIO(data))
    except (SyntaxError, OSError, ValueError):
        return None
    if image.mode not in ("P", "1"):
        return None
    with strict_pillow(image.width * image.height):
        image.load()  # this also turns a TIFF upright
    return image, orientation


def _mask_of_indices(image: Image.Image, orientation: int, is_binary: bool) -> StoredMask:
    """Return a mask of two levels or of palette indices."""

    def upright_values(image: Image.Image) -> ndarray:
        pixels = np.asarray(image)
        return turn_upright(pixels if pixels.ndim == 3 else pixels[..., None], orientation)

    if "transparency" in image.info:
        pixels = upright_values(image.convert("RGBA"))
        if _lies_in_alpha(pixels, is_binary):
            alpha = torch.from_numpy(pixels[..., -1].astype(np.int64))
            return StoredMask(alpha, alpha, True)
    values = torch.from_numpy(upright_values(image)[..., 0].astype(np.int64))
    if image.mode == "1":
        return StoredMask(values, values * 255, True)
    colors = torch.tensor(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    colors = torch.cat([colors, colors.new_zeros(256, 3)])  # a palette may have fewer colors than 256
    used = colors[values.unique()]
    gray = bool((used == used[:, :1]).all())
    return StoredMask(values, colors[:, 0][values] if gray else None, True)


def _gray_levels(pixels: ndarray, exact: bool, path: Path | str) -> Int64[Tensor, "H W"]:
    """Return one number for each pixel of a gray image, which may be stored with three channels or alpha."""
    planes = torch.from_numpy(pixels.astype(np.int64))
    if planes.shape[-1] <= 2:
        return planes[..., 0]
    colors = planes[..., :3]
    spread = colors.amax(-1) - colors.amin(-1)
    colored = bool(spread.any()) if exact else spread.double().mean() >= COLORED
    if colored:
        raise ImageError(
            f"{path} is a colored image, but a mask must be gray or have a palette: colors do not tell the classes"
        )
    return colors[..., 0] if exact else colors.sum(-1).div(3, rounding_mode="floor")
