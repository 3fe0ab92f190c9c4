"""Decodes TIFF pages that Pillow cannot read.

The package tifffile reads the tags, Pillow's libtiff decompresses, and numpy does the rest. Each plane is passed to
libtiff as gray pixels of one byte. It can therefore decompress layouts that neither Pillow nor tifffile alone can read,
such as planes of 16 bits in LZW, gray with alpha in Zstandard, and BigTIFF of either byte order.

Source: TIFF revision 6.0, sections 9, 13 to 15; libtiff, "BigTIFF Design".
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8, UInt16
from numpy import ndarray
from PIL import TiffImagePlugin

from passband.io.image.pillow import strict_pillow, unpremultiplied
from passband.io.image.types import SUPPORTED, ImageError, Pixels

CMYK = 5
"""Code of the color space CMYK."""
COLORS = {0: 1, 1: 1, 2: 3, CMYK: 4}
"""Number of color samples by color space: white is zero, black is zero, RGB, CMYK."""
_STREAMS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""Codes of the compressions that are independent of the pixel layout: none, LZW, deflate, PackBits, LZMA, Zstandard."""
_HORIZONTAL = 2


@dataclass(frozen=True)
class Page:
    """The tags of a page.

    Attributes:
        size: width and height, in pixels.
        samples: number of samples per pixel.
        bits: bits per sample, 8 or 16.
        photometric: code of the color space.
        planar: whether each sample has a plane of its own.
        compression: code of the compression.
        predictor: code of the predictor; 1 for none.
        extra: codes of the samples beside the colors; 1 is premultiplied alpha, 2 is straight alpha.
        tile: width and height of a tile in pixels; None for strips.
        rows: number of rows of a strip.
        fill_order: order of bits in a byte; 2 means reversed.
        offsets: position of each strip or tile in the file.
        counts: length of each strip or tile, in bytes.
        order: byte order, "<" or ">".
        big: whether the file is a BigTIFF.
        offset: position of the directory in the file.
        fields: all tags, for metadata.
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
        """Number of planes."""
        return self.samples if self.planar else 1

    @property
    def unit(self) -> int:
        """Number of samples of a pixel in one plane."""
        return 1 if self.planar else self.samples


def unsupported_compression(name: str, compression: int) -> ImageError:
    """Return the error for an intact file whose compression is not supported.

    Args:
        name: name of the file for messages.
        compression: code of the compression.
    """
    import tifffile

    try:
        compression_name = tifffile.COMPRESSION(compression).name
    except ValueError:
        compression_name = f"number {compression}"
    return ImageError(
        f"{name} uses an unsupported TIFF compression: {compression_name}. Save it uncompressed or "
        f" with deflate, LZW or JPEG compression"
    )


def count_pages(data: bytes) -> int:
    """Return the number of pages of a file.

    Args:
        data: content of the file.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return len(file.pages)


def stacked_pages(data: bytes) -> int:
    """Return the number of pages that ImageJ wrote with a single directory; 0 for any other file.

    Args:
        data: content of the file.
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
    except Exception:  # many kinds of errors for damaged files; the other readers report the reason
        return 0


def read_page_tags(data: bytes, index: int, name: str) -> Page:
    """Read the tags of a page.

    Args:
        data: content of the file.
        index: number of the page, from 0.
        name: name of the file for messages.

    Raises:
        ImageError: if the kind of pixels or the compression is not supported.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[index]
        photometric, compression = int(page.photometric), int(page.compression)
        samples, bits = int(page.samplesperpixel), int(page.bitspersample)
        colors = COLORS.get(photometric)
        if colors is None or samples < colors or page.dtype not in (np.uint8, np.uint16) or bits not in (8, 16):
            sample_kind = f"{samples} x {page.dtype or f'{bits}-bit'}"
            raise ImageError(f"{name} has {sample_kind} samples per pixel; {SUPPORTED}")
        if compression not in _STREAMS or int(page.predictor) not in (1, _HORIZONTAL):
            raise unsupported_compression(name, compression)
        return Page(
            (int(page.imagewidth), int(page.imagelength)),
            samples,
            bits,
            photometric,
            int(page.planarconfig) == 2 and samples > 1,
            compression,
            int(page.predictor),
            tuple(_extra_sample(value) for value in page.extrasamples),
            (int(page.tilewidth), int(page.tilelength)) if page.is_tiled else None,
            min(int(page.rowsperstrip or 0), int(page.imagelength)) or int(page.imagelength),
            int(page.fillorder),
            tuple(map(int, page.dataoffsets)),
            tuple(map(int, page.databytecounts)),
            ">" if file.byteorder == ">" else "<",
            file.is_bigtiff,
            int(page.offset),
            {tag.code: tag.value for tag in page.tags},
        )


def decode_page(data: bytes, page: Page, name: str) -> Pixels:
    """Decode a page.

    Args:
        data: content of the file.
        page: tags of the page.
        name: name of the file for messages.

    Returns:
        Gray, gray and alpha, RGB, RGBA, or CMYK as stored, before the orientation is applied.

    Raises:
        ValueError: if pixels are missing or damaged; the message names neither the file nor what to do.
    """
    if not page.tile and len(page.offsets) == page.planes:
        page = replace(page, rows=page.size[1])  # a single strip holds the whole plane, whatever its number of rows is
    if page.compression == 1 and page.tile and page.tile[1] > page.size[1]:
        page = replace(page, tile=(page.tile[0], -(-page.size[1] // 16) * 16))  # rows below the image are not needed
    parts = _count_parts(page)
    if page.compression == 1 and not page.tile and 0 < len(page.offsets) < parts == page.planes:
        page = replace(page, offsets=_continued(page.offsets, _lengths(page)))
    if len(page.offsets) < parts or (page.compression != 1 and len(page.counts) < parts):
        found = min(len(page.offsets), len(page.counts))
        raise ValueError(f"its pixels are in {parts} parts, and its directory has the places of {found}")
    lengths = _lengths(page)
    each = len(lengths) // page.planes
    counts = lengths if page.compression == 1 else page.counts  # computed from the layout without compression
    planes = []
    for plane in range(page.planes):
        here = slice(plane * each, (plane + 1) * each)
        planes.append(_plane(data, page, page.offsets[here], counts[here]))
    return _to_colors(np.concatenate(planes, axis=-1) if len(planes) > 1 else planes[0], page)


def decode_stack_page(data: bytes, page: Page, index: int, name: str) -> Pixels:
    """Read a page of an uncompressed stack that has a single directory.

    Args:
        data: content of the file.
        page: tags of all pages.
        index: number of the page, from 0.
        name: name of the file for messages.
    """
    width, height = page.size
    count = width * height * page.samples
    start = page.offsets[0] + index * count * page.bits // 8
    values = np.frombuffer(data, f"{page.order}u{page.bits // 8}", count, start)
    shape = (page.samples, height, width) if page.planar else (height, width, page.samples)
    values = values.astype(values.dtype.newbyteorder("=")).reshape(shape)
    return _to_colors(np.moveaxis(values, 0, -1) if page.planar else values, page)


def _to_colors(pixels: UInt8[ndarray, "H W S"] | UInt16[ndarray, "H W S"], page: Page) -> Pixels:
    colors = COLORS[page.photometric]
    if page.photometric == 0:
        pixels = pixels.copy()
        pixels[..., :1] = np.iinfo(pixels.dtype).max - pixels[..., :1]
    has_alpha = page.samples > colors and page.extra[:1] in ((1,), (2,)) and page.photometric != CMYK
    pixels = np.ascontiguousarray(pixels[..., : colors + has_alpha])
    return unpremultiplied(pixels) if has_alpha and page.extra[0] == 1 else pixels


def _count_parts(page: Page) -> int:
    """Return the number of strips or tiles of all planes."""
    (width, height), (across, down) = page.size, page.tile or (page.size[0], page.rows)
    return -(-width // across) * -(-height // down) * page.planes


def _continued(offsets: tuple[int, ...], lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Add the places of planes that a directory leaves out: each begins where the plane before it ends."""
    places = list(offsets)
    for length in lengths[len(offsets) - 1 : -1]:
        places.append(places[-1] + length)
    return tuple(places)


def _lengths(page: Page) -> tuple[int, ...]:
    """Bytes of each strip or tile of all planes before compression."""
    (width, height), sample = page.size, page.unit * page.bits // 8
    if page.tile:
        across, down = page.tile
        return (across * down * sample,) * _count_parts(page)
    rows = (min(page.rows, height - top) for top in range(0, height, page.rows))
    return tuple(count * width * sample for count in rows) * page.planes


def _plane(data: bytes, page: Page, offsets: tuple[int, ...], counts: tuple[int, ...]) -> Pixels:
    width, height = page.size
    size = page.bits // 8
    across = page.tile[0] if page.tile else width
    tiles = -(-width // across)
    levels = _decompress(data, page, offsets, counts, across * page.unit * size, tiles)
    values = levels.reshape(height, -1).view(f"{page.order}u{size}").astype(f"=u{size}", copy=False)
    values = values.reshape(height, tiles, across, page.unit)
    if page.predictor == _HORIZONTAL:
        values = np.cumsum(values, axis=2, dtype=values.dtype)  # integers wrap around, which is intended
    return values.reshape(height, tiles * across, page.unit)[:, :width]


def _decompress(
    data: bytes, page: Page, offsets: tuple[int, ...], counts: tuple[int, ...], row: int, tiles: int
) -> UInt8[ndarray, "H L"]:
    """Decompress rows of bytes through a temporary file of gray pixels."""
    height = page.size[1]
    parts = [data[start : start + count] for start, count in zip(offsets, counts, strict=True)]
    # the decoder of a compressed part knows its end, whatever length the directory gives
    if page.compression == 1 and any(len(part) < count for part, count in zip(parts, counts, strict=True)):
        raise ValueError("its pixel data are incomplete")
    starts_tag, counts_tag, shape = (
        (324, 325, {322: row, 323: page.tile[1]}) if page.tile else (273, 279, {278: page.rows})
    )
    starts = np.cumsum([8, *map(len, parts)]).tolist()
    end = starts.pop()
    gray = {256: row * tiles, 257: height, 258: 8, 259: page.compression, 262: 1, 266: page.fill_order, 277: 1, 284: 1}
    tags: dict[int, list[int]] = {tag: [value] for tag, value in (gray | shape).items()}
    tags |= {starts_tag: starts, counts_tag: list(map(len, parts))}
    file = b"II*\0" + struct.pack("<I", end) + b"".join(parts) + _encode_directory(tags, end)
    with strict_pillow(row * tiles * height):
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(file))
        image.load()
        return np.asarray(image)


def _encode_directory(tags: Mapping[int, list[int]], at: int) -> bytes:
    """Encode whole numbers as a directory that begins at a given position of its file."""
    room = at + 2 + 12 * len(tags) + 4
    entries, values = [], b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        value = packed if len(numbers) == 1 else struct.pack("<I", room + len(values))
        values += b"" if len(numbers) == 1 else packed
        entries.append(struct.pack("<HHI", tag, 4, len(numbers)) + value)
    return struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + values


def _extra_sample(value: object) -> int:
    """Return the meaning of an extra sample, 0 for an unspecified one.

    Args:
        value: entry of the tag ExtraSamples as tifffile returns it. A tag of the wrong type may hold the number as a
            character.
    """
    if isinstance(value, str):
        return ord(value) if len(value) == 1 else 0
    return int(value) if isinstance(value, int) else 0
