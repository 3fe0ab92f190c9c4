"""What a video file says of its images: which stream they are in, their size, color, rate and time base."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from passband.io.video.color import HDR_TRANSFERS, Coding, luma_weights
from passband.io.video.surround import FLAT, Surround, side_data, surround_of

VIDEO_SUFFIXES = frozenset(
    (
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
    )
)
"""Suffixes that a folder is searched for; compare in lower case."""

LIMITED, FULL = 1, 2
"""Ranges of stored samples, as FFmpeg's AVColorRange numbers them."""
_BT709 = 1  # code of ITU-T H.273
# what MP4 and QuickTime files begin with
_FIRST_BOXES = frozenset((b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip", b"pnot", b"styp"))


class VideoError(ValueError):
    """A video that cannot be read, or cannot be written as asked; says which file, why, and what to do."""


@dataclass(frozen=True)
class VideoFormat:
    """What all frames of a video have in common.

    Attributes:
        width: of a frame as stored, before any turn; pixels.
        height: of a frame as stored; pixels.
        pixels: FFmpeg's name of the planes that frames are read and written in, such as `yuv420p10le`.
        coding: how these planes hold colors.
        color: FFmpeg's codes of range, primaries, transfer function and matrix, as the file has them.
        time_base: the unit of time stamps, seconds.
        rate: the average number of frames per second.
        aspect: width of a pixel over its height; None where the file does not say.
        display_matrix: how players turn or mirror a frame, nine numbers as in MP4; None for not at all.
        frames: how many frames the header promises, or None where it does not say.
        alpha: whether frames hold transparency.
        surround: how a frame wraps around the viewer and holds two eyes.
    """

    width: int
    height: int
    pixels: str
    coding: Coding
    color: tuple[int, int, int, int]
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None
    display_matrix: tuple[int, ...] | None
    frames: int | None
    alpha: bool = False
    surround: Surround = FLAT


def media_url(path: Path) -> str:
    """A path as FFmpeg takes it: without `file:`, the part of a name before a colon would be a protocol."""
    return f"file:{path}"


def open_video(path: Path) -> InputContainer:
    """Open a video file.

    Raises:
        VideoError: for a file that is not a video, or was cut so that nothing of it can be read.
        OSError: for one that cannot be read.
    """
    try:
        return av.open(media_url(path), metadata_errors="replace")
    except FFmpegError as error:
        _check_index(path)  # says of folders and missing files what Python says of them
        raise VideoError(f"{path} is not a video, or is damaged where it begins ({error.strerror})") from error


def _check_index(path: Path) -> None:
    """Refuse an MP4 that was cut before the end of its index."""
    with path.open("rb") as file:
        if not _lacks_index(file, path.stat().st_size):
            return
    raise VideoError(
        f"{path} has lost its index: it was cut before its end, where the recorder writes it; repair it with a tool "
        "such as untrunc and try again"
    )


def _lacks_index(file: BinaryIO, size: int) -> bool:
    """Whether an MP4 or QuickTime file ends before the end of its index, the box `moov`."""
    place, first = 0, True
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:  # the length is in 64 bits
            length = int.from_bytes(head[8:16], "big")
        if first and kind not in _FIRST_BOXES:
            return False
        if kind == b"moov":
            return place + length > size
        if length < 8:  # 0: up to the end of the file
            return length == 0
        place, first = place + length, False
    return not first


def restored_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to restore: the first that decodes to video and is neither a cover image nor a thumbnail.

    Raises:
        VideoError: where there is none.
    """
    stills = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    moving = [stream for stream in container.streams.video if not stream.disposition & stills]
    for stream in moving:
        if stream.codec_context is not None:
            return stream
    if moving:
        raise VideoError(f"{path}: no decoder for its video is installed; convert it to H.264 first")
    _check_index(path)
    kinds = sorted({stream.type for stream in container.streams if stream.type != "video"})
    raise VideoError(f"{path} has no moving pictures" + (f", only {' and '.join(kinds)}" if kinds else ""))


def format_of(path: Path, stream: VideoStream, frame: av.VideoFrame) -> VideoFormat:
    """What all frames have in common, as the stream and its first frame say it.

    Args:
        path: what messages call the file.
        stream: of `restored_stream`.
        frame: its first that decodes.

    Raises:
        VideoError: for HDR, or colors that cannot be turned into RGB.
    """
    if frame.color_trc in HDR_TRANSFERS:
        raise VideoError(
            f"{path} is HDR ({HDR_TRANSFERS[frame.color_trc]}), whose values a network trained on standard images "
            "would misread: convert it to standard range first, for instance with ffmpeg's zscale and tonemap filters"
        )
    pixels, subsampling, bits = _working_pixels(frame)
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    color = (FULL if full else frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace)
    if is_rgb(frame):
        full, color = False, (LIMITED, frame.color_primaries, frame.color_trc, _BT709)
    try:
        red, blue = luma_weights(color[3], frame.width, frame.height)
    except KeyError:
        raise VideoError(
            f"{path} stores colors by matrix {color[3]} of ITU-T H.273, which is not supported: convert it to BT.709"
        ) from None
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return VideoFormat(
        width=frame.width,
        height=frame.height,
        pixels=pixels,
        coding=Coding(red, blue, full, bits, subsampling),
        color=color,
        time_base=stream.time_base or 1 / rate,
        rate=rate,
        aspect=stream.sample_aspect_ratio or None,
        display_matrix=_display_matrix(frame),
        frames=stream.frames or None,
        alpha=has_alpha(frame),
        surround=surround_of(frame),
    )


def _working_pixels(frame: av.VideoFrame) -> tuple[str, tuple[int, int], int]:
    """Planes that lose nothing of a frame (10 bits at most) and that encoders take: name, subsampling and bits."""
    form = frame.format
    bits = 10 if max(component.bits for component in form.components) > 8 else 8
    if is_rgb(frame):
        across, down = 1, 1
    elif len(form.components) < 3:  # gray
        across, down = 2, 2
    else:
        across, down = 16 // form.chroma_width(16), 16 // form.chroma_height(16)
    # encoders refuse odd sizes where chroma is halved, and know no other subsampling
    names = {(2, 2): "yuv420p", (2, 1): "yuv422p"}
    if (across, down) not in names or frame.width % across or frame.height % down:
        across, down = 1, 1
    return names.get((across, down), "yuv444p") + ("10le" if bits == 10 else ""), (across, down), bits


def with_alpha(pixels: str) -> str:
    """FFmpeg's name of planes with one more for transparency."""
    return pixels.replace("yuv", "yuva")


def has_alpha(frame: av.VideoFrame) -> bool:
    """Whether a frame holds transparency."""
    return any(component.is_alpha for component in frame.format.components)


def is_rgb(frame: av.VideoFrame) -> bool:
    """Whether a frame is stored as RGB, by planes or by a palette."""
    return frame.format.is_rgb or frame.format.has_palette


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    data = side_data(frame, "DISPLAYMATRIX")
    return None if data is None else tuple(np.frombuffer(data, np.int32).tolist())
