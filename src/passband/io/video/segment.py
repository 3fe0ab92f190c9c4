"""Frames to compressed packets, kept in one file per segment until a whole video is joined of them.

A segment is a run of frames that an encoder of its own has compressed, so that it begins with a key frame and needs
nothing of its neighbors. Its file (safetensors) holds the packets, their time stamps, and whatever the caller needs
to go on after it.
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


@dataclass(frozen=True)
class Codec:
    """A way to compress video.

    Attributes:
        encoder: FFmpeg's name of it.
        crf: quality by default, smaller is better; None where nothing is lost.
        worst: the largest crf.
        options: of the encoder.
        tag: the name that QuickTime needs in MP4, where it is not FFmpeg's own choice.
        alpha: suffixes of files that hold its transparency.
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
"""Name to codec. The default qualities are hard to tell from the source at twice its size."""

ALPHA: Final = "matroska_block_additional"
"""FFmpeg's name of what is kept beside a packet: with VP9, its transparency."""
_TELLS_ASPECT = ("libx264", "libx265")  # for the others the container would have to, which PyAV cannot set


@dataclass(frozen=True)
class Encoding:
    """How a video is compressed.

    Attributes:
        codec: a key of `CODECS`.
        crf: quality, smaller is better; None where nothing is lost.
        alpha: whether transparency is kept.
    """

    codec: str
    crf: int | None
    alpha: bool = False


@dataclass(frozen=True)
class Segment:
    """Compressed frames.

    Attributes:
        packets: in the order they are decoded.
        pts: the time stamp of each, in units of the video's time base.
        keys: whether each can be decoded without those before it.
        extras: tensors of the caller.
        alpha: what WebM keeps beside each packet for its transparency; none at all where there is none.
    """

    packets: Sequence[bytes]
    pts: Sequence[int]
    keys: Sequence[bool]
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    alpha: Sequence[bytes] = ()


def choose_encoding(
    video: VideoFormat, path: Path, suffix: str, codec: str | None = None, crf: int | None = None
) -> Encoding:
    """Choose codec and quality, and make sure that this machine's encoder takes the video.

    Args:
        video: what is to be compressed.
        path: the file it comes from, for the message.
        suffix: of the file to be written, such as `.mp4`.
        codec: a key of `CODECS`; None for what plays most widely: in WebM VP9 (AV1 for 10 bits), elsewhere H.264
            (H.265 for 10 bits).
        crf: quality, smaller is better; None for the codec's default.

    Returns:
        The choice.

    Raises:
        VideoError: for an unknown codec, a crf that it does not have, or pixels that it does not take, not square ones
            among them.
    """
    if codec is None:
        usual, deep = ("vp9", "av1") if suffix == ".webm" else ("h264", "h265")
        codec = usual if video.coding.bits == 8 else deep
    if codec not in CODECS:
        raise VideoError(f"codec is one of {', '.join(CODECS)}; got {codec!r}")
    known = CODECS[codec]
    if crf is not None and (known.crf is None or not 0 <= crf <= known.worst):
        takes = "loses nothing and takes no crf" if known.crf is None else f"takes a crf from 0 to {known.worst}"
        raise VideoError(f"codec {codec} {takes}; got {crf}")
    if video.pixels not in _pixel_formats(known.encoder):
        others = [name for name, other in CODECS.items() if video.pixels in _pixel_formats(other.encoder)]
        raise VideoError(
            f"{path} has pixels of kind {video.pixels}, which codec {codec} cannot store here: choose "
            f"{' or '.join(others) or 'another source'}"
        )
    if video.aspect not in (None, 1) and known.encoder not in _TELLS_ASPECT:
        raise VideoError(
            f"{path} has pixels {video.aspect} as wide as high, which codec {codec} cannot say: choose codec h264 "
            "and a target .mkv or .mp4"
        )
    alpha = video.alpha and suffix in known.alpha and with_alpha(video.pixels) in _pixel_formats(known.encoder)
    return Encoding(codec, known.crf if crf is None else crf, alpha)


def planes(video: VideoFormat, encoding: Encoding) -> str:
    """FFmpeg's name of the planes that an encoder is given."""
    return with_alpha(video.pixels) if encoding.alpha else video.pixels


def configure(context: VideoCodecContext, video: VideoFormat, encoding: Encoding) -> None:
    """Set up an encoder.

    Args:
        context: not yet open.
        video: what it compresses.
        encoding: how.
    """
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells errors alone; it takes this from nowhere else
    context.width, context.height, context.pix_fmt = video.width, video.height, planes(video, encoding)
    context.time_base, context.framerate = video.time_base, video.rate
    context.color_range, context.color_primaries, context.color_trc, context.colorspace = video.color
    context.sample_aspect_ratio = video.aspect or Fraction(0, 1)  # 0: not said
    context.flags |= Flags.global_header  # headers apart from packets, as MP4 and Matroska want them
    crf = {} if encoding.crf is None else {"crf": str(encoding.crf)}
    context.options = {**CODECS[encoding.codec].options, **crf}


class SegmentEncoder:
    """Compresses the frames of one segment.

    Args:
        video: what all frames have in common.
        encoding: how they are compressed.
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
            pts: its time stamp in units of the video's time base, above that of the frame before.
            luma: as stored, whole numbers.
            chroma: as stored.
            alpha: as stored, where the encoding keeps it.
        """
        frame = av.VideoFrame(self.video.width, self.video.height, self._pixels)
        frame.pts, frame.time_base = pts, self.video.time_base
        frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace = self.video.color
        given = [luma[0], *chroma] + ([] if alpha is None else [alpha[0]])
        for plane, values in zip(frame.planes, given, strict=False):  # what is left over is transparency that goes
            view = plane_view(plane, self.video.coding.bits)
            view[:] = values.cpu().numpy()
        self._take(self._context.encode(frame))

    def finish(self, extras: Mapping[str, Tensor]) -> Segment:
        """Compress what the encoder still holds.

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
    """Keep a segment in a file, written whole.

    Raises:
        OSError: where it cannot be written.
    """
    tensors = {
        **_packed("packets", "sizes", segment.packets),
        **(_packed("alpha", "alpha_sizes", segment.alpha) if segment.alpha else {}),
        "pts": torch.tensor(segment.pts),
        "keys": torch.tensor(segment.keys),
        **{f"extra.{name}": value.contiguous() for name, value in segment.extras.items()},
    }
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors))  # safetensors itself opens no path that is not UTF-8


def read_segment(path: Path) -> Segment:
    """Read a segment back.

    Raises:
        VideoError: for a file that is damaged.
        OSError: for one that cannot be read.
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
    """The time stamps of a segment's packets in the order they are decoded."""
    return load(path.read_bytes())["pts"].tolist()


def decode_times(pts: Sequence[int]) -> list[int]:
    """When to decode each packet, so that no frame is shown before it is decoded and times increase.

    Args:
        pts: when each is shown, in the order they are decoded; no two alike.

    Returns:
        Times in the same unit: with n the most places that a frame is decoded later than it is shown, that of
        the frame shown n places before. The first n are before the first frame is shown.
    """
    shown = sorted(pts)
    rank = {time: place for place, time in enumerate(shown)}
    late = max(place - rank[time] for place, time in enumerate(pts))
    step = shown[1] - shown[0] if len(shown) > 1 else 1
    return [shown[0] - step * (late - place) for place in range(late)] + shown[: len(shown) - late]


def _packed(name: str, sizes: str, parts: Sequence[bytes]) -> dict[str, Tensor]:
    """Bytes of several lengths as two tensors."""
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
