"""Image resource blocks of Photoshop, which hold IPTC data in JPEG and TIFF files.

Source: Adobe Photoshop File Formats Specification, "Image Resource Blocks"; IPTC-NAA Information Interchange Model.
"""

import struct
from collections.abc import Iterator

_IPTC = 0x0404
_THUMBNAILS = (0x0409, 0x040C)
_RECORD = b"\x1c"  # every record of IPTC data begins with it


def resources_of(data: bytes) -> bytes | None:
    """Take image resource blocks, or plain IPTC records, as blocks without thumbnails.

    Args:
        data: blocks, or records.

    Returns:
        Blocks; None where there are none. Damaged ones end the list.
    """
    if data.startswith(_RECORD):
        return _block(_IPTC, b"\0\0", data)
    kept = b"".join(_block(number, label, body) for number, label, body in _blocks(data) if number not in _THUMBNAILS)
    return kept or None


def iptc_of(resources: bytes) -> bytes | None:
    """The IPTC records in image resource blocks, or None."""
    return next((body for number, _, body in _blocks(resources) if number == _IPTC), None)


def _blocks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, name (padded, with its length before it) and content of each block."""
    position = 0
    while data[position : position + 4] == b"8BIM" and position + 7 <= len(data):
        label = 1 + data[position + 6]
        label += label % 2
        start = position + 6 + label + 4
        if start > len(data):
            return
        number, size = *struct.unpack_from(">H", data, position + 4), *struct.unpack_from(">I", data, start - 4)
        if start + size > len(data):
            return
        yield number, data[position + 6 : position + 6 + label], data[start : start + size]
        position = start + size + size % 2


def _block(number: int, label: bytes, body: bytes) -> bytes:
    return b"8BIM" + struct.pack(">H", number) + label + struct.pack(">I", len(body)) + body + bytes(len(body) % 2)
