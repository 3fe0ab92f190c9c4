"""The picture that sound files show, and how they are made, for `fuzz_seeds.py` and `fuzz_photos.py`."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

SIZE = (45, 37)
"""Width and height of the images in pixels, which are odd and no multiples of a block."""


@dataclass(frozen=True)
class Seed:
    """A sound file, or a few that are read together.

    Attributes:
        kind: kind of the readers, such as "PNG".
        name: name that says what is special about the file.
        files: content by file name; the first is what a reader is given.
    """

    kind: str
    name: str
    files: dict[str, bytes]


def picture(width: int = SIZE[0], height: int = SIZE[1]) -> Image.Image:
    y, x = np.mgrid[:height, :width].astype(np.float64)
    rng = np.random.default_rng(5)
    waves = [127 + 90 * np.sin(x / (3 + c)) * np.cos(y / (4 + c)) + rng.normal(0, 4, x.shape) for c in range(3)]
    return Image.fromarray(np.stack(waves, -1).clip(0, 255).astype(np.uint8))


def with_alpha() -> Image.Image:
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def exif_block(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = orientation, "Maker", "2026:01:02 03:04:05"
    exif[0x8769] = {0x9003: "2026:01:02 03:04:05", 0xA002: SIZE[0], 0xA003: SIZE[1]}
    return exif.tobytes()


def icc_profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
