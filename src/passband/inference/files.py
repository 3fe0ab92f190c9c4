"""Restoring many files: which become which, and one by one what became of them."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from passband.data.pairs import find_images
from passband.inference.restorer import Restorer
from passband.io.image import DEFAULT_MAX_PIXELS, SUFFIXES, ImageError


@dataclass(frozen=True)
class Job:
    """One file to restore."""

    source: Path
    target: Path

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


def plan_jobs(sources: Sequence[str | Path], output: Path | None = None) -> list[Job]:
    """Say which file becomes which.

    Args:
        sources: files, folders (with all below them) and glob patterns.
        output: a folder, or for a single file a name with a picture's suffix. None puts `NAME_restored.png` beside
            a file `NAME.png` and fills a folder `FOLDER_restored` for a folder.

    Returns:
        Jobs, in the order of the sources. The tree below a folder is kept.

    Raises:
        FileNotFoundError: for a source that is not there, or a folder without pictures.
        PermissionError: for a folder that cannot be read.
        ValueError: if two files would become one.
    """
    jobs: list[Job] = []
    for source in (path for given in sources for path in _expand(given)):
        if source.is_dir():
            folder = output or source.with_name(f"{source.resolve().name}_restored")
            # what an earlier run left below the source is no source
            images = [path for path in find_images(source) if not path.is_relative_to(folder)]
            if not images:
                raise FileNotFoundError(f"{source} holds no pictures ({', '.join(sorted(SUFFIXES))})")
            jobs += [Job(path, folder / path.relative_to(source)) for path in images]
        elif output is None:
            jobs.append(Job(source, source.with_name(f"{source.stem}_restored{source.suffix}")))
        elif output.suffix.lower() in SUFFIXES and not output.is_dir():
            jobs.append(Job(source, output))
        else:
            jobs.append(Job(source, output / source.name))
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
) -> Iterator[Outcome]:
    """Restore files one by one; a bad one does not keep the others from being done.

    Args:
        restorer: the network.
        jobs: from `plan_jobs`.
        compare: write before/after pictures beside the restored ones.
        overwrite: do again what is done; otherwise a target that exists is skipped.
        quality: of JPEG and lossy WebP, 1 to 100.
        max_pixels: larger pictures fail before they are decoded.

    Yields:
        What became of each job, in their order. A failed one carries the reason.
    """
    for job in jobs:
        if job.target.exists() and not overwrite:
            yield Outcome(job, "skipped")
            continue
        try:
            restorer.restore_file(
                job.source, job.target, compare=job.compare if compare else None, quality=quality, max_pixels=max_pixels
            )
        except (ImageError, OSError, MemoryError) as error:
            yield Outcome(job, "failed", str(error))
        else:
            yield Outcome(job, "restored")


def _expand(source: str | Path) -> list[Path]:
    """The files or the folder that a source names."""
    path = Path(source).expanduser()
    if path.exists():
        return [path]
    matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []  # noqa: PTH207 (absolute patterns, too)
    if not matches:
        raise FileNotFoundError(f"no file, folder or match for {source}")
    return [Path(match) for match in matches]
