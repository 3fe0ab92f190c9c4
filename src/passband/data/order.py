"""The order of samples: a sample's number decides which thing it takes, past the first epoch, too."""

from functools import lru_cache

import torch
from torch import Tensor


def shuffled(number: int, count: int, seed: int) -> int:
    """Which of `count` things a sample takes: each once per epoch, in an order of the epoch's own.

    Args:
        number: of the sample, from 0; an epoch is `count` numbers.
        count: how many things there are.
        seed: another one gives other orders.
    """
    epoch, position = divmod(number, count)
    return int(_order(count, seed * 1_000_003 + epoch)[position])


@lru_cache(maxsize=4)
def _order(count: int, seed: int) -> Tensor:
    """The order of an epoch, drawn once and not for every sample of it."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))
