"""Writes TIFF files of one or several pages, with deflate compression and horizontal differencing.

Pillow cannot write 16-bit color, nor 16-bit gray with alpha. Source: TIFF revision 6.0, sections 2, 8, 14 and 18.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from PIL import TiffImagePlugin, TiffTags

from passband.io.image.metadata.exif import ICC_PROFILE, ORIENTATION, add_exif_to_tiff
from passband.io.image.metadata.iptc import iptc_of
from passband.io.image.types import Density, ImageError, ImageMeta, Pixels

_BLOCK = 1 << 18  # number of bytes that are compressed at a time, which limits the memory
_LARGEST = 0xFFFFFFFF
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
TAGS = b"tags"
"""Name of the tags that only TIFF has, among the extras of an image."""


def tiff_pages(pages: Iterable[tuple[Pixels, ImageMeta]], count: int) -> Iterator[bytes]:
    """Encode pages one after the other.

    Args:
        pages: pixels and metadata of each page. Pixels are gray, gray and alpha, RGB or RGBA of 8 or 16 bits, with
            straight alpha.
        count: number of pages.

    Yields:
        The parts of the file, in order.

    Raises:
        ImageError: if the file would be too large for TIFF.
    """
    yield b"II*\0" + struct.pack("<I", 8)  # little-endian, like the pixels
    position = 8
    for number, (pixels, meta) in enumerate(pages, start=1):
        ifd, strips = _page(pixels)
        _add_metadata(ifd, meta)
        try:
            directory = bytearray(ifd.tobytes(position))
        except struct.error as error:
            raise _too_large() from error
        # The offsets of the strips are counted from the end of the directory, whose position is not known before.
        end = position + len(directory) + sum(map(len, strips))
        padding = bytes(end % 2)
        if end > _LARGEST:
            raise _too_large()
        if number < count:
            struct.pack_into("<I", directory, 2 + 12 * len(ifd), end + len(padding))
        yield bytes(directory)
        yield from strips
        yield padding
        position = end + len(padding)


def _too_large() -> ImageError:
    return ImageError("the TIFF file would be larger than 4 GiB, the limit of this file type; save it as PNG instead")


def _page(pixels: Pixels) -> tuple[TiffImagePlugin.ImageFileDirectory_v2, list[bytes]]:
    height, width, channels = pixels.shape
    bits = pixels.itemsize * 8
    step = max(1, _BLOCK // (width * channels * pixels.itemsize))
    strips = []
    for top in range(0, height, step):
        rows = pixels[top : top + step]
        differences = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))
        strips.append(zlib.compress(differences.astype(f"<u{pixels.itemsize}").tobytes(), 6))
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    ifd[256], ifd[257], ifd[258] = width, height, (bits,) * channels
    ifd[259], ifd[317] = 8, 2  # deflate with horizontal differencing
    ifd[262] = 1 if channels <= 2 else 2  # gray where zero is black, or RGB
    ifd[277], ifd[278], ifd[284] = channels, step, 1  # all samples of a pixel are stored together
    ifd[339] = (1,) * channels  # unsigned integers
    if channels in (2, 4):
        ifd[338] = 2  # straight alpha
    ends = np.cumsum([0, *map(len, strips)]).tolist()
    # Pillow would choose 16-bit offsets for a small file, and then add the length of the directory to them.
    ifd.tagtype[273] = ifd.tagtype[279] = TiffTags.LONG
    ifd[273], ifd[279] = tuple(ends[:-1]), tuple(map(len, strips))
    return ifd, strips


def _add_metadata(ifd: TiffImagePlugin.ImageFileDirectory_v2, meta: ImageMeta) -> None:
    if meta.icc:
        ifd[ICC_PROFILE] = meta.icc
    if meta.density:
        _add_density(ifd, meta.density)
    for tag, value in ((_XMP, meta.xmp), (_PHOTOSHOP, meta.photoshop)):
        if value:
            ifd.tagtype[tag] = TiffTags.BYTE
            ifd[tag] = value
    iptc = iptc_of(meta.photoshop) if meta.photoshop else None
    if iptc:
        ifd.tagtype[_IPTC] = TiffTags.UNDEFINED
        ifd[_IPTC] = iptc
    if meta.exif:
        add_exif_to_tiff(ifd, meta.exif)
    if meta.xmp and ORIENTATION not in ifd:
        ifd[ORIENTATION] = 1  # without this tag, readers turn the pixels by the orientation in XMP
    own = dict(meta.extras).get(TAGS) if meta.kind == "TIFF" else None
    if own:
        add_exif_to_tiff(ifd, own, own=True)


def _add_density(ifd: TiffImagePlugin.ImageFileDirectory_v2, density: Density) -> None:
    unit = {"ratio": 1, "inch": 2, "cm": 3, "m": 2}[density.unit]
    values = density.per("inch") if density.unit == "m" else (density.x, density.y)
    for tag, value in zip((282, 283), values or (1, 1), strict=True):
        part = Fraction(value).limit_denominator(10_000)
        ifd[tag] = TiffImagePlugin.IFDRational(part.numerator, part.denominator)
    ifd[296] = unit
