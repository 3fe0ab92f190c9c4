"""SFNet's modulators: weights for the low and the high part of a map."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.pooling import LocalAvgPool2d
from passband.ops.checks import check_images, check_same_shape


class Modulator(nn.Module):
    """Weight the channels of a low and a high part against each other, and join the parts (selection in MDSF).

    Args:
        channels: number of channels of each part.
        reduction: factor by which the attention's hidden width is smaller than `channels`.
        minimum: least hidden width.
        pool: pooling of the attention's input; None for the global average.

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
        """Weight and join the two parts of a map, which is `low + high`.

        Args:
            low: low part of the map.
            high: the rest of the map.

        Raises:
            TypeError: if an input is not a tensor of floating-point values.
            ValueError: if the number of channels or the shapes differ.
        """
        check_same_shape(low, high, "Modulator", ("low", "high"))
        check_images(low, "Modulator", self.squeeze.in_channels)
        x = low + high
        return self.blend(x, low, *self.attention(self.pool(x)))

    def attention(self, pooled: Float[Tensor, "B C h w"]) -> tuple[Float[Tensor, "B C h w"], Float[Tensor, "B C h w"]]:
        """Return the weights of the low and of the high part; over all channels of both parts they add to one.

        Args:
            pooled: pooled map, 1 x 1 if pooling is global.

        Returns:
            The weights of the low part and those of the high part, each in [0, 1] and of the shape of the pooled map.
        """
        hidden = self.squeeze(pooled)
        weights = torch.cat([self.excite_high(hidden), self.excite_low(hidden)], dim=1).softmax(dim=1)
        for_high, for_low = weights.chunk(2, dim=1)
        return for_low, for_high

    def blend(
        self,
        x: Float[Tensor, "B C H W"],
        low: Float[Tensor, "B C H W"],
        for_low: Float[Tensor, "B C _ _"],
        for_high: Float[Tensor, "B C _ _"],
    ) -> Float[Tensor, "B C H W"]:
        """Join the low part of a map and the rest of it, each with its weights.

        Args:
            x: map.
            low: low part of the map.
            for_low: weights of the low part, see `attention`.
            for_high: weights of the rest.

        Returns:
            The joined map, of the shape of `x`.
        """
        return self.join(torch.addcmul((x - low) * for_high.to(x.dtype), low, for_low.to(x.dtype)))


class GlobalModulation(nn.Module):
    """Amplify or weaken the difference of a map from its average (MCSF, global branch).

    With d the pooled map, the output is (x - d) * (high + 1) + d * low. Both weights start at zero, so that the output
    is x - d.

    Args:
        channels: number of channels of the map.
        pool: pooling that computes d; None for the global average.

    Source: Cui et al., ICLR 2023, section 3.3.
    """

    def __init__(self, channels: int, pool: nn.Module | None = None):
        super().__init__()
        self.pool = pool or LocalAvgPool2d()
        self.high = nn.Parameter(torch.zeros(channels))
        self.low = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Modulate a map; the shape stays.

        Raises:
            TypeError: if the input is not a tensor of floating-point values.
            ValueError: if the number of channels differs.
        """
        check_images(x, "GlobalModulation", len(self.high))
        return self.modulate(x, self.pool(x))

    def modulate(self, x: Float[Tensor, "B C H W"], average: Float[Tensor, "B C _ _"]) -> Float[Tensor, "B C H W"]:
        """Modulate a map, or a part of one, from its known pooled map.

        Args:
            x: map or part of a map.
            average: d, the pooled map; 1 x 1 if pooling is global.

        Returns:
            The modulated map, of the shape and dtype of `x`.
        """
        high, low = self.high[:, None, None] + 1.0, self.low[:, None, None]
        # x * high + average * (low - high): the average is one position per map when pooling is global
        return torch.addcmul((average * (low - high)).to(x.dtype), x, high.to(x.dtype))


class WindowModulation(nn.Module):
    """Weight the average of each quadrant of a map against the difference from it (MCSF, window branch).

    With q a quadrant and d its average, the output is (q - d) * high + d * low. Both weights start at zero, so that the
    output is zero.

    The published layer changes its weights and d abruptly from one window to the next, which leaves a faint step along
    the middle lines of smooth images. If blended, both change linearly from the center of one window to the center of
    the next.

    Args:
        channels: number of channels of the map.
        windows: windows per side; 2 gives quadrants.
        pool: pooling that computes d within a window; None for its average.
        blended: whether to interpolate weights and averages between the centers of the windows; needs one average per
            window.

    Source: Cui et al., ICLR 2023, section 3.3; `blended` is ours.
    """

    def __init__(self, channels: int, windows: int = 2, pool: nn.Module | None = None, blended: bool = False):
        super().__init__()
        self.windows, self.blended = windows, blended
        self.pool = pool or LocalAvgPool2d()
        # one value per channel and window, channel-major, windows row by row
        self.high = nn.Parameter(torch.zeros(channels * windows**2))
        self.low = nn.Parameter(torch.zeros(channels * windows**2))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Modulate a map whose H and W are divisible by `windows`; the shape stays.

        Raises:
            TypeError: if the input is not a tensor of floating-point values.
            ValueError: if the number of channels differs, or H or W is not divisible.
        """
        check_images(x, "WindowModulation", len(self.high) // self.windows**2)
        windows = self.split(x)
        if self.blended:
            down, across = (window_shares(self.windows, side, x.device) for side in x.shape[-2:])
            return self.modulate_blended(x, self.pool(windows)[..., 0, 0], down, across)
        high, low = (p.view(-1, self.windows, self.windows, 1, 1) for p in (self.high, self.low))
        return self._weigh(windows, self.pool(windows), high, low).transpose(3, 4).reshape(x.shape)

    def split(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C rows columns h w"]:
        """Return the windows of a map as a view, not a copy.

        Args:
            x: map whose H and W are multiples of `windows`.

        Returns:
            Windows by row and column, with h = H / windows and w = W / windows.

        Raises:
            ValueError: if H or W is not divisible.
        """
        batch, channels, height, width = x.shape
        count = self.windows
        if height % count or width % count:
            raise ValueError(
                f"WindowModulation needs H and W divisible by {count}, got {height}x{width}; "
                "pad the image with ops.tiling.pad_to_multiple"
            )
        return x.view(batch, channels, count, height // count, count, width // count).transpose(3, 4)

    def modulate_window(
        self, x: Float[Tensor, "B C H W"], average: Float[Tensor, "B C _ _"], place: tuple[int, int]
    ) -> Float[Tensor, "B C H W"]:
        """Modulate one window, or a part of one, from its known pooled map.

        Args:
            x: window.
            average: pooled map of the window.
            place: row and column of the window, from 0.

        Returns:
            The modulated window, of the shape and dtype of `x`.
        """
        shape = (-1, self.windows, self.windows)
        high, low = (p.view(shape)[:, place[0], place[1], None, None] for p in (self.high, self.low))
        return self._weigh(x, average, high, low)

    def modulate_blended(
        self,
        x: Float[Tensor, "B C H W"],
        averages: Float[Tensor, "B C rows columns"],
        down: Float[Tensor, "rows H"],
        across: Float[Tensor, "columns W"],
    ) -> Float[Tensor, "B C H W"]:
        """Modulate a map, or a part of one, by weights and averages that are interpolated between windows.

        Args:
            x: map or part of a map.
            averages: average of each window of the whole map.
            down: share of each row of windows in each row of `x`, see `window_shares`.
            across: share of each column of windows in each column of `x`.

        Returns:
            The modulated map, of the shape and dtype of `x`.
        """
        shape = (1, -1, self.windows, self.windows)
        high, low = self.high.view(shape), self.low.view(shape)
        high, shift = (
            (down.T.to(part.dtype) @ (part @ across.to(part.dtype))).to(x.dtype)
            for part in (high, averages * (low - high))
        )
        return torch.addcmul(shift, x, high)

    @staticmethod
    def _weigh(x: Tensor, average: Tensor, high: Tensor, low: Tensor) -> Tensor:
        """Return (x - average) * high + average * low."""
        return torch.addcmul((average * (low - high)).to(x.dtype), x, high.to(x.dtype))


def window_shares(windows: int, length: int, device: torch.device | None = None) -> Float[Tensor, "{windows} {length}"]:
    """Return the weight of each of several windows in a row at each position, linear between their centers.

    Args:
        windows: number of windows.
        length: number of positions.
        device: device to compute them on; None for the CPU. A copy from the CPU would make a GPU wait.

    Returns:
        Shares that add to one at each position. Before the first center and after the last, only that window counts.
    """
    return F.interpolate(torch.eye(windows, device=device)[None], length, mode="linear", align_corners=False)[0]
