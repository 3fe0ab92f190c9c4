"""Joins segments and all other streams of a source file to one video, without compressing anything again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path

import av
import torch
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from passband.io.files import write_whole
from passband.io.video import VideoError, VideoFormat, media_url, open_video
from passband.io.video.clock import Clock
from passband.io.video.encoding import Encoding, SegmentEncoder, read_segment, read_time_stamps
from passband.io.video.header import can_hold_restored
from passband.io.video.mux import Joiner, container_options, payloads
from passband.io.video.streams import (
    CONTAINERS,
    CopyMethod,
    StreamCopy,
    copy_packet,
    find_starts,
    plan_copies,
    readable_packets,
)
from passband.naming import listed

VIDEO_TARGETS = frozenset(CONTAINERS)
"""Suffixes of the videos that can be written, in lower case."""


@dataclass(frozen=True)
class JoinedVideo:
    """Content of a joined file, as read back from the file.

    Attributes:
        frames: number of coded frames in the restored stream.
        time_error: largest difference between time stamps of a frame in the file and in the source, in seconds.
        copied: names of the copied streams, such as `audio aac`.
        notes: sentences about everything in the source that the file does not contain.
    """

    frames: int
    time_error: float
    copied: tuple[str, ...]
    notes: tuple[str, ...]


def target_suffix(suffix: str) -> str:
    """Return the suffix of a restored video: that of the source if such files can be written, otherwise `.mkv`.

    Args:
        suffix: suffix of the source, with its dot.
    """
    return suffix if suffix.lower() in VIDEO_TARGETS else ".mkv"


def check_target(
    source: Path,
    target: Path,
    restored: int,
    video: VideoFormat,
    encoding: Encoding,
    *,
    drop_unsupported: bool = False,
) -> None:
    """Check that a file can hold the restored stream and all sound and subtitles, before any work is done.

    The headers and the first packets of all streams are written to a file in memory.

    Args:
        source: path of the video whose streams are copied.
        target: path of the video to write.
        restored: index of the stream that is compressed again.
        video: properties that its frames share.
        encoding: compression of its frames.
        drop_unsupported: whether to leave out streams that the target cannot hold, with a note, instead of raising an
            error.

    Raises:
        VideoError: if the target cannot hold a stream. The message names the stream.
    """
    suffix = target.suffix.lower()
    if suffix not in VIDEO_TARGETS:
        raise VideoError(
            f"videos are written as {listed(sorted(VIDEO_TARGETS))}; got {target.name}: "
            f"name it {target.with_suffix('.mkv').name}"
        )
    if not can_hold_restored(suffix, video, encoding):
        raise VideoError(f"{suffix} cannot hold codec {encoding.codec}: name the target {target.stem}.mkv")
    with open_video(source) as container:
        starts = find_starts(container, restored)
        copies = plan_copies(container, suffix, restored, starts)
        missing = _missing(copies)
        if missing and not drop_unsupported:
            others = [
                other
                for other in CONTAINERS
                if can_hold_restored(other, video, encoding)
                and not _missing(plan_copies(container, other, restored, starts))
            ]
            advice = f"name the target {target.stem}{others[0]}, or " if others else ""
            raise VideoError(
                f"{suffix} cannot hold stream {missing[0].index} of {source} ({missing[0].name}): {advice}leave out "
                f"what {suffix} cannot hold with --drop-unsupported (drop_unsupported=True in Python)"
            )
        _join_beginning(container, suffix, video, encoding, copies, source)


def join(
    source: Path,
    target: Path,
    restored: int,
    video: VideoFormat,
    encoding: Encoding,
    segments: Sequence[Path],
    last_duration: int,
    jumps: Sequence[Fraction] = (),
) -> JoinedVideo:
    """Write a video from segments, and from the other streams, metadata and chapters of its source.

    Packets of other streams are copied byte by byte with their time stamps. Streams that the target cannot hold are
    left out with a note; so are packets that an edit list hides or that are damaged. The file is written completely or
    not at all.

    Args:
        source: path of the video whose streams are copied.
        target: path of the video to write.
        restored: index of the stream that the segments replace.
        video: properties that its frames share.
        encoding: compression of the segments.
        segments: paths of the segments, in order.
        last_duration: duration of the last frame, in units of the video's time base.
        jumps: shifts after each restart of the source's time stamps, from its `VideoReader`.

    Returns:
        The content of the written file.

    Raises:
        VideoError: if a segment is damaged.
        OSError: if the file cannot be written.
    """
    pts = [time for path in segments for time in read_time_stamps(path)]
    with open_video(source) as container:
        copies = plan_copies(container, target.suffix.lower(), restored, find_starts(container, restored))
    with write_whole(target) as temporary:
        try:
            with (
                open_video(source) as container,
                av.open(
                    media_url(temporary),
                    "w",
                    format=CONTAINERS[target.suffix.lower()],
                    container_options=container_options(target.suffix.lower(), container, video, min(pts)),
                ) as out,
            ):
                joiner = Joiner(container, out, target.suffix.lower(), copies)
                joiner.add_streams(video, encoding)
                packets = chain.from_iterable(payloads(read_segment(path)) for path in segments)
                joiner.copy(_with_continued_times(readable_packets(container), jumps), packets, pts, last_duration)
                index = joiner.restored_out.index
            frames, error = _read_back(temporary, index, sorted(pts), video.time_base)
        except FFmpegError as error:
            raise OSError(error.errno or 0, error.strerror or str(error)) from error
    return JoinedVideo(frames, error, tuple(joiner.copied), tuple(joiner.notes))


def _with_continued_times(packets: Iterable[Packet], jumps: Sequence[Fraction]) -> Iterator[Packet]:
    clock = Clock(jumps)
    for packet in packets:
        if jumps:
            clock.correct(packet)
        yield packet


def _missing(copies: Iterable[StreamCopy]) -> list[StreamCopy]:
    return [copy for copy in copies if copy.required and copy.method is CopyMethod.NONE]


def _join_beginning(
    source: InputContainer,
    suffix: str,
    video: VideoFormat,
    encoding: Encoding,
    copies: Sequence[StreamCopy],
    path: Path,
) -> None:
    """Join the first packets of all streams and one frame in memory."""
    across, down = video.coding.subsampling
    luma = torch.full((1, video.height, video.width), video.coding.scales[0])
    chroma = torch.full((2, -(-video.height // down), -(-video.width // across)), video.coding.gray)
    options = container_options(suffix, source, video, 0, index_first=False)
    try:
        encoder = SegmentEncoder(video, encoding)
        encoder.add(0, luma, chroma, luma if encoding.alpha else None)
        segment = encoder.finish({})
        with av.open(BytesIO(), "w", format=CONTAINERS[suffix], container_options=options) as out:
            joiner = Joiner(source, out, suffix, copies)
            joiner.add_streams(video, encoding)
            first = (copy_packet(packet) for copy in copies for packet in copy.start.packets)
            joiner.copy(first, payloads(segment), segment.pts, 1)
    except (FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path} cannot be written as {suffix} with codec {encoding.codec} ({error}): choose another "
            f"file type or codec"
        ) from error


def _read_back(path: Path, index: int, pts: Sequence[int], time_base: Fraction) -> tuple[int, float]:
    """Return the number of frames in a written stream, and the largest error of their time stamps in seconds."""
    with open_video(path) as written:
        packets = written.demux(written.streams[index])
        times = sorted(
            packet.pts * packet.time_base for packet in packets if packet.pts is not None and not packet.is_discard
        )
    if len(times) != len(pts):
        raise VideoError(f"{path} holds {len(times)} frames where {len(pts)} were written; please report this")
    return len(times), float(max(abs(time - tick * time_base) for time, tick in zip(times, pts, strict=True)))
