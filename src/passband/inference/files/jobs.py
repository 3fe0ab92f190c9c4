"""Runs the jobs of a command: each file is done, skipped because it was done before, or fails with its reason."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from passband.inference.files.naming import Job
from passband.inference.files.pieces import Executor, Piece, in_this_process
from passband.inference.files.splitting import PartDone, PartPiece, PartsFeed
from passband.io.failures import FULL, failure
from passband.io.files import before_rename, results_folder
from passband.io.paths import fitted_name
from passband.io.records import OutputSettings, Records, foreign_file_message, signature


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
    """The work of a command on each job.

    The functions can be pickled if another process shall do the work: use methods of an object that can be pickled.
    """

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

    parts: "Parts | None" = None
    """The work on parts of long jobs; None if no job is split."""

    def companion_of(self, job: Job) -> Path | None:
        """Return the path of the companion of a job, or None if it gets none.

        Args:
            job: job of the command.
        """
        if not self.wants_companion(job):
            return None
        return job.companion or job.target.with_name(fitted_name(job.target.stem, self.ending(job.target)))


@dataclass(frozen=True)
class Parts:
    """The work on parts of a long job, whose results the job finds when it is run."""

    first: Callable[[Job, Path | None], PartPiece | None]
    """Function from a job and the path of its companion to the part that plans the others; None to keep it whole."""
    do: Callable[[PartPiece], PartDone]
    """Function from a part to its result, which raises no error."""
    complete: "Callable[[JobResult, PartDone, float], JobResult]"
    """Function from the result of the job, the plan of its parts and the seconds since it began to the whole result."""


@dataclass(frozen=True)
class Task(Piece):
    """A job that has to be run, with everything that was decided about it."""

    job: Job
    companion: Path | None
    """The path of the companion, or None if it gets none."""
    makings: dict[Path, OutputSettings]
    """The settings of each file that is written."""
    again: str = ""
    """The reason why a file of an earlier run is made again."""

    @property
    def path(self) -> Path:
        """The path of the source."""
        return self.job.source

    @property
    def is_long(self) -> bool:
        """Whether the work may take hours: videos do."""
        return self.job.is_video

    def failed(self, reason: str) -> JobResult:
        """Return the result if the job failed for a reason."""
        return JobResult(self.job, "failed", reason)


def run_jobs(
    jobs: Sequence[Job],
    work: Work,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    records: Records | None = None,
    executor: Executor = in_this_process,
) -> Iterator[JobResult]:
    """Run jobs; a job that fails does not stop the others.

    A file that passband wrote is kept if the same source, weights and options would make it again, and replaced
    otherwise. A file that passband did not write, or that has changed since, is never replaced.

    Args:
        jobs: jobs from `plan`.
        work: work of the command.
        overwrite: whether every file is made again, and files of other programs are replaced.
        dry_run: whether the jobs are only reported, and nothing is written.
        records: records of the folders that are written to; None for new ones.
        executor: executor that runs the jobs, such as the processes of `scale.LocalProcesses`; this process decides
            which jobs are run.

    Yields:
        The result of each job, in the order in which the executor finishes them.
    """
    records, check_folder = records or Records(), cache(results_folder)

    def decided() -> Iterator[Task | JobResult]:
        for job in jobs:
            try:
                yield decide(job, work, records, check_folder, overwrite=overwrite, dry_run=dry_run)
            except Exception as error:  # any kind: a bad file may break its reader in any way
                yield JobResult(job, "failed", failure(error, job.source, job.target))

    parts, run = work.parts, partial(carry_out, work, records)
    if parts is None or getattr(executor, "workers", 1) == 1:  # one worker does the parts of a job one by one anyway
        yield from executor(run, decided())
        return
    feed = PartsFeed(decided(), lambda task: parts.first(task.job, task.companion))
    for result in executor(run, feed):
        if isinstance(result, PartDone):
            feed.take(result)
        else:
            plan = feed.plan_of(result.job)
            yield result if plan is None else parts.complete(result, *plan)


def decide(
    job: Job,
    work: Work,
    records: Records,
    check_folder: Callable[[Path], object],
    *,
    overwrite: bool,
    dry_run: bool,
) -> Task | JobResult:
    """Return the task of a job, or its result if it need not or cannot be run.

    Args:
        job: the job.
        work: work of the command.
        records: records of the folders that are written to.
        check_folder: function that raises an error if a folder cannot be written to, such as `results_folder`.
        overwrite: whether every file is made again, and files of other programs are replaced.
        dry_run: whether the job is only reported.

    Raises:
        WriteError: if its files cannot be written.
    """
    if job.problem:
        return JobResult(job, "failed", job.problem)
    companion = work.companion_of(job)
    paths = [job.target] if companion is None else [job.target, companion]
    makings = dict.fromkeys(paths, work.making(job))
    if companion is not None and work.companion_making is not None:
        makings[companion] = work.companion_making(job)
    again = ""
    if not overwrite:
        recorded = {path: entry for path in paths if (entry := records.entry(path)) is not None}
        for path in paths:
            if path not in recorded and path.exists():
                return JobResult(job, "failed", foreign_file_message(path))
        differences = [records.difference(path, job.source, makings[path], recorded[path]) for path in recorded]
        again = next(filter(None, differences), "")
        if not again and len(recorded) == len(paths):
            return JobResult(job, "skipped")
    check_folder(job.target.parent)
    if dry_run:
        return JobResult(job, "planned", again=again)
    return Task(job, companion, makings, again)


def carry_out(work: Work, records: Records, task: Task | PartPiece) -> JobResult | PartDone:
    """Run a task, and record the files that it writes just before they get their names; or do a part of one.

    Args:
        work: work of the command.
        records: records of the folders that are written to.
        task: task from `decide`, or a part of a job.
    """
    if isinstance(task, PartPiece):
        assert work.parts is not None, "only work with parts is split"
        return work.parts.do(task)
    try:
        return _carry_out(work, records, task)
    except Exception as error:  # any kind: a bad file may break its reader in any way
        return task.failed(failure(error, task.job.source, task.job.target))


def _carry_out(work: Work, records: Records, task: Task) -> JobResult:
    """Run a task; an error is raised."""
    job, started = task.job, time.monotonic()
    seen, before = signature(job.source), {path: _stamp(path) for path in task.makings}
    notes: list[str] = []
    recorded: set[Path] = set()

    def record(path: Path, content: Path | None = None) -> None:
        if path in task.makings:
            recorded.add(path)
            notes.extend(_record(records, path, job, seen, task.makings[path], content))

    try:
        with before_rename(record):
            more, result = work.do(job, task.companion)
    finally:
        # files that were not written whole, also after an error, or the next run would take them for those of another
        # program
        for path in task.makings:
            if path not in recorded and _stamp(path) not in (None, before[path]):
                record(path)
    if task.again == "another source":
        notes.insert(0, f"{job.target} replaces the result of another file")
    seconds = time.monotonic() - started
    return JobResult(job, "restored", notes=(*more, *notes), again=task.again, seconds=seconds, result=result)


def _record(
    records: Records, path: Path, job: Job, seen: dict[str, Any], making: OutputSettings, content: Path | None
) -> tuple[str, ...]:
    """Record a file, and return a note if that fails.

    Raises:
        WriteError: if the disk is full. The file is then not written either, so that the next run makes both.
    """
    try:
        records.add(path, job.source, seen, making, content)
    except OSError as error:
        if error.errno in FULL:
            raise
        return (f"{error}, so the next run will not know that {path} is done",)
    return ()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return numbers that change if a file is written again; None if there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
