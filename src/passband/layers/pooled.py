"""What pooling made of a map, given out row by row: a full-size pooled map is as large as the map itself."""

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Pooled(Protocol):
    """A pooled map."""

    is_global: bool
    """Whether it is one value per channel."""

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C _ _"]:
        """Its rows from `start` to `end`, or 1 x 1 where it is global."""
        ...


class Global:
    """The same average everywhere.

    Args:
        value: one value per channel.
    """

    is_global = True

    def __init__(self, value: Float[Tensor, "1 C 1 1"]):
        self.value = value

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C 1 1"]:
        """The average."""
        return self.value


class Local:
    """What `local_average` gives, for the asked rows alone; equal to it but for rounding.

    Of the sums down the columns, every `step`-th row is kept, in float32; a window's sum is the difference of two
    rows of sums, and each of those the nearest one kept plus what lies between.

    Args:
        x: the map, which must stay as it is while rows are asked for.
        window: height and width of the window, at most those of the map.
        step: rows between the sums that are kept.
    """

    is_global = False

    def __init__(self, x: Float[Tensor, "1 C H W"], window: tuple[int, int], step: int = 64):
        self.x, self.window, self.step = x, window, step
        kept = [x.new_zeros(*x.shape[:2], 1, x.shape[-1], dtype=torch.float32)]
        for start in range(0, x.shape[-2] - step + 1, step):
            kept.append(kept[-1] + x[..., start : start + step, :].sum(-2, keepdim=True, dtype=torch.float32))
        self.kept = torch.cat(kept, dim=-2)

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C _ W"]:
        """Pooled rows, in the dtype of the map."""
        (height, width), (tall, wide) = self.x.shape[-2:], self.window
        # the first row of each position's window: where it would leave the map it stays inside
        first = (torch.arange(start, end) - (tall - 1) // 2).clamp(0, height - tall)
        top, bottom = int(first[0]), int(first[-1]) + 1
        down = (self._sums(top + tall, bottom + tall) - self._sums(top, bottom)).div_(tall)
        across = F.pad(down.cumsum(-1), (1, 0))
        places = width - wide + 1
        means = (across[..., wide:] - across[..., :places]).div_(wide)
        if places < width:
            means = F.pad(means[0], ((wide - 1) // 2, wide - 1 - (wide - 1) // 2, 0, 0), mode="replicate")[None]
        if bottom - top < end - start:
            means = means[..., (first - top).to(means.device), :]
        return means.to(self.x.dtype)

    def _sums(self, start: int, end: int) -> Float[Tensor, "1 C _ W"]:
        """For each row from start to end, the sum of all rows above it."""
        block = min(start // self.step, self.kept.shape[-2] - 1)
        above = self.kept[..., block : block + 1, :]
        between = self.x[..., block * self.step : end - 1, :].cumsum(-2, dtype=torch.float32).add_(above)
        return torch.cat([above, between], dim=-2)[..., start - block * self.step :, :]
