"""Random numbers that several simulators draw."""

import math

import numpy as np


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform, so that each factor is equally likely.

    Args:
        rng: random generator.
        low: least value, above 0.
        high: largest value, at least `low`.

    Returns:
        A number from `low` to `high`.
    """
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def log_large(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number over the same range as `log_uniform`, large ones more often.

    Args:
        rng: random generator.
        low: least value, above 0.
        high: largest value, at least `low`.

    Returns:
        A number from `low` to `high`; the density of its logarithm rises from 0 at `low`.
    """
    return low * (high / low) ** math.sqrt(rng.random())
