"""Runs the jobs of a command: each file is done, skipped because it was done before, or fails with its reason."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from passband.inference.files.plan import Job
from passband.io.files import failure, fitted_name
from passband.io.records import RECORD_FILE, OutputSettings, Records, foreign_file_message, signature


@dataclass(frozen=True)
class JobResult:
    """The result of a job."""

    job: Job
    status: Literal["restored", "planned", "skipped", "failed"]
    """`planned` in a dry run, which only says what would be done; `skipped` if an earlier run did it."""
    reason: str = ""
    """The reason why it failed."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about losses, damage and parts that were left out."""
    again: str = ""
    """The reason why a file of an earlier run was made again, such as `other weights`."""
    seconds: float = 0.0
    """Time that the job took, in seconds."""
    result: Any = None
    """Result of the work, beside the files."""


@dataclass(frozen=True)
class Work:
    """The work of a command on each job."""

    do: Callable[[Job, Path | None], tuple[tuple[str, ...], Any]]
    """Function from a job and the path of its companion, or None, to notes and a result of any kind."""
    making: Callable[[Job], OutputSettings]
    """Function from a job to the settings that its target is made with."""
    wants_companion: Callable[[Job], bool]
    """Function that tells whether a job gets a companion."""
    ending: Callable[[Path], str]
    """Function from a target to the ending of its companion's name, for jobs without a companion path."""
    companion_making: Callable[[Job], OutputSettings] | None = None
    """Function from a job to the settings that its companion is made with; None for those of its target."""

    def companion_of(self, job: Job) -> Path | None:
        """Return the path of the companion of a job, or None if it gets none."""
        if not self.wants_companion(job):
            return None
        return job.companion or job.target.with_name(fitted_name(job.target.stem, self.ending(job.target)))


def run_jobs(
    jobs: Sequence[Job], work: Work, *, overwrite: bool = False, dry_run: bool = False, records: Records | None = None
) -> Iterator[JobResult]:
    """Run jobs one by one; a job that fails does not stop the others.

    A file that passband wrote is kept if the same source, weights and options would make it again, and replaced
    otherwise. A file that passband did not write, or that has changed since, is never replaced.

    Args:
        jobs: jobs from `plan`.
        work: work of the command.
        overwrite: whether every file is made again, and files of other programs are replaced.
        dry_run: whether the jobs are only reported, and nothing is written.
        records: records of the folders that are written to.

    Yields:
        The result of each job, in their order.
    """
    records = records or Records()
    for job in jobs:
        if job.problem:
            yield JobResult(job, "failed", job.problem)
            continue
        try:
            outcome = _run(job, work, records, overwrite=overwrite, dry_run=dry_run)
        except Exception as error:  # any kind: a bad file may break its reader in any way
            outcome = JobResult(job, "failed", failure(error, job.source, job.target))
        yield outcome


def _run(job: Job, work: Work, records: Records, *, overwrite: bool, dry_run: bool) -> JobResult:
    """Run one job, if it has to be run."""
    companion = work.companion_of(job)
    paths = [job.target] if companion is None else [job.target, companion]
    makings = dict.fromkeys(paths, work.making(job))
    if companion is not None and work.companion_making is not None:
        makings[companion] = work.companion_making(job)
    there = [path for path in paths if path.exists()]
    again = ""
    if not overwrite:
        for path in there:
            if records.entry(path) is None:
                return JobResult(job, "failed", foreign_file_message(path))
        differences = [records.difference(path, job.source, makings[path]) for path in there]
        again = next(filter(None, differences), "")
        if not again and there == paths:
            return JobResult(job, "skipped")
    if dry_run:
        return JobResult(job, "planned", again=again)
    started = time.monotonic()
    seen, before = signature(job.source), {path: _stamp(path) for path in paths}
    notes: tuple[str, ...] = ()
    try:
        more, result = work.do(job, companion)
    finally:
        # also after an error, or the next run would take the files for those of another program
        for path in paths:
            if _stamp(path) not in (None, before[path]):
                notes += _record(records, path, job, seen, makings[path])
    if again == "another source":
        notes = (f"{job.target} replaces the result of another file", *notes)
    seconds = time.monotonic() - started
    return JobResult(job, "restored", notes=(*more, *notes), again=again, seconds=seconds, result=result)


def _record(records: Records, path: Path, job: Job, seen: dict[str, Any], making: OutputSettings) -> tuple[str, ...]:
    """Record a file, and return a note if that fails."""
    try:
        records.add(path, job.source, seen, making)
    except OSError as error:
        record = path.parent / RECORD_FILE
        return (f"{record} cannot be written ({error.strerror}), so the next run will not know that {path} is done",)
    return ()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return numbers that change if a file is written again; None if there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
