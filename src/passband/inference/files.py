"""Restoring many files, pictures and videos: which become which, and one by one what became of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from passband.data.pictures import expand, find_images
from passband.inference.restorer import Restorer
from passband.inference.video import PARTS_SUFFIX, VideoProgress, restore_video
from passband.io.image import DEFAULT_MAX_PIXELS, SUFFIXES, ImageError
from passband.io.video import VIDEO_SUFFIXES, VideoError
from passband.io.video_join import target_suffix

SOURCES = SUFFIXES | VIDEO_SUFFIXES
"""Suffixes of what can be restored."""


@dataclass(frozen=True)
class Job:
    """One file to restore."""

    source: Path
    target: Path
    problem: str = ""
    """Why it cannot be done, if that is known before: a folder that cannot be read."""

    @property
    def is_video(self) -> bool:
        """Whether it is a video, by its suffix."""
        return self.source.suffix.lower() in VIDEO_SUFFIXES

    @property
    def compare(self) -> Path:
        """Where its before/after picture goes."""
        return self.target.with_name(f"{self.target.stem}_compare.png")


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    status: Literal["restored", "skipped", "failed"]
    reason: str = ""
    """Why it failed."""
    notes: tuple[str, ...] = ()
    """What the user should know of a restored file: what was lost, damaged or left out."""


@dataclass(frozen=True)
class VideoOptions:
    """How videos are restored and written; see `video.restore_video`."""

    codec: str | None = None
    crf: int | None = None
    temporal: float | None = None
    drop_unsupported: bool = False


def plan_jobs(sources: Sequence[str | Path], output: Path | None = None) -> list[Job]:
    """Say which file becomes which.

    Args:
        sources: files, folders (with all below them) and glob patterns.
        output: a folder, or for a single file a name with a suffix of its kind. None puts `NAME_restored.png` beside
            a file `NAME.png` and fills a folder `FOLDER_restored` for a folder.

    Returns:
        Jobs, in the order of the sources. The tree below a folder is kept, and so are types, but for videos in
            containers that are read and not written, which become Matroska. A sub-folder that cannot be read is a job
            that fails.

    Raises:
        FileNotFoundError: for a source that is not there, or a folder without pictures and videos.
        PermissionError: for a folder that cannot be read.
        ValueError: if two files would become one, or a picture a video.
    """
    jobs: list[Job] = []
    for source in (path for given in sources for path in expand(given)):
        if source.is_dir():
            folder = output or source.with_name(f"{source.resolve().name}_restored")
            # what an earlier run left below the source is no source
            closed: list[OSError] = []
            found = [path for path in find_images(source, SOURCES, closed.append) if not _is_ours(path, folder)]
            unread = {Path(str(error.filename)): error.strerror for error in closed}
            if not found and not unread:
                raise FileNotFoundError(f"{source} holds no pictures or videos ({', '.join(sorted(SOURCES))})")
            jobs += [Job(path, _typed(folder / path.relative_to(source))) for path in found]
            jobs += [
                Job(path, folder / path.relative_to(source), f"{path} cannot be read ({reason})")
                for path, reason in unread.items()
                if not _is_ours(path, folder)
            ]
        elif output is None:
            jobs.append(Job(source, _typed(source.with_name(f"{source.stem}_restored{source.suffix}"))))
        elif output.suffix.lower() in SOURCES and not output.is_dir():
            if (output.suffix.lower() in VIDEO_SUFFIXES) != (source.suffix.lower() in VIDEO_SUFFIXES):
                raise ValueError(f"{source} cannot become {output}: a picture stays a picture, a video a video")
            jobs.append(Job(source, output))
        else:
            jobs.append(Job(source, _typed(output / source.name)))
    targets: dict[Path, Path] = {}
    for job in jobs:
        other = targets.setdefault(job.target, job.source)
        if other != job.source:
            raise ValueError(f"{other} and {job.source} would both become {job.target}: give them outputs of their own")
        if job.target.resolve() == job.source.resolve():
            raise ValueError(f"{job.source} would be replaced by its restored picture: choose another output")
    return jobs


def restore_files(
    restorer: Restorer,
    jobs: Sequence[Job],
    *,
    compare: bool = False,
    overwrite: bool = False,
    quality: int = 95,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    video: VideoOptions | None = None,
    report: Callable[[VideoProgress], None] | None = None,
) -> Iterator[Outcome]:
    """Restore files one by one; a bad one does not keep the others from being done.

    Args:
        restorer: the network.
        jobs: from `plan_jobs`.
        compare: write before/after pictures beside the restored ones; not of videos.
        overwrite: do again what is done; otherwise a target that exists is skipped.
        quality: of JPEG and lossy WebP, 1 to 100.
        max_pixels: larger pictures fail before they are decoded.
        video: how videos are restored and written.
        report: called with the progress of a video, after each batch of frames.

    Yields:
        What became of each job, in their order. A failed one carries the reason.
    """
    options = video or VideoOptions()
    for job in jobs:
        if job.problem:
            yield Outcome(job, "failed", job.problem)
            continue
        if job.target.exists() and not overwrite:
            yield Outcome(job, "skipped")
            continue
        notes: tuple[str, ...] = ()
        try:
            if job.is_video:
                notes = restore_video(
                    restorer,
                    job.source,
                    job.target,
                    codec=options.codec,
                    crf=options.crf,
                    temporal=options.temporal,
                    overwrite=overwrite,
                    drop_unsupported=options.drop_unsupported,
                    report=report,
                ).notes
            else:
                notes = restorer.restore_file(
                    job.source,
                    job.target,
                    compare=job.compare if compare else None,
                    quality=quality,
                    max_pixels=max_pixels,
                )
        except (ImageError, VideoError, OSError, MemoryError) as error:
            yield Outcome(job, "failed", str(error))
        else:
            yield Outcome(job, "restored", notes=notes)


def _typed(target: Path) -> Path:
    """The target with a suffix that can be written."""
    is_video = target.suffix.lower() in VIDEO_SUFFIXES
    return target.with_suffix(target_suffix(target.suffix)) if is_video else target


def _is_ours(path: Path, folder: Path) -> bool:
    """Whether an earlier run left this below the source: a restored file, or a part of a video that is not done."""
    return path.is_relative_to(folder) or any(part.endswith(PARTS_SUFFIX) for part in path.parts)
