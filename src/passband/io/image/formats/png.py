"""Reads PNG files: their chunks and their pixels of 8 and 16 bits, still or animated.

Pillow only decodes the pixels. It does not see the other chunks, because it refuses long texts. It keeps 8 of the 16
bits of color files, so those are decoded twice.

Source: PNG specification, third edition.
"""

import io
import struct
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import UInt16
from numpy import ndarray
from PIL import ImageFile, PngImagePlugin

from passband.io.image.formats.png_write import COLOR_CHUNKS, RAW_PROFILE, SIGNATURE, TEXT_CHUNKS, XMP, chunk
from passband.io.image.metadata.exif import bare_exif
from passband.io.image.metadata.iptc import resources_of
from passband.io.image.pillow import decode_with_layout, pixels_of_pillow, rawmode_of, strict_pillow, with_key_color
from passband.io.image.types import Animation, Density, ImageMeta, Pixels, check_length, refuse_hdr
from passband.naming import with_article

_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_FRAME_CHUNKS = frozenset({b"acTL", b"fcTL", b"fdAT"})
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits of a sample that each color type can have."""
_LARGEST = 1 << 26
"""Largest size in bytes of metadata after decompression. Larger metadata are left out, with a note."""


@dataclass(frozen=True)
class Frame:
    """A frame of an animation as stored.

    Attributes:
        size: width and height, in pixels.
        position: column and row of its upper left corner on the canvas.
        duration: duration in seconds.
        disposal: treatment of its area before the next frame: 0 keeps it, 1 clears it, 2 restores the previous content.
        over: whether it is composed over the canvas instead of replacing the content.
        data: compressed pixels.
    """

    size: tuple[int, int]
    position: tuple[int, int]
    duration: Fraction
    disposal: int
    over: bool
    data: tuple[bytes, ...]


@dataclass(frozen=True)
class PngFile:
    """The chunks of a PNG file.

    Attributes:
        header: content of IHDR.
        still: PNG file that holds only the chunks that the pixels of the first image need.
        palette: chunks that every frame needs.
        meta: metadata of the file.
        frames: frames of the animation; empty for a still image.
        animation: durations of the frames, or None for a still image.
        notes: sentences about content that could not be read.
    """

    header: bytes
    still: bytes
    palette: bytes
    meta: ImageMeta
    frames: tuple[Frame, ...]
    animation: Animation | None
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return struct.unpack_from(">II", self.header)


def open_png(data: bytes, name: str) -> PngFile:
    """Read all chunks of a PNG file without decoding pixels.

    Args:
        data: content of the file.
        name: name of the file for messages.

    Raises:
        ImageError: if the image is HDR.
        struct.error: if the file is damaged.
        ValueError: if the file is damaged.
    """
    chunks = list(_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if b"IHDR" not in kinds:
        raise ValueError("its header is missing")
    chunks = _with_one_header(chunks)
    if len(chunks[0][1]) < 25:
        raise ValueError("its header is incomplete")
    chunks = _without_misplaced(chunks)
    header = bytes(chunks[0][1][8:21])
    notes: list[str] = []
    meta = _metadata_of(chunks, name, notes)
    still = b"".join([SIGNATURE, *(raw for kind, raw in chunks if kind in _PIXEL_CHUNKS or _is_critical(kind))])
    if b"IEND" not in kinds and len(chunks[-1][1]) == 12 + struct.unpack_from(">I", chunks[-1][1])[0]:
        still += chunk(b"IEND", b"")  # Pillow expects a chunk after the pixels
    palette = b"".join(raw for kind, raw in chunks if kind in (b"PLTE", b"tRNS"))
    if b"IEND" not in kinds:
        notes.append("its end marker is missing, but every pixel is there")
    frames, animation = _frames(chunks, notes)
    return PngFile(header, still, palette, meta, frames, animation, tuple(notes))


def still_pixels(data: bytes, name: str) -> Pixels:
    """Decode a PNG file that holds only the chunks of pixels.

    Args:
        data: content of the file.
        name: name of the file for messages.

    Returns:
        Pixels in 8 or 16 bits: gray, gray and alpha, RGB or RGBA.

    Raises:
        ImageError: if the file is too short for its size in pixels.
        OSError: if the file is damaged.
    """
    width, height = struct.unpack_from(">II", data, 16)
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(data[25], 1)
    # Deflate expands one byte to at most 1,032 bytes.
    check_length((width, height), height * (width * samples * data[24] // 8) // 1032, len(data), "PNG", name)
    with strict_pillow(width * height):
        image = PngImagePlugin.PngImageFile(io.BytesIO(data))
        depth, color_type = data[24], data[25]
        if depth < 8 and color_type == 0 and image.mode == "L" and "transparency" in image.info:
            # Pillow stretches gray levels to 8 bits, but not the transparent level
            image.info["transparency"] *= 255 // (2**depth - 1)
        if depth < 16 or color_type == 0:
            image.load()
            return pixels_of_pillow(image, name)
        if color_type == 4:
            # As 8-bit RGBA, each pixel is the two bytes of gray and the two bytes of alpha.
            pixels = decode_with_layout(image, "RGBA").view(">u2").astype(np.uint16)
        else:
            pixels = deep_color(image, PngImagePlugin.PngImageFile(io.BytesIO(data)))
        return with_key_color(pixels, image)


def deep_color(image: ImageFile.ImageFile, reopened: ImageFile.ImageFile) -> UInt16[ndarray, "H W C"]:
    """Read all 16 bits of a color file by decoding it twice.

    Pillow unpacks only the high byte of each 16-bit color sample. With the opposite byte order, it unpacks the low
    byte.

    Args:
        image: opened file that is not loaded yet.
        reopened: the same file, opened a second time.

    Returns:
        Samples from 0 to 65535, in the order of the file's channels.
    """
    layout = rawmode_of(image).replace("RGBa", "RGBA")
    # libtiff returns samples in the byte order of this machine, which Pillow calls N.
    order = layout[-1] if layout[-1] != "N" else ("L" if sys.byteorder == "little" else "B")
    opposite = layout[:-1] + {"B": "L", "L": "B"}[order]
    pixels = decode_with_layout(image, layout).astype(np.uint16) << 8
    pixels |= decode_with_layout(reopened, opposite)
    return pixels


def _with_one_header(chunks: Sequence[tuple[bytes, memoryview]]) -> list[tuple[bytes, memoryview]]:
    """Move the header of the pixels to the front, and remove other headers and pixels that precede every header.

    Some programs write another chunk before the header. If there are several headers, readers use the last valid one
    before the pixels: its depth and color type exist.
    """
    kinds = [kind for kind, _ in chunks]
    first = kinds.index(b"IHDR")
    pixels = kinds.index(b"IDAT", first) if b"IDAT" in kinds[first:] else len(kinds)
    ahead = [each for each in chunks[first:pixels] if each[0] == b"IHDR"]
    known = [each for each in ahead if len(each[1]) >= 25 and each[1][16] in _DEPTHS.get(each[1][17], ())]
    rest = (each for at, each in enumerate(chunks) if each[0] != b"IHDR" and (at > first or each[0] != b"IDAT"))
    return [(known or ahead)[-1], *rest]


def _without_misplaced(chunks: Sequence[tuple[bytes, memoryview]]) -> list[tuple[bytes, memoryview]]:
    """Remove pixels that follow the header of a later frame, and a transparent color that is too short for the pixels.

    Readers stop at the first chunk that does not hold pixels of the first image, and ignore damaged ancillary chunks.
    """
    shortest = {0: 2, 2: 6}.get(chunks[0][1][17], 1)
    kept: list[tuple[bytes, memoryview]] = []
    has_pixels = is_later_frame = False
    for kind, raw in chunks:
        is_later_frame |= has_pixels and kind == b"fcTL"
        has_pixels |= kind == b"IDAT"
        if (kind == b"IDAT" and is_later_frame) or (kind == b"tRNS" and len(raw) < 12 + shortest):
            continue
        kept.append((kind, raw))
    return kept


def _is_critical(kind: bytes) -> bool:
    return not kind[0] & 32


def _chunks(data: bytes) -> Iterable[tuple[bytes, memoryview]]:
    """Yield the name and all bytes of each chunk up to the end marker. The last chunk may be incomplete."""
    view, position = memoryview(data), len(SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, view[position : position + 12 + length]
        if kind == b"IEND":
            return
        position += 12 + length


def _body(raw: memoryview) -> bytes | None:
    """Return the content of an ancillary chunk, or None if it is damaged. The image can still be read."""
    body = bytes(raw[8:-4])
    is_whole = len(raw) == 12 + struct.unpack_from(">I", raw)[0]
    return body if is_whole and zlib.crc32(raw[4:-4]) == struct.unpack_from(">I", raw, len(raw) - 4)[0] else None


def _metadata_of(chunks: Sequence[tuple[bytes, memoryview]], name: str, notes: list[str]) -> ImageMeta:
    """Return the metadata in the ancillary chunks."""
    profiles: dict[str, bytes | None] = {"exif": None, "icc": None, "xmp": None, "photoshop": None}
    density, extras = None, []
    for kind, raw in chunks:
        if _is_critical(kind) or kind in _FRAME_CHUNKS or kind == b"tRNS":
            continue
        body = _body(raw)
        if body is None:
            notes.append(f"a damaged {kind.decode('latin-1')} chunk was left out")
            continue
        if kind == b"cICP" and len(body) == 4:
            refuse_hdr(body[1], name)
        if kind == b"eXIf":
            profiles["exif"] = body
        elif kind == b"iCCP":
            profiles["icc"] = _decompressed(body.partition(b"\0")[2][1:], "color profile", notes)
        elif kind == b"pHYs" and len(body) == 9:
            x, y, unit = struct.unpack(">IIB", body)
            density = Density(x, y, "m" if unit == 1 else "ratio") if x and y else None
        elif kind in COLOR_CHUNKS or (kind in TEXT_CHUNKS and not _read_profile_text(kind, body, profiles, notes)):
            extras.append((kind, body))
    photoshop = profiles["photoshop"]
    return ImageMeta(
        "PNG",
        exif=bare_exif(profiles["exif"]),
        icc=profiles["icc"],
        density=density,
        xmp=profiles["xmp"],
        photoshop=resources_of(photoshop) if photoshop else None,
        extras=tuple(extras),
    )


def _read_profile_text(kind: bytes, body: bytes, profiles: dict[str, bytes | None], notes: list[str]) -> bool:
    """Read a text chunk that contains metadata of another standard, as ImageMagick and Adobe write it.

    Returns True if the chunk holds such metadata.
    """
    if kind == b"iTXt" and body.startswith(XMP):
        compressed, rest = body[len(XMP)], body[len(XMP) + 2 :]
        text = rest.split(b"\0", 2)[-1]
        profiles["xmp"] = _decompressed(text, "XMP packet", notes) if compressed else text
        return True
    if not body.startswith(RAW_PROFILE) or kind == b"iTXt":
        return False
    label, _, text = body.partition(b"\0")
    name = {b"exif": "exif", b"APP1": "exif", b"icc": "icc", b"icm": "icc", b"xmp": "xmp", b"iptc": "photoshop",
            b"8bim": "photoshop"}.get(label[len(RAW_PROFILE) :])  # fmt: skip
    text = _decompressed(text[1:], "profile", notes) if kind == b"zTXt" else text
    if name is None or text is None:
        return text is None
    try:
        profile = bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return False
    if profile.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        name, profile = "xmp", profile[29:]
    profiles[name] = profiles[name] or profile
    return True


def _decompressed(data: bytes, content: str, notes: list[str]) -> bytes | None:
    try:
        inflater = zlib.decompressobj()
        text = inflater.decompress(data, _LARGEST)
        if not inflater.unconsumed_tail:
            return text
        notes.append(f"{with_article(content)} of more than {_LARGEST >> 20} MiB was left out")
    except zlib.error:
        notes.append(f"a damaged {content} was left out")
    return None


def _frames(chunks: Sequence[tuple[bytes, memoryview]], notes: list[str]) -> tuple[tuple[Frame, ...], Animation | None]:
    """Return the frames of an animation in the order in which they are shown, up to the first incomplete header."""
    control = next((_body(raw) for kind, raw in chunks if kind == b"acTL"), None)
    if control is None or len(control) != 8:
        return (), None
    frames: list[tuple[bytes, list[bytes]]] = []
    still_first = True
    for kind, raw in chunks:
        body = bytes(raw[8:-4])
        if kind == b"fcTL" and len(body) < 26:
            notes.append(f"its animation is damaged from frame {len(frames) + 1} on: later frames were left out")
            break
        if kind == b"fcTL":
            frames.append((body, []))
        elif kind == b"IDAT" and frames:
            still_first = False
            frames[0][1].append(body)
        elif kind == b"fdAT" and frames:
            frames[-1][1].append(body[4:])
    stored = tuple(_frame(header, data) for header, data in frames if data)
    durations = tuple(frame.duration for frame in stored)
    return stored, Animation(durations, struct.unpack(">II", control)[1], still_first)


def _frame(header: bytes, data: list[bytes]) -> Frame:
    width, height, x, y, numerator, denominator, disposal, blend = struct.unpack_from(">4IHHBB", header, 4)
    return Frame((width, height), (x, y), Fraction(numerator, denominator or 100), disposal, bool(blend), tuple(data))
