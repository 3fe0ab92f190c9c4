"""Average pooling that is global in training and local at test time.

A network that is trained on crops sees the statistics of crops, and the global average of a whole photograph has
another distribution. The test-time local converter (TLC; Chu et al., "Improving Image Restoration by Revisiting Global
Information Aggregation", ECCV 2022) replaces the global average by the average of a window around each position.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.naming import suggestion
from passband.ops.checks import check_floats

PoolMode = Literal["fraction", "first", "tlc"]
POOL_MODES: tuple[str, ...] = get_args(PoolMode)
TRAINING_CROP = 256
"""Side in pixels of the crops that SFNet's released windows are fractions of."""


class LocalAvgPool2d(nn.Module):
    """Average over a window around each position, or over the whole map in training or without a window.

    Args:
        window: window size `b`, interpreted by `mode`; None for the global average.
        mode: rule for the (height, width) of the window on a map of H x W. `"fraction"` uses (H * b // 256, W * b //
            256) for each image. `"first"` computes the same from the first map and keeps it, as SFNet's released code
            does, to reproduce its published tables, which depend on the order of the files. `"tlc"` uses b pixels of
            the input image, which are b // stride positions of the map, as in the TLC paper.
        stride: pixels of the input image per position of the map; only `"tlc"` uses it.

    Raises:
        ValueError: if `window` or `stride` is not positive or `mode` is unknown.
    """

    def __init__(self, window: int | None = None, mode: PoolMode = "fraction", stride: int = 1):
        super().__init__()
        if window is not None and window < 1:
            raise ValueError(f"pool_window is at least 1, or None for the global average; got {window}")
        if mode not in POOL_MODES:
            near = suggestion(mode, POOL_MODES)
            raise ValueError(f"pool_mode is one of {', '.join(POOL_MODES)}; got {mode!r}.{near}")
        if stride < 1:
            raise ValueError(f"stride is at least 1; got {stride}")
        self.window, self.mode, self.stride = window, mode, stride
        self._kept: tuple[int, int] | None = None

    def extra_repr(self) -> str:
        """Return the arguments, for printing."""
        return f"window={self.window}, mode={self.mode!r}, stride={self.stride}"

    def forward(self, x: Float[Tensor, "*B H W"]) -> Float[Tensor, "*B h w"]:
        """Pool a map.

        Args:
            x: map to pool.

        Returns:
            1 x 1 averages if the window covers the map, otherwise one average per position (H x W).
        """
        check_floats(x, "LocalAvgPool2d")
        window = self.window_for(*x.shape[-2:])
        return x.mean((-2, -1), keepdim=True) if window is None else local_average(x, window)

    def window_for(self, height: int, width: int) -> tuple[int, int] | None:
        """Return the height and the width of the window on a map; None if the average is global.

        Args:
            height: height of the map, in positions.
            width: width of the map, in positions.
        """
        if self.window is None or self.training:
            return None
        if self.mode == "tlc":
            rows = columns = max(1, self.window // self.stride)
        elif self.mode == "first" and self._kept is not None:
            rows, columns = self._kept
        else:
            rows, columns = (max(1, side * self.window // TRAINING_CROP) for side in (height, width))
            if self.mode == "first":
                self._kept = rows, columns
        return None if rows >= height and columns >= width else (min(rows, height), min(columns, width))


def local_average(x: Float[Tensor, "*B H W"], window: tuple[int, int]) -> Float[Tensor, "*B H W"]:
    """Average over a window around each position; near the edge, the averages of the nearest inner window are repeated.

    Sums are in float32, one direction after the other. A table that is summed in both directions at once loses five
    digits on a 4K map and overflows in half precision.

    Args:
        x: map to average.
        window: height and width of the window, limited to those of the map.

    Returns:
        The averages, in the dtype of `x`.
    """
    height, width = x.shape[-2:]
    rows, columns = min(window[0], height), min(window[1], width)
    means = _sliding_mean(_sliding_mean(x.float(), rows, dim=-2), columns, dim=-1)
    # both sides get half of the missing rows or columns; of an odd number, left and top get one less
    bottom, right = height - means.shape[-2], width - means.shape[-1]
    padding = (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2)
    padded = F.pad(means.reshape(1, -1, *means.shape[-2:]), padding, mode="replicate")
    return padded.reshape(x.shape).to(x.dtype)


def _sliding_mean(x: Tensor, size: int, dim: int) -> Tensor:
    """Average over `size` neighbors along `dim`, at every position where they fit."""
    places = x.shape[dim] - size + 1
    sums = torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.cumsum(dim)], dim)
    return (sums.narrow(dim, size, places) - sums.narrow(dim, 0, places)).div_(size)
