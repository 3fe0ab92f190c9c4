"""Reads and writes WebP files, still and animated.

Source: WebP container specification, RFC 9649, section 2.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice

from PIL import Image, WebPImagePlugin

from passband.io.image.metadata.exif import bare_exif
from passband.io.image.pillow import pixels_of_pillow, strict_pillow
from passband.io.image.types import Animation, Decoded, ImageMeta, Pixels, check_canvas, check_size
from passband.io.image.upright import upright_image

_LONGEST = 0xFFFFFF
"""Longest duration of a frame, in milliseconds."""


def webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height from the first chunk. Opening the file with Pillow would allocate the whole canvas.

    Args:
        data: content of the file, or its beginning.

    Returns:
        Width and height in pixels.

    Raises:
        struct.error: if the file ends within its header.
        StopIteration: if the file has no chunk.
    """
    kind, body = next(_chunks(data, 12, len(data)))
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[start : start + 3], "little") for start in (body + 4, body + 7))
        return 1 + width, 1 + height
    if kind == b"VP8L":
        packed = int.from_bytes(data[body + 1 : body + 5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, body + 6)
    return width & 0x3FFF, height & 0x3FFF


def _is_lossless(data: bytes) -> bool:
    """Tell whether the image, or the first frame of an animation, is in a lossless chunk (VP8L)."""
    for kind, body in _chunks(data, 12, len(data)):
        if kind == b"ANMF":  # the first frame decides for an animation
            return any(inner == b"VP8L" for inner, _ in _chunks(data, body + 16, len(data)))
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
    return False


def webp_animation(data: bytes) -> Animation | None:
    """Return the durations of an animation's frames, or None for a still image.

    Args:
        data: content of the file.
    """
    durations, loops = [], 0
    for kind, body in _chunks(data, 12, len(data)):
        if kind == b"ANIM":
            (loops,) = struct.unpack_from("<H", data, body + 4)
        elif kind == b"ANMF":
            durations.append(Fraction(int.from_bytes(data[body + 12 : body + 15], "little"), 1000))
    return Animation(tuple(durations), loops) if len(durations) > 1 else None


def decode_webp(data: bytes, name: str, max_pixels: int) -> Iterator[Decoded]:
    """Decode every image of a WebP file, one by one.

    Args:
        data: content of the file.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger images are refused.

    Yields:
        The images, turned upright.
    """
    size = webp_size(data)
    check_size(size, name, max_pixels)
    _check_canvas(data, size, name)
    with strict_pillow(size[0] * size[1]):  # Pillow allocates the canvas when it opens the file
        image = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    meta = ImageMeta(
        "WEBP",
        exif=bare_exif(image.info.get("exif")),
        icc=image.info.get("icc_profile"),
        xmp=image.info.get("xmp"),
        lossless=_is_lossless(data),
    )
    for index in range(int(getattr(image, "n_frames", 1))):
        with strict_pillow(size[0] * size[1]):
            image.seek(index)
            image.load()
            pixels = pixels_of_pillow(image, name).copy()
        yield upright_image(pixels, meta)


def _check_canvas(data: bytes, size: tuple[int, int], name: str) -> None:
    """Raise an error if the frames of an animation cover almost nothing of a large canvas, before memory is allocated.

    Raises:
        ImageError: if the canvas is too large for its frames. The message names the sizes.
    """
    drawn = 0
    for kind, body in _chunks(data, 12, len(data)):
        if kind == b"ANMF":
            width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (body + 6, body + 9))
            drawn += width * height
    check_canvas(size, drawn, "WEBP", name)


def encode_webp(pixels: Pixels, meta: ImageMeta, quality: int) -> bytes:
    """Encode a WebP file.

    Args:
        pixels: RGB or RGBA, 8 bits.
        meta: metadata to write. A lossless file stays lossless.
        quality: quality of lossy files, 1 to 100.
    """
    # The option `exact` keeps the colors of fully transparent pixels.
    options = {"lossless": True} if meta.lossless else {"quality": quality}
    file = io.BytesIO()
    metadata = {"exif": meta.exif or b"", "icc_profile": meta.icc, "xmp": meta.xmp or b""}
    Image.fromarray(pixels).save(file, "WEBP", exact=True, **options, **metadata)
    return file.getvalue()


def animated_webp(stills: Iterable[bytes], animation: Animation) -> bytes:
    """Combine still WebP files of the same size to an animation.

    Args:
        stills: complete files. The metadata are taken from the first. An image for programs without support for
            animations is left out, because WebP has no place for it.
        animation: durations of the frames.
    """
    frames, before, after = [], b"", b""
    has_alpha, width, height, flags = False, 0, 0, 2
    for index, still in enumerate(islice(stills, int(animation.still_first), None)):
        chunks = [(kind, still[body : body + size]) for kind, body, size in _sized_chunks(still)]
        width, height = webp_size(still)
        has_alpha |= any(kind == b"ALPH" or (kind == b"VP8L" and body[4] & 16) for kind, body in chunks)
        image_chunks = b"".join(_chunk(kind, body) for kind, body in chunks if kind in (b"ALPH", b"VP8 ", b"VP8L"))
        duration = min(round(animation.durations[index] * 1000), _LONGEST)
        frame_header = bytes(6) + _three_bytes(width - 1) + _three_bytes(height - 1) + _three_bytes(duration)
        # this frame replaces the previous one and stays on the canvas
        frames.append(_chunk(b"ANMF", frame_header + b"\x02" + image_chunks))
        if index == 0:
            before = b"".join(_chunk(kind, body) for kind, body in chunks if kind == b"ICCP")
            after = b"".join(_chunk(kind, body) for kind, body in chunks if kind in (b"EXIF", b"XMP "))
            names = {kind for kind, _ in chunks}
            flags |= 32 * (b"ICCP" in names) | 8 * (b"EXIF" in names) | 4 * (b"XMP " in names)
    canvas = struct.pack("<I", flags | 16 * has_alpha) + _three_bytes(width - 1) + _three_bytes(height - 1)
    times = _chunk(b"ANIM", bytes(4) + struct.pack("<H", min(animation.loops, 0xFFFF)))
    body = b"".join([b"WEBP", _chunk(b"VP8X", canvas), before, times, *frames, after])
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunks(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield the name of each chunk and the position of its content.

    Args:
        data: content of the file.
        start: position of the first chunk.
        end: position at which to stop.
    """
    while start + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, start)
        yield kind, start + 8
        start += 8 + size + size % 2


def _sized_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    for kind, body in _chunks(data, 12, len(data)):
        yield kind, body, struct.unpack_from("<I", data, body - 4)[0]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _three_bytes(number: int) -> bytes:
    return number.to_bytes(3, "little")
