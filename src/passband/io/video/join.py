"""Segments and everything else of a source file, joined into one video without compressing anything again."""

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
from passband.io.video.header import can_hold_restored
from passband.io.video.mux import Joiner, container_options, payloads
from passband.io.video.segment import Encoding, SegmentEncoder, read_segment, read_time_stamps
from passband.io.video.streams import CONTAINERS, Copy, Way, copied, find_leads, plan_copies, readable

VIDEO_TARGETS = frozenset(CONTAINERS)
"""Suffixes that can be written; compare in lower case."""


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


def check_target(
    source: Path,
    target: Path,
    restored: int,
    video: VideoFormat,
    encoding: Encoding,
    *,
    drop_unsupported: bool = False,
) -> None:
    """Make sure, before any work is done, that a file can hold the restored stream and all sound and subtitles.

    The headers and the first packets of all streams are muxed in memory.

    Args:
        source: the file whose streams are copied.
        target: the file to be written.
        restored: the index of the stream that is compressed anew.
        video: what its frames have in common.
        encoding: how it is compressed.
        drop_unsupported: leave out what the file cannot hold, with a note, instead of refusing it.

    Raises:
        VideoError: naming what the file cannot hold.
    """
    suffix = target.suffix.lower()
    if suffix not in VIDEO_TARGETS:
        raise VideoError(
            f"videos are written as {', '.join(sorted(VIDEO_TARGETS))}; got {target.name}: "
            f"name it {target.with_suffix('.mkv').name}"
        )
    if not can_hold_restored(suffix, video, encoding):
        raise VideoError(f"{suffix} cannot hold codec {encoding.codec}: name the target {target.stem}.mkv")
    with open_video(source) as container:
        leads = find_leads(container, restored)
        copies = plan_copies(container, suffix, restored, leads)
        missing = _missing(copies)
        if missing and not drop_unsupported:
            others = [
                other
                for other in CONTAINERS
                if can_hold_restored(other, video, encoding)
                and not _missing(plan_copies(container, other, restored, leads))
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
) -> Joined:
    """Write a video of segments, and of the other streams, metadata and chapters of its source.

    Packets of other streams are copied byte by byte with their time stamps. Streams that the target cannot hold are
    left out with a note, and so are packets that an edit list hides or that are damaged. The file is written whole.

    Args:
        source: the file whose streams are copied.
        target: the file to be written.
        restored: the index of the stream that the segments replace.
        video: what its frames have in common.
        encoding: how the segments are compressed.
        segments: their files, in order.
        last_duration: how long the last frame is shown, in units of the video's time base.
        jumps: how much later times are made where those of the source start again, of its `VideoReader`.

    Returns:
        What was written.

    Raises:
        VideoError: for a segment that is damaged.
        OSError: where the file cannot be written.
    """
    pts = [time for path in segments for time in read_time_stamps(path)]
    with open_video(source) as container:
        copies = plan_copies(container, target.suffix.lower(), restored, find_leads(container, restored))
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
                joiner.copy(_going_on(readable(container), jumps), packets, pts, last_duration)
            frames, error = _read_back(temporary, joiner.restored_out.index, sorted(pts), video.time_base)
        except FFmpegError as error:
            raise OSError(error.errno or 0, error.strerror or str(error)) from error
    return Joined(frames, error, tuple(joiner.copied), tuple(joiner.notes))


def _going_on(packets: Iterable[Packet], jumps: Sequence[Fraction]) -> Iterator[Packet]:
    clock = Clock(jumps)
    for packet in packets:
        if jumps:
            clock.correct(packet)
        yield packet


def _missing(copies: Iterable[Copy]) -> list[Copy]:
    return [copy for copy in copies if copy.required and copy.way is Way.NONE]


def _join_beginning(
    source: InputContainer, suffix: str, video: VideoFormat, encoding: Encoding, copies: Sequence[Copy], path: Path
) -> None:
    """Join the first packets of all streams, and one frame, in memory."""
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
            first = (copied(packet) for copy in copies for packet in copy.lead.packets)
            joiner.copy(first, payloads(segment), segment.pts, 1)
    except (FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path} cannot be written as {suffix} with codec {encoding.codec} ({error}): choose another of them"
        ) from error


def _read_back(path: Path, index: int, pts: Sequence[int], time_base: Fraction) -> tuple[int, float]:
    """How many frames a written stream has, and the largest error of their time stamps in seconds."""
    with open_video(path) as written:
        packets = written.demux(written.streams[index])
        times = sorted(
            packet.pts * packet.time_base for packet in packets if packet.pts is not None and not packet.is_discard
        )
    if len(times) != len(pts):
        raise VideoError(f"{path} holds {len(times)} frames where {len(pts)} were written; please report this")
    return len(times), float(max(abs(time - tick * time_base) for time, tick in zip(times, pts, strict=True)))
