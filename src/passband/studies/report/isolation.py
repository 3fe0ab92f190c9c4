"""Isolates one scientific value: the best figure for each of its values, with everything else optimised away."""

from dataclasses import dataclass

import numpy as np

from passband.metrics.intervals import Interval
from passband.studies.report.comparison import Comparison
from passband.studies.report.statistics import best_interval, draws_apart, level_of_each
from passband.studies.report.wording import short_names, value_text


@dataclass(frozen=True)
class Isolated:
    """One scientific key, with the best figure for each of its values."""

    key: str
    values: tuple[str, ...]
    """Values of the key as text, or their names, in the order of the study."""
    bests: tuple[float | None, ...]
    """Best figure of each value; None without any result."""
    intervals: tuple[Interval | None, ...]
    """Intervals of `bests`."""
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]
    """Name and best figures for each combination of the other keys; empty if there are no other keys."""

    @property
    def known(self) -> list[int]:
        """Indices of the values that have a result."""
        return [index for index, best in enumerate(self.bests) if best is not None]


def isolate(comparison: Comparison, key: str) -> Isolated:
    """Return the best figure for each value of a scientific key, over all other keys and all points.

    Args:
        comparison: cells of the study, compared by one figure.
        key: scientific key.
    """
    cells, sign = comparison.record.cells, comparison.figure.sign
    values = list(dict.fromkeys(value_text(cell.values[key]) for cell in cells))
    groups = {value: [cell.index for cell in cells if value_text(cell.values[key]) == value] for value in values}
    bests, intervals = [], []
    for group in groups.values():
        best, interval = _best_of(comparison, group)
        bests.append(None if best is None else sign * best)
        if interval is not None and sign < 0:
            interval = interval.negated
        intervals.append(interval)
    return Isolated(key, tuple(values), tuple(bests), tuple(intervals), _lines(comparison, key, values))


def advantage(comparison: Comparison, isolated: Isolated) -> tuple[int, int, float, Interval | None] | None:
    """Return the best and the second-best value of a key, and their difference with its interval.

    Args:
        comparison: cells of the study, compared by one figure.
        isolated: result of `isolate`.

    Returns:
        Indices of both values, the difference, and its interval, which is widened if there are more than two values;
        None if fewer than two values have a result.
    """
    sign, known = comparison.figure.sign, isolated.known
    if len(known) < 2:
        return None
    scores = {index: sign * (isolated.bests[index] or 0.0) for index in known}
    first, second = sorted(known, key=lambda index: -scores[index])[:2]
    value = scores[first] - scores[second]
    groups = [
        [c.index for c in comparison.record.cells if value_text(c.values[isolated.key]) == isolated.values[index]]
        for index in (first, second)
    ]
    rows = [comparison.draws[group].max(axis=0) for group in groups]
    points = min(_feasible(comparison, group) for group in groups)
    seeds, level = comparison.values.shape[2], level_of_each(len(known) - 1)
    return first, second, value, best_interval(value, draws_apart(*rows), points, seeds, level=level)


def _best_of(comparison: Comparison, group: list[int]) -> tuple[float | None, Interval | None]:
    """Return the best oriented value over a group of cells, with its interval."""
    sign = comparison.figure.sign
    scores = [sign * best.value for best in comparison.bests if best.cell in group and best.value is not None]
    if not scores:
        return None, None
    draws, points = comparison.draws[group].max(axis=0), _feasible(comparison, group)
    return max(scores), best_interval(max(scores), draws, points, comparison.values.shape[2])


def _feasible(comparison: Comparison, group: list[int]) -> int:
    """Return the number of points that are feasible in at least one cell of a group."""
    return int(np.isfinite(comparison.oriented[group][:, comparison.compared]).any(axis=0).sum())


def _lines(comparison: Comparison, key: str, values: list[str]) -> tuple[tuple[str, tuple[float | None, ...]], ...]:
    """Return a line for each combination of the other keys."""
    lines: dict[str, dict[str, float | None]] = {}
    names = short_names(comparison.record.settings.scientific)
    for cell in comparison.record.cells:
        name = ", ".join(f"{names[other]} {value_text(value)}" for other, value in cell.values.items() if other != key)
        if name:
            lines.setdefault(name, {})[value_text(cell.values[key])] = comparison.bests[cell.index].value
    return tuple((name, tuple(line.get(value) for value in values)) for name, line in lines.items())
