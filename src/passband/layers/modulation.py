"""SFNet's modulators: weights for the low and the high part of a map."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.pooling import LocalAvgPool2d


class Modulator(nn.Module):
    """Weigh the channels of a low and a high part against each other, and join the parts (selection in MDSF).

    Args:
        channels: channels of each part.
        reduction: factor by which the attention's hidden width is smaller than `channels`.
        minimum: least hidden width.
        pool: how the attention sees the map; None for the global average.

    Source: Cui et al., ICLR 2023, equations 5 to 8.
    """

    def __init__(self, channels: int, reduction: int = 2, minimum: int = 32, pool: nn.Module | None = None):
        super().__init__()
        hidden = max(channels // reduction, minimum)
        self.pool = pool or LocalAvgPool2d()
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite_high = nn.Conv2d(hidden, channels, 1)
        self.excite_low = nn.Conv2d(hidden, channels, 1)
        self.join = nn.Conv2d(channels, channels, 1)

    def forward(self, low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Weigh and join the two parts, with `low + high` the map they come from."""
        hidden = self.squeeze(self.pool(low + high))
        attention = torch.cat([self.excite_high(hidden), self.excite_low(hidden)], dim=1).softmax(dim=1)
        for_high, for_low = attention.to(low.dtype).chunk(2, dim=1)
        return self.join(torch.addcmul(high * for_high, low, for_low))


class GlobalModulation(nn.Module):
    """Amplify or weaken what differs from the average of the map (MCSF, global branch).

    With d the pooled map: (x - d) * (high + 1) + d * low. Zero at the start: then it returns x - d.

    Args:
        channels: channels of the map.
        pool: how d is made; None for the global average.

    Source: Cui et al., ICLR 2023, section 3.3.
    """

    def __init__(self, channels: int, pool: nn.Module | None = None):
        super().__init__()
        self.pool = pool or LocalAvgPool2d()
        self.high = nn.Parameter(torch.zeros(channels))
        self.low = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Modulate a map; the shape stays."""
        average = self.pool(x)
        high, low = self.high[:, None, None] + 1.0, self.low[:, None, None]
        # x * high + average * (low - high): the average is one position per map when pooling is global
        return torch.addcmul((average * (low - high)).to(x.dtype), x, high.to(x.dtype))


class WindowModulation(nn.Module):
    """Weigh the average of each quadrant of the map against what differs from it (MCSF, window branch).

    With q a quadrant and d its average: (q - d) * high + d * low. Zero at the start: then it returns zero.

    Args:
        channels: channels of the map.
        windows: windows per side; 2 gives quadrants.
        pool: how d is made within a window; None for its average.

    Source: Cui et al., ICLR 2023, section 3.3.
    """

    def __init__(self, channels: int, windows: int = 2, pool: nn.Module | None = None):
        super().__init__()
        self.windows = windows
        self.pool = pool or LocalAvgPool2d()
        # one value per channel and window, channel-major, windows row by row
        self.high = nn.Parameter(torch.zeros(channels * windows**2))
        self.low = nn.Parameter(torch.zeros(channels * windows**2))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Modulate a map whose H and W are divisible by `windows`; the shape stays.

        Raises:
            ValueError: if H or W is not divisible.
        """
        batch, channels, height, width = x.shape
        if height % self.windows or width % self.windows:
            raise ValueError(
                f"WindowModulation needs H and W divisible by {self.windows}, got {height}x{width}; "
                "pad the picture with ops.tiling.pad_to_multiple"
            )
        grid = (self.windows, self.windows)
        # a view, not a copy: B C rows columns h w
        windows = x.view(
            batch, channels, grid[0], height // grid[0], grid[1], width // grid[1]
        ).transpose(3, 4)  # fmt: skip
        average = self.pool(windows)
        high, low = (p.view(channels, *grid, 1, 1) for p in (self.high, self.low))
        out = torch.addcmul((average * (low - high)).to(x.dtype), windows, high.to(x.dtype))
        return out.transpose(3, 4).reshape(x.shape)
