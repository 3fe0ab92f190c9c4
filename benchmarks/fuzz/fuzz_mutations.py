"""Mutates files for `fuzz.py`, as a random number generator decides."""

import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Random = np.random.Generator
Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]
"""Function that damages a file, from its bytes, a random generator and other files of the kind."""

NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 4096, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
"""Sizes and counts at which programs fail."""
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf"), -0.0, 0.5, "", "0", "1",
    "x" * 300, "\0", "\x1b[31m\n", "../..", "/", "é\ud800", [], [[]], {}, [None], [0] * 50, {"": ""}, [[1, 2], "a"],
)  # fmt: skip
"""Unusual values of JSON and TOML."""


def truncate(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    return data[: _place(data, rng)]


def flip_bits(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    out = bytearray(data)
    reach = len(out) if rng.random() < 0.6 else min(len(out), 256)  # headers are short, and matter most
    for place in rng.integers(0, max(1, reach), int(rng.choice([1, 1, 2, 4, 16]))):
        if place < len(out):
            out[place] ^= 1 << int(rng.integers(8))
    return bytes(out)


def set_bytes(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    place, length = _place(data, rng), int(rng.choice([1, 2, 4, 16, 200]))
    fill = bytes([int(rng.choice([0, 255, int(rng.integers(256))]))])
    return data[:place] + fill * min(length, len(data) - place) + data[place + length :]


def set_number(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    width, order = int(rng.choice([2, 4, 4, 8])), rng.choice(["little", "big"])
    place = _place(data, rng) if rng.random() < 0.4 else int(rng.integers(0, min(len(data), 128) + 1))
    number = int(rng.choice(NUMBERS)) % 256**width
    return data[:place] + number.to_bytes(width, str(order)) + data[place + width :]


def remove(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    place = _place(data, rng)
    return data[:place] + data[place + int(rng.choice([1, 2, 8, 64, 512])) :]


def repeat(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    place, length = _place(data, rng), int(rng.choice([1, 4, 32, 512]))
    return data[: place + length] + data[place : place + length] * int(rng.choice([1, 3, 50])) + data[place + length :]


def insert(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    place = _place(data, rng)
    return data[:place] + rng.bytes(int(rng.choice([1, 3, 40, 3000]))) + data[place:]


def splice(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Join the head of one file and the rest of another."""
    other = others[int(rng.integers(len(others)))]
    head = int(rng.choice([8, 16, 32, 64, 128, 512])) if rng.random() < 0.6 else _place(data, rng)
    return data[:head] + other[head:] if rng.random() < 0.5 else data[:head] + other[_place(other, rng) :]


def append(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Append bytes behind the end, which readers may ignore."""
    return data + [b"\0" * 64, rng.bytes(64), others[int(rng.integers(len(others)))]][int(rng.integers(3))]


def png_chunks(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    changed = _rearranged(png_parts(data), rng, _other_parts(others, png_parts, rng))
    if changed and rng.random() < 0.7:  # the sum is right, so that what is inside is looked at
        number = int(rng.integers(len(changed)))
        name, body = changed[number][4:8], bytearray(changed[number][8:-4])
        if name in (b"IDAT", b"zTXt", b"iCCP") and rng.random() < 0.5:
            body = bytearray(zlib.compress(rng.bytes(int(rng.integers(1, 5000)))))
        elif name == b"eXIf" and rng.random() < 0.7:
            body = bytearray(exif_tags(bytes(body), rng, [b""]))
        elif body:
            body[int(rng.integers(len(body)))] = int(rng.integers(256))
            if rng.random() < 0.2:
                body = body[: int(rng.integers(len(body)))]
        crc = zlib.crc32(name + bytes(body))
        changed[number] = struct.pack(">I", len(body)) + name + bytes(body) + struct.pack(">I", crc)
    return data[:8] + b"".join(changed)


def png_parts(data: bytes) -> list[bytes]:
    parts, place = [], 8
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        parts.append(data[place : place + 12 + size])
        place += 12 + size
    return parts


def jpeg_parts(data: bytes) -> list[bytes]:
    """Return the segments of a JPEG file. The last one holds all that follows."""
    parts, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 255 and data[place + 1] != 0xDA:
        size = 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        parts.append(data[place : place + size])
        place += size
    return [*parts, data[place:]]


def riff_parts(data: bytes) -> list[bytes]:
    parts, place = [data[:12]], 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        parts.append(data[place : place + 8 + size + size % 2])
        place += 8 + size + size % 2
    return parts


def box_parts(data: bytes) -> list[bytes]:
    """Return the boxes of an MP4 or HEIF file. Boxes within `moov`, its tracks and `meta` are also separated."""
    parts, place = [], 0
    outer = dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"iprp", b"ipco"), 8)
    outer |= {b"meta": 12, b"iinf": 14}
    while place + 8 <= len(data):
        size, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        size = outer.get(name, max(size, 8))
        parts.append(data[place : place + size])
        place += size
    return parts


def parts_of(split: Callable[[bytes], list[bytes]]) -> Mutation:
    """Leave out, repeat, swap, import from another file, cut short or change one of the parts of a file."""

    def mutate(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        parts = _rearranged(split(data), rng, _other_parts(others, split, rng))
        if parts and rng.random() < 0.6:
            number = int(rng.integers(len(parts)))
            parts[number] = [flip_bits, truncate, set_number, set_bytes][int(rng.integers(4))](
                parts[number], rng, [b""]
            )
        return b"".join(parts)

    return mutate


def exif_tags(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change entries of one of the directories of the EXIF block within a file."""
    starts = [found.start() for found in re.finditer(rb"II\*\0|MM\0\*", data)]
    if not starts:
        return flip_bits(data, rng, others)
    start = starts[int(rng.integers(len(starts)))]
    block = data[start:]
    order = "little" if block[:2] == b"II" else "big"
    first = int.from_bytes(block[4:8], order)
    count = int.from_bytes(block[first : first + 2], order)
    entries = [first + 2 + 12 * number for number in range(min(count, 40))]
    inner = [at + 8 for at in entries if int.from_bytes(block[at : at + 2], order) == 0x8769]
    places = [4, *inner, first + 2 + 12 * count]
    place = places[int(rng.integers(len(places)))]
    directory = block[place : place + 4] if rng.random() < 0.8 else block[4:8]
    changed = tiff_tags(block[:4] + directory + block[8:], rng, others)
    return data[:start] + block[:8] + changed[8:]


def tiff_tags(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change type, count or value of entries in the first directory."""
    order = "little" if data[:2] == b"II" else "big"
    big = data[2:4] in (b"+\0", b"\0+")
    place = int.from_bytes(data[8:16] if big else data[4:8], order)
    step, first = (20, 8) if big else (12, 2)
    count = int.from_bytes(data[place : place + first], order)
    out = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        at = place + first + step * int(rng.integers(max(1, min(count, 40))))
        offset, width = [(0, 2), (2, 2), (4, 4), (step - 4, 4), (step - 4, 2)][int(rng.integers(5))]
        low = int(rng.integers(20)) if offset == 2 or rng.random() < 0.3 else int(rng.choice(NUMBERS))
        if at + offset + width <= len(out):
            out[at + offset : at + offset + width] = (low % 256**width).to_bytes(width, order)
    return bytes(out)


def json_values(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Replace, remove, repeat or rename values somewhere in a JSON text."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return flip_bits(data, rng, others)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        places = list(_places(content))
        if not places:
            break
        holder, key = places[int(rng.integers(len(places)))]
        match int(rng.integers(5)):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.append(holder[key])
            case 2 if isinstance(holder, dict):
                holder["other" if rng.random() < 0.5 else f"{key} "] = holder.pop(key)
            case 3 if len(places) > 1:
                other, name = places[int(rng.integers(len(places)))]
                holder[key] = json.loads(json.dumps(other[name]))
            case _:
                holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    text = json.dumps(content)
    if rng.random() < 0.02:
        text = "[" * 100_000
    return text.encode()


def toml_lines(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Remove, repeat, swap lines, or change their values."""
    lines = data.decode("utf-8", "replace").splitlines()
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        number = int(rng.integers(max(1, len(lines))))
        if number >= len(lines):
            break
        match int(rng.integers(4)):
            case 0:
                del lines[number]
            case 1:
                lines.insert(int(rng.integers(len(lines))), lines[number])
            case 2:
                lines[number] = re.sub(r"^\w+", lambda found: found[0][::-1], lines[number])
            case _:
                value = VALUES[int(rng.integers(len(VALUES)))]
                lines[number] = f"{lines[number].split('=')[0].strip()} = {json.dumps(value)}"
    return "\n".join(lines).encode("utf-8", "replace")


def safetensors_header(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change the header of a safetensors file. In most cases its length stays correct."""
    size = int.from_bytes(data[:8], "little")
    header = json_values(data[8 : 8 + size], rng, [data[8 : 8 + size]])
    length = len(header) if rng.random() < 0.9 else int(rng.choice(NUMBERS))
    return length.to_bytes(8, "little") + header + data[8 + size :]


def tensor_bytes(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change numbers of the tensors, which may become NaN."""
    start, out = 8 + int.from_bytes(data[:8], "little"), bytearray(data)
    for place in rng.integers(min(start, len(out) - 1), len(out), 8):
        out[place] = 255
    return bytes(out)


COMMON: tuple[Mutation, ...] = (
    truncate,
    flip_bits,
    flip_bits,
    set_bytes,
    set_number,
    remove,
    repeat,
    insert,
    splice,
    append,
)
OWN: dict[str, tuple[Mutation, ...]] = {
    "picture.png": (png_chunks,) * 6,
    "picture.jpg": (*(parts_of(jpeg_parts),) * 5, exif_tags),
    "picture.webp": (*(parts_of(riff_parts),) * 4, exif_tags),
    "picture.tif": (tiff_tags,) * 8,
    "picture.heic": (*(parts_of(box_parts),) * 6, exif_tags),
    "picture.avif": (*(parts_of(box_parts),) * 6, exif_tags),
    "annotations.json": (json_values,) * 20,
    "recipe.toml": (toml_lines,) * 15,
    "config.json": (json_values,) * 20,
    "run.json": (json_values,) * 20,
    "statistics.json": (json_values,) * 20,
    "model.safetensors": (safetensors_header,) * 10 + (tensor_bytes,),
    ".mp4": (parts_of(box_parts),) * 5,
    ".mov": (parts_of(box_parts),) * 5,
    ".avi": (parts_of(riff_parts),) * 3,
}
"""Mutations that know the structure of a file, by its name or suffix. Repeated ones are drawn more often."""


def mutated(data: bytes, name: str, rng: Random, others: Sequence[bytes]) -> bytes:
    """A file after one to three mutations.

    Args:
        data: bytes of the sound file.
        name: name of the file.
        rng: decides everything.
        others: the sound files of the kind.
    """
    own = OWN.get(name) or OWN.get(name[name.rfind(".") :], ())
    choices = (*COMMON, *own)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        if data:
            data = choices[int(rng.integers(len(choices)))](data, rng, others)
    return data[: 2**22]


def _place(data: bytes, rng: Random) -> int:
    return int(rng.integers(0, len(data) + 1))


def _other_parts(others: Sequence[bytes], split: Callable[[bytes], list[bytes]], rng: Random) -> list[bytes]:
    return split(others[int(rng.integers(len(others)))])


def _rearranged(parts: list[bytes], rng: Random, foreign: list[bytes]) -> list[bytes]:
    """Return the parts with one of them left out, repeated, swapped or taken from another file; or unchanged."""
    parts = list(parts)
    if not parts:
        return parts
    first, second = (int(number) for number in rng.integers(0, len(parts), 2))
    match int(rng.integers(6)):
        case 0:
            del parts[first]
        case 1:
            parts.insert(second, parts[first])
        case 2:
            parts[first], parts[second] = parts[second], parts[first]
        case 3 if foreign:
            parts[first] = foreign[int(rng.integers(len(foreign)))]
        case 4 if foreign:
            parts.insert(first, foreign[int(rng.integers(len(foreign)))])
    return parts


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every value of a JSON text, as the list or object that holds it and its key there."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from _places(value)
