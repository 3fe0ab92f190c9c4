"""Very small gray images of files, to compare thousands of them with each other."""

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


def read_thumbnail(path: Path | str, side: int) -> Float[Tensor, "S S"]:
    """An image as a small gray square, whatever its shape.

    JPEG files are decoded at a part of their size, several times as fast as whole.

    Args:
        path: a PNG, JPEG, WebP, TIFF or BMP file.
        side: in pixels.

    Returns:
        Luma in [0, 1]; of other files than JPEG the mean of R, G and B.

    Raises:
        ImageError: the file cannot be read as an image.
        OSError: the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        kind = kind_of(file.read(HEAD))
    if kind != "JPEG":
        return _small(_levels(path), side)
    with suppress(Exception), strict_pillow(0):  # a damaged file makes a decoder raise anything
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(path.read_bytes()))
        image.draft("L", (2 * side, 2 * side))
        return _small(ImageOps.exif_transpose(image).convert("L"), side)
    return _small(_levels(path), side)  # which reads a file without its end marker, or says what is wrong


def _levels(path: Path) -> Image.Image:
    return Image.fromarray(read_image(path).mean(0).mul(255).round().to(torch.uint8).numpy())


def _small(image: Image.Image, side: int) -> Float[Tensor, "S S"]:
    """Means over the area of each pixel of the square."""
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.float32)
    return torch.from_numpy(small / 255)
