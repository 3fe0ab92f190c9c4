"""Reads and writes the frames of animated PNG files. Frames are composed as a viewer shows them, and written whole.

Source: PNG specification, third edition, sections 11.3.6 and 13.3.
"""

import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from passband.io.image.formats.png import PngFile, still_pixels
from passband.io.image.formats.png_write import SIGNATURE, chunk
from passband.io.image.types import Animation, Pixels, check_canvas, check_size

_CLEARED, _BEFORE = 1, 2


def canvases(file: PngFile, name: str, max_pixels: int) -> Iterator[Pixels]:
    """Compose every image of an animation as it is shown.

    Args:
        file: chunks of the file.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger images are refused.

    Yields:
        The pixels of the whole canvas for each image. The image for programs without support for animations comes first
        if it is not part of the animation.

    Raises:
        ImageError: if the canvas is too large, or far larger than its frames.
        ValueError: if a frame extends beyond the canvas.
    """
    check_size(file.size, name, max_pixels)
    width, height = file.size
    still_first = file.animation is not None and file.animation.still_first
    drawn = sum(frame.size[0] * frame.size[1] for frame in file.frames)
    check_canvas(file.size, drawn + still_first * width * height, "PNG", name)
    if still_first:
        yield still_pixels(file.still, name)
    canvas = None
    for frame in file.frames:
        (left, top), (across, down) = frame.position, frame.size
        if not across or not down or left + across > width or top + down > height:
            raise ValueError("a frame of its animation extends beyond the image")
        header = struct.pack(">II", across, down) + file.header[8:]
        parts = [SIGNATURE, chunk(b"IHDR", header), file.palette, *(chunk(b"IDAT", data) for data in frame.data)]
        pixels = still_pixels(b"".join([*parts, chunk(b"IEND", b"")]), name)
        if canvas is None:
            canvas = np.zeros((height, width, pixels.shape[-1]), pixels.dtype)
        area = canvas[top : top + down, left : left + across]
        before = area.copy()
        area[:] = _composed(pixels, area) if frame.over and pixels.shape[-1] in (2, 4) else pixels
        yield canvas.copy()
        if frame.disposal == _CLEARED:
            area[:] = 0
        elif frame.disposal == _BEFORE:
            area[:] = before


def animated_png(stills: Iterable[bytes], animation: Animation) -> Iterator[bytes]:
    """Combine still PNG files of the same size and pixel type to an animation.

    Args:
        stills: complete files. The chunks before the pixels are taken from the first.
        animation: durations of the frames.

    Yields:
        The parts of the file, in order.
    """
    number = 0
    durations = list(animation.durations)
    for index, still in enumerate(stills):
        chunks = list(_split(still))
        first_data = next(position for position, (kind, _) in enumerate(chunks) if kind == b"IDAT")
        if index == 0:
            yield SIGNATURE + chunk(*chunks[0])
            yield chunk(b"acTL", struct.pack(">II", len(durations), animation.loops))
            yield from (chunk(*part) for part in chunks[1:first_data])
        frame_index = index - animation.still_first
        if frame_index >= 0:
            duration = durations[frame_index].limit_denominator(0xFFFF)
            duration = min(duration, Fraction(0xFFFF))
            size = chunks[0][1][:8]
            times = struct.pack(">HHBB", min(duration.numerator, 0xFFFF), duration.denominator, 0, 0)
            yield chunk(b"fcTL", struct.pack(">I", number) + size + bytes(8) + times)
            number += 1
        for kind, body in chunks[first_data:]:
            if kind == b"IDAT" and index:
                yield chunk(b"fdAT", struct.pack(">I", number) + body)
                number += 1
            elif kind == b"IDAT":
                yield chunk(kind, body)
    yield chunk(b"IEND", b"")


def _split(still: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while position < len(still):
        length, kind = struct.unpack_from(">I4s", still, position)
        yield kind, still[position + 8 : position + 8 + length]
        position += 12 + length


def _composed(upper: Pixels, lower: Pixels) -> Pixels:
    """Compose colors with alpha over other colors with alpha."""
    full = float(np.iinfo(upper.dtype).max)
    opacity, below = upper[..., -1:] / full, lower[..., -1:] / full
    result = opacity + below * (1 - opacity)
    colors = upper[..., :-1] * opacity + lower[..., :-1] * below * (1 - opacity)
    colors = np.divide(colors, result, where=result > 0, out=np.zeros_like(colors))
    return np.rint(np.concatenate([colors, result * full], axis=-1)).astype(upper.dtype)
