"""Writes the folder of a run while it trains: its progress, its tables, its weights and run.json."""

import math
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from passband.config import Recipe
from passband.io.failures import naming_file
from passband.io.files import FolderLock
from passband.io.image import write_image
from passband.io.json_files import write_json
from passband.io.shards import location
from passband.processes import count, from_first
from passband.provenance import environment
from passband.runs.events import Events
from passband.runs.folder import RunError
from passband.runs.tables import LOG_FILE, VALIDATION_FILE, add_row, drop_rows_after
from passband.weights_finding import RUN_FILE
from passband.weights_io import save_weights

SIGNALED = 128
"""Exit status of a process whose run was stopped by a signal, to which the number of the signal is added, as shells
do."""


@dataclass
class Progress:
    """Progress of a run, which is saved with every checkpoint."""

    step: int = 0
    """Number of steps done."""
    best_score: float = -math.inf
    """Best score of all validations; higher is better."""
    seconds: float = 0.0
    """Time in the training loop in seconds, over all sessions."""
    stale: int = 0
    """Number of validations since the one with the best score."""
    figures: dict[str, float] = field(default_factory=dict)
    """Scores of the last validation, by name."""
    remark: str = ""
    """Problem of the network in the last validation, such as that it finds no instances; empty if there is none."""
    steps: int = 0
    """Number of steps of the whole run."""
    reason: str | None = None
    """Reason why the last session ended early; None if it reached the end of the run."""
    is_stopped: bool = False
    """Whether the last session ended because its time was over or by a signal. Resuming the run then continues it."""
    signal: int = 0
    """Number of the signal that stopped the last session; 0 if none did."""

    def exit_if_signaled(self) -> None:
        """End this process if a signal stopped the run, as the signal would have done without the checkpoint.

        Raises:
            SystemExit: with the status 128 plus the number of the signal, if a signal stopped the run.
        """
        if self.signal:
            raise SystemExit(SIGNALED + self.signal)

    def state_dict(self) -> dict[str, Any]:
        """Return all values, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values of a checkpoint.

        Args:
            state: state from `state_dict`.
        """
        for name, value in state.items():
            setattr(self, name, value)


def keep_run(output: Path, active: bool) -> FolderLock | None:
    """Keep the folder of a run, or of a sweep of runs, from other processes until the lock is released.

    Args:
        output: folder of the run, which is created if it is missing.
        active: whether this process keeps the folder. Only one process of a parallel run does, and all of them call
            this function.

    Returns:
        The lock of a process that keeps the folder.

    Raises:
        RunError: if another process trains the run.
        WriteError: if the folder cannot be created or opened.
    """
    lock: FolderLock | None = None
    if active:
        with naming_file(output / RUN_FILE), suppress(BlockingIOError):
            lock = FolderLock(output)
    if from_first(active and lock is None):  # all processes of a parallel run refuse together
        raise RunError(f"another process is training the run in {output}: wait until it ends, or choose another folder")
    return lock


class RunLog:
    """Writes the record of a run into its folder, which it keeps from other processes until it is closed.

    Args:
        output: folder of the run.
        active: whether this process writes. Only one process of a parallel run does.

    Raises:
        RunError: if another process trains the run.
        WriteError: if the folder cannot be created or opened.
    """

    def __init__(self, output: Path, active: bool):
        self.output, self.active = output, active
        self._events: Events | None = None
        self._lock = keep_run(output, active)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, step: int) -> None:
        """Open the tables and the TensorBoard record.

        Args:
            step: last step of the run. Entries of later steps, from an earlier session, are removed.
        """
        if self.active:
            for name in (LOG_FILE, VALIDATION_FILE):
                drop_rows_after(self.output / name, step)
            self._events = Events(self.output / "tensorboard", step)

    def step(self, step: int, figures: dict[str, float]) -> None:
        """Log the numbers of a step without rounding them.

        Args:
            step: number of the step, from 1.
            figures: numbers by name, such as the loss and the learning rate.
        """
        if self.active:
            add_row(self.output / LOG_FILE, step, figures)
        if self._events is not None:
            self._events.add("train", step, figures)

    def validation(self, step: int, figures: dict[str, float], picture: Tensor) -> None:
        """Log the scores and the example image of a validation.

        Args:
            step: number of the step after which the network was scored.
            figures: scores by name.
            picture: RGB in [0, 1], 3 x H x W.
        """
        if self._events is not None:
            self._events.add("validation", step, figures, picture)
        if self.active:
            add_row(self.output / VALIDATION_FILE, step, figures)
            write_image(self.output / "validation" / f"step-{step:09d}.png", picture.cpu())

    def weights(self, name: str, model: nn.Module, network: dict[str, Any]) -> None:
        """Save a network in the folder weights/`name`.

        Args:
            name: name of the folder, such as `best` or `last`.
            model: network whose weights are saved.
            network: config of the network.
        """
        if self.active:
            save_weights(model, self.output / "weights" / name, network)

    def describe(
        self,
        recipe: Recipe,
        network: dict[str, Any],
        data: Path,
        validation_data: Path | None,
        weights: str | Path | None,
        progress: Progress,
        status: str,
        reason: str | None = None,
    ) -> None:
        """Write run.json.

        Args:
            recipe: recipe of the run.
            network: config of the network.
            data: folder that the run trains on.
            validation_data: folder that the run is scored on, or None.
            weights: weights that the run started from, or None.
            progress: progress of the run.
            status: running, finished, stopped, interrupted or failed.
            reason: reason why the run ended early, or None.
        """
        if not self.active:
            return
        content = {
            "status": status,
            "reason": reason,
            "recipe": recipe.model_dump(),
            "network": network,
            "data": location(data),
            "validation_data": location(validation_data) if validation_data else None,
            "weights": str(weights) if weights else None,
            "seed": recipe.seed,
            "processes": count(),
            "step": progress.step,
            "seconds": round(progress.seconds, 1),
            "best_score": progress.best_score if math.isfinite(progress.best_score) else None,
            "figures": progress.figures,
            "remark": progress.remark,
            **environment(),
        }
        write_json(self.output / RUN_FILE, content)

    def close(self) -> None:
        """Close the record, and let other processes train the run."""
        if self._events is not None:
            self._events.close()
        if self._lock is not None:
            self._lock.release()
