"""Computes what a search over points can show: the best of a cell, differences of cells, and the gain of more points.

A study draws the same points (nuisance values) in every cell, trains each point with the same seeds, and keeps the best
point of each cell. That best value contains luck of two kinds: the points that were drawn, and the seeds. The bootstrap
here therefore draws points with replacement, the same ones in all cells, and seeds within points. It never draws
images.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; Dodge et al., "Show Your Work: Improved
Reporting of Experimental Results", EMNLP 2019 (the best of k points).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from passband.metrics.intervals import LEVEL, Interval, student_interval

RESAMPLES = 5000
"""Number of searches that are drawn with replacement."""
PERCENTILE_POINTS = 8
"""Smallest number of feasible points for percentile intervals. Percentiles of fewer points are too narrow. The interval
is then the value plus or minus Student's t times the standard deviation of the draws, with as many degrees of freedom
as there are trainings, less one. Simulated intervals of 95 % then contain the truth in 93 to 99 %."""
JITTER = 0.6
"""Share of the noise between cells that is added to each drawn value if every point has one seed. Drawing points alone
then misses the luck of the seed. With this share, simulated intervals of 95 % contain the truth in 93 to 98 %."""


@dataclass(frozen=True)
class BestOfK:
    """The best value that k points give, over k."""

    count: Float[np.ndarray, " k"]
    """Numbers of points, from 1."""
    mean: Float[np.ndarray, " k"]
    """Expected best value of k points that are drawn with replacement."""
    low: Float[np.ndarray, " k"]
    """Value that the best of k points exceeds in 97.5 % of the draws."""
    high: Float[np.ndarray, " k"]
    """Value that the best of k points exceeds in 2.5 % of the draws."""

    @property
    def last_doubling(self) -> float:
        """Expected gain of all points over half of them, in the unit of the figure."""
        return float(self.mean[-1] - self.mean[(len(self.mean) + 1) // 2 - 1])


def bootstrap_bests(
    values: Float[np.ndarray, "cells points seeds"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Float[np.ndarray, "cells draws"]:
    """Repeat the search by drawing points and seeds with replacement, and return the best of each cell.

    All cells get the same points and the same seeds in each draw, so that differences of two rows are paired.

    Args:
        values: figures, where higher is better; minus infinity if a point is infeasible in a cell.
        resamples: number of draws.
        seed: seed of the random numbers.

    Returns:
        Best mean over the seeds in each draw; minus infinity if all points of a draw are infeasible.
    """
    cells, points, seeds = values.shape
    random = np.random.default_rng(seed)
    chosen = random.integers(0, points, (resamples, points))
    bests = np.empty((cells, resamples))
    noise = _noise_between_cells(values)
    drawn = random.integers(0, seeds, (resamples, points, seeds)) if seeds > 1 else None
    for cell in range(cells):
        if drawn is None:
            means = values[cell, chosen, 0]
            if noise and points > 1:
                means = means + JITTER * noise * random.standard_normal(means.shape)
        else:
            means = values[cell, chosen[:, :, None], drawn].mean(axis=-1)
        bests[cell] = means.max(axis=-1)
    return bests


def best_interval(
    value: float, draws: Float[np.ndarray, " draws"], points: int, seeds: int, *, level: float = LEVEL
) -> Interval | None:
    """Return the interval of a best value, or of the difference of two best values.

    Args:
        value: value of the study itself.
        draws: the same statistic of each draw of `bootstrap_bests`.
        points: number of feasible points; for a difference, the smaller number of the two cells.
        seeds: number of seeds of each point.
        level: probability that the interval covers.

    Returns:
        The interval; None if fewer than half of the draws have a value, because too many points are infeasible, or if
        there are fewer than two points.
    """
    from scipy import stats

    finite = draws[np.isfinite(draws)]
    if points < 2 or not np.isfinite(value) or 2 * len(finite) < len(draws):
        return None
    if points >= PERCENTILE_POINTS:
        low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
        return Interval(value, float(min(low, value)), float(max(high, value)))
    half = stats.t.ppf((1 + level) / 2, points * seeds - 1) * finite.std()
    return Interval(value, float(value - half), float(value + half))


def draws_apart(first: Float[np.ndarray, " draws"], other: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " draws"]:
    """Return the differences of two rows of `bootstrap_bests`; NaN in draws in which one of them has no value.

    Args:
        first: bests of the first cell.
        other: bests of the other cell in the same draws.

    Returns:
        First minus other, in the unit of the figure.
    """
    both = np.isfinite(first) & np.isfinite(other)
    return np.subtract(first, other, out=np.full(len(first), np.nan), where=both)


def level_of_each(count: int) -> float:
    """Return the probability that each of several intervals must cover, so that all together hold with `LEVEL`.

    This is the correction of Bonferroni.

    Args:
        count: number of intervals.

    Returns:
        The probability, from `LEVEL` to 1.
    """
    return 1 - (1 - LEVEL) / max(1, count)


def mean_interval(values: Float[np.ndarray, " count"], *, level: float = LEVEL) -> Interval | None:
    """Return a mean with the interval of Student's t, which also fits small samples, such as five seeds.

    Args:
        values: finite values.
        level: probability that the interval covers.

    Returns:
        The interval; None if there are fewer than two values, because one value shows no spread.
    """
    return student_interval(values.tolist(), level=level) if len(values) > 1 else None


def best_of_k(means: Float[np.ndarray, " points"], *, level: float = LEVEL) -> BestOfK | None:
    """Return the best value of k points, for k from 1 to the number of points.

    The chances are exact: `(i / n) ** k` is the chance that the best of k draws is at most the i-th smallest value.
    Draws without any feasible point are left out.

    Args:
        means: figure of each point, where higher is better; minus infinity if a point is infeasible.
        level: probability that the band covers.

    Returns:
        The curve; None if no point is feasible.
    """
    feasible = np.sort(means[np.isfinite(means)])
    if not len(feasible):
        return None
    total, bad = len(means), len(means) - len(feasible)
    count = np.arange(1, total + 1, dtype=np.float64)
    share = (bad + np.arange(len(feasible) + 1)[None]) / total
    chances = share ** count[:, None]
    below = (chances[:, 1:] - chances[:, :1]) / (1 - chances[:, :1])
    mean = (np.diff(below, axis=1, prepend=0) * feasible).sum(axis=1)
    low, high = (
        feasible[np.minimum((below < quantile - 1e-12).sum(axis=1), len(feasible) - 1)]
        for quantile in ((1 - level) / 2, (1 + level) / 2)
    )
    return BestOfK(count, mean, low, high)


def noise_of_seeds(values: Float[np.ndarray, "points seeds"]) -> float | None:
    """Return the standard deviation between trainings of the same point with different seeds.

    Args:
        values: figures; rows with a value that is not finite are left out.

    Returns:
        Standard deviation, pooled over the points; None if there are fewer than two seeds or no point.
    """
    rows = values[np.isfinite(values).all(axis=1)]
    if rows.shape[1] < 2 or not len(rows):
        return None
    return float(np.sqrt(rows.var(axis=1, ddof=1).mean()))


def _noise_between_cells(values: Float[np.ndarray, "cells points seeds"]) -> float:
    """Return the standard deviation that is left after the mean of each cell and of each point is removed."""
    means = values.mean(axis=-1)
    means = means[:, np.isfinite(means).all(axis=0)]
    if means.shape[0] < 2 or means.shape[1] < 2:
        return 0.0
    rest = means - means.mean(axis=0)
    rest = rest - rest.mean(axis=1, keepdims=True)
    return float(np.sqrt((rest**2).sum() / ((means.shape[0] - 1) * (means.shape[1] - 1))))
