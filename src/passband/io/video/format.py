"""Reads the properties of a video: its stream, size, colors, frame rate and time base."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

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
"""Suffixes of the videos that are searched for in folders, in lower case."""

LIMITED, FULL = 1, 2
"""Ranges of stored samples, with the numbers of FFmpeg's AVColorRange."""
_BT709 = 1  # code in ITU-T H.273
# Names of the boxes with which MP4 and QuickTime files begin.
_FIRST_BOXES = frozenset((b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip", b"pnot", b"styp"))
# Before version 19, PyAV refused files with metadata that are not UTF-8, unless it was told to replace their letters.
_READING: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


class VideoError(ValueError):
    """A video cannot be read, or cannot be written as requested. The message says which file, why, and what to do."""


@dataclass(frozen=True)
class VideoFormat:
    """Properties that all frames of a video share.

    Attributes:
        width: width of a frame as stored, before any rotation, in pixels.
        height: height of a frame as stored, in pixels.
        pixels: FFmpeg's name of the pixel format in which frames are read and written, such as `yuv420p10le`.
        coding: coding of colors in these planes.
        color: FFmpeg's codes of range, primaries, transfer function and matrix in the file.
        time_base: unit of time stamps, in seconds.
        rate: average number of frames per second.
        aspect: width of a pixel divided by its height; None if the file does not state it.
        display_matrix: rotation or mirroring by players, nine numbers as in MP4; None if there is none.
        frames: number of frames in the header; None if it does not state one.
        alpha: whether frames have an alpha channel.
        surround: projection of a frame around the viewer, and its arrangement for two eyes.
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
    """Return a path in the form that FFmpeg needs. Without `file:`, it would interpret a colon as a protocol.

    Args:
        path: path of a file on this machine.
    """
    return f"file:{path}"


def open_video(path: Path) -> InputContainer:
    """Open a video file.

    Args:
        path: path of the video.

    Raises:
        VideoError: if the file is not a video, or is too incomplete to be read.
        OSError: if the file cannot be read.
    """
    try:
        return open_url(media_url(path))
    except FFmpegError as error:
        _check_index(path)  # raises Python's own errors for folders and missing files
        raise VideoError(f"{path} is not a video, or its beginning is damaged ({error.strerror})") from error


def open_url(url: str) -> InputContainer:
    """Open a file by its URL. Metadata that are not UTF-8 are no error.

    Args:
        url: address as FFmpeg takes it, such as that of `media_url`.

    Raises:
        FFmpegError: if the file cannot be opened or is not a video.
    """
    return av.open(url, **_READING)


def _check_index(path: Path) -> None:
    """Raise an error if an MP4 file ends before the end of its index."""
    with path.open("rb") as file:
        if not _lacks_index(file, path.stat().st_size):
            return
    raise VideoError(
        f"{path} has no index: the file is incomplete, and recorders write the index at the end; repair it with a tool "
        "such as untrunc and try again"
    )


def _lacks_index(file: BinaryIO, size: int) -> bool:
    """Tell whether an MP4 or QuickTime file ends before the end of its index, the box `moov`."""
    position, first = 0, True
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:  # the length is stored in 64 bits
            length = int.from_bytes(head[8:16], "big")
        if first and kind not in _FIRST_BOXES:
            return False
        if kind == b"moov":
            return position + length > size
        if length < 8:  # 0 means up to the end of the file
            return length == 0
        position, first = position + length, False
    return not first


def restored_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream to restore: the first that can be decoded and is neither a cover image nor a thumbnail.

    Args:
        container: opened file.
        path: path of the file for messages.

    Raises:
        VideoError: if there is no such stream.
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
    raise VideoError(f"{path} contains no video" + (f", only {' and '.join(kinds)}" if kinds else ""))


def format_of(path: Path, stream: VideoStream, frame: av.VideoFrame) -> VideoFormat:
    """Return the properties that all frames share, from the stream and its first frame.

    Args:
        path: path of the video for messages.
        stream: stream from `restored_stream`.
        frame: first decoded frame of the stream.

    Raises:
        VideoError: if the video is HDR, or if its colors cannot be converted to RGB.
    """
    if frame.color_trc in HDR_TRANSFERS:
        raise VideoError(
            f"{path} is HDR ({HDR_TRANSFERS[frame.color_trc]}), but networks are trained on images of standard "
            "range: convert it to standard range first, for instance with ffmpeg's zscale and tonemap filters"
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
    # Fractions of PyAV have a type of its own since version 19.
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    return VideoFormat(
        width=frame.width,
        height=frame.height,
        pixels=pixels,
        coding=Coding(red, blue, full, bits, subsampling),
        color=color,
        time_base=Fraction(stream.time_base or 1 / rate),
        rate=rate,
        aspect=Fraction(stream.sample_aspect_ratio) if stream.sample_aspect_ratio else None,
        display_matrix=_display_matrix(frame),
        frames=stream.frames or None,
        alpha=has_alpha(frame),
        surround=surround_of(frame),
    )


def _working_pixels(frame: av.VideoFrame) -> tuple[str, tuple[int, int], int]:
    """Choose a pixel format that keeps a frame (up to 10 bits) and that encoders accept.

    Returns its name, subsampling and bits.
    """
    form = frame.format
    bits = 10 if max(component.bits for component in form.components) > 8 else 8
    if is_rgb(frame):
        across, down = 1, 1
    elif len(form.components) < 3:  # gray
        across, down = 2, 2
    else:
        across, down = 16 // form.chroma_width(16), 16 // form.chroma_height(16)
    # Encoders refuse odd sizes with halved chroma, and support no other subsampling.
    names = {(2, 2): "yuv420p", (2, 1): "yuv422p"}
    if (across, down) not in names or frame.width % across or frame.height % down:
        across, down = 1, 1
    return names.get((across, down), "yuv444p") + ("10le" if bits == 10 else ""), (across, down), bits


def with_alpha(pixels: str) -> str:
    """Return FFmpeg's name of a pixel format with an added alpha plane.

    Args:
        pixels: pixel format of FFmpeg without alpha, such as `yuv420p`. Other formats than YUV are returned unchanged.
    """
    return pixels.replace("yuv", "yuva")


def has_alpha(frame: av.VideoFrame) -> bool:
    """Tell whether a frame has an alpha channel.

    Args:
        frame: decoded frame.
    """
    return any(component.is_alpha for component in frame.format.components)


def is_rgb(frame: av.VideoFrame) -> bool:
    """Tell whether a frame is stored as RGB, in planes or with a palette.

    Args:
        frame: decoded frame.
    """
    return frame.format.is_rgb or frame.format.has_palette


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    data = side_data(frame, "DISPLAYMATRIX")
    return None if data is None else tuple(np.frombuffer(data, np.int32).tolist())
