"""How often a classifier is right: the rank of the true class, and who is taken for whom."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def ranking(logits: Float[Tensor, "B classes"]) -> Int[Tensor, "B classes"]:
    """The classes of each picture, the most probable first.

    Args:
        logits: or probabilities; of equal ones the class of the lower number comes first, and those that are not a
            number come last, so that a broken network is not right by luck.
    """
    known = logits.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return known.argsort(dim=1, descending=True, stable=True)


def rank_of(logits: Float[Tensor, "B classes"], labels: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """The place of the true class in the ranking of each picture, from 0.

    Top-k accuracy is the mean of `rank_of(logits, labels) < k`.

    Args:
        logits: as `ranking`.
        labels: the true classes, from 0.
    """
    return (ranking(logits) == labels[:, None]).int().argmax(1)


def confusion_matrix(
    predicted: Int[Tensor, "N"], labels: Int[Tensor, "N"], classes: int
) -> Int[Tensor, "classes classes"]:
    """How often pictures of a class (row) were taken for a class (column).

    Args:
        predicted: classes, from 0.
        labels: the true ones.
        classes: how many there are.
    """
    return torch.bincount(labels.long() * classes + predicted.long(), minlength=classes**2).view(classes, classes)


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
    share, spread = right / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * (share * (1 - share) / count + spread / (4 * count)) ** 0.5 / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
