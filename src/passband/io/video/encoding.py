"""Compresses frames to packets, and keeps them in one file per segment until the whole video is joined.

A segment is a sequence of frames that were compressed by an encoder of their own. It begins with a key frame and does
not depend on its neighbors. Its file (safetensors) holds the packets, their time stamps, and the data that the caller
needs to continue after it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import torch
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from passband.io.files import write_whole
from passband.io.video import VideoError, VideoFormat, plane_view, with_alpha
from passband.naming import listed


@dataclass(frozen=True)
class Codec:
    """A codec for writing video.

    Attributes:
        encoder: name of the encoder in FFmpeg.
        crf: default quality, smaller is better; None for lossless codecs.
        worst: largest crf.
        options: options of the encoder.
        tag: name that QuickTime needs in MP4, if it is not FFmpeg's default.
        alpha: suffixes of the files that can hold its transparency.
    """

    encoder: str
    crf: int | None
    worst: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    tag: str | None = None
    alpha: tuple[str, ...] = ()


CODECS = {
    "h264": Codec("libx264", 17, 51),
    "h265": Codec("libx265", 19, 51, {"x265-params": "log-level=none"}, "hvc1"),
    "vp9": Codec("libvpx-vp9", 20, 63, {"deadline": "good", "cpu-used": "2", "row-mt": "1"}, alpha=(".webm", ".mkv")),
    "av1": Codec("libsvtav1", 20, 63, {"preset": "6"}),
    "ffv1": Codec("ffv1", None, options={"level": "3", "slicecrc": "1"}, alpha=(".mkv",)),
}
"""Codecs by name. With the default qualities, the result can hardly be told from the source even when enlarged
twice."""

ALPHA: Final = "matroska_block_additional"
"""FFmpeg's name of the data beside a packet. For VP9 it is the transparency."""
# for other codecs, the container would have to store it, which PyAV does not support
_TELLS_ASPECT = ("libx264", "libx265")
_LEAST_X265 = 64
"""Smallest width in pixels at which x265 was not seen to overwrite memory: it crashed at 36, 40 and 48."""


@dataclass(frozen=True)
class Encoding:
    """Compression of a video.

    Attributes:
        codec: name of the codec, a key of `CODECS`.
        crf: quality, smaller is better; None for lossless codecs.
        alpha: whether transparency is kept.
    """

    codec: str
    crf: int | None
    alpha: bool = False


@dataclass(frozen=True)
class Segment:
    """Compressed frames.

    Attributes:
        packets: packets in decoding order.
        pts: time stamp of each packet, in units of the video's time base.
        keys: whether each packet can be decoded without those before it.
        extras: tensors of the caller.
        alpha: data that WebM stores beside each packet for transparency; empty if there is none.
    """

    packets: Sequence[bytes]
    pts: Sequence[int]
    keys: Sequence[bool]
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    alpha: Sequence[bytes] = ()


def choose_encoding(
    video: VideoFormat, path: Path, suffix: str, codec: str | None = None, crf: int | None = None
) -> Encoding:
    """Choose codec and quality, and check that the encoder on this machine accepts the video.

    Args:
        video: properties of the video.
        path: path of the source for messages.
        suffix: suffix of the file to write, such as `.mp4`.
        codec: key of `CODECS`, or None for the most widely supported codec: VP9 in WebM (AV1 for 10 bits), otherwise
            H.264 (H.265 for 10 bits).
        crf: quality, smaller is better; None for the codec's default.

    Returns:
        The chosen compression.

    Raises:
        VideoError: if the codec is unknown or does not support the crf, the width, the pixel
            format or the pixels' aspect ratio.
    """
    if codec is None:
        usual, deep = ("vp9", "av1") if suffix == ".webm" else ("h264", "h265")
        codec = usual if video.coding.bits == 8 else deep
    if codec not in CODECS:
        raise VideoError(f"codec must be one of {listed(CODECS)}; got {codec!r}")
    chosen = CODECS[codec]
    if crf is not None and (chosen.crf is None or not 0 <= crf <= chosen.worst):
        limit = "is lossless and takes no crf" if chosen.crf is None else f"takes a crf from 0 to {chosen.worst}"
        raise VideoError(f"codec {codec} {limit}; got {crf}")
    if video.pixels not in _pixel_formats(chosen.encoder):
        others = [name for name, other in CODECS.items() if video.pixels in _pixel_formats(other.encoder)]
        raise VideoError(
            f"{path} has the pixel format {video.pixels}, which codec {codec} cannot store on this machine: choose "
            f"{' or '.join(others) or 'another source'}"
        )
    if chosen.encoder == "libx265" and video.width < _LEAST_X265:
        raise VideoError(
            f"{path} is {video.width} pixels wide, and codec {codec} can crash below {_LEAST_X265}: choose codec ffv1 "
            "and a target .mkv"
        )
    if video.aspect not in (None, 1) and chosen.encoder not in _TELLS_ASPECT:
        raise VideoError(
            f"{path} has pixels with the aspect ratio {video.aspect}, which codec {codec} cannot store: choose codec "
            "h264 and a target .mkv or .mp4"
        )
    alpha = video.alpha and suffix in chosen.alpha and with_alpha(video.pixels) in _pixel_formats(chosen.encoder)
    return Encoding(codec, chosen.crf if crf is None else crf, alpha)


def planes(video: VideoFormat, encoding: Encoding) -> str:
    """Return FFmpeg's name of the pixel format that an encoder receives.

    Args:
        video: properties that all frames share.
        encoding: compression of the frames, which says whether alpha is stored.
    """
    return with_alpha(video.pixels) if encoding.alpha else video.pixels


def configure(context: VideoCodecContext, video: VideoFormat, encoding: Encoding) -> None:
    """Set up an encoder.

    Args:
        context: encoder that is not open yet.
        video: properties of the video.
        encoding: compression of the video.
    """
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 then prints only errors; it can be set only in this way
    context.width, context.height, context.pix_fmt = video.width, video.height, planes(video, encoding)
    context.time_base, context.framerate = video.time_base, video.rate
    context.color_range, context.color_primaries, context.color_trc, context.colorspace = video.color
    context.sample_aspect_ratio = video.aspect or Fraction(0, 1)  # 0 means unknown
    context.flags |= Flags.global_header  # MP4 and Matroska need the headers separate from the packets
    crf = {} if encoding.crf is None else {"crf": str(encoding.crf)}
    context.options = {**CODECS[encoding.codec].options, **crf}


class SegmentEncoder:
    """Compresses the frames of one segment.

    Args:
        video: properties that all frames share.
        encoding: compression of the frames.
    """

    def __init__(self, video: VideoFormat, encoding: Encoding):
        self.video, self._pixels = video, planes(video, encoding)
        context = av.CodecContext.create(CODECS[encoding.codec].encoder, "w")
        assert isinstance(context, VideoCodecContext)
        self._context = context
        configure(context, video, encoding)
        self._packets: list[bytes] = []
        self._pts: list[int] = []
        self._keys: list[bool] = []
        self._alpha: list[bytes] = []

    def add(
        self,
        pts: int,
        luma: Float[Tensor, "1 H W"],
        chroma: Float[Tensor, "2 h w"],
        alpha: Float[Tensor, "1 H W"] | None = None,
    ) -> None:
        """Compress one frame.

        Args:
            pts: time stamp in units of the video's time base, larger than that of the previous frame.
            luma: whole numbers as stored.
            chroma: whole numbers as stored.
            alpha: whole numbers as stored, if the encoding keeps transparency; otherwise None.
        """
        frame = av.VideoFrame(self.video.width, self.video.height, self._pixels)
        frame.pts, frame.time_base = pts, self.video.time_base
        frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace = self.video.color
        stored_planes = [luma[0], *chroma] + ([] if alpha is None else [alpha[0]])
        # if there are fewer planes, transparency is not kept
        for plane, values in zip(frame.planes, stored_planes, strict=False):
            view = plane_view(plane, self.video.coding.bits)
            view[:] = values.cpu().numpy()
        self._take(self._context.encode(frame))

    def finish(self, extras: Mapping[str, Tensor]) -> Segment:
        """Compress the frames that the encoder still holds.

        Args:
            extras: tensors to keep with the segment.

        Returns:
            The segment.
        """
        self._take(self._context.encode(None))
        return Segment(self._packets, self._pts, self._keys, extras, self._alpha if any(self._alpha) else ())

    def _take(self, packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            assert packet.pts is not None
            self._packets.append(bytes(packet))
            self._pts.append(packet.pts)
            self._keys.append(packet.is_keyframe)
            self._alpha.append(bytes(packet.get_sidedata(ALPHA)) if packet.has_sidedata(ALPHA) else b"")


def write_segment(path: Path, segment: Segment) -> None:
    """Write a segment to a file, completely or not at all.

    Args:
        path: path of the file.
        segment: segment to write.

    Raises:
        OSError: if the file cannot be written.
    """
    tensors = {
        **_packed("packets", "sizes", segment.packets),
        **(_packed("alpha", "alpha_sizes", segment.alpha) if segment.alpha else {}),
        "pts": torch.tensor(segment.pts),
        "keys": torch.tensor(segment.keys),
        **{f"extra.{name}": value.contiguous() for name, value in segment.extras.items()},
    }
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors))  # safetensors cannot open paths that are not UTF-8


def read_segment(path: Path) -> Segment:
    """Read a segment from its file.

    Args:
        path: path of the file.

    Raises:
        VideoError: if the file is damaged.
        OSError: if the file cannot be read.
    """
    try:
        tensors = load(path.read_bytes())
    except SafetensorError as error:
        raise VideoError(f"{path} is damaged: remove it to restore its frames again") from error
    packets = _unpacked(tensors, "packets", "sizes")
    alpha = _unpacked(tensors, "alpha", "alpha_sizes") if "alpha" in tensors else []
    extras = {name.removeprefix("extra."): value for name, value in tensors.items() if name.startswith("extra.")}
    return Segment(packets, tensors["pts"].tolist(), tensors["keys"].tolist(), extras, alpha)


def read_time_stamps(path: Path) -> list[int]:
    """Return the time stamps of a segment's packets in decoding order.

    Args:
        path: file of the segment.

    Returns:
        Time stamps in units of the video's time base.

    Raises:
        OSError: if the file cannot be read.
    """
    return load(path.read_bytes())["pts"].tolist()


def decode_times(pts: Sequence[int]) -> list[int]:
    """Compute the decoding time of each packet. Times increase, and no frame is shown before it is decoded.

    Args:
        pts: time stamps of the packets in decoding order, all different.

    Returns:
        Times in the same unit. Let n be the largest number of positions by which a frame is decoded later than shown.
        Then the i-th packet is decoded at the (i - n)-th time stamp. The first n times are before the first frame is
        shown.
    """
    shown = sorted(pts)
    rank = {time: position for position, time in enumerate(shown)}
    delay = max(position - rank[time] for position, time in enumerate(pts))
    step = shown[1] - shown[0] if len(shown) > 1 else 1
    return [shown[0] - step * (delay - position) for position in range(delay)] + shown[: len(shown) - delay]


def _packed(name: str, sizes: str, parts: Sequence[bytes]) -> dict[str, Tensor]:
    """Convert byte strings of different lengths to two tensors."""
    payload = np.frombuffer(b"".join(parts), np.uint8)
    return {name: torch.from_numpy(payload.copy()), sizes: torch.tensor([len(part) for part in parts])}


def _unpacked(tensors: Mapping[str, Tensor], name: str, sizes: str) -> list[bytes]:
    payload, ends = tensors[name].numpy().tobytes(), tensors[sizes].cumsum(0).tolist()
    return [payload[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _pixel_formats(encoder: str) -> set[str]:
    try:
        return {form.name for form in av.Codec(encoder, "w").video_formats or ()}
    except UnknownCodecError:
        return set()
