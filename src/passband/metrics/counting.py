"""Counts pairs of true and predicted labels."""

from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from passband.ops.checks import kind_of, shape_of


def count_pairs(true: Tensor, taken: Tensor, classes: int, where: str, names: tuple[str, str]) -> Int64[Tensor, "K K"]:
    """Count how often each true class (row) was predicted as each class (column).

    Args:
        true: true labels, from 0, of any shape.
        taken: predicted labels of the same shape.
        classes: number of classes.
        where: name of the calling function, for error messages.
        names: names of both arguments, for error messages.

    Returns:
        The counts.

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if the shapes differ, or a label is not from 0 to classes - 1.
    """
    for value, name in zip((true, taken), names, strict=True):
        _check_numbers(value, f"{name} of {where}")
    if true.shape != taken.shape:
        raise ValueError(
            f"{where} compares tensors of one shape, got {names[0]} of shape {shape_of(true)} and {names[1]} of shape "
            f"{shape_of(taken)}."
        )
    pairs = (true.long() * classes + taken.long()).flatten()
    inside = all(not value.numel() or (int(value.min()) >= 0 and int(value.max()) < classes) for value in (true, taken))
    if not inside:
        least, most = (torch.stack([bound(true), bound(taken)]).long() for bound in (torch.min, torch.max))
        raise ValueError(
            f"{where} of {classes} classes needs numbers from 0 to {classes - 1}, got {int(least.min())} to "
            f"{int(most.max())}."
        )
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def _check_numbers(value: Any, where: str) -> None:
    """Raise an error unless the value is a tensor of integers."""
    if not isinstance(value, Tensor) or value.is_floating_point() or value.is_complex():
        raise TypeError(f"{where} needs a tensor of integers, the numbers of classes, got {kind_of(value)}.")
