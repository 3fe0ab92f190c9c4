"""Makes small JPEG files of every supported kind, and edits their segments."""

import io
import struct

import numpy as np
import torch
from PIL import Image
from skimage import data as bundled

from passband.io.jpeg import JpegCoefficients, JpegHeader, write_coefficients
from passband.io.jpeg import fallback as jpeg_fallback

try:
    from passband.io.jpeg import compiled as jpeg_compiled

    ENGINES = {"compiled": jpeg_compiled, "jpeglib": jpeg_fallback}
except ImportError:  # installed without a compiler, which is allowed
    ENGINES = {"jpeglib": jpeg_fallback}


def photograph(height: int, width: int, mode: str = "RGB") -> Image.Image:
    """Return a part of the bundled astronaut photo, with edges and strong colors."""
    return Image.fromarray(bundled.astronaut()[40 : 40 + height, 150 : 150 + width]).convert(mode)


def encoded(image: Image.Image, **options) -> bytes:
    """Return the JPEG file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def random_coefficients(height: int, width: int, sampling, seed: int = 0, **header) -> JpegCoefficients:
    """Return random coefficients in any sampling, as no image has them."""
    about = JpegHeader(height, width, sampling, **{"color_space": "ycbcr" if len(sampling) == 3 else "gray"} | header)
    rng = np.random.default_rng(seed)
    falling = 1 + 200 / (1 + np.arange(64) % 8 + np.arange(64) // 8) ** 2
    blocks = tuple(
        torch.from_numpy(np.rint(rng.standard_normal((*grid, 64)) * falling).astype(np.int16)) for grid in about.grids
    )
    steps = torch.from_numpy(rng.integers(1, 256, (len(sampling), 64)).astype(np.int32))
    return JpegCoefficients(blocks, steps, about)


def all_kinds() -> dict[str, bytes]:
    """Return a file of each kind. The sides of the images are no multiples of an MCU."""
    picture, gray = photograph(67, 101), photograph(53, 37, "L")
    return {
        "4:4:4": encoded(picture, subsampling="4:4:4", quality=91),
        "4:2:2": encoded(picture, subsampling="4:2:2"),
        "4:2:0": encoded(picture, subsampling="4:2:0", quality=30),
        "4:2:0 narrower than an MCU": encoded(photograph(9, 5), subsampling="4:2:0"),
        "one pixel": encoded(photograph(1, 1)),
        "gray": encoded(gray),
        "RGB": encoded(picture, keep_rgb=True),
        "progressive 4:2:0": encoded(picture, progressive=True, subsampling="4:2:0"),
        "progressive gray": encoded(gray, progressive=True),
        "optimized": encoded(picture, optimize=True),
        "restart every 3 MCUs": encoded(picture, restart_marker_blocks=3),
        "restart every row, progressive": encoded(picture, restart_marker_rows=1, progressive=True),
        "quality 100": encoded(picture, quality=100),
        "quality 1": encoded(picture, quality=1),
        "4:4:0": write_coefficients(random_coefficients(67, 101, ((1, 2), (1, 1), (1, 1)))),
        "4:1:1": write_coefficients(random_coefficients(31, 77, ((4, 1), (1, 1), (1, 1)))),
        "unequal chroma": write_coefficients(random_coefficients(43, 59, ((2, 2), (2, 1), (1, 2)))),
        "gray with factors of 2": write_coefficients(random_coefficients(43, 59, ((2, 2),))),
    }


def segments(data: bytes) -> dict[int, int]:
    """Return the position of the first segment of each marker before the first scan."""
    found, position = {}, 2
    while True:
        _, marker, length = struct.unpack_from(">BBH", data, position)
        found.setdefault(marker, position)
        if marker == 0xDA:
            return found
        position += 2 + length


def patched(data: bytes, marker: int, offset: int, new: bytes) -> bytes:
    """Return the file with bytes of a segment replaced. The offset counts from its first 0xFF."""
    at = segments(data)[marker] + offset
    return data[:at] + new + data[at + len(new) :]


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    """Return the file with an additional segment after its start."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]
