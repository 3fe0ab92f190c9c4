import math

import numpy as np
import pytest
from scipy import stats

from passband.metrics.intervals import (
    Interval,
    bootstrap_interval,
    grouped_interval,
    paired_difference,
    student_interval,
    two_way_interval,
    two_way_p_value,
)

VALUES = np.random.default_rng(3).normal(30, 4, 41).tolist()


def test_the_interval_of_a_mean_equals_that_of_scipy():
    expected = stats.bootstrap(
        (VALUES,), np.mean, method="percentile", n_resamples=20_000, random_state=np.random.default_rng(1)
    ).confidence_interval
    interval = bootstrap_interval(VALUES, resamples=20_000)
    assert interval.value == pytest.approx(np.mean(VALUES))
    assert interval.low == pytest.approx(expected.low, abs=0.05)
    assert interval.high == pytest.approx(expected.high, abs=0.05)


def test_the_interval_covers_the_true_mean_about_as_often_as_its_level_says():
    random = np.random.default_rng(0)
    intervals = [bootstrap_interval(random.normal(0, 1, 30).tolist(), level=0.9, resamples=400) for _ in range(300)]
    assert 0.82 < np.mean([one.low <= 0 <= one.high for one in intervals]) < 0.95


def test_equal_arguments_give_equal_intervals_and_another_seed_another():
    assert bootstrap_interval(VALUES, seed=1) == bootstrap_interval(VALUES, seed=1)
    assert bootstrap_interval(VALUES, seed=1) != bootstrap_interval(VALUES, seed=2)


def test_another_statistic_is_resampled_in_its_place():
    interval = bootstrap_interval(VALUES, statistic=lambda samples: samples.max(axis=-1))
    assert interval.value == interval.high == max(VALUES)
    assert interval.low < interval.high


def test_one_value_has_an_interval_without_width():
    interval = bootstrap_interval([3.0])
    assert (interval.value, interval.low, interval.high) == (3.0, 3.0, 3.0)


def test_pairing_finds_a_small_difference_below_a_large_spread():
    better = [value + 0.1 + 0.02 * (index % 3) for index, value in enumerate(VALUES)]
    difference = paired_difference(better, VALUES)
    assert difference.mean.excludes_zero
    assert 0.1 < difference.mean.low < difference.mean.value < difference.mean.high < 0.14
    assert (difference.wins, difference.losses, difference.ties) == (41, 0, 0)


def test_wins_losses_and_ties_count_every_pair_once():
    difference = paired_difference([1, 2, 3, 4], [0, 2, 5, 4])
    assert (difference.wins, difference.losses, difference.ties) == (1, 1, 2)
    assert not difference.mean.excludes_zero


INTERVALS = {
    "bootstrap": bootstrap_interval,
    "paired": lambda values, **options: paired_difference(values, [0.0] * len(values), **options),
    "groups": lambda values, **options: grouped_interval([values, values], is_crossed=False, **options),
    "crossed": lambda values, **options: grouped_interval([values, values], is_crossed=True, **options),
    "student": student_interval,
    "two-way": lambda values, **options: two_way_interval(np.array([values, values]), **options),
    "p-value": lambda values: two_way_p_value(np.array([values, values])),
}


@pytest.mark.parametrize("kind", INTERVALS)
def test_values_that_have_no_interval_are_refused(kind):
    with pytest.raises(ValueError, match="at least one"):
        INTERVALS[kind]([])
    for value in (math.inf, math.nan):
        with pytest.raises(ValueError, match="finite"):
            INTERVALS[kind]([1.0, value])


@pytest.mark.parametrize("kind", [kind for kind in INTERVALS if kind != "p-value"])
@pytest.mark.parametrize("level", [-0.1, 0, 1, 1.5, math.nan])
def test_a_level_that_is_no_probability_is_refused(kind, level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        INTERVALS[kind]([1.0, 2.0], level=level)


@pytest.mark.parametrize("kind", ["bootstrap", "paired", "groups", "crossed"])
def test_an_interval_needs_samples_that_are_drawn(kind):
    with pytest.raises(ValueError, match="at least one sample"):
        INTERVALS[kind]([1.0, 2.0], resamples=0)


@pytest.mark.parametrize("compute", [two_way_interval, two_way_p_value])
def test_one_image_has_no_interval_over_images(compute):
    with pytest.raises(ValueError, match="two images are needed; got 3 x 1"):
        compute(np.ones((3, 1)))


def test_lists_of_different_lengths_are_not_paired():
    with pytest.raises(ValueError, match="got 2 and 1"):
        paired_difference([1, 2], [1])


def test_an_interval_over_groups_is_wider_than_over_the_images_of_one():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, 40)
    groups = [(images + shift).tolist() for shift in (-1.0, 0.0, 1.0)]
    over_both, over_images = grouped_interval(groups, is_crossed=True), bootstrap_interval(groups[1])
    assert over_both.value == pytest.approx(images.mean())
    assert over_both.high - over_both.low > 1.5 * (over_images.high - over_images.low)
    uneven = grouped_interval([groups[0], groups[1][:30]], is_crossed=False)
    assert uneven.low < uneven.value < uneven.high
    assert grouped_interval(groups[:1], is_crossed=True) == bootstrap_interval(groups[0])
    with pytest.raises(ValueError, match="at least one group"):
        grouped_interval([], is_crossed=True)
    with pytest.raises(ValueError, match="must be equally large"):
        grouped_interval([[1.0], [1.0, 2.0]], is_crossed=True)


def test_the_interval_over_seeds_is_that_of_scipy():

    values = [1.0, 2.0, 4.0]
    interval = student_interval(values)
    low, high = stats.t.interval(0.95, 2, np.mean(values), np.std(values, ddof=1) / 3**0.5)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert student_interval([3.0]) == bootstrap_interval([3.0])


def test_an_interval_over_seeds_and_images_counts_the_spread_of_both():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        images, seeds = random.normal(size=40), random.normal(scale=0.5, size=3)
        interval = two_way_interval(seeds[:, None] + images + random.normal(size=(3, 40)))
        covered += not interval.excludes_zero
    assert covered >= 0.92 * 300  # the true mean is 0; the sum of both variances is on the safe side
    assert two_way_interval(np.zeros((3, 5))) == Interval(0.0, 0.0, 0.0)
    one = random.normal(size=(1, 7))
    assert two_way_interval(one).high == pytest.approx(student_interval(one[0].tolist()).high)


def test_the_p_value_over_seeds_and_images_belongs_to_the_interval_that_ends_at_zero():
    random = np.random.default_rng(1)
    values = 0.3 + random.normal(scale=0.1, size=(3, 1)) + random.normal(size=(3, 50))
    interval = two_way_interval(values, level=1 - two_way_p_value(values))
    assert interval.low == pytest.approx(0, abs=1e-9)
    assert two_way_p_value(-values) == two_way_p_value(values)
    one = random.normal(0.4, 1, (1, 9))
    assert two_way_p_value(one) == pytest.approx(stats.ttest_1samp(one[0], 0).pvalue)
    assert (two_way_p_value(np.zeros((2, 4))), two_way_p_value(np.ones((2, 4)))) == (1, 0)
