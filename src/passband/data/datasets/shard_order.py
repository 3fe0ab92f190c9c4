"""Orders samples of shards so that each process and each worker of a loader reads its own shards, one after the other.

An epoch shuffles the shards and puts their samples behind each other. This sequence is cut into as many streams as
there are shards for, at most `PARTS` x `STEPS`. Within a stream, the samples of every `WINDOW` shards are shuffled. A
sample takes the next item of the stream that belongs to the place of the sample in its batch and to the number of its
step:

- Places in a batch: a process gets an equal part of each batch, and so its own streams on 1, 2, 4 or 8 processes.
- Numbers of steps: the workers of a loader make the batches in turn, so that 1, 2 or 4 workers have their own streams.

Seed, epoch and size of a batch alone decide the order. The number of processes and workers does not, so a batch has the
same samples on any of them, and a resumed run continues exactly. Up to `WINDOW` shards have the order of a folder.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from passband.data.datasets.order import Order, RandomOrder, epoch_order
from passband.io.shards import ShardPath

WINDOW = 4
"""Number of shards whose samples are shuffled together."""
PARTS = 8
"""Largest number of parts of a batch with streams of their own."""
STEPS = 4
"""Largest number of steps in turn with streams of their own."""
EPOCHS = 2
"""Number of epochs whose order is kept, because a batch may lie in two."""

Prepare = Callable[[Sequence[int], Sequence[int]], None]
"""A function that is told which shards are read now, and which are read next."""


def order_of(files: Iterable[Path], seed: int, batch: int) -> Order:
    """Return the order of the items of a data set.

    Args:
        files: one file of each item.
        seed: seed of the orders.
        batch: samples of a step, over all processes; only the order of shards depends on it.

    Returns:
        The order of shards if all files lie in shards of one folder, otherwise an order that is random over all items.
    """
    paths = list(files)
    inside = [path for path in paths if isinstance(path, ShardPath)]
    if not inside or len(inside) < len(paths) or any(path.tree is not inside[0].tree for path in inside):
        return RandomOrder(len(paths), seed)
    return ShardOrder([path.container for path in inside], seed, batch, inside[0].tree.reader.prepare)


def _nothing(now: Sequence[int], later: Sequence[int]) -> None:
    """Prepare nothing."""


class ShardOrder:
    """An order that reads shards one after the other.

    Args:
        shards: number of the shard of each item.
        seed: seed of the orders.
        batch: samples of a step, over all processes.
        prepare: function that is called when a stream begins with further shards.
    """

    def __init__(self, shards: Sequence[int], seed: int, batch: int, prepare: Prepare = _nothing):
        self.shards, self.seed, self.batch, self.prepare = np.array(shards, np.int64), seed, batch, prepare
        self.count = len(shards)
        self.parts, self.steps = streams(len(np.unique(self.shards)), batch)
        self._forget()

    def __getstate__(self) -> dict[str, object]:
        """Pickle without the orders, which other processes compute themselves."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Begin without orders."""
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._epoch = lru_cache(maxsize=EPOCHS)(self._make_epoch)
        self._windows: dict[int, tuple[int, int]] = {}

    def __call__(self, number: int) -> int:
        """Return the index of the item that a sample uses, and prepare its shards.

        Args:
            number: number of the sample, from 0; `count` numbers are an epoch.
        """
        number, position = divmod(number, self.count)
        epoch = self._epoch(number)
        window, stream = int(epoch.windows[position]), int(epoch.streams[position])
        if self._windows.get(stream) != (number, window):
            self._windows[stream] = (number, window)
            self.prepare(
                epoch.shards[window], epoch.shards[window + 1] if epoch.owners.get(window + 1) == stream else []
            )
        return int(epoch.items[position])

    def _make_epoch(self, epoch: int) -> "_Epoch":
        """Return the order of an epoch."""
        known, places = np.unique(self.shards, return_inverse=True)
        if len(known) <= WINDOW:
            items, zeros = epoch_order(epoch, self.count, self.seed).numpy(), np.zeros(self.count, np.int64)
            return _Epoch(items, zeros, zeros, {0: known.tolist()}, {0: 0})
        rng = np.random.default_rng([self.seed, epoch, 3])
        sequence = np.argsort(rng.permutation(len(known))[places], kind="stable")
        numbers = epoch * self.count + np.arange(self.count)
        step, place = numbers // self.batch, numbers % self.batch
        owners = (step % self.steps) * self.parts + place * self.parts // self.batch
        positions = np.argsort(owners, kind="stable")
        cut = owners[positions]  # the stream of each item of the sequence
        begins_stream = np.diff(cut, prepend=-1) != 0
        begins_shard = begins_stream | (np.diff(self.shards[sequence], prepend=-1) != 0)
        shard = np.cumsum(begins_shard) - 1
        first = np.flatnonzero(begins_stream)
        shard_in_stream = shard - np.repeat(shard[first], np.diff(np.append(first, self.count)))
        window = np.cumsum(begins_stream | (begins_shard & (shard_in_stream % WINDOW == 0))) - 1
        items, windows = np.empty_like(sequence), np.empty_like(window)
        items[positions], windows[positions] = sequence[np.lexsort((rng.random(self.count), window))], window
        starts = np.flatnonzero(begins_shard)
        shards: dict[int, list[int]] = {}
        for start in starts:
            shards.setdefault(int(window[start]), []).append(int(self.shards[sequence[start]]))
        return _Epoch(items, windows, owners, shards, {int(window[start]): int(cut[start]) for start in starts})


@dataclass(frozen=True)
class _Epoch:
    """The order of an epoch: item, window and stream of each position; shards and stream of each window."""

    items: Int64[ndarray, " N"]
    windows: Int64[ndarray, " N"]
    streams: Int64[ndarray, " N"]
    shards: dict[int, list[int]]
    owners: dict[int, int]


def streams(shards: int, batch: int) -> tuple[int, int]:
    """Return the numbers of parts of a batch and of steps in turn that have streams of their own.

    Each stream has at least `WINDOW` shards, unless there is only one stream.

    Args:
        shards: number of shards.
        batch: samples of a step, over all processes.

    Returns:
        Number of parts, a divisor of `PARTS` and of the batch, and number of steps.
    """
    parts, steps = math.gcd(batch, PARTS), STEPS
    while parts * steps > 1 and parts * steps * WINDOW > shards:
        if steps >= parts:
            steps //= 2
        else:
            parts //= 2
    return parts, steps
