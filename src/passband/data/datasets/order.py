"""The order of samples: a sample's number decides which thing it takes, past the first epoch, too."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypedDict, TypeVar

import torch
from torch import Tensor

from passband.io.image import ImageError


class Prepared(TypedDict):
    """What every sample says."""

    problem: str
    """Why it cannot be used, or of the ones in whose place it stands; empty where all is well."""


PreparedSample = TypeVar("PreparedSample", bound=Prepared)


def shuffled(number: int, count: int, seed: int) -> int:
    """Which of `count` things a sample takes: each once per epoch, in an order of the epoch's own.

    Args:
        number: of the sample, from 0; an epoch is `count` numbers.
        count: how many things there are.
        seed: another one gives other orders.
    """
    epoch, position = divmod(number, count)
    return int(_order(count, seed * 1_000_003 + epoch)[position])


def usable(
    prepare: Callable[[int], PreparedSample], number: int, count: int, seed: int, *, skip_bad: bool
) -> PreparedSample:
    """The sample of a number, or of the next thing that can be used.

    What cannot be used is said in the sample rather than raised, because a loader's process can only hand on where in
    its own code an error came from.

    Args:
        prepare: makes a sample of one of the things; its `problem` says why that cannot be used.
        number: of the sample, from 0, see `shuffled`.
        count: how many things there are.
        seed: of their order.
        skip_bad: take the next thing instead of one that cannot be used.

    Returns:
        The sample, whose `problem` has a line for each thing that was skipped, too.

    Raises:
        ImageError: where nothing can be used at all.
    """
    first = shuffled(number, count, seed)
    problems: list[str] = []
    for step in range(count):
        sample = prepare((first + step) % count)
        if sample["problem"]:
            problems.append(sample["problem"])
        if not sample["problem"] or not skip_bad:
            sample["problem"] = "\n".join(problems)
            return sample
    raise ImageError(f"none of {count} pictures can be used; the first: {problems[0]}")


@lru_cache(maxsize=4)
def _order(count: int, seed: int) -> Tensor:
    """The order of an epoch, drawn once and not for every sample of it."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))
