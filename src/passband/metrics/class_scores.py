"""Scores a classifier: the rank of the true class, the confusion matrix, and intervals of accuracy."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passband.metrics.counting import count_pairs
from passband.ops.checks import check_floats, shape_of


def ranking(logits: Float[Tensor, "B classes"]) -> Int[Tensor, "B classes"]:
    """Rank the classes of each image, the most probable first.

    Args:
        logits: logits or probabilities. Among equal values the lower label comes first. NaN comes last, so that a
            broken network is not right by chance.

    Returns:
        The labels of each image in the order of their rank.
    """
    _check_logits(logits, "ranking")
    known = logits.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return known.argsort(dim=1, descending=True, stable=True)


def rank_of(logits: Float[Tensor, "B classes"], labels: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """Return the rank of the true class of each image, from 0.

    Top-k accuracy is the mean of `rank_of(logits, labels) < k`.

    Args:
        logits: logits or probabilities, as for `ranking`.
        labels: true labels, from 0.

    Returns:
        The rank of each image's label.

    Raises:
        TypeError: if the logits are not floating-point values.
        ValueError: if the shapes do not fit, or a label is not from 0 to classes - 1.
    """
    _check_logits(logits, "rank_of")
    if labels.shape != logits.shape[:1]:
        raise ValueError(
            f"rank_of needs one label for each row of logits, got labels of {shape_of(labels)} and logits of "
            f"{shape_of(logits)}."
        )
    right = ranking(logits) == labels[:, None]
    if not right.any(1).all():  # otherwise such an image would count as right
        raise ValueError(
            f"rank_of of {logits.shape[1]} classes needs labels from 0 to {logits.shape[1] - 1}, got "
            f"{int(labels.min())} to {int(labels.max())}."
        )
    return right.int().argmax(1)


def confusion_matrix(
    predicted: Int[Tensor, "N"], labels: Int[Tensor, "N"], classes: int
) -> Int[Tensor, "classes classes"]:
    """Count how often images of a class (row) were classified as a class (column).

    Args:
        predicted: predicted labels, from 0.
        labels: true labels.
        classes: number of classes.

    Returns:
        The counts.

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if the shapes differ, or a label is not from 0 to classes - 1.
    """
    return count_pairs(labels, predicted, classes, "confusion_matrix", ("labels", "predicted"))


def class_accuracy(confusion: Int[Tensor, "classes classes"]) -> Float[Tensor, "classes"]:
    """Return the accuracy of each class, its recall.

    Args:
        confusion: number of images of each true class (row) and predicted class (column).

    Returns:
        Share of each class's images that were classified correctly, in [0, 1] and in float64; NaN for a class without
        images.
    """
    return confusion.diagonal().double() / confusion.sum(1)


def wilson_interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the confidence interval of an accuracy by Wilson's method.

    Args:
        right: number of images that were classified correctly.
        count: number of images, at least 1.
        z: width in standard deviations; 1.96 for 95 %.

    Returns:
        The lower and the upper bound of the true accuracy.

    Raises:
        ValueError: if `count` is below 1, or `right` is not from 0 to `count`.

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
    """Raise an error unless there is one row of scores for each image."""
    check_floats(logits, where)
    if logits.ndim != 2:
        raise ValueError(f"{where} needs logits of shape B classes, got {shape_of(logits)}.")
