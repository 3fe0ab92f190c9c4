"""Compares the cells of a study by one figure: the best of each, their order, and paired differences to the winner."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from passband.metrics.intervals import Interval
from passband.naming import shortened
from passband.reports.figures import Figure
from passband.studies.report.statistics import best_interval, bootstrap_bests, draws_apart, level_of_each, mean_interval
from passband.studies.report.wording import digits_for, short_names, value_text
from passband.studies.trials import ENDED, StudyRecord, Trial

LONGEST = 32
"""Largest number of characters of a value in the name of a cell."""
Moment = Literal["last", "best"]
"""Validation of a run that counts: the last one, or the best one for each figure."""


@dataclass(frozen=True)
class BestOfCell:
    """The best point of a cell and the fate of the cell's trials."""

    cell: int
    point: int | None
    """Best point among the points that are compared; None if no point has a result."""
    value: float | None
    """Mean of the figure over the seeds at the best point."""
    interval: Interval | None
    """The value with its interval; None if there is no spread to compute it from."""
    ended: int
    """Number of trials that have ended."""
    infeasible: dict[str, int]
    """Number of trials that diverged, failed or were pruned, by state, without zeros."""


@dataclass(frozen=True)
class Difference:
    """The winner against another cell. Positive values say that the winner is better."""

    cell: int
    """Index of the other cell."""
    best: float
    """Best of the winner minus best of the other cell."""
    interval: Interval | None
    """The difference with its interval; None if there is no spread to compute it from."""
    mean: float | None
    """Mean difference at equal points and seeds, over the points that are feasible in both cells."""
    mean_interval: Interval | None
    """The mean difference with its interval over the points, or over the seeds if there is one point."""
    at_points: tuple[float, ...]
    """Difference at each point that is feasible in both cells."""

    @property
    def wins(self) -> int:
        """Number of points at which the winner is better."""
        return sum(value > 0 for value in self.at_points)

    @property
    def is_clear(self) -> bool:
        """Whether the whole interval says that the winner is better."""
        return self.interval is not None and self.interval.low > 0


@dataclass(frozen=True)
class Comparison:
    """The cells of a study, compared by one figure."""

    record: StudyRecord
    figure: Figure
    moment: Moment
    values: Float[np.ndarray, "cells points seeds"]
    """Figures as they were reported; NaN if a point has no result."""
    oriented: Float[np.ndarray, "cells points"]
    """Means over the seeds, where higher is better; minus infinity if infeasible, and NaN if not known yet."""
    compared: Bool[np.ndarray, " points"]
    """Points whose trials have ended in every cell. Only these are compared, so that all cells had equal chances."""
    bests: tuple[BestOfCell, ...]
    """Best of each cell, by the index of the cell."""
    order: tuple[int, ...]
    """Indices of the cells that have a result, the best cell first."""
    differences: tuple[Difference, ...]
    """The winner against each other cell of `order`, in that order."""
    draws: Float[np.ndarray, "cells draws"]
    """Best of each cell in each draw of the bootstrap, where higher is better."""
    level: float
    """Probability that each interval of a difference covers. It is above 95 % if there are several differences."""

    @property
    def winner(self) -> int | None:
        """Index of the cell that leads, or None without any result."""
        return self.order[0] if self.order else None

    @property
    def points(self) -> int:
        """Number of points that are compared."""
        return int(self.compared.sum())

    @property
    def count(self) -> int:
        """Number of trials that have ended."""
        return sum(best.ended for best in self.bests)

    def middle_trial(self, cell: int, point: int) -> Trial:
        """Return the trial of a cell and a point whose seed gave the middle value of the figure.

        Args:
            cell: index of the cell.
            point: index of the point.
        """
        seeds = self.record.settings.seeds
        ranks = np.argsort(self.values[cell, point])
        seed = seeds[int(ranks[(len(seeds) - 1) // 2])]
        return next(
            trial for trial in self.record.trials if (trial.cell, trial.point, trial.seed) == (cell, point, seed)
        )


def figure_of(record: StudyRecord, name: str | None) -> Figure:
    """Return a figure with its direction.

    Args:
        record: record of the study.
        name: name of the figure; None for the figure of the study.

    Raises:
        ValueError: if no trial of the study reports the figure.
    """
    name = name or record.figure
    known = dict.fromkeys([record.figure, *available_figures(record)])
    if name not in known:
        raise ValueError(
            f"a study is ranked by a figure that its trials report, and {name!r} is none of them; choose "
            f"{', '.join(known)}"
        )
    chosen = record.settings.direction if name == record.figure else None
    higher_is_better = (chosen or record.directions.get(name)) != "minimize"
    label = "PSNR" if name == "psnr" else name.replace("_", " ")
    unit = "dB" if name == "psnr" or name.startswith("gain/") else ""
    return Figure(name, label, unit, higher_is_better, spelling=".2f")


def available_figures(record: StudyRecord) -> list[str]:
    """Return the names of the figures that finished trials report, in their order.

    Args:
        record: study with its trials.
    """
    return list(dict.fromkeys(name for trial in record.trials for name in trial.figures))


def cell_name(comparison: Comparison, cell: int, separator: str = ", ") -> str:
    """Return the name of a cell with the last part of each key.

    Args:
        comparison: cells of the study.
        cell: index of the cell.
        separator: text between the keys.
    """
    values = comparison.record.cells[cell].values
    names = short_names(values)
    return separator.join(f"{names[key]} = {shortened(value_text(value), LONGEST)}" for key, value in values.items())


def value_name(comparison: Comparison, cell: int) -> str:
    """Return the value alone as the name of a cell, if the study has one scientific key, else `cell_name`.

    Args:
        comparison: comparison of the cells.
        cell: index of the cell.
    """
    values = comparison.record.cells[cell].values
    return value_text(next(iter(values.values()))) if len(values) == 1 else cell_name(comparison, cell)


def compare_cells(record: StudyRecord, figure: str | None = None, moment: Moment = "last") -> Comparison:
    """Compare the cells of a study.

    Args:
        record: record of the study, which may be unfinished.
        figure: name of the figure; None for the figure of the study.
        moment: validation of each run that counts.

    Raises:
        ValueError: if no trial of the study reports the figure.
    """
    chosen = figure_of(record, figure)
    values, oriented = _values(record, chosen, moment)
    compared = np.asarray(~np.isnan(oriented).any(axis=0))
    points = int(compared.sum())
    filled = np.where(np.isfinite(oriented)[:, :, None], chosen.sign * values, -np.inf)[:, compared]
    draws = bootstrap_bests(filled) if points else np.empty((len(record.cells), 0))
    bests = tuple(_best(record, cell.index, values, oriented, compared, draws, chosen) for cell in record.cells)
    scores = {best.cell: chosen.sign * best.value for best in bests if best.value is not None}
    order = tuple(sorted(scores, key=lambda cell: (-scores[cell], cell)))
    level = level_of_each(len(order) - 1)
    differences = tuple(
        _difference(order[0], other, scores, filled, draws, level) for other in order[1:] if len(order) > 1
    )
    chosen = replace(chosen, spelling=f".{_digits(differences, values)}f")
    return Comparison(record, chosen, moment, values, oriented, compared, bests, order, differences, draws, level)


def _values(
    record: StudyRecord, figure: Figure, moment: Moment
) -> tuple[Float[np.ndarray, "cells points seeds"], Float[np.ndarray, "cells points"]]:
    """Return the figures of all trials, and the means of all points where higher is better."""
    seeds = list(record.settings.seeds)
    values = np.full((len(record.cells), len(record.points), len(seeds)), np.nan)
    infeasible = np.zeros(values.shape[:2], dtype=bool)
    for trial in record.trials:
        source = trial.figures if moment == "last" else trial.best_figures
        value = source.get(figure.name, np.nan) if trial.state == "finished" else np.nan
        is_infinite = figure.name in source and not np.isfinite(value)
        values[trial.cell, trial.point, seeds.index(trial.seed)] = value if np.isfinite(value) else np.nan
        infeasible[trial.cell, trial.point] |= is_infinite or (trial.state in ENDED and trial.state != "finished")
    oriented = figure.sign * values.mean(axis=-1)
    oriented[infeasible] = -np.inf
    return values, oriented


def _best(
    record: StudyRecord,
    cell: int,
    values: Float[np.ndarray, "cells points seeds"],
    oriented: Float[np.ndarray, "cells points"],
    compared: Bool[np.ndarray, " points"],
    draws: Float[np.ndarray, "cells draws"],
    figure: Figure,
) -> BestOfCell:
    """Return the best point of a cell among the compared points."""
    trials = [trial for trial in record.trials if trial.cell == cell]
    states = [trial.state for trial in trials if trial.state in ENDED]
    infeasible = {state: states.count(state) for state in ENDED[1:] if state in states}
    means = np.where(compared & np.isfinite(oriented[cell]), oriented[cell], -np.inf)
    if not np.isfinite(means).any():
        return BestOfCell(cell, None, None, None, len(states), infeasible)
    point = int(means.argmax())
    value = float(means[point])
    if compared.sum() == 1:  # the seeds of the only point are the sample
        interval = mean_interval(figure.sign * values[cell, point])
    else:
        interval = best_interval(value, draws[cell], int(np.isfinite(means).sum()), values.shape[2])
    if interval is not None and figure.sign < 0:
        interval = interval.negated
    return BestOfCell(cell, point, figure.sign * value, interval, len(states), infeasible)


def _difference(
    first: int,
    other: int,
    scores: dict[int, float],
    filled: Float[np.ndarray, "cells points seeds"],
    draws: Float[np.ndarray, "cells draws"],
    level: float,
) -> Difference:
    """Return the difference of the winner and another cell."""
    points = int(min(np.isfinite(filled[cell]).all(axis=1).sum() for cell in (first, other)))
    value = scores[first] - scores[other]
    apart = filled[first] - np.where(np.isfinite(filled[other]), filled[other], np.nan)
    apart = apart[np.isfinite(apart).all(axis=1)]
    at_points = apart.mean(axis=1)
    if filled.shape[1] == 1:  # the seeds of the only point are the sample
        at_seeds = mean_interval(apart[0], level=level)
        return Difference(other, value, at_seeds, value, at_seeds, (value,))
    return Difference(
        other,
        value,
        best_interval(value, draws_apart(draws[first], draws[other]), points, filled.shape[2], level=level),
        float(at_points.mean()) if len(at_points) else None,
        mean_interval(at_points, level=level),
        tuple(float(one) for one in at_points),
    )


def _digits(differences: tuple[Difference, ...], values: Float[np.ndarray, "cells points seeds"]) -> int:
    """Return the number of digits that shows the smallest difference of the study."""
    finite = values[np.isfinite(values)]
    sizes = [
        max(abs(one.best), (one.interval.high - one.interval.low) / 4 if one.interval else 0.0) for one in differences
    ]
    spread = min((size for size in sizes if size > 0), default=0.0)
    return digits_for(spread, float(np.abs(finite).max()) if len(finite) else 1.0)
