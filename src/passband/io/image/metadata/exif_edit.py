"""Changes values of EXIF blocks in place, so that all other bytes stay at their positions.

Rewriting a block would break maker notes, which contain absolute offsets. Source: EXIF 2.32, sections 4.5 and 4.6.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from passband.io.image.types import Density, Unit

_EXIF, _INTEROP = 34665, 40965
_WIDTHS, _HEIGHTS = {256, 0xA002, 0x1001}, {257, 0xA003, 0x1002}
_X, _Y, _UNIT, _FOCAL_X, _FOCAL_Y = 282, 283, 296, 0xA20E, 0xA20F
_ORIENTATION, _COMPRESSION, _THUMBNAIL, _THUMBNAIL_LENGTH = 274, 259, 513, 514
_SOFTWARE = 305
_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_UNITS: dict[int, Unit] = {1: "ratio", 2: "inch", 3: "cm"}
_LARGEST = (1 << 32) - 1  # largest whole number of an entry
_TOO_MANY = 1000  # largest number of entries of a directory
_Value = tuple[int, int, bytes]
"""Type, count and bytes of a value; four bytes, or more that are stored elsewhere."""


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    at: int
    """Position of the value, or of its offset if the value takes more than four bytes."""


class _Block:
    """An EXIF block whose entries can be found and changed."""

    def __init__(self, exif: bytes):
        self.data = bytearray(exif)
        self.order = {b"II": "<", b"MM": ">"}[exif[:2]]
        self.first = self.number(4, 4)

    def number(self, at: int, size: Literal[2, 4]) -> int:
        return struct.unpack_from(self.order + {2: "H", 4: "I"}[size], self.data, at)[0]

    def write(self, at: int, size: Literal[2, 4], value: int) -> None:
        struct.pack_into(self.order + {2: "H", 4: "I"}[size], self.data, at, value)

    def entries(self, directory: int) -> Iterator[_Entry]:
        count = self.number(directory, 2) if directory else 0
        if count > _TOO_MANY:
            raise struct.error("too many entries")
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            yield _Entry(self.number(at, 2), self.number(at + 2, 2), self.number(at + 4, 4), at + 8)

    def entry(self, directory: int, tag: int) -> _Entry | None:
        return next((entry for entry in self.entries(directory) if entry.tag == tag), None)

    def value(self, entry: _Entry | None) -> int:
        """Return a whole number; 0 if there is none."""
        if entry is None or entry.kind not in (_SHORT, _LONG):
            return 0
        return self.number(entry.at, 2 if entry.kind == _SHORT else 4)

    def set(self, entry: _Entry | None, value: int) -> None:
        if entry is not None and entry.kind in (_SHORT, _LONG) and entry.count == 1:
            size = 2 if entry.kind == _SHORT and value < 1 << 16 else 4
            self.write(entry.at - 6, 2, _SHORT if size == 2 else _LONG)  # a size may need a longer type than before
            self.write(entry.at, size, value)

    def after(self, directory: int) -> int:
        """Return the position of the offset of the next directory."""
        return directory + 2 + 12 * self.number(directory, 2)

    def directory(self, within: int, tag: int) -> int:
        return self.value(self.entry(within, tag)) if within else 0

    @property
    def second(self) -> int:
        """Position of the directory of the thumbnail; 0 if there is none."""
        return self.number(self.after(self.first), 4)


def exif_density(exif: bytes) -> Density | None:
    """Return the density that an EXIF block states.

    Args:
        exif: block, starting with its TIFF header.

    Returns:
        Pixels per inch or centimeter, or their ratio; None if the block states none or is damaged.
    """
    try:
        block = _Block(exif)
        x, y = (_rational(block, block.entry(block.first, tag)) for tag in (_X, _Y))
        unit = _UNITS.get(block.value(block.entry(block.first, _UNIT)) or 2)
        return Density(x, y, unit) if x and y and unit else None
    except (struct.error, KeyError, ZeroDivisionError):
        return None


def without_orientation(exif: bytes) -> bytes:
    """Remove the orientation of a block, so that a program that treats it as a command leaves the block alone.

    The entries behind it move up, and all other bytes stay at their positions.

    Args:
        exif: block, starting with its TIFF header. A damaged block is returned unchanged.
    """
    try:
        block = _Block(exif)
        orientation = block.entry(block.first, _ORIENTATION)
        if orientation is None:
            return exif
        begin, end = orientation.at - 8, block.after(block.first) + 4
        block.number(end - 4, 4)  # damaged if the directory does not end within the block
        block.data[begin:end] = block.data[begin + 12 : end] + bytes(12)
        block.write(block.first, 2, block.number(block.first, 2) - 1)
        return bytes(block.data)
    except (struct.error, KeyError):
        return exif


def swapped_exif(exif: bytes) -> bytes:
    """Exchange horizontal and vertical values, for an image whose width and height were exchanged.

    Sizes in pixels are not changed here; `fitted_exif` sets them.

    Args:
        exif: block, starting with its TIFF header. A damaged block is returned unchanged.
    """
    try:
        block = _Block(exif)
        for directory, pair in (
            (block.first, (_X, _Y)),
            (block.directory(block.first, _EXIF), (_FOCAL_X, _FOCAL_Y)),
        ):
            x, y = (block.entry(directory, tag) for tag in pair)
            if x and y and x.kind == y.kind == _RATIONAL:
                x_offset, y_offset = (block.number(entry.at, 4) for entry in (x, y))
                block.write(x.at, 4, y_offset)
                block.write(y.at, 4, x_offset)
        return bytes(block.data)
    except (struct.error, KeyError):
        return exif


def fitted_exif(exif: bytes, width: int, height: int, thumbnail: Callable[[int, int], bytes | None]) -> bytes:
    """Update an EXIF block for the image with which it is written.

    Args:
        exif: block, starting with its TIFF header. A damaged block is returned unchanged.
        width: width of the image, in pixels.
        height: height of the image, in pixels.
        thumbnail: function that draws the image as a JPEG file. Its arguments are the longer side in pixels and the
            largest number of bytes. It returns None if that is not possible.

    Returns:
        The block with the sizes of the image and a new thumbnail in place of the old one. The thumbnail is removed if
        it is not a JPEG file or if there is too little space for a new one.
    """
    try:
        block = _Block(exif)
        exif_directory = block.directory(block.first, _EXIF)
        for directory in (block.first, exif_directory, block.directory(exif_directory, _INTEROP)):
            for entry in block.entries(directory):
                if entry.tag in _WIDTHS | _HEIGHTS:
                    block.set(entry, width if entry.tag in _WIDTHS else height)
        _redraw(block, width, height, thumbnail)
        return bytes(block.data)
    except (struct.error, KeyError):
        return exif


def with_density(exif: bytes | None, density: Density) -> bytes:
    """Write a density into an EXIF block, for file types that store it nowhere else.

    Args:
        exif: block, starting with its TIFF header, or None for a new block.
        density: density to write.

    Returns:
        The block. Its new first directory is at the end, so that all other positions stay the same.
    """
    unit = {"ratio": 1, "inch": 2, "cm": 3, "m": 2}[density.unit]
    values = density.per("inch") if density.unit == "m" else (density.x, density.y)

    def encoded(order: str) -> dict[int, _Value]:
        numbers = []
        for value in values or (1, 1):
            scale = 1 if float(value).is_integer() or value * 10_000 > _LARGEST else 10_000
            numbers.append(struct.pack(f"{order}II", round(min(value * scale, _LARGEST)), scale))
        x, y = numbers
        return {_X: (_RATIONAL, 1, x), _Y: (_RATIONAL, 1, y), _UNIT: (_SHORT, 1, struct.pack(f"{order}HH", unit, 0))}

    return _with_values(exif, encoded)


def with_software(exif: bytes | None, software: str) -> bytes:
    """Write the name of the program that made a file into an EXIF block.

    Args:
        exif: block, starting with its TIFF header, or None for a new block.
        software: name in ASCII.

    Returns:
        The block. Its new first directory is at the end, so that all other positions stay the same.
    """
    text = software.encode("ascii") + b"\0"
    return _with_values(exif, lambda _: {_SOFTWARE: (_ASCII, len(text), text.ljust(4, b"\0"))})


def _with_values(exif: bytes | None, encoded: Callable[[str], dict[int, _Value]]) -> bytes:
    """Replace values of the first directory, and write the directory again at the end.

    Args:
        exif: block; None or a damaged block gives a new block.
        encoded: function from the byte order to the type, count and bytes of each value, by its tag.
    """
    try:
        block = _Block(exif or b"II*\0\x08\0\0\0\0\0\0\0\0\0")
        values = encoded(block.order)
        entries = [
            bytes(block.data[entry.at - 8 : entry.at + 4])
            for entry in block.entries(block.first)
            if entry.tag not in values
        ]
        following = block.number(block.after(block.first), 4)
    except (struct.error, KeyError):
        return _with_values(None, encoded) if exif else b""
    block.data += bytes(len(block.data) % 2)
    start, pack = len(block.data), block.order
    position, parts = start + 2 + 12 * (len(entries) + len(values)) + 4, []
    for tag, (kind, count, value) in values.items():
        if len(value) > 4:
            parts.append(value + bytes(len(value) % 2))
            value = struct.pack(f"{pack}I", position)
            position += len(parts[-1])
        entries.append(struct.pack(f"{pack}HHI", tag, kind, count) + value)
    entries.sort(key=lambda entry: struct.unpack_from(f"{pack}H", entry)[0])
    block.data += struct.pack(f"{pack}H", len(entries)) + b"".join(entries) + struct.pack(f"{pack}I", following)
    block.data += b"".join(parts)
    block.write(4, 4, start)
    return bytes(block.data)


def _rational(block: _Block, entry: _Entry | None) -> float:
    if entry is None or entry.kind != _RATIONAL:
        return 0
    at = block.number(entry.at, 4)
    return block.number(at, 4) / block.number(at + 4, 4)


def _redraw(block: _Block, width: int, height: int, thumbnail: Callable[[int, int], bytes | None]) -> None:
    second = block.second
    if not second:
        return
    start_entry, length_entry = block.entry(second, _THUMBNAIL), block.entry(second, _THUMBNAIL_LENGTH)
    start, room = block.value(start_entry), block.value(length_entry)
    if start_entry is None or length_entry is None or not room or start + room > len(block.data):
        # this thumbnail is not a JPEG file, so nothing points to its directory anymore
        block.write(block.after(block.first), 4, 0)
        if start and room:
            block.data[start : start + room] = bytes(len(block.data[start : start + room]))
        return
    sides = [block.value(block.entry(second, tag)) for tag in (256, 257)]
    new_thumbnail = thumbnail(max(sides) if all(sides) else 160, room)
    block.data[start : start + room] = (new_thumbnail or b"").ljust(room, b"\0")
    if new_thumbnail is None:
        block.write(block.after(block.first), 4, 0)
        return
    block.set(length_entry, len(new_thumbnail))
    block.set(block.entry(second, _ORIENTATION), 1)
    longer_side = max(sides) if all(sides) else 160
    for tag, side in ((256, width), (257, height)):
        block.set(block.entry(second, tag), max(1, round(side * longer_side / max(width, height))))
