"""Works on files at addresses such as `s3://bucket/photos`: each is copied to a worker, processed, and copied back."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from passband.inference.files.jobs import Work
from passband.inference.files.naming import Job, Naming
from passband.inference.files.pieces import Executor, Piece, in_this_process
from passband.io.failures import failure
from passband.io.paths import fitted_name
from passband.io.storage import Store, Stored
from passband.scale.copies import fetch, files_at, with_addresses
from passband.scale.manifest import Manifest, settings_text


@dataclass(frozen=True)
class AddressJob:
    """One file at an address that will be made from another."""

    source: Stored
    target: str
    """Address of the target."""
    companion: str | None = None
    """Address of the file beside the target, or None."""

    @property
    def name(self) -> str:
        """The name of the target."""
        return self.target.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class AddressResult:
    """The result of a job, as `inference.JobResult` for files of this machine."""

    job: AddressJob
    status: Literal["restored", "planned", "skipped", "failed"]
    reason: str = ""
    notes: tuple[str, ...] = ()
    again: str = ""
    seconds: float = 0.0
    result: Any = None
    source: Stored | None = None
    """The source as it was read."""
    target: Stored | None = None
    """The target that was written."""
    may_be_written: bool = False
    """Whether a failed job may have written its target."""


@dataclass(frozen=True)
class AddressTask(Piece):
    """A job that has to be run."""

    job: AddressJob
    is_video: bool
    settings: str
    again: str = ""

    @property
    def path(self) -> Any:
        """The address of the source."""
        return self.job.source.url

    @property
    def is_long(self) -> bool:
        """Whether the work may take hours."""
        return self.is_video

    def failed(self, reason: str) -> AddressResult:
        """Return the result if the worker died or hung."""
        return AddressResult(self.job, "failed", reason, may_be_written=True)


def run_addresses(
    sources: Sequence[str],
    output: str,
    manifest: Manifest,
    work: Work,
    naming: Naming,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    executor: Executor = in_this_process,
) -> Iterator[AddressResult]:
    """Work on files at addresses; a bad file does not stop the others.

    A target is kept if the manifest says that the same source, weights and options made it, and made again otherwise. A
    file that is not in the manifest, or has changed since, is never replaced. Folders are listed one by one, so memory
    grows with the largest folder only.

    Args:
        sources: addresses or paths of files, folders and glob patterns.
        output: address or path of a folder, or for a single file of a file with a suffix of its kind.
        manifest: the manifest.
        work: work of the command.
        naming: rules by which the command names files.
        overwrite: whether every file is made again, and files of other programs are replaced.
        dry_run: whether the jobs are only reported.
        executor: executor that runs the jobs.

    Yields:
        The result of each job, in the order in which the executor finishes them.

    Raises:
        FileNotFoundError: if a source does not exist.
        ValueError: if two sources would have the same target, or the type of the output cannot be written.
        ScaleError: if a kind of store is unknown, or a package for it is missing.
    """
    planner = _Planner(output, naming, manifest, work)

    def decided() -> Iterator[AddressTask | AddressResult]:
        for source in sources:
            for job, there in planner.jobs(source, is_only=len(sources) == 1):
                if planner.is_planned(job):
                    continue
                try:
                    task = planner.decide(job, there, overwrite=overwrite, dry_run=dry_run)
                except Exception as error:  # any kind: a bad file may break its reader in any way
                    task = AddressResult(job, "failed", failure(error, Path(job.source.url)))
                if isinstance(task, AddressTask):
                    manifest.begin(job.target, job.source)
                yield task

    for result in executor(partial(carry_out, work), decided()):
        if result.status == "restored":
            settings = settings_text(work.making(planner.local_job(result.job)))
            manifest.done(result.target, result.source, settings, result.seconds)
        elif result.status == "failed":
            may_be_written = result.may_be_written
            manifest.failed(result.job.target, result.job.source.url, result.reason, may_be_written=may_be_written)
        yield result


@dataclass
class _Planner:
    """Names targets, and decides which jobs are run."""

    output: str
    naming: Naming
    manifest: Manifest
    work: Work
    named: dict[int, int] = field(default_factory=dict)
    """Hashes of the sources by those of their targets, which take less memory than the addresses."""

    def jobs(self, source: str, *, is_only: bool) -> Iterator[tuple[AddressJob, dict[str, Stored]]]:
        """Yield the jobs of a source, each with the files in the folder of its target."""
        target, is_file = Store(self.output), PurePosixPath(self.output).suffix.lower() in self.naming.targets
        for below, files in files_at(source, self.naming.sources, self.manifest):
            if is_only and is_file and below is None:
                folder, _, name = target.path.rpartition("/")
                yield self._job(files[0], target, folder, name), target.files_in(folder)
                return
            folder = f"{target.path}/{below or ''}".rstrip("/")
            there = target.files_in(folder)
            for file, name in self._names(files):
                yield self._job(file, target, folder, name), there

    def is_planned(self, job: AddressJob) -> bool:
        """Tell whether an earlier source had the same job.

        Raises:
            ValueError: if another source has the same target.
        """
        target, source = hash(job.target), hash(job.source.url)
        if target not in self.named:
            self.named[target] = source
            return False
        if self.named[target] != source:
            raise ValueError(f"two sources have the same output {job.target}: give them different output folders")
        return True

    def decide(
        self, job: AddressJob, there: dict[str, Stored], *, overwrite: bool, dry_run: bool
    ) -> AddressTask | AddressResult:
        """Return the task of a job, or its result if it need not or cannot be run."""
        local = self.local_job(job)
        settings = settings_text(self.work.making(local))
        target, again = there.get(job.name), ""
        companion = None if job.companion is None else there.get(job.companion.rsplit("/", 1)[-1])
        row = self.manifest.row(job.target)
        if not overwrite and (target is not None or companion is not None):
            if row is None or (target is not None and not row.is_ours(target)):
                reason = (
                    f"{job.target} exists, but the manifest does not know it: choose another output, the manifest of "
                    "the run that wrote it, or use --overwrite to replace it"
                )
                return AddressResult(job, "failed", reason)
            if row.state == "done":
                again = row.difference(job.source, settings)
                is_whole = target is not None and (job.companion is None or companion is not None)
                if not again and is_whole:
                    return AddressResult(job, "skipped")
        if dry_run:
            return AddressResult(job, "planned", again=again)
        return AddressTask(job, local.is_video, settings, again)

    def local_job(self, job: AddressJob) -> Job:
        """Return the job as one of files of this machine, for settings that depend on suffixes."""
        return Job(Path(job.source.name), Path(job.name))

    def _job(self, source: Stored, store: Store, folder: str, name: str) -> AddressJob:
        """Return the job of a source."""
        local = Job(Path(source.name), Path(name))
        beside = None
        if self.work.wants_companion(local):
            beside = store.url(f"{folder}/{fitted_name(name, self.work.ending(local.target))}")
        url = store.url(f"{folder}/{name}")
        if url == source.url:
            raise ValueError(f"{url} would be replaced by {self.naming.becomes}: choose another output")
        return AddressJob(source, url, beside)

    def _names(self, files: Sequence[Stored]) -> Iterator[tuple[Stored, str]]:
        """Yield the files of a folder with the names of their targets; a name that is not unique keeps its suffix."""
        written = {file.name: PurePosixPath(file.name).stem + self._suffix(file) for file in files}
        counts = Counter(written.values())
        for file in files:
            name = written[file.name]
            keeps = name == file.name
            is_taken = counts[name] > 1 and not keeps
            yield file, fitted_name(file.name, self._suffix(file)) if is_taken else name

    def _suffix(self, file: Stored) -> str:
        """Return the suffix of a target; if it is the same as that of the source, in the source's spelling."""
        written, own = self.naming.written(file.suffix), PurePosixPath(file.name).suffix
        return own if own.lower() == written else written


def carry_out(work: Work, task: AddressTask) -> AddressResult:
    """Copy a source to this machine, do the work on it, and copy the target back.

    Args:
        work: work of the command.
        task: the task.
    """
    job, started, is_uploading = task.job, time.monotonic(), False
    with tempfile.TemporaryDirectory(prefix="passband-") as folder:
        source, target = Path(folder, "in", job.source.name), Path(folder, "out", job.name)
        companion = None if job.companion is None else Path(folder, "out", job.companion.rsplit("/", 1)[-1])
        named = with_addresses({str(source): job.source.url, str(target): job.target, folder: "the copy"})
        try:
            source.parent.mkdir()
            seen = fetch(job.source, source)
            notes, result = work.do(Job(source, target, companion=companion), companion)
            is_uploading = True
            if companion is not None and job.companion is not None:
                store = Store(job.companion)
                store.upload(companion, store.path)
            store = Store(job.target)
            written = store.upload(target, store.path)
        except Exception as error:  # any kind: a bad file may break its reader in any way
            reason = named(failure(error, Path(job.source.url), source, target))
            reason = reason if job.source.url in reason or job.target in reason else f"{job.source.url}: {reason}"
            return AddressResult(job, "failed", reason, may_be_written=is_uploading)
    return AddressResult(
        job,
        "restored",
        notes=tuple(named(note) for note in notes),
        again=task.again,
        seconds=time.monotonic() - started,
        result=result,
        source=seen,
        target=written,
    )
