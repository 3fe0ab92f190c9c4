"""Judges curves, ranges, the number of points and retrained winners by stated rules, so that a report can use words.

The verdicts follow the questions of the Deep Learning Tuning Playbook (Godbole, Dahl, Gilmer, Shallue and Nado, 2023).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from passband.metrics.intervals import Interval
from passband.studies.report.statistics import best_of_k, mean_interval, noise_of_seeds
from passband.studies.settings import NuisanceRange

LEAST_VALIDATIONS = 6
"""Smallest number of validations for a verdict about a curve."""
FLUCTUATION, FALL, RISE = 0.15, 0.1, 0.05
"""Shares of the whole gain of a run. A run is unstable if its late fluctuation is larger than the first share, overfits
if it ends further below its best level than the second share, and still improves if the last third gains more than the
third share."""
CERTAIN = 2.5
"""Number of standard errors that a late rise or fall must exceed, so that fluctuation alone gives no verdict."""
EDGE = 0.1
"""Share of a range, at each end, that counts as its edge."""
LEAST_POINTS = 4
"""Smallest number of points for a verdict on the number of points."""
WITHOUT_SEEDS = 0.1
"""Share of the distance from the median point to the best point that the last doubling may gain, for studies whose
single seed gives no spread between trainings."""

CurveState = Literal["still improving", "saturated", "overfits", "unstable late", "too short to judge"]
"""Verdict about the curve of a run."""


@dataclass(frozen=True)
class CurveVerdict:
    """A verdict about the validations of a run."""

    state: CurveState
    reason: str
    """Sentence with the numbers behind the verdict. Numbers are shares of the whole gain of the run."""


def judge_curve(
    values: Sequence[float], losses: Sequence[float] = (), loss_positions: Sequence[float] = ()
) -> CurveVerdict:
    """Judge the validations of a run.

    The first rule that fits decides:

    1. Unstable late: a validation or a training loss of the last half of the run is not finite.
    2. Too short to judge: there are fewer than `LEAST_VALIDATIONS` finite validations.
    3. Saturated: the level stayed the same throughout the run.
    4. Unstable late: the last half of the validations fluctuates about a straight line by more than `FLUCTUATION` of
       the whole gain.
    5. Overfits: the last three validations lie below the best earlier three by more than `FALL` of the whole gain and
       by more than `CERTAIN` standard errors, and the training loss fell meanwhile. If the loss did not fall, the run
       is unstable late. Without losses, the run overfits.
    6. Saturated: a straight line through the last third (at least four validations) rises by at most `RISE` of the
       whole gain.
    7. Too short to judge: it rises by at most `CERTAIN` standard errors.
    8. Still improving: all others.

    The whole gain is the difference between the best and the worst level, where a level is a mean of three successive
    validations, or a single value at the first validation.

    Args:
        values: figures of the validations in their order, where higher is better.
        losses: training losses in their order.
        loss_positions: position of each loss in the run, from 0 to 1.

    Returns:
        The verdict, and its reason in a sentence.
    """
    curve = np.asarray(values, dtype=np.float64)
    loss = np.asarray(losses, dtype=np.float64)
    late_loss = loss[np.asarray(loss_positions, dtype=np.float64) > 0.5] if len(loss) else loss
    if not np.isfinite(late_loss).all() or not np.isfinite(curve[len(curve) // 2 :]).all():
        return CurveVerdict("unstable late", "The loss or the figure is not finite in the last half of the run.")
    curve = curve[np.isfinite(curve)]
    if len(curve) < LEAST_VALIDATIONS:
        return CurveVerdict(
            "too short to judge", f"The run has {len(curve)} validations, and a verdict needs {LEAST_VALIDATIONS}."
        )
    levels = np.convolve(curve, np.ones(3) / 3, mode="valid")
    whole = float(levels.max() - min(levels.min(), curve[0]))
    if whole <= 1e-12 * max(1.0, float(np.abs(curve).max())):
        return CurveVerdict("saturated", "The figure stayed the same throughout the run.")
    noise = _fluctuation(curve)
    if noise > FLUCTUATION * whole:
        return CurveVerdict("unstable late", f"The last half fluctuates by {noise / whole:.0%} of the whole gain.")
    peak = int(levels[:-1].argmax()) if len(levels) > 1 else 0
    fall = float(levels[peak] - levels[-1])
    if fall > max(FALL * whole, CERTAIN * noise * math.sqrt(2 / 3)):
        text = f"It ends {fall / whole:.0%} of the whole gain below its best level"
        if _fell(loss, np.asarray(loss_positions), (peak + 1) / max(1, len(curve) - 1)):
            return CurveVerdict("overfits", f"{text}, while the training loss kept falling.")
        return CurveVerdict("unstable late", f"{text}, and the training loss did not fall meanwhile.")
    rise, error = _late_rise(curve, noise)
    text = f"The last third brought {max(0.0, rise) / whole:.0%} of the whole gain"
    if rise <= RISE * whole:
        return CurveVerdict("saturated", f"{text}.")
    if rise <= CERTAIN * error:
        return CurveVerdict("too short to judge", f"{text}, which its fluctuation may explain.")
    return CurveVerdict("still improving", f"{text}.")


def at_edge(value: Any, values: NuisanceRange) -> str | None:
    """Return the end of a range that a value lies near, `lowest` or `highest`, or None.

    The edge is the outer tenth of the range, in the scale in which it was drawn. Of a choice of at least three numbers,
    the smallest and the largest are edges.

    Args:
        value: value of the best point.
        values: range of the nuisance hyperparameter.
    """
    if values.choice is not None:
        numbers = [one for one in values.choice if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(numbers) < 3 or len(numbers) < len(values.choice):
            return None
        return {min(numbers): "lowest", max(numbers): "highest"}.get(value)
    low, high = values.bounds
    if values.log is not None:
        value, low, high = math.log(value), math.log(low), math.log(high)
    share = (value - low) / (high - low)
    return "lowest" if share < EDGE else "highest" if share > 1 - EDGE else None


@dataclass(frozen=True)
class PointsVerdict:
    """A verdict on the number of points of a cell."""

    is_enough: bool | None
    """Whether more points would hardly help; None if there are too few points to tell."""
    gain: float | None
    """Expected gain of all points over half of them."""
    allowed: float | None
    """Largest gain that counts as enough."""


def judge_points(means: Float[np.ndarray, " points"], values: Float[np.ndarray, "points seeds"]) -> PointsVerdict:
    """Judge whether a cell had enough points.

    There were enough if all points give a best value that exceeds the best of half of the points by no more than the
    standard deviation between seeds. With one seed, the limit is `WITHOUT_SEEDS` of the distance from the median point
    to the best point.

    Args:
        means: figure of each point, where higher is better; minus infinity if a point is infeasible.
        values: figures of the trainings; NaN if a point has no result.

    Returns:
        The verdict, which is None with fewer than `LEAST_POINTS` points or two feasible ones; the gain of the second
        half of the points, and the allowed gain, in the unit of the figure.
    """
    curve, feasible = best_of_k(means), means[np.isfinite(means)]
    if curve is None or len(means) < LEAST_POINTS or len(feasible) < 2:
        return PointsVerdict(None, None, None)
    noise = noise_of_seeds(values)
    allowed = noise if noise is not None else WITHOUT_SEEDS * float(feasible.max() - np.median(feasible))
    return PointsVerdict(curve.last_doubling <= allowed, curve.last_doubling, allowed)


@dataclass(frozen=True)
class Adoption:
    """A verdict about a winner that was trained again with new seeds."""

    winner: tuple[float, ...]
    """Figures of the winner's new trainings, as they were reported."""
    runner_up: tuple[float, ...]
    """Figures of the runner-up's new trainings with the same seeds, or none."""
    difference: Interval | None
    """Mean of winner minus runner-up over the seeds, where higher is better; None if there are fewer than two pairs."""
    lost: int
    """Number of new trainings of the winner that gave no result."""

    @property
    def is_adopted(self) -> bool | None:
        """Whether to adopt the winner; None if the new trainings cannot tell."""
        if self.lost:
            return False
        return None if self.difference is None else self.difference.low > 0


def judge_adoption(winner: dict[int, float], runner_up: dict[int, float], sign: int, lost: int) -> Adoption:
    """Judge whether to adopt a winner.

    The whole interval of the difference, paired by seed, must lie above zero, and all new trainings of the winner must
    have given a result.

    Args:
        winner: figures of the winner by seed.
        runner_up: figures of the runner-up by seed.
        sign: 1 if higher figures are better, and -1 otherwise.
        lost: number of new trainings of the winner that gave no result.
    """
    seeds = [seed for seed in winner if seed in runner_up]
    apart = np.array([sign * (winner[seed] - runner_up[seed]) for seed in seeds], dtype=np.float64)
    return Adoption(tuple(winner.values()), tuple(runner_up.values()), mean_interval(apart), lost)


def _fluctuation(curve: Float[np.ndarray, " count"]) -> float:
    """Return the standard deviation of the last half about a straight line, or about a bent one if it bends."""
    late = curve[-max(4, math.ceil(len(curve) / 2)) :]
    order = 1 if len(late) < 6 else 2
    position = np.arange(len(late))
    rest = late - np.polyval(np.polyfit(position, late, order), position)
    return float(np.sqrt((rest**2).sum() / (len(late) - order - 1)))


def _late_rise(curve: Float[np.ndarray, " count"], noise: float) -> tuple[float, float]:
    """Return the rise of a straight line through the last third, and its standard error."""
    late = curve[-max(4, math.ceil(len(curve) / 3)) :]
    position = np.arange(len(late)) - (len(late) - 1) / 2
    slope = float((position * late).sum() / (position**2).sum())
    return slope * (len(late) - 1), noise / math.sqrt(float((position**2).sum())) * (len(late) - 1)


def _fell(losses: Float[np.ndarray, " count"], positions: Float[np.ndarray, " count"], since: float) -> bool:
    """Return whether the training loss fell after a position; True if there are too few losses to tell."""
    around, last = losses[np.abs(positions - since) <= 0.1], losses[positions > 0.9]
    return not (len(around) and len(last)) or float(last.mean()) < float(around.mean())
