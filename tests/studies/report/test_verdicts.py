import math

import numpy as np
import pytest

from passband.studies.report.verdicts import at_edge, judge_adoption, judge_curve, judge_points
from passband.studies.settings import NuisanceRange

POSITIONS = np.linspace(0, 1, 200)
FALLING = np.exp(-3 * POSITIONS)


def judged(values, losses=(), positions=()):
    return judge_curve(list(values), list(losses), list(positions))


def curve(kind, count=12):
    shares = np.linspace(0, 1, count)
    late = (shares > 0.5) * (-1.0) ** np.arange(count)
    return {
        "saturated": 26 + 3 * (1 - np.exp(-10 * shares)),
        "still improving": 26 + 3 * shares**0.7,
        "overfits": 26 + 3 * (1 - np.exp(-12 * shares)) - 2 * np.clip(shares - 0.4, 0, 1),
        "unstable late": 26 + 3 * (1 - np.exp(-8 * shares)) + late,
    }[kind]


@pytest.mark.parametrize("kind", ["saturated", "still improving", "overfits", "unstable late"])
@pytest.mark.parametrize("count", [6, 12, 40])
def test_each_kind_of_curve_is_recognized_with_and_without_noise(kind, count):
    random, values = np.random.default_rng(1), curve(kind, count)
    assert judged(values, FALLING, POSITIONS).state == kind
    noisy = [judged(values + 0.05 * random.normal(size=count), FALLING, POSITIONS).state for _ in range(60)]
    assert noisy.count(kind) >= 54


def test_a_flat_curve_is_saturated_and_pure_fluctuation_is_unstable():
    assert judged([27.0] * 8).state == "saturated"
    random = np.random.default_rng(2)
    assert judged(27 + random.normal(size=30)).state == "unstable late"


def test_a_fall_without_a_falling_loss_is_instability():
    assert judged(curve("overfits"), FALLING, POSITIONS).state == "overfits"
    assert judged(curve("overfits")).state == "overfits"
    rising = np.where(POSITIONS > 0.5, 2.0, FALLING)
    assert judged(curve("overfits"), rising, POSITIONS).state == "unstable late"


def test_a_loss_that_is_not_finite_late_is_instability():
    losses = FALLING.copy()
    losses[150] = math.nan
    assert judged(curve("saturated"), losses, POSITIONS).state == "unstable late"
    losses = FALLING.copy()
    losses[10] = math.nan
    assert judged(curve("saturated"), losses, POSITIONS).state == "saturated"


def test_short_curves_get_no_verdict_but_the_number_of_validations():
    verdict = judged([1.0, 2.0, 3.0])
    assert verdict.state == "too short to judge"
    assert "3 validations" in verdict.reason
    assert judged([]).state == "too short to judge"


@pytest.mark.parametrize(
    ("value", "spread", "end"),
    [
        (1.5e-4, {"log": (1e-4, 1e-2)}, "lowest"),
        (1e-3, {"log": (1e-4, 1e-2)}, None),
        (9e-3, {"log": (1e-4, 1e-2)}, "highest"),
        (0.02, {"linear": (0, 0.1)}, None),
        (0.095, {"linear": (0, 0.1)}, "highest"),
        (2, {"choice": (2, 4)}, None),
        (8, {"choice": (2, 4, 8)}, "highest"),
        ("adam", {"choice": ("adam", "sgd", "lion")}, None),
    ],
)
def test_the_edge_of_a_range_is_its_outer_tenth_in_its_own_scale(value, spread, end):
    assert at_edge(value, NuisanceRange(**spread)) == end


def test_points_are_enough_if_the_second_half_gained_less_than_the_noise_of_the_seeds():
    means = np.array([1.0, 2.0, 2.9, 2.95, 3.0, 3.0, 2.98, 2.99])
    noisy = means[:, None] + np.array([-0.5, 0.5])
    assert judge_points(means, noisy).is_enough
    quiet = means[:, None] + np.array([-0.001, 0.001])
    assert judge_points(means, quiet).is_enough is False
    assert judge_points(means[:3], noisy[:3]).is_enough is None


def test_a_winner_is_adopted_only_if_the_paired_interval_lies_above_zero():
    seeds = range(5)
    winner = {seed: 29 + seed for seed in seeds}
    behind = {seed: value - 0.2 - 0.01 * seed for seed, value in winner.items()}
    assert judge_adoption(winner, behind, 1, 0).is_adopted is True
    assert judge_adoption(winner, behind, -1, 0).is_adopted is False
    mixed = {seed: value + (-1) ** seed for seed, value in winner.items()}
    assert judge_adoption(winner, mixed, 1, 0).is_adopted is False
    assert judge_adoption(winner, behind, 1, 1).is_adopted is False
    assert judge_adoption(winner, {}, 1, 0).is_adopted is None
