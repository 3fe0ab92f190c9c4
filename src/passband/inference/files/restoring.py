"""Restores many image and video files: plans their targets, and reports the result of each."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from passband.data.finding import Pass, find_sources
from passband.drawing.before_after import PIXELS
from passband.inference.files.jobs import JobResult, Work, run_jobs
from passband.inference.files.plan import Job, Naming, plan
from passband.inference.restorer import Restorer
from passband.inference.video.compare import COMPARE_SUFFIX, compare_videos
from passband.inference.video.streaming import VideoProgress, restore_video
from passband.io.files import copy_whole
from passband.io.image import DEFAULT_MAX_PIXELS, SUFFIXES
from passband.io.records import OutputSettings, Records
from passband.io.video import VIDEO_SUFFIXES
from passband.io.video.join import target_suffix

SOURCES = SUFFIXES | VIDEO_SUFFIXES
"""Suffixes of files that can be restored."""
_QUALITY = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".heic", ".heif", ".avif"))


def _written(suffix: str) -> str:
    """Return the suffix of a restored file: that of its source if such files can be written."""
    return target_suffix(suffix) if suffix in VIDEO_SUFFIXES else suffix


RESTORED = Naming(
    tag="_restored",
    folder="_restored",
    companion="_compare.png",
    companion_of_video=f"_compare{COMPARE_SUFFIX}",
    becomes="its restored image",
    written=_written,
    targets=SOURCES,
    sources=SOURCES,
    nameless=SUFFIXES,
)
"""Names of restored files."""


@dataclass(frozen=True)
class VideoOptions:
    """Options for restoring and writing videos; see `video.streaming.restore_video`."""

    codec: str | None = None
    crf: int | None = None
    temporal: float | None = None
    drop_unsupported: bool = False


@dataclass(frozen=True)
class PictureProgress:
    """The progress of a large image, which is restored in bands or tiles.

    Attributes:
        done: share that is restored, 0 to 1.
        seconds_left: estimate of the time left, in seconds; None at the beginning.
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
    """Decide the restored file of each source.

    Args:
        sources: files, folders (with everything below them) and glob patterns.
        output: a folder, or for a single file a name with a suffix of its kind. With None, the target of `NAME.png` is
            `NAME_restored.png` beside it, and the targets of a folder lie in `FOLDER_restored`.
        passed: function that is called with each skipped file of another kind; see `data.finding.find_sources`.
        records: records of the folders that the sources lie in.

    Returns:
        Jobs, in the order of the sources. The tree below a folder and the types are kept; only videos in containers
        that cannot be written become Matroska. Files that an earlier run wrote are no sources. A missing source and a
        folder that cannot be read become jobs that fail.

    Raises:
        FileNotFoundError: if nothing can be done because a source is missing or a folder holds no images and videos.
        PermissionError: if nothing can be done because a folder cannot be read.
        ValueError: if two files of different folders would have the same target, an image would become a video, or the
            output has a type that cannot be written.
    """
    records = records or Records()
    inputs = find_sources(sources, SOURCES, "pictures or videos", passed=passed, records=records)
    jobs = plan(inputs, output, RESTORED, records)
    videos = {source.path for source in inputs if source.suffix in VIDEO_SUFFIXES}
    for job in jobs:
        if not job.problem and job.is_video != (job.source in videos):
            raise ValueError(f"{job.source} cannot become {job.target}: an image stays an image, a video a video")
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
) -> Iterator[JobResult]:
    """Restore files one by one; a bad file does not stop the others.

    Written files are recorded in `.passband.jsonl` in their folder. A restored file is kept if the same source, weights
    and options would make it again, and replaced otherwise. A file that is not recorded, or has changed since, is never
    replaced.

    Args:
        restorer: the restorer.
        jobs: jobs from `plan_jobs`.
        compare: whether images and videos that show both before and after are written beside the restored files.
        compare_pixels: largest number of pixels of such an image or frame; None keeps every pixel. Those that were
            written with another number are written again.
        overwrite: whether every file is restored again, and files of other programs are replaced.
        quality: quality of JPEG and lossy WebP, 1 to 100.
        max_pixels: number of pixels above which an image is refused before it is decoded.
        video: options for videos.
        report: function that is called with the progress of a video after each batch of frames, and with that of an
            image after each band or tile.
        dry_run: whether the jobs are only reported, and nothing is written.
        records: records of the folders that are written to.

    Yields:
        The result of each job, in their order; that of a failed job holds the reason.
    """
    options, records = video or VideoOptions(), records or Records()
    weights = cache(restorer.checksum)

    def making(job: Job) -> OutputSettings:
        network: dict[str, Any] = {"engine": restorer.engine_name, "precision": restorer.precision}
        if restorer.strength != 1:
            network["strength"] = restorer.strength
        if job.is_video:
            return OutputSettings("restore", weights(), {**network, **asdict(options)})
        return OutputSettings("restore", weights(), {**network, "quality": quality} if _has_quality(job) else network)

    def companion_making(job: Job) -> OutputSettings:
        target_making = making(job)
        # a comparison of the usual size has the same record as its target
        return (
            target_making
            if compare_pixels == PIXELS
            else replace(target_making, options={**target_making.options, "pixels": compare_pixels})
        )

    def do(job: Job, companion: Path | None) -> tuple[tuple[str, ...], Any]:
        if job.is_video:
            if companion is not None and not overwrite and _is_done(job, records, making(job)):
                compare_videos(
                    job.source, job.target, companion, pixels=compare_pixels
                )  # only the comparison is missing
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
                overwrite=True,  # `run_jobs` has decided that it may be replaced
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


def _is_done(job: Job, records: Records, making: OutputSettings) -> bool:
    """Tell whether the target of a job exists and would be made again in the same way."""
    there = job.target.exists() and records.entry(job.target) is not None
    return there and not records.difference(job.target, job.source, making)


def _has_quality(job: Job) -> bool:
    """Tell whether the type of the target has a quality."""
    return job.target.suffix.lower() in _QUALITY


def _timed(report: Callable[[Progress], None]) -> Callable[[float], None]:
    """Return a function that takes the share of an image that is done, and reports it with the time left."""
    started = time.monotonic()

    def tell(share: float) -> None:
        elapsed = time.monotonic() - started
        report(PictureProgress(share, elapsed / share - elapsed if share > 0 else None))

    return tell
