"""JPEG coefficients through the package jpeglib, where the compiled reader was not built. See `io.jpeg`.

The package reads paths alone, keeps what it finds of metadata in global variables, and goes on after damage without a
word to its caller: libjpeg prints what is wrong to standard error. So a file's segments are walked first; it gets a
temporary copy without metadata, one at a time, and what is printed meanwhile is taken for the error.

Source of the segments: ITU-T T.81, annex B; JFIF 1.02; Adobe Technical Note 5116 (the APP14 marker).
"""

import struct
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import IO, TypeVar

import jpeglib
import numpy as np
import torch

from passband.io.image.metadata.exif import upright
from passband.io.jpeg.info import (
    ColorSpace,
    Content,
    Failure,
    JpegCoefficients,
    JpegHeader,
    Outcome,
    Planes,
    Wanted,
    crop_fits,
)
from passband.io.quiet import captured_stderr

NAME = "jpeglib"
LIBRARY = f"jpeglib {version('jpeglib')}"
_LOCK = threading.Lock()
Result = TypeVar("Result")
_STANDARD_CODES = bytes.fromhex(
    "ffc401a20000010501010101010100000000000000000102030405060708090a0b100002010303020403050504040000017d01020300"
    "041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a43"
    "4445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7"
    "a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa01000301"
    "01010101010101010000000000000102030405060708090a0b1100020102040403040705040400010277000102031104052131061241"
    "510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a"
    "535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4"
    "b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
"""The Huffman tables of ITU-T T.81, annex K.3, as a segment: they are meant where a file lacks one, as frames of
Motion JPEG videos do."""
MAX_SCANS = 500
"""Encoders write about ten. A file of a few kilobytes can hold thousands, each a walk through the whole image."""
_BASELINE, _PROGRESSIVE, _ARITHMETIC = (0xC0, 0xC1), 0xC2, (0xC9, 0xCA)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14, _APP15, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE


@dataclass
class Segments:
    """A JPEG file as its segments say.

    Attributes:
        header: what its frame header and metadata say.
        bare: the file without application data and comments, which say nothing of coefficients.
        ended: the end marker is there.
        coded: components that at least one scan has.
        scans: how many there are.
    """

    header: JpegHeader
    bare: bytearray = field(repr=False)
    ended: bool
    coded: frozenset[int]
    scans: int


@dataclass
class _Walk:
    """What has been seen so far."""

    bare: bytearray = field(default_factory=lambda: bytearray(b"\xff\xd8"))
    frame: bytes | None = None
    jfif: bool = False
    adobe: int | None = None
    orientation: int | None = None
    scans: list[bytes] = field(default_factory=list)
    ended: bool = False


def read_headers(sources: tuple[Content, ...], threads: int, max_pixels: int) -> list[JpegHeader | Failure]:
    """Read headers alone; a failure stands in the place of its file. The threads are not used."""
    return [_attempt(lambda source=source: _open(source, max_pixels).header) for source in sources]


def read_blocks(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool
) -> list[JpegCoefficients | Failure]:
    """Read quantized blocks; a failure stands in the place of its file. The threads are not used."""
    return [_attempt(lambda source=source: _decode(_open(source, max_pixels), strict)) for source in sources]


def read_channels(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool, wanted: Wanted
) -> list[Planes | Failure]:
    """Read chosen channels as numbers; a failure stands in the place of its file. The threads are not used."""

    def one(index: int) -> Planes:
        segments = _open(sources[index], max_pixels)
        if not crop_fits(segments.header, wanted.crops[index], wanted.flips[index]):
            raise Failure(Outcome.BAD_CROP, header=segments.header)
        return _channels(_decode(segments, strict), wanted, index)

    return [_attempt(lambda index=index: one(index)) for index in range(len(sources))]


def write_blocks(coefficients: JpegCoefficients) -> bytes:
    """Encode blocks, which are known to fit the header.

    Raises:
        Failure: where the package cannot write such a file.
    """
    header, tables = coefficients.header, coefficients.quantization.numpy()
    if header.color_space == "rgb":
        raise Failure(Outcome.UNSUPPORTED, "R, G and B in it, which jpeglib does not write")
    if len(header.factors) > 1 and sum(down * across for down, across in header.factors) > 10:
        raise Failure(Outcome.UNSUPPORTED, "more than ten blocks in an MCU, which jpeglib does not write")
    slots = [next(k for k, other in enumerate(tables) if (other == table).all()) for table in tables]
    used = sorted(set(slots))
    planes = [blocks.numpy().reshape(*blocks.shape[:2], 8, 8) for blocks in coefficients.blocks]
    with _LOCK, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        picture = jpeglib.from_dct(
            *planes,
            qt=np.stack([tables[slot].reshape(8, 8) for slot in used]).astype(np.uint16),
            quant_tbl_no=[used.index(slot) for slot in slots],
        )
        picture.height, picture.width = header.height, header.width
        picture.samp_factor = np.array([(down, across) for across, down in header.sampling], np.int32)
        try:
            picture.write_dct(str(path), flags=["+OPTIMIZE_CODING"])
        except OSError as error:
            raise Failure(Outcome.DAMAGED, "jpeglib has no code for one of its values") from error
        return path.read_bytes()


def _attempt(function: Callable[[], Result]) -> Result | Failure:
    try:
        return function()
    except Failure as failure:
        return failure
    except OSError as error:
        return Failure(Outcome.NO_FILE, os_error=error.errno or 0)
    except MemoryError:
        return Failure(Outcome.NO_MEMORY)


def _open(source: Content, max_pixels: int) -> Segments:
    """What the segments of a file say, judged as the compiled reader judges its headers."""
    segments = walk(Path(source).read_bytes() if isinstance(source, str) else bytes(source))
    if segments.header.height * segments.header.width > max_pixels:
        raise Failure(Outcome.TOO_LARGE, header=segments.header)
    if segments.header.height * segments.header.width > 512 * len(segments.bare):
        # jpeglib would take memory for all of them first
        raise Failure(Outcome.DAMAGED, "it has less than a bit for each block of pixels")
    return segments


def _decode(segments: Segments, strict: bool) -> JpegCoefficients:
    header = segments.header
    missing = sorted(set(range(len(header.sampling))) - segments.coded)
    if strict and missing:
        raise Failure(Outcome.RECOVERABLE, f"color component {missing[0] + 1} is in none of its scans")
    if strict and not segments.ended:
        raise Failure(Outcome.RECOVERABLE, "Premature end of JPEG file")
    with _LOCK, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        # the file's own tables take their place; libjpeg-turbo has none for progressive files either
        codes = b"" if b"\xff\xc2" in segments.bare else _STANDARD_CODES
        path.write_bytes(segments.bare[:2] + codes + segments.bare[2:])
        with captured_stderr() as text:
            try:
                picture = jpeglib.read_dct(str(path))
                planes = [picture.Y] if len(header.sampling) == 1 else [picture.Y, picture.Cb, picture.Cr]
                tables = np.stack([picture.get_component_qt(index) for index in range(len(planes))])
            except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
                raise Failure(Outcome.DAMAGED, _first_line(text) or "jpeglib cannot decode it") from error
            complaint = _first_line(text)
    if strict and complaint:
        raise Failure(Outcome.RECOVERABLE, complaint)
    grids = tuple(plane.shape[:2] for plane in planes)
    if grids != header.grids:
        raise Failure(Outcome.DAMAGED, f"jpeglib finds blocks of {grids} where its header says {header.grids}")
    return JpegCoefficients(
        tuple(torch.from_numpy(plane.reshape(*plane.shape[:2], 64).copy()) for plane in planes),
        torch.from_numpy(tables.reshape(len(planes), 64).astype(np.int32)),
        header,
    )


def _first_line(file: IO[bytes]) -> str:
    """What libjpeg printed first; empty where it printed nothing."""
    file.seek(0)
    return file.readline(200).decode("ascii", "replace").strip()


def _channels(coefficients: JpegCoefficients, wanted: Wanted, index: int) -> Planes:
    """What the compiled reader does while it reads, in torch."""
    header, flip = coefficients.header, wanted.flips[index]
    planes, first = [], 0
    for component, (blocks, (across, down)) in enumerate(zip(coefficients.blocks, header.factors, strict=True)):
        channels = torch.tensor(wanted.channels[component], dtype=torch.long)
        rows, columns = slice(None), slice(header.whole_mcus[1] * across if flip else None)
        if crop := wanted.crops[index]:
            rows = slice(crop[0] * down, (crop[0] + crop[2]) * down)
            columns = slice(crop[1] * across, (crop[1] + crop[3]) * across)
        values = blocks[rows, columns, channels].permute(2, 0, 1).float()
        values = values * coefficients.quantization[component, channels].float()[:, None, None]
        if flip:
            # a basis function of odd horizontal frequency is odd about the block's middle
            values = values.flip(-1) * torch.where(channels % 2 == 1, -1.0, 1.0)[:, None, None]
        if wanted.mean is not None and wanted.std is not None:
            here = slice(first, first + len(channels))
            values = (values - wanted.mean[here, None, None]) / wanted.std[here, None, None]
        planes.append(values.contiguous())
        first += len(channels)
    return tuple(planes)


def walk(data: bytes) -> Segments:
    """Read the segments of a file.

    Args:
        data: the whole file.

    Raises:
        Failure: empty, not a JPEG, of an unsupported kind, or without an image. Neither the size nor what is missing
            at the end is judged here.
    """
    if not data:
        raise Failure(Outcome.EMPTY)
    if data[:2] != b"\xff\xd8":
        first, second = (*data[:2], 0)[:2]
        raise Failure(Outcome.NOT_JPEG, f"it starts with 0x{first:02x} 0x{second:02x}")
    seen = _Walk()
    try:
        _walk(data, seen)
    except (struct.error, IndexError) as error:
        raise Failure(Outcome.DAMAGED, "a header ends too early") from error
    if seen.frame is None or not seen.scans:
        raise Failure(Outcome.DAMAGED, "it ends before a picture begins")
    header, identifiers = _header(seen.frame, seen)
    coded = frozenset(identifiers.index(number) for scan in seen.scans for number in scan if number in identifiers)
    return Segments(header, seen.bare, seen.ended, coded, len(seen.scans))


def _walk(data: bytes, seen: _Walk) -> None:
    position = 2
    while (marker_at := _next_marker(data, position)) >= 0:
        marker = data[marker_at]
        if marker == _EOI:
            seen.ended = True
            seen.bare += b"\xff\xd9"
            return
        position = marker_at + 1
        if 0xD0 <= marker <= _SOI or marker == 0x01:  # alone, without a length
            continue
        (length,) = struct.unpack_from(">H", data, position)
        body = data[position + 2 : position + length]
        if length < 2 or len(body) != length - 2:
            raise struct.error
        position += length
        if _APP0 <= marker <= _APP15 or marker == _COM:
            _take_metadata(marker, body, seen)
            continue
        if marker in _FRAMES:
            if seen.frame is not None:
                raise Failure(Outcome.DAMAGED, "it has two frame headers")
            _refuse_unsupported(marker, body)
            seen.frame = body
        elif marker == _SOS:
            if seen.frame is None:
                raise Failure(Outcome.DAMAGED, "a scan comes before the frame header")
            seen.scans.append(body[1 : 1 + 2 * body[0] : 2])
            if len(seen.scans) > MAX_SCANS:
                raise Failure(Outcome.DAMAGED, f"it has more than {MAX_SCANS} scans")
            end = _end_of_scan(data, position)
            body, position = body + data[position:end], end
        seen.bare += struct.pack(">BBH", 0xFF, marker, length) + body


def _next_marker(data: bytes, position: int) -> int:
    """Where the next marker's second byte is, or -1; padding is passed over, as libjpeg does."""
    while (position := data.find(b"\xff", position)) >= 0:
        while position < len(data) and data[position] == 0xFF:
            position += 1
        if position == len(data):
            return -1
        if data[position] != 0:
            return position
    return -1


def _end_of_scan(data: bytes, position: int) -> int:
    """Where the marker after entropy-coded data begins: one that is neither a stuffed zero nor a restart."""
    while (position := data.find(b"\xff", position)) >= 0:
        following = data[position + 1] if position + 1 < len(data) else None
        if following is None or not (following == 0 or following == 0xFF or 0xD0 <= following <= 0xD7):
            return position
        position += 1 if following == 0xFF else 2
    return len(data)


def _take_metadata(marker: int, body: bytes, seen: _Walk) -> None:
    if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        seen.jfif = True
    elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        seen.adobe = body[11]
    elif marker == _APP1 and body.startswith(b"Exif\0\0") and seen.orientation is None and not seen.scans:
        seen.orientation = upright(body[6:])[0]


def _refuse_unsupported(marker: int, body: bytes) -> None:
    if marker in _ARITHMETIC:
        raise Failure(Outcome.UNSUPPORTED, "arithmetic coding")
    if marker not in (*_BASELINE, _PROGRESSIVE):
        raise Failure(Outcome.UNSUPPORTED, "lossless or hierarchical coding")
    if body[0] != 8:
        raise Failure(Outcome.UNSUPPORTED, f"{body[0]}-bit samples")
    if body[5] not in (1, 3):
        kind = " (CMYK or YCCK)" if body[5] == 4 else ""
        raise Failure(Outcome.UNSUPPORTED, f"{body[5]} color components{kind}")


def _header(body: bytes, seen: _Walk) -> tuple[JpegHeader, bytes]:
    height, width, count = struct.unpack_from(">HHB", body, 1)
    if not height or not width:
        raise Failure(Outcome.DAMAGED, "its height or width is zero")
    if len(body) != 6 + 3 * count:
        raise Failure(Outcome.DAMAGED, "its frame header has a wrong length")
    identifiers = body[6::3]
    sampling = tuple((factors >> 4, factors & 15) for factors in body[7::3])
    if not all(1 <= factor <= 4 for pair in sampling for factor in pair):
        raise Failure(Outcome.DAMAGED, f"its sampling factors are {sampling}")
    space = _color_space(identifiers, seen)
    return JpegHeader(height, width, sampling, seen.orientation or 1, space), identifiers


def _color_space(identifiers: bytes, seen: _Walk) -> ColorSpace:
    """What the components are, by the rules that every decoder shares."""
    if len(identifiers) == 1:
        return "gray"
    if seen.jfif:
        return "ycbcr"
    if seen.adobe is not None:
        return "rgb" if seen.adobe == 0 else "ycbcr"
    return "rgb" if identifiers == b"RGB" else "ycbcr"
