"""Draws over decades."""

import numpy as np
import pytest

from passband.data.degradations.parts.draws import log_large, log_uniform


def test_each_factor_is_as_likely():
    rng = np.random.default_rng(0)
    draws = np.array([log_uniform(rng, 0.1, 10) for _ in range(2000)])
    assert np.quantile(draws, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx([0.1, 10**-0.5, 1, 10**0.5, 10], rel=0.15)


def test_large_values_are_more_frequent_where_asked():
    rng = np.random.default_rng(0)
    draws = np.array([log_large(rng, 1, 100) for _ in range(2000)])
    assert draws.min() >= 1
    assert draws.max() <= 100
    assert np.mean(draws < 10) == pytest.approx(0.25, abs=0.04)
