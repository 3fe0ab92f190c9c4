"""Reads and writes image resource blocks of Photoshop, which hold IPTC data in JPEG and TIFF files.

Source: Adobe Photoshop File Formats Specification, "Image Resource Blocks"; IPTC-NAA Information Interchange Model.
"""

import struct
from collections.abc import Iterator

_IPTC = 0x0404
_THUMBNAILS = (0x0409, 0x040C)
_RECORD = b"\x1c"  # first byte of every record of IPTC data


def resources_of(data: bytes) -> bytes | None:
    """Return image resource blocks without thumbnails.

    Args:
        data: image resource blocks, or plain IPTC records.

    Returns:
        The blocks, or None if there are none. They end at the first damaged block.
    """
    if data.startswith(_RECORD):
        return _block(_IPTC, b"\0\0", data)
    blocks = b"".join(_block(number, label, body) for number, label, body in _blocks(data) if number not in _THUMBNAILS)
    return blocks or None


def iptc_of(resources: bytes) -> bytes | None:
    """Return the IPTC records in image resource blocks, or None.

    Args:
        resources: image resource blocks of Photoshop, as JPEG and TIFF files store them.
    """
    return next((body for number, _, body in _blocks(resources) if number == _IPTC), None)


def _blocks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the number, the padded name with its length, and the content of each block."""
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
