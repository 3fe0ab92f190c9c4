"""What the header of a WebP file tells and Pillow does not.

Source: WebP container specification, RFC 9649, section 2.
"""

import struct
from collections.abc import Iterator


def webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height from the first chunk, without the canvas that opening the file would allocate.

    Args:
        data: the file.

    Returns:
        Width and height in pixels.

    Raises:
        struct.error: the file ends within its header.
        StopIteration: the file has no chunk.
    """
    kind, body = next(webp_chunks(data, 12, len(data)))
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[start : start + 3], "little") for start in (body + 4, body + 7))
        return 1 + width, 1 + height
    if kind == b"VP8L":
        packed = int.from_bytes(data[body + 1 : body + 5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, body + 6)
    return width & 0x3FFF, height & 0x3FFF


def webp_is_lossless(data: bytes) -> bool:
    """Tell whether the picture, or the first frame of an animation, is in a lossless chunk (VP8L).

    Args:
        data: the file.
    """
    for kind, body in webp_chunks(data, 12, len(data)):
        if kind == b"ANMF":  # an animation: its first frame tells
            return any(inner == b"VP8L" for inner, _ in webp_chunks(data, body + 16, len(data)))
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
    return False


def webp_chunks(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """The name of each chunk and where its content begins.

    Args:
        data: the file.
        start: where the first chunk begins.
        end: where to stop.
    """
    while start + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, start)
        yield kind, start + 8
        start += 8 + size + size % 2
