"""Noise inside networks that does not depend on the number of processes.

All processes have the same random state. Each draws the noise of the whole batch, and uses the rows of its own samples.
One process that trains on the whole batch therefore has the same noise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from passband.processes.agreement import count, rank

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


@contextmanager
def shared_noise(seed: int) -> Iterator[None]:
    """Seed the noise of a step, and let each process use its own rows of it.

    Dropout, the Gumbel softmax, and tensors that `bernoulli_` fills (as stochastic depth does) are covered. Other
    random functions draw as usual.

    Args:
        seed: seed of the step, the same in every process.
    """
    torch.manual_seed(seed)
    if count() == 1:
        yield
        return
    with _OwnRows(rank(), count()):
        yield


class _OwnRows(TorchFunctionMode):
    """Replaces random functions by functions that draw the noise of all processes."""

    def __init__(self, number: int, processes: int):
        super().__init__()
        self.number, self.processes = number, processes

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in DROPOUTS:
            return self._dropout(function, *args, **kwargs)
        if function is F.gumbel_softmax:
            return self._gumbel_softmax(*args, **kwargs)
        if function is Tensor.bernoulli_ and args[0].ndim and len(args[0]) > 1:
            return args[0].copy_(self._rows(args[0], lambda whole: whole.bernoulli_(*args[1:], **kwargs)))
        return function(*args, **kwargs)

    def _rows(self, like: Tensor, fill: Callable[[Tensor], Tensor]) -> Tensor:
        """Fill a tensor for the batch of all processes, and return the rows of this process."""
        whole = fill(like.new_ones(self.processes * len(like), *like.shape[1:]))
        return whole[self.number * len(like) : (self.number + 1) * len(like)]

    def _dropout(
        self,
        function: Callable[..., Tensor],
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        """Multiply by the rows of a dropout mask."""
        if not training:
            return function(input, p, training, inplace)
        with torch.no_grad():
            mask = self._rows(input, lambda whole: function(whole, p, True))
        return input.mul_(mask) if inplace else input * mask

    def _gumbel_softmax(
        self, logits: Tensor, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1
    ) -> Tensor:
        """Compute the Gumbel softmax as torch does, with the rows of the noise."""
        with torch.no_grad():
            noise = -self._rows(logits, lambda whole: whole.exponential_()).log()
        soft = ((logits + noise) / tau).softmax(dim)
        if not hard:
            return soft
        chosen = torch.zeros_like(logits).scatter_(dim, soft.max(dim, keepdim=True)[1], 1.0)
        return chosen - soft.detach() + soft
