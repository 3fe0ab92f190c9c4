"""Writes a video that shows another one before and after restoration, side by side with labels."""

from fractions import Fraction
from pathlib import Path

import av
import torch.nn.functional as F

from passband.drawing.before_after import PIXELS, before_after
from passband.io.files import write_whole
from passband.io.video import VideoError, VideoReader, media_url
from passband.io.video.showing import shown_frame

COMPARE_SUFFIX = ".mp4"
"""Suffix of the video that shows both."""
COMPARE_PIXELS = PIXELS
"""Largest number of pixels of its frames: about that of Full HD."""
_CRF = "18"
_BT709, _LIMITED = 1, 1


def compare_videos(
    before: Path | str, after: Path | str, target: Path | str, *, pixels: int | None = COMPARE_PIXELS
) -> None:
    """Write a video, H.264 in MP4 without sound, that shows two videos side by side, or one above the other.

    Each frame is upright, has square pixels and the same labels as comparisons of images.

    Args:
        before: path of the degraded video.
        after: path of the restored video, with the same frames.
        target: path of the video to write.
        pixels: largest number of pixels of its frames; larger ones are shrunk. None keeps every pixel.

    Raises:
        VideoError: if a file is not a video, or the two do not have the same frames.
        OSError: if a file cannot be read or written.
        ValueError: if `pixels` leave no room for the frames.
    """
    target = Path(target)
    with VideoReader(before) as first, VideoReader(after) as second, write_whole(target) as temporary:
        tick, scale = first.format.time_base, second.format.time_base
        options = {"movflags": "faststart"}
        with av.open(media_url(temporary), "w", format="mp4", container_options=options) as out:
            stream = None
            for degraded, restored in zip(first.frames(), second.frames(), strict=False):
                # Matroska rounds times to milliseconds
                if abs(degraded.pts * tick - restored.pts * scale) > Fraction(1, 1000):
                    raise VideoError(f"{before} and {after} cannot be compared: their frames have different times")
                shown = shown_frame(degraded, first.format), shown_frame(restored, second.format)
                sheet = before_after(*shown, pixels).image
                sheet = F.pad(sheet, (0, sheet.shape[-1] % 2, 0, sheet.shape[-2] % 2), value=1.0)
                frame = av.VideoFrame.from_ndarray((sheet * 255).round().byte().movedim(0, -1).contiguous().numpy())
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range=_LIMITED)
                frame.color_range, frame.colorspace = _LIMITED, _BT709
                frame.color_primaries, frame.color_trc = first.format.color[1], first.format.color[2]
                frame.pts, frame.time_base = degraded.pts, tick
                if stream is None:
                    stream = out.add_stream("libx264", rate=first.format.rate)
                    stream.time_base = tick
                    context = stream.codec_context
                    context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv420p"
                    context.time_base, context.options = tick, {"crf": _CRF}
                    context.color_range, context.colorspace = _LIMITED, _BT709
                    context.color_primaries, context.color_trc = first.format.color[1], first.format.color[2]
                out.mux(stream.encode(frame))
            if stream is not None:
                out.mux(stream.encode())
