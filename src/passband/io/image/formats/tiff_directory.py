"""Corrects directories of TIFF files that declare several values for a tag of a single value.

Source: TIFF revision 6.0, section 2 and section 8; libtiff, "BigTIFF Design".
"""

import struct
from collections.abc import Iterator

_SINGLE = frozenset(
    {254, 255, 256, 257, 259, 262, 263, 266, 274, 277, 278, 282, 283, 284, 296, 317, 322, 323, 332}
)  # fmt: skip
"""Tags with a single value, among those that describe how pixels are stored."""
_SIZES = {1: 1, 3: 2, 4: 4, 5: 8, 16: 8}
"""Bytes of a value by the code of its type: byte, short, long, rational, and long of 8 bytes."""


def with_single_values(data: bytes) -> bytes:
    """Keep the first value of each tag that describes the pixels and must have a single value.

    Readers disagree about further values: some refuse the file, some ignore the tag, and some take the first value.

    Args:
        data: content of a TIFF file. A damaged file is corrected as far as its directories can be read.

    Returns:
        The corrected content; `data` itself if there is nothing to correct.
    """
    order, big = {b"I": "<", b"M": ">"}.get(data[:1], "<"), data[2:4] in (b"+\0", b"\0+")
    room, entry = (8, struct.Struct(f"{order}HHQ")) if big else (4, struct.Struct(f"{order}HHI"))
    changed = None
    for place in _entries(data, order, big):
        tag, kind, count = entry.unpack_from(data, place)
        size = _SIZES.get(kind, 0)
        if count <= 1 or tag not in _SINGLE or not size:
            continue
        value = place + entry.size
        changed = changed or bytearray(data)
        if size <= room < size * count:
            (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, value)
            if 2 * room <= start <= len(data) - size * count:  # otherwise the count is wrong, and the value is here
                changed[value : value + room] = data[start : start + size].ljust(room, b"\0")
        entry.pack_into(changed, place, tag, kind, 1)
    return bytes(changed) if changed else data


def _entries(data: bytes, order: str, big: bool) -> Iterator[int]:
    """Yield the position of each entry of the directories that follow one another."""
    number, count_kind, step = ("Q", "Q", 20) if big else ("I", "H", 12)
    seen: set[int] = set()
    place = 8 if big else 4
    try:
        while (directory := struct.unpack_from(order + number, data, place)[0]) and directory not in seen:
            seen.add(directory)
            (count,) = struct.unpack_from(order + count_kind, data, directory)
            first = directory + struct.calcsize(order + count_kind)
            place = first + step * count
            yield from range(first, min(place, len(data) - step + 1), step)
    except struct.error:
        return
