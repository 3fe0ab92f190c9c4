import numpy as np
import pytest

from passband.studies.report.statistics import (
    best_interval,
    best_of_k,
    bootstrap_bests,
    mean_interval,
    noise_of_seeds,
)


def simulated(random, cells, points, seeds, noise, effect=0.0):
    """Figures of a study with one optimum that all cells share; the first cell is better by `effect`."""
    where = random.random((points, 2))
    surface = -4 * (where[:, 0] - 0.6) ** 2 - 0.5 * (where[:, 1] - 0.4) ** 2
    values = surface[None, :, None] + noise * random.standard_normal((cells, points, seeds))
    values[0] += effect
    return values


def bests_of(values):
    return values.mean(axis=-1).max(axis=-1)


@pytest.mark.parametrize(("points", "seeds"), [(4, 1), (8, 1), (8, 2), (16, 2)])
def test_the_interval_of_a_difference_of_best_points_contains_the_truth_in_about_95_percent_of_studies(points, seeds):
    random, covered = np.random.default_rng(1), []
    for study in range(200):
        values = simulated(random, 2, points, seeds, noise=0.1, effect=0.1)
        draws, bests = bootstrap_bests(values, resamples=300, seed=study), bests_of(values)
        interval = best_interval(float(bests[0] - bests[1]), draws[0] - draws[1], points, seeds)
        covered.append(interval.low <= 0.1 <= interval.high)
    assert 0.9 <= np.mean(covered) <= 1


@pytest.mark.parametrize(("cells", "points", "seeds"), [(2, 8, 2), (3, 8, 2), (6, 8, 1), (3, 3, 2)])
def test_no_difference_is_found_in_about_95_percent_of_studies_without_one(cells, points, seeds):
    random, found = np.random.default_rng(2), []
    level = 1 - 0.05 / (cells - 1)
    for study in range(150):
        values = simulated(random, cells, points, seeds, noise=0.1)
        draws, bests = bootstrap_bests(values, resamples=800, seed=study), bests_of(values)
        first = int(bests.argmax())
        intervals = [
            best_interval(float(bests[first] - bests[other]), draws[first] - draws[other], points, seeds, level=level)
            for other in range(cells)
            if other != first
        ]
        found.append(any(interval.low > 0 for interval in intervals))
    assert np.mean(found) <= 0.09


def test_a_large_difference_is_found():
    values = simulated(np.random.default_rng(3), 2, 8, 2, noise=0.05, effect=0.4)
    draws, bests = bootstrap_bests(values), bests_of(values)
    interval = best_interval(float(bests[0] - bests[1]), draws[0] - draws[1], 8, 2)
    assert interval.low > 0.2


def test_all_cells_get_the_same_points_in_each_draw():
    values = np.repeat(np.random.default_rng(4).random((1, 9, 2)), 3, axis=0)
    draws = bootstrap_bests(values + np.arange(3)[:, None, None], resamples=50)
    np.testing.assert_allclose(draws[1] - draws[0], 1)
    np.testing.assert_allclose(draws[2] - draws[0], 2)


def test_draws_with_only_infeasible_points_are_infinite_and_left_out():
    values = np.full((1, 4, 2), -np.inf)
    values[0, :2] = [[1.0, 1.2], [2.0, 2.2]]
    draws = bootstrap_bests(values, resamples=4000)
    assert np.isneginf(draws[0]).mean() == pytest.approx(1 / 16, abs=0.02)
    assert best_interval(2.1, draws[0], 2, 2) is not None
    assert best_interval(2.1, np.where(np.arange(4000) < 2500, -np.inf, draws[0]), 2, 2) is None
    assert best_interval(2.1, draws[0], 1, 2) is None


def test_the_best_of_k_points_equals_a_simulated_search():
    means = np.array([3.0, 1.0, -np.inf, 2.0, 5.0])
    curve = best_of_k(means)
    random = np.random.default_rng(5)
    for k in (1, 2, 5):
        drawn = means[random.integers(0, 5, (60_000, k))].max(axis=1)
        drawn = drawn[np.isfinite(drawn)]
        assert curve.mean[k - 1] == pytest.approx(drawn.mean(), abs=0.02)
        assert curve.low[k - 1] == np.quantile(drawn, 0.025, method="inverted_cdf")
        assert curve.high[k - 1] == np.quantile(drawn, 0.975, method="inverted_cdf")
    assert (np.diff(curve.mean) > 0).all()
    assert curve.last_doubling == pytest.approx(curve.mean[4] - curve.mean[2])
    assert best_of_k(np.full(3, -np.inf)) is None


def test_the_interval_of_a_mean_is_that_of_students_t():
    from scipy import stats

    values = np.array([0.2, 0.5, 0.1, 0.4, 0.9])
    interval = mean_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert mean_interval(values[:1]) is None


def test_the_noise_of_seeds_is_pooled_over_complete_points():
    values = np.array([[1.0, 3.0], [5.0, 5.0], [np.nan, 9.0]])
    assert noise_of_seeds(values) == pytest.approx(1.0)
    assert noise_of_seeds(values[:, :1]) is None
    assert noise_of_seeds(values[2:]) is None
