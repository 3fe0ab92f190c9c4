"""The places in the folder of a study: the runs of its trials, and the locks of the processes that work on it."""

from pathlib import Path
from typing import Literal

from filelock import FileLock

PATIENCE = 120.0
"""Time in seconds that a process waits while another process plans trials or writes to the database."""

Group = Literal["trials", "retrained"]
"""Name of a group of trials: those of the grid, or the trainings of the best points with new seeds."""


def study_lock(folder: Path) -> FileLock:
    """Return the lock that a process holds while it plans trials, or removes files of several trials.

    Args:
        folder: folder of the study.
    """
    return FileLock(_lock_folder(folder) / "study.lock", timeout=PATIENCE)


def trial_lock(folder: Path, group: Group, number: int) -> FileLock:
    """Return the lock that a process holds while it trains a trial. The system releases it if the process dies.

    Args:
        folder: folder of the study.
        group: group of the trial.
        number: number of the trial.
    """
    return FileLock(_lock_folder(folder) / f"{group}-{number:04d}.lock", timeout=0)


def run_folder(folder: Path, group: Group, number: int) -> Path:
    """Return the folder of the run of a trial.

    Args:
        folder: folder of the study.
        group: group of the trial.
        number: number of the trial.
    """
    return folder / group / f"{number:04d}"


def _lock_folder(folder: Path) -> Path:
    """Return the folder of the locks of a study, and create it if it is missing."""
    locks = folder / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return locks
