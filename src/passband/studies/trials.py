"""The record of a study: its cells, its nuisance points, and the state and the figures of each trial."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from passband.studies.settings import StudySettings
from passband.tasks.task import Direction

State = Literal["waiting", "running", "finished", "diverged", "failed", "pruned"]
"""State of a trial: `diverged` means that its loss was not finite, `failed` that it ended with another error, and
`pruned` that it was ended early because its validations were worse than those of other trials."""
ENDED = ("finished", "diverged", "failed", "pruned")
"""States of a trial that has ended."""


@dataclass(frozen=True)
class Trial:
    """One training of a study."""

    number: int
    """Number of the trial, from 0, in the order of the trainings."""
    cell: int
    """Index of the cell."""
    point: int
    """Index of the nuisance point. A point has the same values in every cell."""
    seed: int
    """Seed of the training."""
    changes: dict[str, Any]
    """New values of all recipe keys that the trial sets, with its seed."""
    state: State
    reason: str
    """Reason why the trial diverged, failed or was pruned; empty otherwise."""
    figures: dict[str, float]
    """Figures of the last validation by name; empty unless the trial is finished."""
    best_figures: dict[str, float]
    """Best value of each figure over all validations of the run; empty unless the trial is finished."""
    seconds: float
    """Time in the training loop in seconds; 0 unless the trial has ended."""
    run: Path
    """Folder of the run, with log.csv and validation.csv."""


@dataclass(frozen=True)
class Cell:
    """One combination of the scientific values."""

    index: int
    label: str
    """Text such as `loss.spectral_weight = 0.1`."""
    values: dict[str, Any]
    """Value of each scientific key, or the name of a named value."""
    changes: dict[str, Any]
    """New values of all recipe keys that the cell sets."""


@dataclass(frozen=True)
class StudyRecord:
    """Everything that is known about a study."""

    settings: StudySettings
    """Settings of the study; `figure` and `direction` are never None here."""
    folder: Path
    """Folder of the study."""
    cells: tuple[Cell, ...]
    points: tuple[dict[str, Any], ...]
    """Nuisance values of each point; one empty dict if there are no nuisance ranges."""
    trials: tuple[Trial, ...]
    """Trials by number: cells x points x seeds."""
    retrained: tuple[Trial, ...]
    """Trainings of the best points of the best two cells with new seeds, which are the same for both cells."""
    directions: dict[str, Direction]
    """Whether higher or lower is better, for each figure that the task reports."""
    data: str
    """Folder that the study trains on."""
    validation_data: str | None
    """Folder that the study is scored on, or None for a part of `data`."""
    environment: dict[str, Any]
    """Versions and machine, see `provenance.environment`."""

    @property
    def figure(self) -> str:
        """Name of the figure that is compared."""
        return self.settings.figure or next(iter(self.directions))

    @property
    def is_done(self) -> bool:
        """Whether all trials of the grid have ended."""
        return all(trial.state in ENDED for trial in self.trials)

    def means(self, cell: int) -> dict[int, float]:
        """Return the mean of the figure of the study over the seeds, for each point of a cell.

        Args:
            cell: index of the cell.

        Returns:
            Means by index of the point, for points whose trials have finished with all seeds of the study.
        """
        name = self.figure
        values: dict[int, list[float]] = {}
        for trial in self.trials:
            if trial.cell == cell and trial.state == "finished" and name in trial.figures:
                values.setdefault(trial.point, []).append(trial.figures[name])
        return {point: fmean(known) for point, known in values.items() if len(known) == len(self.settings.seeds)}

    def best_points(self) -> list[tuple[int, int, float]]:
        """Return the best point of each cell by the figure of the study, the best cell first.

        Returns:
            Index of the cell, index of its best point, and the mean of the figure there over the seeds. Cells without
            a finished point are left out. Of equal points the first counts.
        """
        sign = -1 if (self.settings.direction or self.directions.get(self.figure)) == "minimize" else 1
        best: list[tuple[int, int, float]] = []
        for cell in self.cells:
            means = self.means(cell.index)
            if means:
                point = max(means, key=lambda index: (sign * means[index], -index))
                best.append((cell.index, point, means[point]))
        return sorted(best, key=lambda entry: (-sign * entry[2], entry[0]))
