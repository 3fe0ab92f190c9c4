"""Orders samples: the number of a sample decides which item it uses, also after the first epoch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypedDict, TypeVar, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Sampler

from passband.io.image import ImageError


@runtime_checkable
class Order(Protocol):
    """The order of the items of a data set in each epoch."""

    @property
    def count(self) -> int:
        """Number of items."""
        ...

    def __call__(self, number: int) -> int:
        """Return the index of the item that a sample uses. Numbers continue after the first epoch."""
        ...


@dataclass(frozen=True)
class RandomOrder:
    """An order that is random over all items.

    Attributes:
        count: number of items.
        seed: seed of the orders.
    """

    count: int
    seed: int

    def __call__(self, number: int) -> int:
        """Return the index of the item that a sample uses; see `shuffled`."""
        return shuffled(number, self.count, self.seed)


class Prepared(TypedDict):
    """The entries that every sample has."""

    problem: str
    """The reason why the sample, or an item that it replaces, cannot be used; empty if there is no problem."""


PreparedSample = TypeVar("PreparedSample", bound=Prepared)


def shuffled(number: int, count: int, seed: int) -> int:
    """Return the index of the item that a sample uses.

    Each item is used once per epoch, and each epoch has its own order.

    Args:
        number: number of the sample, from 0; `count` numbers are an epoch.
        count: number of items.
        seed: seed of the orders.
    """
    epoch, position = divmod(number, count)
    return int(epoch_order(epoch, count, seed)[position])


def usable(prepare: Callable[[int], PreparedSample], number: int, order: Order, *, skip_bad: bool) -> PreparedSample:
    """Return the sample of a number, or of the next item that can be used.

    Problems are reported in the sample rather than raised, because a worker process of a loader can only pass them on
    inside a sample.

    Args:
        prepare: function that makes a sample from the index of an item, and describes a file that cannot be used in
            `problem`.
        number: number of the sample.
        order: order of the items.
        skip_bad: whether to use the next item instead of one that cannot be used. The problems of the skipped items are
            listed in `problem`.

    Raises:
        ImageError: if no item can be used.
    """
    first, count = order(number), order.count
    problems: list[str] = []
    for step in range(count):
        sample = prepare((first + step) % count)
        if sample["problem"]:
            problems.append(sample["problem"])
        if not sample["problem"] or not skip_bad:
            sample["problem"] = "\n".join(problems)
            return sample
    raise ImageError(f"none of {count} images can be used; the first problem: {problems[0]}")


@lru_cache(maxsize=4)
def epoch_order(epoch: int, count: int, seed: int) -> Int64[Tensor, " N"]:
    """Return the order of an epoch, which is drawn once and cached for all samples of the epoch.

    Args:
        epoch: number of the epoch, from 0.
        count: number of items.
        seed: seed of the orders.

    Returns:
        The numbers 0 to count - 1 in random order.
    """
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def scored_batches(length: int, batch: int, part: int = 0, parts: int = 1) -> list[list[int]]:
    """Return the batches of a validation that a process scores. Each sample is in one batch of one process.

    Args:
        length: number of samples.
        batch: samples scored at once; the last batch may be smaller.
        part: number of this process, from 0.
        parts: number of processes, which take the batches in turn.
    """
    numbers = list(range(length))
    return [numbers[start : start + batch] for start in range(0, length, batch)][part::parts]


class NumberedBatches(Sampler[list[int]]):
    """Sample numbers of each step in order; the data set shuffles them.

    The batch of a step has the same samples on any number of processes, and a resumed run continues where it stopped.
    Each process gets an equal part of every batch.

    Args:
        start: number of steps done before.
        stop: number of steps of the whole run.
        batch: samples of a step, over all processes.
        part: number of this process, from 0.
        parts: number of processes, which divides `batch`.
    """

    def __init__(self, start: int, stop: int, batch: int, part: int = 0, parts: int = 1):
        self.steps, self.batch, self.own = range(start, stop), batch, batch // parts
        self.offset = part * self.own

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.steps)

    def __iter__(self) -> Iterator[list[int]]:
        """Iterate over the numbers of the samples of each step."""
        for step in self.steps:
            first = step * self.batch + self.offset
            yield list(range(first, first + self.own))
