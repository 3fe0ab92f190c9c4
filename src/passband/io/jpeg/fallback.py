"""Reads JPEG coefficients with the package jpeglib, if the compiled reader was not built. See `io.jpeg`.

The package reads only paths, keeps metadata in global variables, and continues after damage without telling its caller:
libjpeg only prints the problem to standard error. Therefore the segments of a file are parsed first. One file at a time
is then copied without metadata to a temporary file for the package, and everything that is printed in the meantime
counts as an error.

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

from passband.io.image.metadata.exif import reset_orientation
from passband.io.jpeg.info import (
    ColorSpace,
    Content,
    Failure,
    JpegCoefficients,
    JpegHeader,
    Outcome,
    Planes,
    Request,
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
"""Huffman tables of ITU-T T.81, annex K.3, as a segment. They apply if a file has no tables, like the frames of Motion
JPEG videos."""
MAX_SCANS = 500
"""Largest number of scans. Encoders write about ten. A file of a few kilobytes could hold thousands, each of which
takes a pass over the whole image."""
_BASELINE, _PROGRESSIVE, _ARITHMETIC = (0xC0, 0xC1), 0xC2, (0xC9, 0xCA)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14, _APP15, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE


@dataclass
class Segments:
    """Parsed segments of a JPEG file.

    Attributes:
        header: content of the frame header and metadata.
        bare: the file without application data and comments, which do not affect coefficients.
        ended: whether the end marker is present.
        coded: components that occur in at least one scan.
        scans: number of scans.
    """

    header: JpegHeader
    bare: bytearray = field(repr=False)
    ended: bool
    coded: frozenset[int]
    scans: int


@dataclass
class _State:
    """Data collected so far while the segments are parsed."""

    bare: bytearray = field(default_factory=lambda: bytearray(b"\xff\xd8"))
    frame: bytes | None = None
    jfif: bool = False
    adobe: int | None = None
    orientation: int | None = None
    scans: list[bytes] = field(default_factory=list)
    ended: bool = False


def read_headers(sources: tuple[Content, ...], threads: int, max_pixels: int) -> list[JpegHeader | Failure]:
    """Read only the headers. A failure takes the place of a file's result. The threads are not used.

    Args:
        sources: paths or contents of the files.
        threads: number that makes no difference.
        max_pixels: largest number of pixels of each file; larger files fail.
    """
    return [_attempt(lambda source=source: _open(source, max_pixels).header) for source in sources]


def read_blocks(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool
) -> list[JpegCoefficients | Failure]:
    """Read quantized blocks. A failure takes the place of a file's result. The threads are not used.

    Args:
        sources: paths or contents of the files.
        threads: number that makes no difference.
        max_pixels: largest number of pixels of each file; larger files fail.
        strict: whether incomplete and damaged files fail; otherwise they are read as far as possible.
    """
    return [_attempt(lambda source=source: _decode(_open(source, max_pixels), strict)) for source in sources]


def read_channels(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool, request: Request
) -> list[Planes | Failure]:
    """Read chosen channels as numbers. A failure takes the place of a file's result. The threads are not used.

    Args:
        sources: paths or contents of the files.
        threads: number that makes no difference.
        max_pixels: largest number of pixels of each file; larger files fail.
        strict: whether incomplete and damaged files fail; otherwise they are read as far as possible.
        request: channels, crop and flip of each file.
    """

    def read_one(index: int) -> Planes:
        segments = _open(sources[index], max_pixels)
        if not crop_fits(segments.header, request.crops[index], request.flips[index]):
            raise Failure(Outcome.BAD_CROP, header=segments.header)
        return _channels(_decode(segments, strict), request, index)

    return [_attempt(lambda index=index: read_one(index)) for index in range(len(sources))]


def write_blocks(coefficients: JpegCoefficients) -> bytes:
    """Encode blocks that match their header.

    Args:
        coefficients: header, quantization tables and blocks.

    Returns:
        The content of a JPEG file.

    Raises:
        Failure: if the package cannot write such a file.
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
        image = jpeglib.from_dct(
            *planes,
            qt=np.stack([tables[slot].reshape(8, 8) for slot in used]).astype(np.uint16),
            quant_tbl_no=[used.index(slot) for slot in slots],
        )
        image.height, image.width = header.height, header.width
        image.samp_factor = np.array([(down, across) for across, down in header.sampling], np.int32)
        try:
            image.write_dct(str(path), flags=["+OPTIMIZE_CODING"])
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
    """Parse the segments of a file, with the same checks of headers as in the compiled reader."""
    segments = parse_segments(Path(source).read_bytes() if isinstance(source, str) else bytes(source))
    if segments.header.height * segments.header.width > max_pixels:
        raise Failure(Outcome.TOO_LARGE, header=segments.header)
    if segments.header.height * segments.header.width > 512 * len(segments.bare):
        # The package jpeglib would first allocate memory for all blocks.
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
        # Tables in the file replace these tables. For progressive files, libjpeg-turbo has no default tables either.
        codes = b"" if b"\xff\xc2" in segments.bare else _STANDARD_CODES
        path.write_bytes(segments.bare[:2] + codes + segments.bare[2:])
        with captured_stderr() as text:
            try:
                image = jpeglib.read_dct(str(path))
                planes = [image.Y] if len(header.sampling) == 1 else [image.Y, image.Cb, image.Cr]
                tables = np.stack([image.get_component_qt(index) for index in range(len(planes))])
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
    """Return the first line that libjpeg printed, or an empty text."""
    file.seek(0)
    return file.readline(200).decode("ascii", "replace").strip()


def _channels(coefficients: JpegCoefficients, request: Request, index: int) -> Planes:
    """Do in torch what the compiled reader does while it reads."""
    header, flip = coefficients.header, request.flips[index]
    planes, start = [], 0
    for component, (blocks, (across, down)) in enumerate(zip(coefficients.blocks, header.factors, strict=True)):
        channels = torch.tensor(request.channels[component], dtype=torch.long)
        rows, columns = slice(None), slice(header.whole_mcus[1] * across if flip else None)
        if crop := request.crops[index]:
            rows = slice(crop[0] * down, (crop[0] + crop[2]) * down)
            columns = slice(crop[1] * across, (crop[1] + crop[3]) * across)
        values = blocks[rows, columns, channels].permute(2, 0, 1).float()
        values = values * coefficients.quantization[component, channels].float()[:, None, None]
        if flip:
            # Basis functions of odd horizontal frequency are odd functions about the middle of the block.
            values = values.flip(-1) * torch.where(channels % 2 == 1, -1.0, 1.0)[:, None, None]
        if request.mean is not None and request.std is not None:
            own_channels = slice(start, start + len(channels))
            values = (values - request.mean[own_channels, None, None]) / request.std[own_channels, None, None]
        planes.append(values.contiguous())
        start += len(channels)
    return tuple(planes)


def parse_segments(data: bytes) -> Segments:
    """Parse the segments of a file.

    The size of the image and a missing end are not checked here.

    Args:
        data: content of the file.

    Raises:
        Failure: if the file is empty, not a JPEG file, of an unsupported kind, or has no image.
    """
    if not data:
        raise Failure(Outcome.EMPTY)
    if data[:2] != b"\xff\xd8":
        first, second = (*data[:2], 0)[:2]
        raise Failure(Outcome.NOT_JPEG, f"it starts with 0x{first:02x} 0x{second:02x}")
    state = _State()
    try:
        _parse_into(data, state)
    except (struct.error, IndexError) as error:
        raise Failure(Outcome.DAMAGED, "a header ends too early") from error
    if state.frame is None or not state.scans:
        raise Failure(Outcome.DAMAGED, "it ends before a picture begins")
    header, identifiers = _header(state.frame, state)
    coded = frozenset(identifiers.index(number) for scan in state.scans for number in scan if number in identifiers)
    return Segments(header, state.bare, state.ended, coded, len(state.scans))


def _parse_into(data: bytes, state: _State) -> None:
    position = 2
    while (marker_at := _next_marker(data, position)) >= 0:
        marker = data[marker_at]
        if marker == _EOI and state.frame is None and data[marker_at + 1 : marker_at + 3] == b"\xff\xd8":
            # This part has only tables. The image that uses them follows.
            state.jfif, state.adobe, state.orientation = False, None, None
            position = marker_at + 3
            continue
        if marker == _EOI:
            state.ended = True
            state.bare += b"\xff\xd9"
            return
        position = marker_at + 1
        if 0xD0 <= marker <= _SOI or marker == 0x01:  # this marker has no length
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if length < 2 and (_APP0 <= marker <= _APP15 or marker == _COM):
            position += 2  # metadata without a length; libjpeg searches for the next marker
            continue
        body = data[position + 2 : position + length]
        if length < 2 or len(body) != length - 2:
            raise struct.error
        position += length
        if _APP0 <= marker <= _APP15 or marker == _COM:
            _take_metadata(marker, body, state)
            continue
        if marker in _FRAMES:
            if state.frame is not None:
                raise Failure(Outcome.DAMAGED, "it has two frame headers")
            _refuse_unsupported(marker, body)
            state.frame = body
        elif marker == _SOS:
            if state.frame is None:
                raise Failure(Outcome.DAMAGED, "a scan comes before the frame header")
            state.scans.append(body[1 : 1 + 2 * body[0] : 2])
            if len(state.scans) > MAX_SCANS:
                raise Failure(Outcome.DAMAGED, f"it has more than {MAX_SCANS} scans")
            end = _end_of_scan(data, position)
            body, position = body + data[position:end], end
        state.bare += struct.pack(">BBH", 0xFF, marker, length) + body


def _next_marker(data: bytes, position: int) -> int:
    """Return the position of the next marker's second byte, or -1. Padding is skipped, as libjpeg does."""
    while (position := data.find(b"\xff", position)) >= 0:
        while position < len(data) and data[position] == 0xFF:
            position += 1
        if position == len(data):
            return -1
        if data[position] != 0:
            return position
    return -1


def _end_of_scan(data: bytes, position: int) -> int:
    """Return the end of entropy-coded data: the position of the next marker that is not a restart marker."""
    while (position := data.find(b"\xff", position)) >= 0:
        following = data[position + 1] if position + 1 < len(data) else None
        # markers below 0xC0 are reserved: inside a scan, they are damaged bytes, which decoders pass over
        if following is None or not (following < 0xC0 or following == 0xFF or 0xD0 <= following <= 0xD7):
            return position
        position += 1 if following == 0xFF else 2
    return len(data)


def _take_metadata(marker: int, body: bytes, state: _State) -> None:
    if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        state.jfif = True
    elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        state.adobe = body[11]
    elif marker == _APP1 and body.startswith(b"Exif\0\0") and state.orientation is None and not state.scans:
        state.orientation = reset_orientation(body[6:])[0]


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


def _header(body: bytes, state: _State) -> tuple[JpegHeader, bytes]:
    height, width, count = struct.unpack_from(">HHB", body, 1)
    if not height or not width:
        raise Failure(Outcome.DAMAGED, "its height or width is zero")
    if len(body) != 6 + 3 * count:
        raise Failure(Outcome.DAMAGED, "its frame header has a wrong length")
    identifiers = body[6::3]
    sampling = tuple((factors >> 4, factors & 15) for factors in body[7::3])
    if not all(1 <= factor <= 4 for pair in sampling for factor in pair):
        raise Failure(Outcome.DAMAGED, f"its sampling factors are {sampling}")
    space = _color_space(identifiers, state)
    return JpegHeader(height, width, sampling, state.orientation or 1, space), identifiers


def _color_space(identifiers: bytes, state: _State) -> ColorSpace:
    """Return the color space, by the rules that all decoders share."""
    if len(identifiers) == 1:
        return "gray"
    if state.jfif:
        return "ycbcr"
    if state.adobe is not None:
        return "rgb" if state.adobe == 0 else "ycbcr"
    return "rgb" if identifiers == b"RGB" else "ycbcr"
