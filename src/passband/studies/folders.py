"""The places in the folder of a study: the runs of its trials, and the locks of the processes that work on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from passband.io.failures import naming_file
from passband.studies.settings import StudyError

PATIENCE = 120.0
"""Time in seconds that a process waits while another process plans trials or writes to the database."""

Group = Literal["trials", "retrained"]
"""Name of a group of trials: those of the grid, or the trainings of the best points with new seeds."""


@contextmanager
def study_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a study while the block plans trials, or removes files of several trials.

    Args:
        folder: folder of the study.

    Raises:
        StudyError: if another process holds it for longer than `PATIENCE`.
        WriteError: if the folder cannot be written.
    """
    with _held(folder, "study", PATIENCE) as is_held:
        if not is_held:
            raise StudyError(
                f"another process has planned trials in {folder} for more than {PATIENCE:g} s: wait until it ends, or "
                "end it, and run the command again"
            )
        yield


@contextmanager
def trial_lock(folder: Path, group: Group, number: int) -> Iterator[bool]:
    """Hold the lock of a trial while the block trains it. The system releases it if the process dies.

    Args:
        folder: folder of the study.
        group: group of the trial.
        number: number of the trial.

    Yields:
        Whether the lock is held; False if another process holds it.

    Raises:
        WriteError: if the folder cannot be written.
    """
    with _held(folder, f"{group}-{number:04d}", 0) as is_held:
        yield is_held


def run_folder(folder: Path, group: Group, number: int) -> Path:
    """Return the folder of the run of a trial.

    Args:
        folder: folder of the study.
        group: group of the trial.
        number: number of the trial.
    """
    return folder / group / f"{number:04d}"


@contextmanager
def _held(folder: Path, name: str, patience: float) -> Iterator[bool]:
    """Hold a lock of a study during the block, and yield False if another process holds it for the time in seconds."""
    path = folder / ".locks" / f"{name}.lock"
    with naming_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock, is_held = FileLock(path, timeout=patience), True
        try:
            lock.acquire()
        except Timeout:
            is_held = False
    try:
        yield is_held
    finally:
        lock.release()
