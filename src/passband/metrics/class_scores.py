"""How often a classifier is right: the rank of the true class, and who is taken for whom."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passband.metrics.counting import count_pairs
from passband.ops.checks import check_floats, shape_of


def ranking(logits: Float[Tensor, "B classes"]) -> Int[Tensor, "B classes"]:
    """The classes of each picture, the most probable first.

    Args:
        logits: or probabilities; of equal ones the class of the lower number comes first, and those that are not a
            number come last, so that a broken network is not right by luck.
    """
    _check_logits(logits, "ranking")
    known = logits.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return known.argsort(dim=1, descending=True, stable=True)


def rank_of(logits: Float[Tensor, "B classes"], labels: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """The place of the true class in the ranking of each picture, from 0.

    Top-k accuracy is the mean of `rank_of(logits, labels) < k`.

    Args:
        logits: as `ranking`.
        labels: the true classes, from 0.
    """
    _check_logits(logits, "rank_of")
    if labels.shape != logits.shape[:1]:
        raise ValueError(
            f"rank_of needs one label for each row of logits, got labels of {shape_of(labels)} and logits of "
            f"{shape_of(logits)}."
        )
    return (ranking(logits) == labels[:, None]).int().argmax(1)


def confusion_matrix(
    predicted: Int[Tensor, "N"], labels: Int[Tensor, "N"], classes: int
) -> Int[Tensor, "classes classes"]:
    """How often pictures of a class (row) were taken for a class (column).

    Args:
        predicted: classes, from 0.
        labels: the true ones.
        classes: how many there are.

    Raises:
        TypeError: for values that are not integers.
        ValueError: for shapes that differ, or numbers that are not from 0 to classes - 1.
    """
    return count_pairs(labels, predicted, classes, "confusion_matrix", ("labels", "predicted"))


def class_accuracy(confusion: Int[Tensor, "classes classes"]) -> Float[Tensor, "classes"]:
    """The share of each class's pictures that were recognized; not a number for a class without pictures."""
    return confusion.diagonal().double() / confusion.sum(1)


def wilson_interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Between which accuracies the true one lies, when so many of so many pictures were recognized.

    Args:
        right: pictures that were recognized.
        count: pictures in all, at least 1.
        z: standard deviations; 1.96 for 95 %.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not 0 <= right <= count or count < 1:
        raise ValueError(
            f"wilson_interval needs 0 <= right <= count and a count of at least 1, got {right} of {count}."
        )
    share, spread = right / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * (share * (1 - share) / count + spread / (4 * count)) ** 0.5 / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _check_logits(logits: Tensor, where: str) -> None:
    """Refuse what is not a row of scores for each picture."""
    check_floats(logits, where)
    if logits.ndim != 2:
        raise ValueError(f"{where} needs logits of shape B classes, got {shape_of(logits)}.")
