"""Pages of TIFF files taken apart: tifffile reads the tags, Pillow's libtiff decompresses, and numpy does the rest.

libtiff is shown each plane as gray pixels of one byte, whatever they are. So it decompresses layouts that neither
Pillow nor tifffile by itself can read, such as planes of 16 bits in LZW, gray with alpha in Zstandard, and BigTIFF of
either byte order. Source: TIFF revision 6.0, sections 9, 13 to 15; libtiff, "BigTIFF Design".
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import TiffImagePlugin

from passband.io.image.pillow import strict_pillow, unpremultiplied
from passband.io.image.types import SUPPORTED, ImageError, Pixels

CMYK = 5
"""Code of a color space."""
_COLORS = {0: 1, 1: 1, 2: 3, CMYK: 4}
"""Color samples by color space: white is zero, black is zero, RGB, CMYK."""
_STREAMS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""Codes of compressions that know nothing of pixels: none, LZW, deflate, PackBits, LZMA, Zstandard."""
_HORIZONTAL = 2


@dataclass(frozen=True)
class Page:
    """What the tags of a page say.

    Attributes:
        size: width and height, pixels.
        samples: per pixel.
        bits: of a sample, 8 or 16.
        photometric: code of the color space.
        planar: each sample has a plane of its own.
        compression: its code.
        predictor: its code; 1 for none.
        extra: codes of what further samples are; 1 and 2 are alpha, premultiplied and not.
        tile: width and height of a tile; None for strips.
        rows: rows of a strip.
        fill_order: 2 where the bits of each byte are reversed.
        offsets: of each strip or tile.
        counts: bytes of each.
        order: "<" or ">", of bytes.
        big: the file is a BigTIFF.
        offset: where its directory is.
        fields: every tag, for metadata.
    """

    size: tuple[int, int]
    samples: int
    bits: int
    photometric: int
    planar: bool
    compression: int
    predictor: int
    extra: tuple[int, ...]
    tile: tuple[int, int] | None
    rows: int
    fill_order: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    order: Literal["<", ">"]
    big: bool
    offset: int
    fields: Mapping[int, Any]

    @property
    def planes(self) -> int:
        """How many there are."""
        return self.samples if self.planar else 1

    @property
    def unit(self) -> int:
        """Samples of a pixel in a plane."""
        return 1 if self.planar else self.samples


def unsupported(name: str, compression: int) -> ImageError:
    """The error of a sound file in a compression that cannot be read.

    Args:
        name: what messages call the file.
        compression: its code.
    """
    import tifffile

    try:
        called = tifffile.COMPRESSION(compression).name
    except ValueError:
        called = f"number {compression}"
    return ImageError(
        f"{name} is saved in a way that is not supported: TIFF with the compression {called}. Save it uncompressed or "
        f"with deflate, LZW or JPEG compression"
    )


def count_pages(data: bytes) -> int:
    """How many pages a file has.

    Args:
        data: the file.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return len(file.pages)


def stacked_pages(data: bytes) -> int:
    """How many pages ImageJ wrote behind a single directory; 0 for any other file.

    Args:
        data: the file.
    """
    if b"ImageJ=" not in data or b"images=" not in data:
        return 0
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            first: Any = file.pages[0]
            described = file.imagej_metadata or {}
            count = int(described.get("images", 1))
            plain = len(file.pages) == 1 and int(first.compression) == 1 and len(first.dataoffsets) >= 1
            end = first.dataoffsets[0] + count * first.nbytes
            return count if plain and count > 1 and end <= len(data) else 0
    except Exception:  # a damaged file makes it raise anything; the other readers say what is wrong
        return 0


def page_of(data: bytes, index: int, name: str) -> Page:
    """Read the tags of a page.

    Args:
        data: the file.
        index: which page.
        name: what messages call the file.

    Raises:
        ImageError: for pixels of a kind that is not supported, or another compression.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[index]
        photometric, compression = int(page.photometric), int(page.compression)
        samples, bits = int(page.samplesperpixel), int(page.bitspersample)
        colors = _COLORS.get(photometric)
        if colors is None or samples < colors or page.dtype not in (np.uint8, np.uint16) or bits not in (8, 16):
            held = f"{samples} x {page.dtype or f'{bits}-bit'}"
            raise ImageError(f"{name} holds {held} samples a pixel; {SUPPORTED}")
        if compression not in _STREAMS or int(page.predictor) not in (1, _HORIZONTAL):
            raise unsupported(name, compression)
        return Page(
            (int(page.imagewidth), int(page.imagelength)),
            samples,
            bits,
            photometric,
            int(page.planarconfig) == 2 and samples > 1,
            compression,
            int(page.predictor),
            tuple(int(sample) for sample in page.extrasamples),
            (int(page.tilewidth), int(page.tilelength)) if page.is_tiled else None,
            int(page.rowsperstrip or page.imagelength),
            int(page.fillorder),
            tuple(map(int, page.dataoffsets)),
            tuple(map(int, page.databytecounts)),
            ">" if file.byteorder == ">" else "<",
            file.is_bigtiff,
            int(page.offset),
            {tag.code: tag.value for tag in page.tags},
        )


def pixels_of(data: bytes, page: Page, name: str) -> Pixels:
    """Decode a page.

    Args:
        data: the file.
        page: its tags.
        name: what messages call the file.

    Returns:
        Gray, gray and alpha, RGB, RGBA, or CMYK; as stored, before any turn.
    """
    each = len(page.offsets) // page.planes
    planes = []
    for plane in range(page.planes):
        here = slice(plane * each, (plane + 1) * each)
        planes.append(_plane(data, page, page.offsets[here], page.counts[here]))
    return _colors(np.concatenate(planes, axis=-1) if len(planes) > 1 else planes[0], page)


def pixels_of_stack(data: bytes, page: Page, index: int, name: str) -> Pixels:
    """Take a page of an uncompressed stack that has one directory.

    Args:
        data: the file.
        page: the tags of all pages.
        index: which page.
        name: what messages call the file.
    """
    width, height = page.size
    count = width * height * page.samples
    start = page.offsets[0] + index * count * page.bits // 8
    values = np.frombuffer(data, f"{page.order}u{page.bits // 8}", count, start)
    shape = (page.samples, height, width) if page.planar else (height, width, page.samples)
    values = values.astype(values.dtype.newbyteorder("=")).reshape(shape)
    return _colors(np.moveaxis(values, 0, -1) if page.planar else values, page)


def _colors(pixels: Pixels, page: Page) -> Pixels:
    colors = _COLORS[page.photometric]
    if page.photometric == 0:
        pixels = pixels.copy()
        pixels[..., :1] = np.iinfo(pixels.dtype).max - pixels[..., :1]
    has_alpha = page.samples > colors and page.extra[:1] in ((1,), (2,)) and page.photometric != CMYK
    pixels = np.ascontiguousarray(pixels[..., : colors + has_alpha])
    return unpremultiplied(pixels) if has_alpha and page.extra[0] == 1 else pixels


def _plane(data: bytes, page: Page, offsets: tuple[int, ...], counts: tuple[int, ...]) -> Pixels:
    width, height = page.size
    size = page.bits // 8
    across = page.tile[0] if page.tile else width
    tiles = -(-width // across)
    levels = _decompressed(data, page, offsets, counts, across * page.unit * size, tiles)
    values = levels.reshape(height, -1).view(f"{page.order}u{size}").astype(f"=u{size}", copy=False)
    values = values.reshape(height, tiles, across, page.unit)
    if page.predictor == _HORIZONTAL:
        values = np.cumsum(values, axis=2, dtype=values.dtype)  # wraps around, as it should
    return values.reshape(height, tiles * across, page.unit)[:, :width]


def _decompressed(
    data: bytes, page: Page, offsets: tuple[int, ...], counts: tuple[int, ...], row: int, tiles: int
) -> UInt8[ndarray, "H L"]:
    """Rows of bytes, through a file of gray pixels that is made for the purpose."""
    height = page.size[1]
    parts = [data[start : start + count] for start, count in zip(offsets, counts, strict=True)]
    if any(len(part) < count for part, count in zip(parts, counts, strict=True)):
        raise ValueError("it ends before its pixels do")
    places, sizes, shape = (324, 325, {322: row, 323: page.tile[1]}) if page.tile else (273, 279, {278: page.rows})
    starts = np.cumsum([8, *map(len, parts)]).tolist()
    end = starts.pop()
    gray = {256: row * tiles, 257: height, 258: 8, 259: page.compression, 262: 1, 266: page.fill_order, 277: 1, 284: 1}
    tags: dict[int, list[int]] = {tag: [value] for tag, value in (gray | shape).items()}
    tags |= {places: starts, sizes: list(map(len, parts))}
    file = b"II*\0" + struct.pack("<I", end) + b"".join(parts) + _directory(tags, end)
    with strict_pillow(row * tiles * height):
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(file))
        image.load()
        return np.asarray(image)


def _directory(tags: Mapping[int, list[int]], at: int) -> bytes:
    """Whole numbers as a directory that begins at a place in its file."""
    room = at + 2 + 12 * len(tags) + 4
    entries, values = [], b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        here = packed if len(numbers) == 1 else struct.pack("<I", room + len(values))
        values += b"" if len(numbers) == 1 else packed
        entries.append(struct.pack("<HHI", tag, 4, len(numbers)) + here)
    return struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + values
