"""The loop over files: each is done, found done before, or failed with its reason, whatever happens to the others."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from passband.inference.files.plan import Job
from passband.io.files import failure, fitted_name
from passband.io.records import RECORD_FILE, Making, Records, signature, stranger


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    status: Literal["restored", "planned", "skipped", "failed"]
    """`planned` is what would be done, in a run that only says so; `skipped` was done before."""
    reason: str = ""
    """Why it failed."""
    notes: tuple[str, ...] = ()
    """What the user should know of a file that was done: what was lost, damaged or left out."""
    again: str = ""
    """Why a file that passband wrote before was done again: `other weights`."""
    seconds: float = 0.0
    """How long it took."""
    result: Any = None
    """What the work gave, beside the files."""


@dataclass(frozen=True)
class Work:
    """What a command does with each job."""

    do: Callable[[Job, Path | None], tuple[tuple[str, ...], Any]]
    """Takes a job and where its companion goes, if it is wanted; gives notes, and a result of any kind."""
    making: Callable[[Job], Making]
    """How the target of a job is made."""
    wants_companion: Callable[[Job], bool]
    """Whether the companion of a job is wanted."""
    ending: Callable[[Path], str]
    """Takes a target and gives what ends the name of its companion, where the job does not say it."""
    companion_making: Callable[[Job], Making] | None = None
    """Takes a job and gives how its companion is made; None where that is as its target."""

    def companion_of(self, job: Job) -> Path | None:
        """Where the companion of a job goes, if it is wanted."""
        if not self.wants_companion(job):
            return None
        return job.companion or job.target.with_name(fitted_name(job.target.stem, self.ending(job.target)))


def run_jobs(
    jobs: Sequence[Job], work: Work, *, overwrite: bool = False, dry_run: bool = False, records: Records | None = None
) -> Iterator[Outcome]:
    """Do jobs one by one; whatever is wrong with one, the others are done.

    A file that passband wrote is kept where the same source, weights and options would make it again, and replaced
    where they would not. A file that passband did not write, or that has changed since, is never replaced.

    Args:
        jobs: from `plan`.
        work: what to do.
        overwrite: do everything again, and replace files whoever wrote them.
        dry_run: only say what would be done.
        records: of the folders that are written to.

    Yields:
        What became of each job, in their order.
    """
    records = records or Records()
    for job in jobs:
        if job.problem:
            yield Outcome(job, "failed", job.problem)
            continue
        try:
            outcome = _run(job, work, records, overwrite=overwrite, dry_run=dry_run)
        except Exception as error:  # of any kind: a bad file may break what reads it in any way
            outcome = Outcome(job, "failed", failure(error, job.source, job.target))
        yield outcome


def _run(job: Job, work: Work, records: Records, *, overwrite: bool, dry_run: bool) -> Outcome:
    """Do one job, if it has to be done."""
    companion = work.companion_of(job)
    wanted = [job.target] if companion is None else [job.target, companion]
    makings = dict.fromkeys(wanted, work.making(job))
    if companion is not None and work.companion_making is not None:
        makings[companion] = work.companion_making(job)
    there = [path for path in wanted if path.exists()]
    again = ""
    if not overwrite:
        for path in there:
            if records.entry(path) is None:
                return Outcome(job, "failed", stranger(path))
        differences = [records.difference(path, job.source, makings[path]) for path in there]
        again = next(filter(None, differences), "")
        if not again and there == wanted:
            return Outcome(job, "skipped")
    if dry_run:
        return Outcome(job, "planned", again=again)
    started = time.monotonic()
    seen, before = signature(job.source), {path: _stamp(path) for path in wanted}
    notes: tuple[str, ...] = ()
    try:
        more, result = work.do(job, companion)
    finally:
        # of what was written, however it ended: the next run must not take it for somebody else's
        for path in wanted:
            if _stamp(path) not in (None, before[path]):
                notes += _record(records, path, job, seen, makings[path])
    if again == "another source":
        notes = (f"{job.target} replaces what another file had become", *notes)
    seconds = time.monotonic() - started
    return Outcome(job, "restored", notes=(*more, *notes), again=again, seconds=seconds, result=result)


def _record(records: Records, path: Path, job: Job, seen: dict[str, Any], making: Making) -> tuple[str, ...]:
    """Record a file; where that fails, say so."""
    try:
        records.add(path, job.source, seen, making)
    except OSError as error:
        place = path.parent / RECORD_FILE
        return (f"{place} cannot be written ({error.strerror}), so the next run will not know that {path} is done",)
    return ()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written anew; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
