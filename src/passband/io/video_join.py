"""Segments and everything else of a source file, joined into one video without compressing anything again."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import chain, pairwise
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from passband.io.files import write_whole
from passband.io.video import VideoError, VideoFormat, open_video
from passband.io.video_segment import (
    CODECS,
    Encoding,
    configure,
    decode_times,
    read_segment,
    read_time_stamps,
)

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
VIDEO_TARGETS = frozenset(_CONTAINERS)
"""Suffixes that can be written; compare in lower case."""

# what a muxer writes itself, and what is no longer true of a stream compressed anew
_OWN_KEYS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
_STALE_KEYS = frozenset({"encoder", "BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"})


@dataclass(frozen=True)
class Joined:
    """What a joined file holds, as read back from it.

    Attributes:
        frames: coded frames of the restored stream.
        time_error: the largest difference of a frame's time stamp from that of the source, seconds.
        copied: the streams copied, such as `audio aac`.
        notes: what of the source is not in it, a sentence each.
    """

    frames: int
    time_error: float
    copied: tuple[str, ...]
    notes: tuple[str, ...]


def target_suffix(suffix: str) -> str:
    """The suffix of a restored video: that of the source where such files can be written, else `.mkv`."""
    return suffix if suffix.lower() in VIDEO_TARGETS else ".mkv"


def check_target(source: Path, target: Path, restored: int, video: VideoFormat, encoding: Encoding) -> None:
    """Make sure, before any work is done, that a file can hold the restored stream and all sound and subtitles.

    Args:
        source: the file whose streams are copied.
        target: the file to be written.
        restored: the index of the stream that is compressed anew.
        video: what its frames have in common.
        encoding: how it is compressed.

    Raises:
        VideoError: naming what the file cannot hold.
    """
    suffix = target.suffix.lower()
    if suffix not in VIDEO_TARGETS:
        raise VideoError(
            f"videos are written as {', '.join(sorted(VIDEO_TARGETS))}; got {target.name}: "
            f"name it {target.with_suffix('.mkv').name}"
        )
    with open_video(source) as container:
        if not _holds(suffix, None, video, encoding):
            raise VideoError(f"{suffix} cannot hold codec {encoding.codec}: name the target {target.stem}.mkv")
        for stream in container.streams:
            if stream.index != restored and _must_be_kept(stream) and not _holds(suffix, stream):
                raise VideoError(
                    f"{suffix} cannot hold stream {stream.index} of {source} ({_name(stream)}): "
                    f"name the target {target.stem}{_home(stream, source)}"
                )


def join(
    source: Path,
    target: Path,
    restored: int,
    video: VideoFormat,
    encoding: Encoding,
    segments: Sequence[Path],
    last_duration: int,
) -> Joined:
    """Write a video of segments, and of the other streams, metadata and chapters of its source.

    Packets of other streams are copied byte by byte with their time stamps. Data streams and attachments that the
    target cannot hold are left out. The file is written whole.

    Args:
        source: the file whose streams are copied.
        target: the file to be written.
        restored: the index of the stream that the segments replace.
        video: what its frames have in common.
        encoding: how the segments are compressed.
        segments: their files, in order.
        last_duration: how long the last frame is shown, in units of the video's time base.

    Returns:
        What was written.

    Raises:
        VideoError: for a segment that is damaged.
        OSError: where the file cannot be written.
    """
    pts = [time for path in segments for time in read_time_stamps(path)]
    with write_whole(target) as temporary:
        try:
            with (
                open_video(source) as container,
                av.open(
                    str(temporary),
                    "w",
                    format=_CONTAINERS[target.suffix.lower()],
                    container_options=_container_options(target, container, video, min(pts)),
                ) as out,
            ):
                joiner = _Joiner(container, out, restored, target.suffix.lower())
                joiner.add_streams(video, encoding)
                joiner.copy(chain.from_iterable(map(_payloads, segments)), pts, last_duration)
            frames, error = _read_back(temporary, joiner.restored_out.index, sorted(pts), video.time_base)
        except FFmpegError as error:
            raise OSError(error.errno or 0, error.strerror or str(error)) from error
    return Joined(frames, error, tuple(joiner.copied), tuple(joiner.notes))


class _Joiner:
    """The streams of a file being joined."""

    def __init__(self, source: InputContainer, out: OutputContainer, restored: int, suffix: str):
        self.source, self.out, self.restored, self.suffix = source, out, restored, suffix
        self.streams: dict[int, Stream] = {}
        self.copied: list[str] = []
        self.notes: list[str] = []
        self.restored_out: VideoStream
        self.time_base: Fraction

    def add_streams(self, video: VideoFormat, encoding: Encoding) -> None:
        self.out.metadata.update({key: value for key, value in self.source.metadata.items() if key not in _OWN_KEYS})
        self.out.set_chapters(self.source.chapters())
        for stream in self.source.streams:
            if stream.index == self.restored:
                self.restored_out = new = _add_restored(self.out, video, encoding)
                self.time_base = video.time_base
                metadata = {key: value for key, value in stream.metadata.items() if not _is_stale(key)}
            elif _is_written_anyway(stream):
                continue  # the muxer writes these itself, from chapters and metadata
            elif not _holds(self.suffix, stream):
                self.notes.append(f"{self.suffix} cannot hold stream {stream.index} ({_name(stream)}), it is left out")
                continue
            elif self.suffix == ".mkv" and stream.disposition & Disposition.attached_pic:
                _attach_cover(self.out, self.source.name, stream)
                self.copied.append(f"cover {_name(stream)}")
                continue
            else:
                new = self.out.add_stream_from_template(stream, opaque=True)
                metadata = stream.metadata
                self.copied.append(_name(stream))
            new.metadata.update(metadata)
            new.disposition = stream.disposition
            self.streams[stream.index] = new

    def copy(self, payloads: Iterator[tuple[bytes, bool]], pts: Sequence[int], last_duration: int) -> None:
        restored = self._restored_packets(payloads, pts, last_duration)
        end = Fraction(0)
        for packet in _readable(self.source):
            stream = packet.stream
            if packet.size and packet.pts is not None and not stream.disposition & Disposition.attached_pic:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if stream.index == self.restored:
                # one by one in place of those of the source, so that the streams stay interleaved
                if (new := next(restored, None)) is not None:
                    self.out.mux_one(new)
            elif stream.index in self.streams and packet.size and not self._is_gap(packet):
                packet.stream = self.streams[stream.index]
                self.out.mux_one(packet)
        for new in restored:
            self.out.mux_one(new)
        promised = Fraction(self.source.duration or 0, av.time_base) + Fraction(
            self.source.start_time or 0, av.time_base
        )
        if promised - end > Fraction(1, 2):
            self.notes.append(
                f"the file ends at {float(end):.1f} s of the {float(promised):.1f} s that its header promises"
            )

    def _is_gap(self, packet: av.Packet) -> bool:
        """Whether a packet is a pause between two subtitles in MP4, which MP4's muxer writes itself."""
        name = packet.stream.codec_context.name if packet.stream.type == "subtitle" else ""
        return name == "mov_text" and packet.size == 2 and bytes(packet) == b"\0\0"

    def _restored_packets(
        self, payloads: Iterator[tuple[bytes, bool]], pts: Sequence[int], last_duration: int
    ) -> Iterator[av.Packet]:
        durations = {before: after - before for before, after in pairwise(sorted(pts))}
        for (payload, key), time, decode_time in zip(payloads, pts, decode_times(pts), strict=True):
            packet = av.Packet(payload)
            packet.pts, packet.dts, packet.time_base = time, decode_time, self.time_base
            packet.duration = durations.get(time, last_duration)
            packet.is_keyframe = key
            packet.stream = self.restored_out
            yield packet


def _readable(source: InputContainer) -> Iterator[av.Packet]:
    """The packets of a file, up to where it is damaged."""
    with suppress(FFmpegError):
        yield from source.demux()


def _add_restored(out: OutputContainer, video: VideoFormat, encoding: Encoding) -> VideoStream:
    """Add the stream of the restored frames; its encoder writes the headers that those of the segments wrote."""
    codec = CODECS[encoding.codec]
    stream = out.add_stream(codec.encoder, rate=video.rate)
    assert isinstance(stream, VideoStream)
    configure(stream.codec_context, video, encoding)
    stream.time_base = video.time_base
    if codec.tag and out.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = codec.tag
    stream.set_display_matrix(video.display_matrix)
    return stream


def _attach_cover(out: OutputContainer, source: str, stream: Stream) -> None:
    """Attach a cover picture, which Matroska keeps as a file; as a stream it would be a video of one frame."""
    kind = stream.codec_context.name.replace("mjpeg", "jpeg")
    with av.open(source) as container:
        packets = container.demux(container.streams[stream.index])
        picture = next((bytes(packet) for packet in packets if packet.size), b"")
    name = stream.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
    out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), picture)


def _container_options(target: Path, source: InputContainer, video: VideoFormat, first: int) -> dict[str, str]:
    if target.suffix.lower() not in (".mp4", ".m4v", ".mov"):
        # AAC begins before 0, with sound that is not to be heard; the muxer would move all else to make room for it
        return {"avoid_negative_ts": "disabled"} if first >= 0 else {}
    # the index in front, so that the file plays while it loads; Apple's own keys are kept only if asked for
    apple = "+use_metadata_tags" if any(key.startswith("com.") for key in source.metadata) else ""
    # a first frame later than 0 is stored in units of the movie, which shall be as fine as the video's
    return {"movflags": f"+faststart{apple}", "movie_timescale": str(max(1000, video.time_base.denominator))}


def _payloads(path: Path) -> Iterator[tuple[bytes, bool]]:
    segment = read_segment(path)
    return zip(segment.packets, segment.keys, strict=True)


def _holds(
    suffix: str, stream: Stream | None, video: VideoFormat | None = None, encoding: Encoding | None = None
) -> bool:
    """Whether a kind of file can hold a stream, found by writing a file's header."""
    try:
        with av.open(BytesIO(), "w", format=_CONTAINERS[suffix]) as out:
            if stream is None:
                assert video is not None
                assert encoding is not None
                _add_restored(out, video, encoding)
            else:
                out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True


def _must_be_kept(stream: Stream) -> bool:
    return stream.type in ("audio", "subtitle") or (
        stream.type == "video" and not stream.disposition & Disposition.attached_pic
    )


def _home(stream: Stream, source: Path) -> str:
    """A suffix of files that hold a stream: Matroska, or else what it came in."""
    return ".mkv" if _holds(".mkv", stream) else source.suffix


def _name(stream: Stream) -> str:
    codec = stream.codec_context.name if stream.codec_context else stream.name
    return " ".join(
        part for part in (stream.type, codec, stream.metadata.get("language", "")) if part and part != "und"
    )


def _is_stale(key: str) -> bool:
    return key.split("-")[0] in _STALE_KEYS or key.startswith("_STATISTICS")


def _is_written_anyway(stream: Stream) -> bool:
    """Whether the muxer makes such a stream itself: the titles of chapters, and time codes."""
    return stream.type == "data" and (stream.discard == Discard.all or "timecode" in stream.metadata)


def _read_back(path: Path, index: int, pts: Sequence[int], time_base: Fraction) -> tuple[int, float]:
    """How many frames a written stream has, and the largest error of their time stamps in seconds."""
    with av.open(str(path)) as written:
        packets = written.demux(written.streams[index])
        times = sorted(
            packet.pts * packet.time_base for packet in packets if packet.pts is not None and not packet.is_discard
        )
    if len(times) != len(pts):
        raise VideoError(f"{path} holds {len(times)} frames where {len(pts)} were written; please report this")
    return len(times), float(max(abs(time - tick * time_base) for time, tick in zip(times, pts, strict=True)))
