"""Restores segments of a video in several processes; the restoration of the whole video then finds them finished."""

from contextlib import ExitStack
from dataclasses import dataclass

from passband.inference.files.naming import Job
from passband.inference.files.pieces import report_progress
from passband.inference.files.splitting import PartDone, PartPiece
from passband.inference.restorer import Restorer
from passband.inference.video.parts import Parts
from passband.inference.video.segments import SegmentPlan, SegmentRestorer, plan_segments
from passband.io.paths import parts_folder
from passband.io.video import VideoReader


@dataclass(frozen=True)
class _Segments:
    """A video that this process has open, because its next segment needs the frames that come next.

    Attributes:
        restorer: restorer that was chosen for the video.
        reader: reader of the video.
        plan: plan of its segments.
        segments: restorer of its segments.
        done: numbers of the segments that this process has restored, the last of which tells where the reader is.
        parts: folder of the segments.
    """

    restorer: Restorer
    reader: VideoReader
    plan: SegmentPlan
    segments: SegmentRestorer
    parts: Parts
    done: list[int]


_OPEN: dict[Job, _Segments] = {}
_CLOSING = ExitStack()


def do_part(
    restorer: Restorer, piece: PartPiece, codec: str | None, crf: int | None, *, drop_unsupported: bool, run: str
) -> PartDone:
    """Plan the segments of a video, or restore one of them.

    An error is not reported, because the job itself meets it again.

    Args:
        restorer: restorer, which chooses the network for the video.
        piece: the segment, or the piece that plans the segments.
        codec: name of the codec, a key of `io.video.encoding.CODECS`; None for the one that most players support.
        crf: quality, smaller is better; None for the codec's default.
        drop_unsupported: whether sound and subtitles that the target cannot hold are left out.
        run: name of the run, which its processes have in common.
    """
    try:
        video = _opened(restorer, piece.job, piece.number, codec, crf, drop_unsupported, run)
        if video is None:
            return PartDone(piece, is_last=True)
        if piece.number is None:
            expected = video.reader.expected
            is_short = expected is not None and expected <= video.plan.length
            parts = video.parts
            return PartDone(piece, is_short, parts.numbers, parts.frames, tuple(parts.notes))
        video.done.append(piece.number)
        segment = video.segments.restore(piece.number, report_progress)
        if segment is None:
            return PartDone(piece, is_last=True)
        video.parts.add(piece.number, segment)
        return PartDone(piece, is_last=len(segment.packets) < video.plan.length)
    except Exception:  # any kind: a bad file may break its reader in any way
        close_videos()
        return piece.failed("")


def close_videos() -> None:
    """Close the video that this process has open."""
    _OPEN.clear()
    _CLOSING.close()


def _opened(
    restorer: Restorer,
    job: Job,
    number: int | None,
    codec: str | None,
    crf: int | None,
    drop_unsupported: bool,
    run: str,
) -> _Segments | None:
    """Return a video whose next frames are those of a segment or before it; None if it is not restored."""
    video = _OPEN.get(job)
    if video is not None and (number is None or (video.done and video.done[-1] >= number)):
        video = None  # another process died with an earlier segment
    if video is not None:
        return video
    close_videos()
    network, _ = restorer.for_video(job.source, job.target)
    if network is None:
        return None
    reader = _CLOSING.enter_context(VideoReader(job.source))
    plan = plan_segments(network, reader, job.target, codec, crf, None, drop_unsupported=drop_unsupported)
    parts = _CLOSING.enter_context(Parts(parts_folder(job.target), plan.job, run))
    _OPEN[job] = _Segments(network, reader, plan, SegmentRestorer(network, reader, plan), parts, [])
    return _OPEN[job]
