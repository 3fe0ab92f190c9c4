"""Videos in: frames one by one, with everything that a file says of them.

PyAV (FFmpeg's libraries) decodes. A frame keeps its planes as stored beside its RGB, because what a network leaves
alone goes back as it was (`video_color`). `video_format` says what all frames have in common, `video_segment` encodes
frames, and `video_join` writes the file.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
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
from passband.io.video.frames import Decoder
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
    """One frame.

    Attributes:
        pts: its time stamp, in units of the video's `time_base`.
        luma: as stored.
        chroma: as stored, at its own size.
        image: RGB in [0, 1].
        alpha: transparency, as stored; None where the video has none.
    """

    pts: int
    luma: Float[Tensor, "1 H W"]
    chroma: Float[Tensor, "2 h w"]
    image: Float[Tensor, "3 H W"]
    alpha: Float[Tensor, "1 H W"] | None = None


class VideoReader(AbstractContextManager):
    """Decodes the first video stream of a file that is not a cover image.

    Args:
        path: the file.

    Attributes:
        format: what all frames have in common.
        stream: the index of the stream in the file.
        notes: what of the file is lost or was damaged, a sentence each; complete when all frames are read.
        last_duration: how long the last frame so far is shown, in units of the time base, as far as the file tells.

    Raises:
        VideoError: for a file that is not a video, has no video stream or no frame that decodes, is interlaced,
            is HDR, or holds colors in a way that cannot be turned into RGB.
        OSError: for one that cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        self.container = open_video(path)
        self.last_duration = 0
        try:
            stream = restored_stream(self.container, path)
            self.stream, self._decoder = stream.index, Decoder(self.container, stream, path)
            self.notes = self._decoder.notes
            self._frames = self._decoder.frames()
            self._first = next(self._frames, None)
            if self._first is None:
                raise VideoError(f"{path} holds no frame that decodes: nothing to restore")
            self.format = format_of(path, stream, self._first[1])
            self._look_at(self._first[1])
        except BaseException:
            self.container.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Decode all frames, once.

        Args:
            start: how many frames to pass over; they are decoded all the same, since only that finds a frame exactly.

        Yields:
            Frames, in the order they are shown; time stamps increase.

        Raises:
            VideoError: if size, kind of pixels or interlacing change on the way.
            OSError: for a file that cannot be read any further.
        """
        first, self._first = self._first, None
        assert first is not None, "frames are decoded once"
        last: int | None = None
        step = max(1, round(1 / (self.format.rate * self.format.time_base)))
        for number, (time, frame) in enumerate(chain([first], self._frames)):
            self._check(frame, number)
            pts = time if time is not None else (0 if last is None else last + step)
            if last is not None:
                pts = max(pts, last + 1)  # two frames of one time stamp cannot be stored
            last, self.last_duration = pts, frame.duration or step
            if number >= start:
                yield _to_tensors(pts, frame, self.format)
        decoder = self._decoder
        if self.lost:
            self.notes.append(f"{self.lost} of {decoder.decoded + self.lost} frames do not decode and are lost")
        if self.jumps:
            self.notes.append(f"the times of the file start again {len(self.jumps)} times; here they go on")
        if decoder.damaged:
            self.notes.append(f"{decoder.damaged} frames are damaged in the source and were restored as they decode")

    @property
    def expected(self) -> int | None:
        """How many frames to expect, by the header's count or else by its duration."""
        if self.format.frames or not self.container.duration:
            return self.format.frames
        return round(Fraction(self.container.duration, av.time_base) * self.format.rate)

    @property
    def jumps(self) -> Sequence[Fraction]:
        """How much later times are made where they start again; final at the end. See `video_clock`."""
        return self._decoder.clock.jumps if self._decoder.clock is not None else ()

    @property
    def lost(self) -> int:
        """Frames that the file has, or promises in its header, and that did not decode; final at the end."""
        return self._decoder.lost

    def _look_at(self, frame: av.VideoFrame) -> None:
        """Note what of a frame is not kept."""
        components = frame.format.components
        if max(component.bits for component in components) > 10:
            self.notes.append("more than 10 bits a sample become 10")
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
                f"{self.path} is interlaced at frame {number}, and a network would take the two half images for "
                "one: deinterlace it first, for instance with ffmpeg -vf bwdif"
            )


def _to_tensors(pts: int, frame: av.VideoFrame, video: VideoFormat) -> Frame:
    pixels = with_alpha(video.pixels) if video.alpha else video.pixels
    if frame.format.name.replace("yuvj", "yuv") != pixels:
        to: dict[str, Any] = {"format": pixels}
        full = FULL if video.coding.full_range else LIMITED
        to |= {"src_color_range": full, "dst_color_range": full}
        if is_rgb(frame):
            to |= {"src_color_range": FULL, "dst_color_range": LIMITED, "dst_colorspace": "ITU709"}
        frame = frame.reformat(**to)
    luma, blue, red, *alpha = (
        torch.from_numpy(plane_view(plane, video.coding.bits).astype(np.float32)) for plane in frame.planes
    )
    chroma = torch.stack([blue, red])
    image = planes_to_rgb(luma[None, None], chroma[None], video.coding)[0]
    return Frame(pts, luma[None], chroma, image, alpha[0][None] if alpha else None)


def plane_view(plane: Any, bits: int) -> np.ndarray:
    """The samples of a plane of a PyAV frame, H W, without the padding at the end of its rows; writable."""
    dtype = np.dtype(np.uint8 if bits == 8 else "<u2")
    return np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)[:, : plane.width]
