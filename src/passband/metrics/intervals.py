"""Bootstrap intervals: the uncertainty of a mean over images, and of the difference of two networks on the same images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993 (percentile intervals).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEVEL, RESAMPLES = 0.95, 10_000
"""Default confidence level, and default number of samples that are drawn with replacement."""
_VALUES_AT_ONCE = 4_000_000
"""Largest number of values that are drawn at once, which keeps the memory below 100 MB."""


@dataclass(frozen=True)
class Interval:
    """A statistic of a sample with its bootstrap interval."""

    value: float
    """The statistic of the sample itself."""
    low: float
    """Lower end. It equals `value` if the sample has one value, because one value shows no spread."""
    high: float
    """Upper end."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    @property
    def negated(self) -> "Interval":
        """The interval of the negative statistic."""
        return Interval(-self.value, -self.high, -self.low)


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two networks on the same images or seeds."""

    mean: Interval
    """Mean of `first - second` over the pairs, with its interval."""
    wins: int
    """Number of pairs in which the first value is larger."""
    losses: int
    """Number of pairs in which the second value is larger."""
    ties: int
    """Number of pairs with equal values."""


def bootstrap_interval(
    values: Sequence[float],
    *,
    statistic: Callable[[Float[np.ndarray, "draws count"]], Float[np.ndarray, " draws"]] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return a statistic of a sample with the percentile bootstrap interval.

    The same arguments give the same interval.

    Args:
        values: values of the sample, such as one PSNR for each image.
        statistic: function that reduces the last axis of an array of samples; None for the mean.
        level: probability that the interval covers, between 0 and 1.
        resamples: number of samples that are drawn with replacement, at least 1.
        seed: seed of the random numbers.

    Returns:
        The statistic of the sample and the ends of its interval, in the unit of the values. For a single value, both
        ends equal it.

    Raises:
        ValueError: if there are no values, a value is not finite, or the level or the number of samples is out of
            range.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not sample.size:
        raise ValueError(f"an interval needs a list of at least one value; got the shape {sample.shape}")
    _check(sample, level, resamples)
    reduce = statistic or _mean
    value = float(reduce(sample[None])[0])
    if sample.size == 1:
        return Interval(value, value, value)
    random, drawn = np.random.default_rng(seed), []
    at_once = max(1, _VALUES_AT_ONCE // sample.size)
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn.append(reduce(sample[random.integers(0, sample.size, (count, sample.size))]))
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Compare two networks on the same images: the mean of the differences with its interval, and who wins how often.

    Pairing removes the spread between easy and difficult images, which is usually much larger than the difference of
    two networks.

    Args:
        first: values of the first network, one for each image.
        second: values of the second network for the same images in the same order.
        level: probability that the interval covers, between 0 and 1.
        resamples: number of samples that are drawn with replacement, at least 1.
        seed: seed of the random numbers.

    Raises:
        ValueError: if the numbers of values differ, there are none, a difference is not finite, or the level or the
            number of samples is out of range.
    """
    if len(first) != len(second):
        raise ValueError(f"paired values must be as many on both sides; got {len(first)} and {len(second)}")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    mean = bootstrap_interval(differences.tolist(), level=level, resamples=resamples, seed=seed)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return PairedDifference(mean, wins, losses, len(differences) - wins - losses)


def grouped_interval(
    groups: Sequence[Sequence[float]],
    *,
    is_crossed: bool,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the mean over groups of the means of their values, with an interval that both spreads widen.

    The groups are drawn with replacement, and so are the values.

    Args:
        groups: values of each group, such as the differences of all images for each seed.
        is_crossed: whether all groups have values of the same images in the same order. The same images are then drawn
            in all groups; otherwise the images of each group are drawn for themselves.
        level: probability that the interval covers, between 0 and 1.
        resamples: number of samples that are drawn with replacement, at least 1.
        seed: seed of the random numbers.

    Returns:
        The mean and the ends of its interval, in the unit of the values.

    Raises:
        ValueError: if there is no group, a group has no values, a value is not finite, groups of the same images differ
            in size, or the level or the number of samples is out of range.
    """
    if len(groups) == 1:
        return bootstrap_interval(groups[0], level=level, resamples=resamples, seed=seed)
    samples = [np.asarray(group, dtype=np.float64) for group in groups]
    if not samples or not all(sample.size for sample in samples):
        raise ValueError("an interval over groups needs at least one group, and values in each group")
    _check(np.concatenate(samples), level, resamples)
    random = np.random.default_rng(seed)
    share = random.multinomial(len(samples), np.full(len(samples), 1 / len(samples)), resamples) / len(samples)
    if is_crossed:
        if len({sample.size for sample in samples}) > 1:
            raise ValueError(f"groups of the same images must be equally large; got {[one.size for one in samples]}")
        size = samples[0].size
        weights = random.multinomial(size, np.full(size, 1 / size), resamples) / size
        means = weights @ np.stack(samples, -1)
    else:
        means = np.stack([_resampled_means(sample, resamples, random) for sample in samples], -1)
    low, high = np.quantile((share * means).sum(-1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean([sample.mean() for sample in samples])), float(low), float(high))


def student_interval(values: Sequence[float], *, level: float = LEVEL) -> Interval:
    """Return the mean of a few values, such as one for each seed, with the interval of Student's t distribution.

    It assumes values of a normal distribution, and is honest for two values already, where the bootstrap is much too
    narrow.

    Args:
        values: finite values.
        level: probability that the interval covers, between 0 and 1.

    Returns:
        The mean and the ends of its interval, in the unit of the values. For a single value, both ends equal it.

    Raises:
        ValueError: if there are no values, a value is not finite, or the level is out of range.
    """
    from scipy.stats import t

    interval = bootstrap_interval(values, level=level, resamples=1)
    if len(values) == 1:
        return interval
    half = float(t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Interval(interval.value, interval.value - half, interval.value + half)


def two_way_interval(values: Float[np.ndarray, "seeds images"], *, level: float = LEVEL) -> Interval:
    """Return the mean of values of several seeds on the same images, with an interval that both spreads widen.

    The variance of the mean is that between the means of seeds plus that between the means of images, each divided by
    its number. The degrees of freedom are those of Satterthwaite (Biometrics Bulletin, 1946).

    Args:
        values: finite values of at least two images. One seed shows no spread of seeds.
        level: probability that the interval covers, between 0 and 1.

    Returns:
        The mean and the ends of its interval, in the unit of the values. If the means of seeds and those of images do
        not vary, both ends equal the mean.

    Raises:
        ValueError: if there is no seed, there are fewer than two images, a value is not finite, or the level is out of
            range.
    """
    from scipy.stats import t

    _check(values, level)
    error, freedom = _two_way_error(values)
    mean = float(values.mean())
    if error == 0:
        return Interval(mean, mean, mean)
    half = float(t.ppf((1 + level) / 2, freedom) * error)
    return Interval(mean, mean - half, mean + half)


def two_way_p_value(values: Float[np.ndarray, "seeds images"]) -> float:
    """Return the probability of a mean at least as far from zero by chance, which `two_way_interval` belongs to.

    Args:
        values: differences of several seeds on the same images, as for `two_way_interval`.

    Returns:
        The two-sided p-value; 1 if all differences are zero, and 0 if all are the same other number.

    Raises:
        ValueError: if there is no seed, there are fewer than two images, or a value is not finite.
    """
    from scipy.stats import t

    _check(values)
    error, freedom = _two_way_error(values)
    mean = abs(float(values.mean()))
    if error == 0:
        return 0.0 if mean else 1.0
    return 2 * float(t.sf(mean / error, freedom))


def _check(values: np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES) -> None:
    """Refuse values and settings that have no interval."""
    if not np.isfinite(values).all():
        raise ValueError("an interval needs finite values: leave out the images whose value is infinite or missing")
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval must lie between 0 and 1; got {level:g}")
    if resamples < 1:
        raise ValueError(f"an interval needs at least one sample that is drawn; got {resamples}")


def _two_way_error(values: Float[np.ndarray, "seeds images"]) -> tuple[float, float]:
    """Return the standard error of a mean over seeds and images, and its degrees of freedom."""
    seeds, images = values.shape
    if not seeds or images < 2:
        raise ValueError(f"values of at least one seed and two images are needed; got {seeds} x {images}")
    parts = [(float(values.mean(0).var(ddof=1)) / images, images - 1)]
    if seeds > 1:
        parts.append((float(values.mean(1).var(ddof=1)) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / free for part, free in parts) if variance else float(images - 1)
    return variance**0.5, freedom


def _resampled_means(
    sample: Float[np.ndarray, " count"], resamples: int, random: np.random.Generator
) -> Float[np.ndarray, " resamples"]:
    """Return the means of samples that are drawn with replacement."""
    weights = random.multinomial(sample.size, np.full(sample.size, 1 / sample.size), resamples) / sample.size
    return weights @ sample


def _mean(samples: Float[np.ndarray, "draws count"]) -> Float[np.ndarray, " draws"]:
    return samples.mean(axis=-1)
