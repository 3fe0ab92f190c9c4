"""Returns pooled maps row by row, because a pooled map of full size takes as much memory as the map itself."""

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Pooled(Protocol):
    """A pooled map."""

    is_global: bool
    """Whether the map has one value per channel."""

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C _ _"]:
        """Return a range of rows of the pooled map.

        Args:
            start: first row, from 0.
            end: row after the last.

        Returns:
            end - start rows, or a single position 1 x 1 if the map is global.
        """
        ...


class Global:
    """The same average at every position.

    Args:
        value: average of each channel.
    """

    is_global = True

    def __init__(self, value: Float[Tensor, "1 C 1 1"]):
        self.value = value

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C 1 1"]:
        """Return the average."""
        return self.value


class Local:
    """The result of `local_average`, computed only for the requested rows; equal to it up to rounding.

    Every `step`-th row of the sums down the columns is stored in float32. The sum of a window is the difference of two
    rows of sums, each of which is the nearest stored row plus the rows between.

    Args:
        x: map, which must not change while rows are requested.
        window: height and width of the window, at most those of the map.
        step: number of rows between two stored sums.
    """

    is_global = False

    def __init__(self, x: Float[Tensor, "1 C H W"], window: tuple[int, int], step: int = 64):
        self.x, self.window, self.step = x, window, step
        kept = [x.new_zeros(*x.shape[:2], 1, x.shape[-1], dtype=torch.float32)]
        for start in range(0, x.shape[-2] - step + 1, step):
            kept.append(kept[-1] + x[..., start : start + step, :].sum(-2, keepdim=True, dtype=torch.float32))
        self.kept = torch.cat(kept, dim=-2)

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C _ W"]:
        """Return pooled rows in the dtype of the map.

        Args:
            start: first row, from 0.
            end: row after the last, above `start` and at most H.

        Returns:
            end - start rows.
        """
        (height, width), (tall, wide) = self.x.shape[-2:], self.window
        # first row of each position's window, moved so that the window stays inside the map
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
        """Return, for each row from `start` to `end`, the sum of all rows above it."""
        block = min(start // self.step, self.kept.shape[-2] - 1)
        above = self.kept[..., block : block + 1, :]
        between = self.x[..., block * self.step : end - 1, :].cumsum(-2, dtype=torch.float32).add_(above)
        return torch.cat([above, between], dim=-2)[..., start - block * self.step :, :]
