"""Reads videos frame by frame, with the properties that the file states.

PyAV (the libraries of FFmpeg) decodes. Each frame keeps its stored planes beside its RGB image, so that pixels that a
network does not change are written back exactly (`video.color`). `video.format` holds the properties that all frames
share, `video.segment` encodes frames, and `video.join` writes the file.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from passband.io.video.color import planes_to_rgb
from passband.io.video.decoding import Decoder
from passband.io.video.format import (
    FULL,
    LIMITED,
    VIDEO_SUFFIXES,
    VideoError,
    VideoFormat,
    format_of,
    is_rgb,
    media_url,
    open_video,
    restored_stream,
    with_alpha,
)
from passband.io.video.surround import side_data

__all__ = [
    "VIDEO_SUFFIXES",
    "Frame",
    "VideoError",
    "VideoFormat",
    "VideoReader",
    "media_url",
    "open_video",
    "plane_view",
    "restored_stream",
    "with_alpha",
]


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        pts: time stamp, in units of the video's `time_base`.
        luma: luma as stored.
        chroma: chroma as stored, at its own resolution.
        image: RGB in [0, 1].
        alpha: opacity as stored; None if the video has none.
    """

    pts: int
    luma: Float[Tensor, "1 H W"]
    chroma: Float[Tensor, "2 h w"]
    image: Float[Tensor, "3 H W"]
    alpha: Float[Tensor, "1 H W"] | None = None


class VideoReader(AbstractContextManager):
    """Decodes the first video stream of a file that is not a cover image.

    Args:
        path: path of the video.

    Attributes:
        format: properties that all frames share.
        stream: index of the stream in the file.
        notes: sentences about everything that is lost or was damaged. The list is complete after the last frame.
        last_duration: duration of the last frame read so far, in units of the time base, as far as the file states it.

    Raises:
        VideoError: if the file is not a video, has no video stream or no frame that can be decoded, is interlaced or
            HDR, or stores colors in a way that cannot be converted to RGB.
        OSError: if the file cannot be read.
    """

    def __init__(self, path: Path | str):
        self.path = path = Path(path)
        self.container = open_video(path)
        self.last_duration = 0
        try:
            stream = restored_stream(self.container, path)
            self.stream, self._decoder = stream.index, Decoder(self.container, stream, path)
            self.notes = self._decoder.notes
            self._frames = self._decoder.frames()
            self._first = next(self._frames, None)
            if self._first is None:
                raise VideoError(f"{path} has no frame that can be decoded, so there is nothing to restore")
            self.format = format_of(path, stream, self._first[1])
            self._note_losses(self._first[1])
        except BaseException:
            self.container.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    def frames(self, start: Callable[[], int] = lambda: 0) -> Iterator[Frame]:
        """Decode all frames. This can be called only once.

        Args:
            start: function that returns the number of the first frame to yield. It is called for each frame, so that
                frames can be skipped also in the middle. Skipped frames are also decoded, because frames can be counted
                exactly only in that way.

        Yields:
            Frames in the order in which they are shown. Time stamps increase.

        Raises:
            VideoError: if the size, pixel format or interlacing changes within the video.
            OSError: if the file cannot be read any further.
        """
        last: int | None = None
        step = max(1, round(1 / (self.format.rate * self.format.time_base)))
        for number, (time, frame) in enumerate(self._decoded()):
            pts = time if time is not None else (0 if last is None else last + step)
            if last is not None:
                pts = max(pts, last + 1)  # two frames with the same time stamp cannot be stored
            last, self.last_duration = pts, frame.duration or step
            if number >= start():
                yield _to_tensors(pts, frame, self.format)
        decoder = self._decoder
        if self.lost:
            self.notes.append(f"{self.lost} of {decoder.decoded + self.lost} frames could not be decoded and are lost")
        if self.jumps:
            self.notes.append(
                f"the time stamps restart {len(self.jumps)} times in the source; the output continues them"
            )
        if decoder.damaged:
            self.notes.append(f"{decoder.damaged} frames are damaged in the source and were restored as decoded")

    def previews(self) -> Iterator[tuple[Float[Tensor, "1 H W"], Callable[[], Frame]]]:
        """Decode all frames without converting their colors. Frames are decoded only once, here or by `frames`.

        Yields:
            The luma of each frame in [0, 1] by the full range of its samples, and a function that returns the whole
            frame.

        Raises:
            VideoError: if the size, pixel format or interlacing changes within the video.
            OSError: if the file cannot be read any further.
        """
        for _, frame in self._decoded():
            gray = frame if frame.format.name == "gray" else frame.reformat(format="gray")
            luma = torch.from_numpy(plane_view(gray.planes[0], 8).astype(np.float32))[None] / 255
            yield luma, partial(_to_tensors, 0, frame, self.format)

    def _decoded(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Decode all frames, with the first one that the constructor decoded, and check each."""
        first, self._first = self._first, None
        assert first is not None, "frames are decoded once"
        for number, (time, frame) in enumerate(chain([first], self._frames)):
            self._check(frame, number)
            yield time, frame

    @property
    def expected(self) -> int | None:
        """Expected number of frames, from the header or else from the duration; None if unknown."""
        if self.format.frames or not self.container.duration:
            return self.format.frames
        return round(Fraction(self.container.duration, av.time_base) * self.format.rate)

    @property
    def jumps(self) -> Sequence[Fraction]:
        """Shift in seconds after each restart of the time stamps; final after the last frame. See `video.clock`."""
        return self._decoder.clock.jumps if self._decoder.clock is not None else ()

    @property
    def lost(self) -> int:
        """Number of frames in the file or its header that could not be decoded; final after the last frame."""
        return self._decoder.lost

    def _note_losses(self, frame: av.VideoFrame) -> None:
        """Add notes about properties of a frame that are not kept."""
        components = frame.format.components
        if max(component.bits for component in components) > 10:
            self.notes.append("samples of more than 10 bits are rounded to 10 bits")
        if side_data(frame, "A53_CC") is not None:
            self.notes.append("closed captions stored inside the images are not kept")

    def _check(self, frame: av.VideoFrame, number: int) -> None:
        if (frame.width, frame.height) != (self.format.width, self.format.height):
            raise VideoError(
                f"{self.path} changes from {self.format.width}x{self.format.height} to {frame.width}x{frame.height} "
                f"at frame {number}: cut it there and restore the parts one by one"
            )
        if frame.interlaced_frame:
            raise VideoError(
                f"{self.path} is interlaced at frame {number}, and networks cannot restore interlaced frames: "
                "deinterlace it first, for instance with ffmpeg -vf bwdif"
            )


def _to_tensors(pts: int, frame: av.VideoFrame, video: VideoFormat) -> Frame:
    pixels = with_alpha(video.pixels) if video.alpha else video.pixels
    if frame.format.name.replace("yuvj", "yuv") != pixels:
        conversion: dict[str, Any] = {"format": pixels}
        full = FULL if video.coding.full_range else LIMITED
        conversion |= {"src_color_range": full, "dst_color_range": full}
        if is_rgb(frame):
            conversion |= {"src_color_range": FULL, "dst_color_range": LIMITED, "dst_colorspace": "ITU709"}
        frame = frame.reformat(**conversion)
    luma, blue, red, *alpha = (
        torch.from_numpy(plane_view(plane, video.coding.bits).astype(np.float32)) for plane in frame.planes
    )
    chroma = torch.stack([blue, red])
    image = planes_to_rgb(luma[None, None], chroma[None], video.coding)[0]
    return Frame(pts, luma[None], chroma, image, alpha[0][None] if alpha else None)


def plane_view(plane: Any, bits: int) -> np.ndarray:
    """Return the samples of a plane of a PyAV frame, H W, without the padding of its rows. The result is writable.

    Args:
        plane: plane of a frame.
        bits: bits of a sample; above 8, each sample is stored in two bytes.

    Returns:
        Samples in uint8 or uint16, which share the memory of the frame.
    """
    dtype = np.dtype(np.uint8 if bits == 8 else "<u2")
    return np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)[:, : plane.width]
