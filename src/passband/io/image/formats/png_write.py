"""Writes PNG files of 8 and 16 bits with their metadata.

Source: PNG specification, third edition, sections 5, 9 and 11.
"""

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8, UInt16
from numpy import ndarray
from PIL import Image

from passband.io.image.types import ImageMeta, Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_CHUNKS = frozenset({b"cICP", b"gAMA", b"cHRM", b"sRGB", b"mDCV", b"cLLI"})
"""Chunks that define the color space, apart from the color profile."""
TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
XMP = b"XML:com.adobe.xmp\0"
"""Beginning of a text that holds an XMP packet."""
RAW_PROFILE = b"Raw profile type "
"""Beginning of the name of a text that holds metadata in the format of ImageMagick."""
_SOFTWARE = b"Software\0"
_BLOCK = 1 << 18  # number of bytes that are filtered and compressed at a time, which limits the memory


def encode_png(pixels: Pixels, meta: ImageMeta) -> bytes:
    """Encode a still PNG file.

    Args:
        pixels: gray, gray and alpha, RGB or RGBA, 8 or 16 bits.
        meta: metadata to write.
    """
    if pixels.dtype == np.uint16:
        body = _deep_png(pixels)
    else:
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
        body = file.getvalue()
    start = len(SIGNATURE) + 25  # end of the header
    return b"".join([body[:start], *_chunks_of(meta), body[start:]])


def _chunks_of(meta: ImageMeta) -> Iterable[bytes]:
    extras = meta.extras if meta.kind == "PNG" else ()
    yield from (chunk(kind, body) for kind, body in extras if kind in COLOR_CHUNKS)
    if meta.icc:
        yield chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(meta.icc))
    if meta.density:
        values = meta.density.per("m")
        x, y = (min(value, 0x7FFFFFFF) for value in values or (meta.density.x, meta.density.y))
        yield chunk(b"pHYs", struct.pack(">IIB", round(x), round(y), values is not None))
    if meta.exif:
        yield chunk(b"eXIf", meta.exif)
    if meta.xmp:
        yield chunk(b"iTXt", XMP + bytes(4) + meta.xmp)
    if meta.photoshop:
        digits = meta.photoshop.hex()
        lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
        text = f"\niptc\n{len(meta.photoshop):8}\n{lines}\n".encode()
        yield chunk(b"zTXt", RAW_PROFILE + b"iptc\0\0" + zlib.compress(text))
    texts = [(kind, body) for kind, body in extras if kind in TEXT_CHUNKS]
    if meta.software:
        texts = [(kind, body) for kind, body in texts if not body.startswith(_SOFTWARE)]
        texts.append((b"tEXt", _SOFTWARE + meta.software.encode("latin-1", "replace")))
    yield from (chunk(kind, body) for kind, body in texts)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Encode a chunk with its length and checksum.

    Args:
        kind: four letters, such as `IDAT`.
        data: content of the chunk.

    Returns:
        The bytes to write to the file.
    """
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _deep_png(pixels: UInt16[ndarray, "H W C"]) -> bytes:
    """Encode a 16-bit PNG. Pillow would keep only 8 bits of color."""
    height, width, channels = pixels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [SIGNATURE, chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))]
    compressor = zlib.compressobj(6)
    step = max(1, _BLOCK // (width * channels * 2))
    above = np.zeros((1, width * channels * 2), np.uint8)
    for top in range(0, height, step):
        rows = np.ascontiguousarray(pixels[top : top + step], dtype=">u2").view(np.uint8).reshape(-1, above.shape[1])
        filtered = np.empty((len(rows), above.shape[1] + 1), np.uint8)
        filtered[:, 0] = 4  # Paeth, the best single filter for photographs
        filtered[:, 1:] = rows - _paeth(rows, above, channels * 2)
        if data := compressor.compress(filtered.tobytes()):
            parts.append(chunk(b"IDAT", data))
        above = rows[-1:]
    parts += [chunk(b"IDAT", compressor.flush()), chunk(b"IEND", b"")]
    return b"".join(parts)


def _paeth(rows: UInt8[ndarray, "N L"], above: UInt8[ndarray, "1 L"], unit: int) -> UInt8[ndarray, "N L"]:
    up = np.concatenate([above, rows[:-1]]).astype(np.int16)
    left, corner = np.zeros_like(up), np.zeros_like(up)
    left[:, unit:], corner[:, unit:] = rows[:, :-unit], up[:, :-unit]
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    nearest = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest).astype(np.uint8)
