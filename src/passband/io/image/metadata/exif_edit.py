"""Changes to an EXIF block in place, so that every byte that is not concerned stays where it was.

Rewriting the block would break maker notes, whose offsets are absolute. Source: EXIF 2.32, sections 4.5 and 4.6.
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
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_UNITS: dict[int, Unit] = {1: "ratio", 2: "inch", 3: "cm"}
_TOO_MANY = 1000  # entries of a directory


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    at: int
    """Where its value is, or the offset of it where it takes more than four bytes."""


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
        """A whole number; 0 where there is none."""
        if entry is None or entry.kind not in (_SHORT, _LONG):
            return 0
        return self.number(entry.at, 2 if entry.kind == _SHORT else 4)

    def set(self, entry: _Entry | None, value: int) -> None:
        if entry is not None and entry.kind in (_SHORT, _LONG) and entry.count == 1:
            size = 2 if entry.kind == _SHORT and value < 1 << 16 else 4
            self.write(entry.at - 6, 2, _SHORT if size == 2 else _LONG)  # a size may need a longer type than before
            self.write(entry.at, size, value)

    def after(self, directory: int) -> int:
        """Where the offset of the next directory is."""
        return directory + 2 + 12 * self.number(directory, 2)

    def directory(self, within: int, tag: int) -> int:
        return self.value(self.entry(within, tag)) if within else 0

    @property
    def second(self) -> int:
        """The directory of the thumbnail; 0 where there is none."""
        return self.number(self.after(self.first), 4)


def exif_density(exif: bytes) -> Density | None:
    """The density that an EXIF block names.

    Args:
        exif: a block from its TIFF header on.

    Returns:
        Pixels per inch or centimeter, or their ratio; None where the block names none, or is damaged.
    """
    try:
        block = _Block(exif)
        x, y = (_rational(block, block.entry(block.first, tag)) for tag in (_X, _Y))
        unit = _UNITS.get(block.value(block.entry(block.first, _UNIT)) or 2)
        return Density(x, y, unit) if x and y and unit else None
    except (struct.error, KeyError, ZeroDivisionError):
        return None


def swapped_exif(exif: bytes) -> bytes:
    """Swap what is said of across and down, for an image whose width and height were swapped.

    Sizes in pixels are for `fitted_exif`.

    Args:
        exif: a block from its TIFF header on; a damaged one is given back.
    """
    try:
        block = _Block(exif)
        for directory, pair in (
            (block.first, (_X, _Y)),
            (block.directory(block.first, _EXIF), (_FOCAL_X, _FOCAL_Y)),
        ):
            x, y = (block.entry(directory, tag) for tag in pair)
            if x and y and x.kind == y.kind == _RATIONAL:
                there, here = (block.number(entry.at, 4) for entry in (x, y))
                block.write(x.at, 4, here)
                block.write(y.at, 4, there)
        return bytes(block.data)
    except (struct.error, KeyError):
        return exif


def fitted_exif(exif: bytes, width: int, height: int, thumbnail: Callable[[int, int], bytes | None]) -> bytes:
    """Make an EXIF block true for the image that it is written with.

    Args:
        exif: a block from its TIFF header on; a damaged one is given back.
        width: of the image, pixels.
        height: of the image, pixels.
        thumbnail: draws the image as a JPEG file; takes the longer side in pixels and the most bytes that it may
            have, and gives None where that cannot be.

    Returns:
        The block with all sizes those of the image, and with its thumbnail drawn anew in the room of the old one. A
        thumbnail that is no JPEG, or for which there is too little room, is taken out.
    """
    try:
        block = _Block(exif)
        shown = block.directory(block.first, _EXIF)
        for directory in (block.first, shown, block.directory(shown, _INTEROP)):
            for entry in block.entries(directory):
                if entry.tag in _WIDTHS | _HEIGHTS:
                    block.set(entry, width if entry.tag in _WIDTHS else height)
        _redraw(block, width, height, thumbnail)
        return bytes(block.data)
    except (struct.error, KeyError):
        return exif


def with_density(exif: bytes | None, density: Density) -> bytes:
    """Name the density in an EXIF block, for types that have no other place for it.

    Args:
        exif: a block from its TIFF header on, or None for a new one.
        density: what it shall say.

    Returns:
        The block. Its first directory stands at the end, so that nothing else moves.
    """
    unit = {"ratio": 1, "inch": 2, "cm": 3, "m": 2}[density.unit]
    values = density.per("inch") if density.unit == "m" else (density.x, density.y)
    try:
        block = _Block(exif or b"II*\0\x08\0\0\0\0\0\0\0\0\0")
        kept = [
            bytes(block.data[entry.at - 8 : entry.at + 4])
            for entry in block.entries(block.first)
            if entry.tag not in (_X, _Y, _UNIT)
        ]
        following = block.number(block.after(block.first), 4)
    except (struct.error, KeyError):
        return with_density(None, density) if exif else b""
    block.data += bytes(len(block.data) % 2)
    start = len(block.data)
    numbers = start + 2 + 12 * (len(kept) + 3) + 4
    pack = block.order
    for tag, at in ((_X, numbers), (_Y, numbers + 8)):
        kept.append(struct.pack(f"{pack}HHII", tag, _RATIONAL, 1, at))
    kept.append(struct.pack(f"{pack}HHIHH", _UNIT, _SHORT, 1, unit, 0))
    kept.sort(key=lambda entry: struct.unpack_from(f"{pack}H", entry)[0])
    block.data += struct.pack(f"{pack}H", len(kept)) + b"".join(kept) + struct.pack(f"{pack}I", following)
    for value in values or (1, 1):
        scale = 1 if float(value).is_integer() else 10_000
        block.data += struct.pack(f"{pack}II", round(value * scale), scale)
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
    place, length = block.entry(second, _THUMBNAIL), block.entry(second, _THUMBNAIL_LENGTH)
    start, room = block.value(place), block.value(length)
    if place is None or length is None or not room or start + room > len(block.data):
        block.write(block.after(block.first), 4, 0)  # not JPEG: its directory is no longer pointed to
        if start and room:
            block.data[start : start + room] = bytes(len(block.data[start : start + room]))
        return
    sides = [block.value(block.entry(second, tag)) for tag in (256, 257)]
    drawn = thumbnail(max(sides) if all(sides) else 160, room)
    block.data[start : start + room] = (drawn or b"").ljust(room, b"\0")
    if drawn is None:
        block.write(block.after(block.first), 4, 0)
        return
    block.set(length, len(drawn))
    block.set(block.entry(second, _ORIENTATION), 1)
    long = max(sides) if all(sides) else 160
    for tag, side in ((256, width), (257, height)):
        block.set(block.entry(second, tag), max(1, round(side * long / max(width, height))))
