"""Reads and writes BMP files with their density and alpha.

Source: Microsoft, "Bitmap Header Types" (BITMAPINFOHEADER, BITMAPV4HEADER).
"""

import io
import struct

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import BmpImagePlugin, Image

from passband.io.image.pillow import pixels_of_pillow, strict_pillow
from passband.io.image.types import Decoded, Density, ImageMeta, check_size

_DENSITY = 38  # offset of the two numbers in every header except the oldest kind


def decode_bmp(data: bytes, name: str, max_pixels: int) -> Decoded:
    """Decode a BMP file.

    Args:
        data: content of the file.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger images are refused.
    """
    with strict_pillow(0):
        image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    check_size(image.size, name, max_pixels)
    with strict_pillow(image.width * image.height):
        image.load()
        pixels = pixels_of_pillow(image, name)
    density = None
    if struct.unpack_from("<I", data, 14)[0] >= 40:
        x, y = struct.unpack_from("<ii", data, _DENSITY)
        density = Density(x, y, "m") if x > 0 and y > 0 else None
    return Decoded(pixels, ImageMeta("BMP", density=density))


def encode_bmp(pixels: UInt8[ndarray, "H W C"], meta: ImageMeta) -> bytes:
    """Encode a BMP file.

    Args:
        pixels: gray, gray and alpha, RGB or RGBA, 8 bits.
        meta: metadata, of which only the density is written.
    """
    channels = pixels.shape[-1]
    if channels in (2, 4):
        data = bytearray(_with_alpha(pixels if channels == 4 else pixels[..., [0, 0, 0, 1]]))
    else:
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, "BMP")
        data = bytearray(file.getvalue())
    density = meta.density.per("m") if meta.density else None
    if density is not None:
        struct.pack_into("<ii", data, _DENSITY, *(min(round(value), 0x7FFFFFFF) for value in density))
    return bytes(data)


def _with_alpha(pixels: UInt8[ndarray, "H W 4"]) -> bytes:
    """Encode a 32-bit BMP with a version 4 header, the only kind in which readers look for alpha."""
    height, width, _ = pixels.shape
    body = np.ascontiguousarray(pixels[::-1, :, [2, 1, 0, 3]]).tobytes()
    start = 14 + 108
    header = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    header += struct.pack("<4I4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs") + bytes(48)
    return header + body
