"""Reads very small gray versions of image files, for comparing thousands of images with each other."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, JpegImagePlugin
from torch import Tensor

from passband.io.image import read_image
from passband.io.image.kinds import HEAD, kind_of
from passband.io.image.pillow import strict_pillow
from passband.io.paths import as_path


def read_thumbnail(path: Path | str, side: int) -> Float[Tensor, "S S"]:
    """Read an image as a small gray square. Its aspect ratio is not kept.

    JPEG files are decoded at a reduced size, which is several times as fast.

    Args:
        path: path of a PNG, JPEG, WebP, TIFF or BMP file.
        side: height and width of the square, in pixels.

    Returns:
        Gray levels in [0, 1]: luma for JPEG files, the mean of R, G and B for others.

    Raises:
        ImageError: if the file is not a readable image.
        OSError: if the file cannot be read.
    """
    path = as_path(path)
    with path.open("rb") as file:
        kind = kind_of(file.read(HEAD))
    if kind != "JPEG":
        return _shrink(_gray_image(path), side)
    with suppress(Exception), strict_pillow(0):  # decoders raise many kinds of errors for damaged files
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(path.read_bytes()))
        image.draft("L", (2 * side, 2 * side))
        return _shrink(ImageOps.exif_transpose(image).convert("L"), side)
    return _shrink(_gray_image(path), side)  # this reads files without an end marker, or raises a clear error


def _gray_image(path: Path) -> Image.Image:
    return Image.fromarray(read_image(path).mean(0).mul(255).round().to(torch.uint8).numpy())


def _shrink(image: Image.Image, side: int) -> Float[Tensor, "S S"]:
    """Shrink an image to a square; each pixel is the mean of its area."""
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.float32)
    return torch.from_numpy(small / 255)
