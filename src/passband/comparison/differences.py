"""Paired differences of contestants: means with bootstrap intervals, wins, and the sentence that they support."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from passband.metrics.intervals import Interval, bootstrap_interval
from passband.naming import suggestion
from passband.reports.figures import Figure

ALL_PAIRS = 4
"""Largest number of contestants of which every pair is compared. More are compared with the first one."""
FEW = 10
"""Number of images below which an interval is only a hint."""


def rivalries(labels: Sequence[str], against: str | None = None, reference: str | None = None) -> list[tuple[str, str]]:
    """Return the pairs of contestants to compare.

    Args:
        labels: labels of the contestants in their order.
        against: label of the contestant that all others are compared with. None compares every pair of up to
            `ALL_PAIRS` contestants, and more with the first one.
        reference: a label that `against` may name although it is no contestant, such as `degraded`; None for no such
            label.

    Raises:
        ValueError: if `against` is not one of the labels.
    """
    if against is not None:
        known = [*labels, *([reference] if reference else [])]
        if against not in known:
            raise ValueError(
                f"--against names a contestant, one of {', '.join(known)}; got {against!r}.{suggestion(against, known)}"
            )
        return [(label, against) for label in labels if label != against]
    if len(labels) > ALL_PAIRS:
        return [(label, labels[0]) for label in labels[1:]]
    return [(first, second) for place, first in enumerate(labels) for second in labels[place + 1 :]]


def difference_rows(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    pairs: Sequence[tuple[str, str]],
    figures: Sequence[Figure],
) -> list[dict[str, Any]]:
    """Compare pairs of contestants image by image.

    Args:
        values: values of all images in one order, by contestant and figure.
        pairs: first and second contestant of each difference.
        figures: figures to compare by.

    Returns:
        A row for each pair and figure: `first`, `second`, `figure`, `mean` (first minus second), `low`, `high`, `count`
        (images with finite values), `wins` and `losses` (images on which the first one is better or worse), `ties`
        (images whose difference is zero in the digits that are shown), and `better` (the label of the better one if the
        interval excludes zero and the mean does not vanish in these digits, else None).
    """
    rows = []
    for first, second in pairs:
        for figure in figures:
            both = zip(values[first][figure.name], values[second][figure.name], strict=True)
            finite = [one - other for one, other in both if math.isfinite(one) and math.isfinite(other)]
            rows.append(
                difference_row(first, second, figure, finite, bootstrap_interval(finite))
                if finite
                else unknown_row(first, second, figure)
            )
    return rows


def difference_sentence(row: Mapping[str, Any], figure: Figure, item: str = "image") -> str:
    """Say what a difference shows.

    Args:
        row: row of `difference_rows`.
        figure: figure of the row.
        item: name of what is paired, such as `image`.
    """
    first, second, count = row["first"], row["second"], row["count"]
    if row["mean"] is None:
        return (
            f"{first} and {second}: no {item} has a finite {figure.label} of both, so there is no difference to show."
        )
    unit = " points" if figure.unit == "%" else f" {figure.unit}".rstrip()
    size = f"{figure.number(abs(row['mean']))}{unit} in {figure.label}"
    ends = sorted(figure.scale * row[end] * _sign(row) for end in ("low", "high"))
    interval = f"95 % interval {ends[0]:{figure.spelling}} to {ends[1]:{figure.spelling}}"
    if count == 1:
        return f"{first} and {second} differ by {size} on the only {item}, which shows no spread."
    if all(figure.vanishes(row[key]) for key in ("mean", "low", "high")):
        return (
            f"{first} and {second} are equal in {figure.label}, in the digits shown, on average over {count} {item}s."
        )
    ahead = first if (row["mean"] > 0) == figure.higher_is_better else second
    behind = second if ahead == first else first
    won = row["wins"] if ahead == first else row["losses"]
    score = f"it is better on {won} of {count} {item}s"
    if row["better"] is None:
        return (
            f"{ahead} and {behind} show no convincing difference: {ahead} is ahead by {size}, but the interval "
            f"contains zero ({interval}); {score}."
        )
    return f"{ahead} is better than {behind} by {size} ({interval}); {score}."


def caution(count: int) -> list[str]:
    """Return a note for comparisons of few images.

    Args:
        count: number of images.
    """
    if count >= FEW:
        return []
    return [
        f"{count} image{'s are' if count > 1 else ' is'} few: intervals from fewer than {FEW} images are usually too "
        "narrow. Take them as a hint."
    ]


def difference_row(
    first: str, second: str, figure: Figure, differences: Sequence[float], interval: Interval
) -> dict[str, Any]:
    """Return the row of a difference, see `difference_rows`.

    Args:
        first: label of the first contestant.
        second: label of the second contestant.
        figure: figure of the row.
        differences: first minus second of each image, at least one.
        interval: mean of the differences with its interval.

    Returns:
        `mean`, `low` and `high` in the unit of the figure, the numbers of `wins`, `losses` and `ties`, and in `better`
        the label of the contestant that is better for certain, or None.
    """
    gains = [value if figure.higher_is_better else -value for value in differences if not figure.vanishes(value)]
    wins = sum(gain > 0 for gain in gains)
    better = None
    if interval.excludes_zero and len(differences) > 1 and not figure.vanishes(interval.value):
        better = first if (interval.value > 0) == figure.higher_is_better else second
    return {
        "first": first,
        "second": second,
        "figure": figure.name,
        "count": len(differences),
        "mean": interval.value,
        "low": interval.low,
        "high": interval.high,
        "wins": wins,
        "losses": len(gains) - wins,
        "ties": len(differences) - len(gains),
        "better": better,
    }


def unknown_row(first: str, second: str, figure: Figure) -> dict[str, Any]:
    """Return the row of a difference that cannot be computed, because no image has finite values.

    Args:
        first: label of the first contestant.
        second: label of the second contestant.
        figure: figure of the row.

    Returns:
        A row of the same keys, with None for what is unknown.
    """
    row: dict[str, Any] = {"first": first, "second": second, "figure": figure.name, "count": 0}
    return {**row, **dict.fromkeys(("mean", "low", "high", "better")), "wins": 0, "losses": 0, "ties": 0}


def _sign(row: Mapping[str, Any]) -> int:
    """Return the factor that makes the mean of a difference positive."""
    return -1 if row["mean"] < 0 else 1
