"""Restoring many files, pictures and videos: which become which, and one by one what became of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from passband.data.finding import Pass, find_sources
from passband.drawing.before_after import PIXELS
from passband.inference.files.jobs import Outcome, Work, run_jobs
from passband.inference.files.plan import Job, Naming, plan
from passband.inference.restorer import Restorer
from passband.inference.video.compare import COMPARE_SUFFIX, compare_videos
from passband.inference.video.streaming import VideoProgress, restore_video
from passband.io.files import copy_whole
from passband.io.image import DEFAULT_MAX_PIXELS, SUFFIXES
from passband.io.records import Making, Records
from passband.io.video import VIDEO_SUFFIXES
from passband.io.video.join import target_suffix

SOURCES = SUFFIXES | VIDEO_SUFFIXES
"""Suffixes of what can be restored."""
_QUALITY = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".heic", ".heif", ".avif"))


def _written(suffix: str) -> str:
    """The suffix of a restored file: that of its source where such files can be written."""
    return target_suffix(suffix) if suffix in VIDEO_SUFFIXES else suffix


RESTORED = Naming(
    tag="_restored",
    folder="_restored",
    companion="_compare.png",
    companion_of_video=f"_compare{COMPARE_SUFFIX}",
    becomes="its restored picture",
    written=_written,
    targets=SOURCES,
    sources=SOURCES,
    nameless=SUFFIXES,
)
"""How restored files are named."""


@dataclass(frozen=True)
class VideoOptions:
    """How videos are restored and written; see `video.restore_video`."""

    codec: str | None = None
    crf: int | None = None
    temporal: float | None = None
    drop_unsupported: bool = False


@dataclass(frozen=True)
class PictureProgress:
    """How far a large picture is, which is restored in bands or tiles.

    Attributes:
        done: share that is restored, 0 to 1.
        seconds_left: None where nothing is done yet.
    """

    done: float
    seconds_left: float | None


Progress = VideoProgress | PictureProgress


def plan_jobs(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    passed: Pass = lambda _: None,
    records: Records | None = None,
) -> list[Job]:
    """Say which file becomes which.

    Args:
        sources: files, folders (with all below them) and glob patterns.
        output: a folder, or for a single file a name with a suffix of its kind. None puts `NAME_restored.png` beside
            a file `NAME.png` and fills a folder `FOLDER_restored` for a folder.
        passed: called with each file of another kind that is passed over; see `data.finding.find_sources`.
        records: of the folders that the sources lie in.

    Returns:
        Jobs, in the order of the sources. The tree below a folder is kept, and so are types, but for videos in
            containers that are read and not written, which become Matroska. What an earlier run wrote is no source. A
            source that is not there and a folder that cannot be read are jobs that fail.

    Raises:
        FileNotFoundError: where there is nothing to do, because a source is not there or a folder holds no pictures
            and videos.
        PermissionError: where there is nothing to do, because a folder cannot be read.
        ValueError: if two files of different folders would become one, a picture a video, or an output is of a type
            that cannot be written.
    """
    records = records or Records()
    found = find_sources(sources, SOURCES, "pictures or videos", passed=passed, records=records)
    jobs = plan(found, output, RESTORED, records)
    videos = {source.path for source in found if source.suffix in VIDEO_SUFFIXES}
    for job in jobs:
        if not job.problem and job.is_video != (job.source in videos):
            raise ValueError(f"{job.source} cannot become {job.target}: a picture stays a picture, a video a video")
    return jobs


def restore_files(
    restorer: Restorer,
    jobs: Sequence[Job],
    *,
    compare: bool = False,
    compare_pixels: int | None = PIXELS,
    overwrite: bool = False,
    quality: int = 95,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    video: VideoOptions | None = None,
    report: Callable[[Progress], None] | None = None,
    dry_run: bool = False,
    records: Records | None = None,
) -> Iterator[Outcome]:
    """Restore files one by one; whatever is wrong with one, the others are done.

    What was written is recorded in `.passband.jsonl` in its folder. A restored file is kept where the same source,
    weights and options would make it again, and replaced where they would not; a file that is not recorded, or has
    changed since, is never replaced.

    Args:
        restorer: the network.
        jobs: from `plan_jobs`.
        compare: write pictures and videos that show each before and after, beside the restored ones.
        compare_pixels: that such a picture, or a frame of such a video, has at most; None keeps every pixel. What was
            written with another number is written again.
        overwrite: restore everything again, and replace files whoever wrote them.
        quality: of JPEG and lossy WebP, 1 to 100.
        max_pixels: larger pictures fail before they are decoded.
        video: how videos are restored and written.
        report: called with the progress of a video after each batch of frames, and with that of a picture after each
            band or tile.
        dry_run: only say what would be done.
        records: of the folders that are written to.

    Yields:
        What became of each job, in their order. A failed one carries the reason.
    """
    options, records = video or VideoOptions(), records or Records()
    weights = cache(restorer.checksum)

    def making(job: Job) -> Making:
        network: dict[str, Any] = {"engine": restorer.engine_name, "precision": restorer.precision}
        if restorer.strength != 1:
            network["strength"] = restorer.strength
        if job.is_video:
            return Making("restore", weights(), {**network, **asdict(options)})
        return Making("restore", weights(), {**network, "quality": quality} if _has_quality(job) else network)

    def companion_making(job: Job) -> Making:
        made = making(job)
        # one of the usual size is recorded as its target is
        return made if compare_pixels == PIXELS else replace(made, options={**made.options, "pixels": compare_pixels})

    def do(job: Job, companion: Path | None) -> tuple[tuple[str, ...], Any]:
        if job.is_video:
            if companion is not None and not overwrite and _is_done(job, records, making(job)):
                compare_videos(job.source, job.target, companion, pixels=compare_pixels)  # which is all that is missing
                return (), None
            network, line = restorer.for_video(job.source, job.target)
            chosen = (line,) if line else ()
            if network is None:
                copy_whole(job.source, job.target)
                return chosen, None
            done = restore_video(
                network,
                job.source,
                job.target,
                codec=options.codec,
                crf=options.crf,
                temporal=options.temporal,
                overwrite=True,  # what may be replaced has been decided
                drop_unsupported=options.drop_unsupported,
                compare=companion,
                compare_pixels=compare_pixels,
                report=report,
            )
            return (*chosen, *done.notes), done
        notes = restorer.restore_file(
            job.source,
            job.target,
            compare=companion,
            compare_pixels=compare_pixels,
            quality=quality,
            max_pixels=max_pixels,
            report=None if report is None else _timed(report),
        )
        return notes, None

    work = Work(do, making, lambda _: compare, RESTORED.ending, companion_making)
    yield from run_jobs(jobs, work, overwrite=overwrite, dry_run=dry_run, records=records)


def _is_done(job: Job, records: Records, making: Making) -> bool:
    """Whether the target of a job is there, as it would be made again."""
    there = job.target.exists() and records.entry(job.target) is not None
    return there and not records.difference(job.target, job.source, making)


def _has_quality(job: Job) -> bool:
    """Whether the quality that is asked for changes what is written."""
    return job.target.suffix.lower() in _QUALITY


def _timed(report: Callable[[Progress], None]) -> Callable[[float], None]:
    """What is called with the share of a picture that is done, and reports it with the time that is left."""
    started = time.monotonic()

    def tell(share: float) -> None:
        elapsed = time.monotonic() - started
        report(PictureProgress(share, elapsed / share - elapsed if share > 0 else None))

    return tell
