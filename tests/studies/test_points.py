"""Cells and nuisance points: a grid, and a scrambled sequence that every cell shares."""

import numpy as np
import pytest
from scipy import stats

from passband.config import load_recipe
from passband.studies.points import range_value, study_cells, study_points
from passband.studies.settings import NuisanceRange, parse_study


def points(nuisance, **changes):
    scientific = {"loss.name": ["dice", "cross_entropy"]}
    settings = parse_study({"recipe": "a", "scientific": scientific, "nuisance": nuisance, **changes}, "a.toml")
    return study_points(settings, load_recipe("segment-small"))


def test_cells_are_all_combinations_and_named_values_set_several_keys():
    scientific = {
        "loss.name": ["dice", "cross_entropy"],
        "order": {"up": {"curriculum.start": 0.1, "curriculum.end": 1.0}, "none": {"curriculum.mode": "none"}},
    }
    cells = study_cells(parse_study({"recipe": "a", "scientific": scientific}, "a.toml"))
    assert [cell.label for cell in cells] == [
        f"loss.name = {loss}, order = {order}" for loss in ("dice", "cross_entropy") for order in ("up", "none")
    ]
    assert cells[2].changes == {"loss.name": "cross_entropy", "curriculum.start": 0.1, "curriculum.end": 1.0}
    assert cells[2].values == {"loss.name": "cross_entropy", "order": "up"}


@pytest.mark.parametrize("sampler", ["sobol", "halton"])
def test_a_longer_study_begins_with_the_points_of_a_shorter_one(sampler):
    nuisance = {"optim.learning_rate": {"log": [1e-4, 1e-2]}, "data.batch": {"linear": [1, 4]}}
    short, long = (points(nuisance, trials=trials, sampler=sampler) for trials in (3, 7))
    assert long[:3] == short
    assert len({point["optim.learning_rate"] for point in long}) == 7
    assert points(nuisance, trials=7, sampler=sampler, sampling_seed=1) != long


def test_points_fill_a_range_more_evenly_than_random_numbers():
    rates = [
        point["optim.learning_rate"] for point in points({"optim.learning_rate": {"log": [1e-4, 1e-2]}}, trials=64)
    ]
    shares = (np.log10(rates) + 4) / 2
    assert stats.qmc.discrepancy(shares[:, None]) < 1e-3
    assert stats.kstest(shares, "uniform").statistic < 0.05


def test_integer_settings_get_integers_that_are_equally_likely():
    drawn = [point["data.batch"] for point in points({"data.batch": {"linear": [1, 4]}}, trials=64)]
    assert {type(value) for value in drawn} == {int}
    assert np.bincount(drawn).tolist() == [0, 16, 16, 16, 16]
    logarithmic = [point["data.batch"] for point in points({"data.batch": {"log": [1, 16]}}, trials=64)]
    assert (min(logarithmic), max(logarithmic)) == (1, 16)
    assert {type(value) for value in points({"model.arguments.width": {"linear": [4, 9]}}, trials=4)[0].values()} == {
        int
    }
    assert all(isinstance(point["optim.ema"], float) for point in points({"optim.ema": {"linear": [0, 1]}}, trials=4))


@pytest.mark.parametrize("spread", [{"linear": (-2.0, 3.0)}, {"log": (1e-3, 10.0)}, {"choice": ("a", "b", "c")}])
def test_a_value_stays_in_its_range_and_reaches_both_ends(spread):
    values = [range_value(NuisanceRange(**spread), share, whole=False) for share in (0.0, 0.5, 1 - 1e-12)]
    low, *_, high = next(iter(spread.values()))
    assert values[0] == pytest.approx(low) if not isinstance(low, str) else values[0] == low
    assert values[-1] == pytest.approx(high) if not isinstance(high, str) else values[-1] == high
    middle = {"linear": 0.5, "log": 0.1, "choice": "b"}[next(iter(spread))]
    assert values[1] == (pytest.approx(middle) if not isinstance(middle, str) else middle)


def test_without_nuisance_ranges_there_is_one_point_without_values():
    assert points({}) == ({},)
