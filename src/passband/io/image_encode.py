"""Files that Pillow cannot write: 16-bit color PNG, 16-bit color and gray+alpha TIFF, BMP with alpha."""

import io
import struct
import zlib

import numpy as np
from jaxtyping import UInt8, UInt16
from numpy import ndarray
from PIL import TiffImagePlugin, TiffTags

from passband.io.image_exif import ICC_PROFILE, add_exif_to_tiff

_BLOCK = 1 << 18  # bytes filtered and compressed at a time, so that memory stays near the size of the picture


def png16(pixels: UInt16[ndarray, "H W C"], *, exif: bytes | None = None, icc: bytes | None = None) -> bytes:
    """Encode a 16-bit PNG.

    Args:
        pixels: gray, gray+alpha, RGB or RGBA, 0 to 65535.
        exif: a block from its TIFF header on.
        icc: a profile.

    Returns:
        The file. Source: PNG specification, third edition, sections 5, 9 and 11.
    """
    height, width, channels = pixels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))]
    if icc:
        parts.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if exif:
        parts.append(_chunk(b"eXIf", exif))
    compressor = zlib.compressobj(6)
    step = max(1, _BLOCK // (width * channels * 2))
    above = np.zeros((1, width * channels * 2), np.uint8)
    for top in range(0, height, step):
        rows = np.ascontiguousarray(pixels[top : top + step], dtype=">u2").view(np.uint8).reshape(-1, above.shape[1])
        filtered = np.empty((len(rows), above.shape[1] + 1), np.uint8)
        filtered[:, 0] = 4  # Paeth: the best single filter for photographs
        filtered[:, 1:] = rows - _paeth(rows, above, channels * 2)
        if data := compressor.compress(filtered.tobytes()):
            parts.append(_chunk(b"IDAT", data))
        above = rows[-1:]
    parts += [_chunk(b"IDAT", compressor.flush()), _chunk(b"IEND", b"")]
    return b"".join(parts)


def tiff(
    pixels: UInt8[ndarray, "H W C"] | UInt16[ndarray, "H W C"], *, exif: bytes | None = None, icc: bytes | None = None
) -> bytes:
    """Encode a TIFF with deflate compression and horizontal differencing.

    Args:
        pixels: gray, gray+alpha, RGB or RGBA, 8 or 16 bit; alpha is not premultiplied.
        exif: a block from its TIFF header on.
        icc: a profile.

    Returns:
        The file. Source: TIFF revision 6.0, sections 8, 14 and 18.
    """
    height, width, channels = pixels.shape
    bits = pixels.itemsize * 8
    step = max(1, _BLOCK // (width * channels * pixels.itemsize))
    strips = []
    for top in range(0, height, step):
        rows = pixels[top : top + step]
        differences = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))
        strips.append(zlib.compress(differences.astype(f"<u{pixels.itemsize}").tobytes(), 6))

    ifd = TiffImagePlugin.ImageFileDirectory_v2()  # little-endian, as the pixels above
    ifd[256], ifd[257], ifd[258] = width, height, (bits,) * channels
    ifd[259], ifd[317] = 8, 2  # deflate, horizontal differencing
    ifd[262] = 1 if channels <= 2 else 2  # black is zero, or RGB
    ifd[277], ifd[278], ifd[284] = channels, step, 1  # chunky
    ifd[339] = (1,) * channels  # unsigned integers
    if channels in (2, 4):
        ifd[338] = 2  # alpha, not premultiplied
    ends = np.cumsum([0, *map(len, strips)]).tolist()
    # Pillow would choose 16-bit offsets for a small file and then add the length of the directory to them.
    ifd.tagtype[273] = ifd.tagtype[279] = TiffTags.LONG
    ifd[273], ifd[279] = tuple(ends[:-1]), tuple(map(len, strips))
    if icc:
        ifd[ICC_PROFILE] = icc
    if exif:
        add_exif_to_tiff(ifd, exif)
    file = io.BytesIO()
    try:
        ifd.save(file)
    except struct.error as error:
        raise ValueError("the file would pass the 4 GiB that TIFF can hold") from error
    file.writelines(strips)
    return file.getvalue()


def bmp_with_alpha(pixels: UInt8[ndarray, "H W 4"]) -> bytes:
    """Encode a 32-bit BMP with a version 4 header, the only kind in which readers look for alpha.

    Args:
        pixels: RGBA.

    Returns:
        The file.
    """
    height, width, _ = pixels.shape
    body = np.ascontiguousarray(pixels[::-1, :, [2, 1, 0, 3]]).tobytes()
    start = 14 + 108
    header = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    header += struct.pack("<4I4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs") + bytes(48)
    return header + body


def _paeth(rows: UInt8[ndarray, "N L"], above: UInt8[ndarray, "1 L"], unit: int) -> UInt8[ndarray, "N L"]:
    up = np.concatenate([above, rows[:-1]]).astype(np.int16)
    left, corner = np.zeros_like(up), np.zeros_like(up)
    left[:, unit:], corner[:, unit:] = rows[:, :-unit], up[:, :-unit]
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    nearest = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest).astype(np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
