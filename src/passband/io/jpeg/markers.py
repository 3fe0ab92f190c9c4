"""The segments of a JPEG file, walked without decoding: what is refused, and what the fallback reader needs to know.

Source: ITU-T T.81, annex B; JFIF 1.02; Adobe Technical Note 5116 (the APP14 marker).
"""

import struct
from dataclasses import dataclass, field

from passband.io.image.metadata.exif import upright
from passband.io.jpeg.info import ColorSpace, Failure, JpegHeader, Outcome

MAX_SCANS = 500
"""Encoders write about ten. A file of a few kilobytes can hold thousands, each a walk through the whole picture."""
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


def walk(data: bytes) -> Segments:
    """Read the segments of a file.

    Args:
        data: the whole file.

    Raises:
        Failure: empty, not a JPEG, of an unsupported kind, or without a picture. Neither the size nor what is missing
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
