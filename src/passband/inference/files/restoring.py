"""Restores many image and video files: plans their targets, and reports the result of each."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from filecmp import cmp
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any

from passband.data.finding import Pass, find_sources
from passband.drawing.before_after import PIXELS
from passband.inference.files.jobs import JobResult, Parts, Work, run_jobs
from passband.inference.files.naming import Job, Jobs, Naming
from passband.inference.files.pieces import Executor, in_this_process, report_progress
from passband.inference.files.plan import plan
from passband.inference.files.splitting import PartDone, PartPiece
from passband.inference.files.video_parts import close_videos, do_part
from passband.inference.restorer import Restorer
from passband.inference.video.compare import COMPARE_SUFFIX, compare_videos
from passband.inference.video.streaming import VideoProgress, VideoSummary, restore_video
from passband.io.files import copy_whole
from passband.io.image import DEFAULT_MAX_PIXELS, SUFFIXES
from passband.io.paths import split_suffix
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
class ImageProgress:
    """The progress of a large image, which is restored in bands or tiles.

    Attributes:
        done: share that is restored, 0 to 1.
        seconds_left: estimate of the time left, in seconds; None at the beginning.
    """

    done: float
    seconds_left: float | None


Progress = VideoProgress | ImageProgress


def plan_jobs(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    passed: Pass = lambda _: None,
    records: Records | None = None,
) -> Jobs:
    """Decide the restored file of each source.

    Args:
        sources: files, folders (with everything below them) and glob patterns.
        output: a folder, or for a single file a name with a suffix of its kind. With None, the target of `NAME.png` is
            `NAME_restored.png` beside it, and the targets of a folder lie in `FOLDER_restored`.
        passed: function that is called with each skipped file of another kind; see `data.finding.find_sources`.
        records: records of the folders that the sources lie in; None for new ones.

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
    inputs = find_sources(sources, SOURCES, "images or videos", passed=passed, records=records)
    jobs = plan(inputs, output, RESTORED, records)
    videos = {str(source.path) for source in inputs if source.suffix in VIDEO_SUFFIXES}
    for source, target, problem, _ in jobs.rows:
        if not problem and (split_suffix(target)[1].lower() in VIDEO_SUFFIXES) != (source in videos):
            raise ValueError(f"{source} cannot become {target}: an image stays an image, a video a video")
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
    name_weights: bool = False,
    video: VideoOptions | None = None,
    report: Callable[[Progress], None] | None = None,
    dry_run: bool = False,
    records: Records | None = None,
    executor: Executor = in_this_process,
) -> Iterator[JobResult]:
    """Restore files; a bad file does not stop the others.

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
        name_weights: whether the metadata of restored images name the weights; see `Restorer.restore_file`.
        video: options for videos; None for the defaults.
        report: function that is called with the progress of a video after each batch of frames, and with that of an
            image after each band or tile.
        dry_run: whether the jobs are only reported, and nothing is written.
        records: records of the folders that are written to; None for new ones.
        executor: executor that runs the jobs: this process, one after the other, or processes of the room `scale`.

    Yields:
        The result of each job, in their order or as other processes finish them; that of a failed job holds the reason.
    """
    restoring = RestoreWork(
        restorer,
        compare=compare,
        compare_pixels=compare_pixels,
        overwrite=overwrite,
        quality=quality,
        max_pixels=max_pixels,
        name_weights=name_weights,
        video=video or VideoOptions(),
        report=report,
    )
    yield from run_jobs(
        jobs, restoring.work(), overwrite=overwrite, dry_run=dry_run, records=records, executor=executor
    )


@dataclass(frozen=True)
class LeftAlone:
    """The result for a file that the choice of the network left as it was."""


@dataclass(frozen=True)
class RestoreWork:
    """The work of restoration; the arguments of `restore_files`."""

    restorer: Restorer
    compare: bool
    compare_pixels: int | None
    overwrite: bool
    quality: int
    max_pixels: int
    video: VideoOptions
    name_weights: bool = False
    report: Callable[[Progress], None] | None = None
    run: str = field(default_factory=lambda: token_hex(8))
    """Name that the processes of this work have in common, so that those of other commands keep off its videos."""

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the function that is called with the progress, which belongs to this process."""
        return {**vars(self), "report": report_progress}

    def work(self) -> Work:
        """Return the work for `run_jobs`."""
        parts = Parts(self.first_part, self.do_part, self.complete)
        return Work(self.do, self.making, self.wants_companion, RESTORED.ending, self.companion_making, parts)

    def first_part(self, job: Job, companion: Path | None) -> PartPiece | None:
        """Return the part that plans the segments of a video; None for images, and for videos that are smoothed.

        Smoothing needs the frames before, so that the segments must be restored one after the other.

        Args:
            job: job of the command.
            companion: path of the comparison; None without one.
        """
        is_split = job.is_video and self.video.temporal is None
        return PartPiece(job, None, companion) if is_split else None

    def do_part(self, piece: PartPiece) -> PartDone:
        """Plan the segments of a video, or restore one of them. An error becomes a part of the result.

        Args:
            piece: part of a job, from `first_part` or from the plan.
        """
        job, video = piece.job, self.video
        if piece.companion is not None and not self.overwrite and _is_done(job, Records(), self.making(job)):
            return PartDone(piece, is_last=True)  # only the comparison is missing
        return do_part(
            self.restorer, piece, video.codec, video.crf, drop_unsupported=video.drop_unsupported, run=self.run
        )

    def complete(self, result: JobResult, plan: PartDone, seconds: float) -> JobResult:
        """Return the result for a video whose segments several workers have restored.

        Args:
            result: the result of the job itself, which found its segments finished.
            plan: the plan of the segments.
            seconds: time since the plan was begun.
        """
        summary = result.result
        if isinstance(summary, VideoSummary):
            summary = replace(summary, resumed=plan.resumed, seconds=seconds)
        return replace(result, result=summary, seconds=seconds, notes=(*plan.notes, *result.notes))

    def wants_companion(self, job: Job) -> bool:
        """Tell whether a job gets a comparison.

        Args:
            job: job of the command, which makes no difference.
        """
        return self.compare

    @cached_property
    def weights(self) -> str:
        """The checksum of the restorer."""
        return self.restorer.checksum()

    def making(self, job: Job) -> OutputSettings:
        """Return the settings of a restored file.

        Args:
            job: job of the command.
        """
        kind = (job.is_video, _has_quality(job))
        if kind not in self._making:
            self._making[kind] = self._settings(*kind)
        return self._making[kind]

    @cached_property
    def _making(self) -> dict[tuple[bool, bool], OutputSettings]:
        """The settings of each kind of file, which are the same for thousands of files."""
        return {}

    def _settings(self, is_video: bool, has_quality: bool) -> OutputSettings:
        """Return the settings of a kind of restored files."""
        restorer = self.restorer
        network: dict[str, Any] = {"engine": restorer.engine_name, "precision": restorer.precision}
        if restorer.strength != 1:
            network["strength"] = restorer.strength
        if is_video:
            return OutputSettings("restore", self.weights, {**network, **asdict(self.video)})
        if self.name_weights:
            network["name_weights"] = True
        return OutputSettings("restore", self.weights, {**network, "quality": self.quality} if has_quality else network)

    def companion_making(self, job: Job) -> OutputSettings:
        """Return the settings of a comparison; one of the usual size has the same record as its target.

        Args:
            job: job of the command.
        """
        target_making = self.making(job)
        if self.compare_pixels == PIXELS:
            return target_making
        return replace(target_making, options={**target_making.options, "pixels": self.compare_pixels})

    def do(self, job: Job, companion: Path | None) -> tuple[tuple[str, ...], Any]:
        """Restore a file.

        Args:
            job: job of the command.
            companion: path of the comparison to write; None without one.

        Returns:
            Notes for the user, and `LeftAlone` if the choice of the network left the file as it was, otherwise None for
            an image.
        """
        close_videos()
        if job.is_video:
            return self._restore_video(job, companion)
        # a choice remembers its last file, so that `restore_file` does not inspect it again
        is_alone = self.restorer.choice.of_file(job.source, self.max_pixels).weights is None
        notes = self.restorer.restore_file(
            job.source,
            job.target,
            compare=companion,
            compare_pixels=self.compare_pixels,
            quality=self.quality,
            max_pixels=self.max_pixels,
            name_weights=self.name_weights,
            report=None if self.report is None else _timed(self.report),
        )
        return notes, LeftAlone() if is_alone else None

    def _restore_video(self, job: Job, companion: Path | None) -> tuple[tuple[str, ...], Any]:
        """Restore a video, or write its comparison if only that is missing."""
        if companion is not None and not self.overwrite and _is_done(job, Records(), self.making(job)):
            compare_videos(job.source, job.target, companion, pixels=self.compare_pixels)
            return (), LeftAlone() if cmp(job.source, job.target, shallow=False) else None
        network, line = self.restorer.for_video(job.source, job.target, as_one=self.video.temporal is not None)
        chosen = (line,) if line else ()
        if network is None:
            copy_whole(job.source, job.target)
            if companion is not None:
                compare_videos(job.source, job.target, companion, pixels=self.compare_pixels)
            return chosen, LeftAlone()
        done = restore_video(
            network,
            job.source,
            job.target,
            codec=self.video.codec,
            crf=self.video.crf,
            temporal=self.video.temporal,
            overwrite=True,  # `run_jobs` has decided that it may be replaced
            drop_unsupported=self.video.drop_unsupported,
            compare=companion,
            compare_pixels=self.compare_pixels,
            report=self.report,
            run=self.run,
        )
        return (*chosen, *done.notes), done


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
        report(ImageProgress(share, elapsed / share - elapsed if share > 0 else None))

    return tell
