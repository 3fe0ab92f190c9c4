"""SFNet (Cui et al., "Selective Frequency Network for Image Restoration", ICLR 2023).

This is one network for every degradation. The released code has four copies that differ only in test-time pooling; here
that is `pool_window` and `pool_mode`. Other differences: each dynamic filter is one grouped convolution (the released
ones unfold k^2 copies of the map). Two vectors per dynamic filter that the released code saves but never uses are
removed. A batch of one image can be trained on. Outputs are equal to 1e-5.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import DynamicFilter, GlobalModulation, LocalAvgPool2d, WindowModulation
from passband.layers.pooling import PoolMode
from passband.models.restoration.three_scales import ThreeScaleNetwork


class SFNet(
    ThreeScaleNetwork,
    library_name="passband",
    pipeline_tag="image-to-image",
    license="mit",
    paper_url="https://openreview.net/forum?id=tyZ1ChGZIKO",
    tags=["image-restoration", "sfnet"],
):
    """Restore a degraded image at three scales.

    Args:
        width: channels at full size; 2 and 4 times as many at half and quarter size.
        depth: residual blocks per stage; the last of each has the dynamic filters.
        in_channels: number of input channels: 3 for an image, 3 n for n views of it (6 for dual-pixel defocus pairs).
            The network predicts what to add to the mean of the views.
        pool_window: test-time local pooling window, see `layers.LocalAvgPool2d`; None pools globally.
        pool_mode: rule for `pool_window`: `"fraction"`, `"first"` or `"tlc"`.
        blend_windows: whether window modulation changes gradually over the image, which leaves no step along its middle
            lines; the published weights were trained without it. It needs global pooling.
        windows: windows per side of the window modulation, 2 as published, or 1. With 1 it modulates the whole map, as
            global modulation does.
        tile: side in pixels of the tiles in which `inference` restores larger images, each with its own averages, see
            `models.restoration.three_scales`; None restores an image as a whole.

    Raises:
        ValueError: if an argument is invalid.
    """

    model_name = "sfnet"
    width_multiple = 16
    """The width is divisible by this: two filter branches of 8 groups."""
    multiple = 8
    """Sides of the input are divisible by this: two halvings, then 2 x 2 windows."""
    minimum = 16
    """Least side of the input in pixels: a 5 x 5 filter has to reflect at quarter size."""

    def __init__(
        self,
        width: int = 32,
        depth: int = 16,
        in_channels: int = 3,
        pool_window: int | None = None,
        pool_mode: PoolMode = "fraction",
        blend_windows: bool = False,
        windows: int = 2,
        tile: int | None = None,
    ):
        if windows not in (1, 2):
            raise ValueError(f"windows is 1 or 2 windows per side; got {windows}")
        if depth < 1:
            raise ValueError(f"depth is at least 1 residual block per stage; got {depth}")
        arguments = {
            "width": width,
            "depth": depth,
            "in_channels": in_channels,
            "pool_window": pool_window,
            "pool_mode": pool_mode,
            "blend_windows": blend_windows,
            "windows": windows,
            "tile": tile,
        }
        block = block_builder(pool_window, pool_mode, blend_windows, windows)
        super().__init__(
            width,
            in_channels,
            lambda channels, stride: nn.Sequential(
                *[block(channels, number == depth - 1, stride) for number in range(depth)]
            ),
            arguments,
        )


class ResidualBlock(nn.Module):
    """Two convolutions with frequency modulation between them, around an identity (the paper's figure 2).

    Args:
        channels: channels of the map.
        dynamic: whether the dynamic filters (MDSF) come before the modulation (MCSF).
        stride: pixels of the image per position of the map.
        pool: function that makes a pooling layer for a stride. A quadrant of the map, half as high and wide, is pooled
            with half the window, hence twice the stride.
        blend_windows: whether window modulation changes gradually over the map.
        windows: windows per side of the window modulation.
    """

    def __init__(
        self,
        channels: int,
        dynamic: bool,
        stride: int,
        pool: Callable[..., LocalAvgPool2d],
        blend_windows: bool,
        windows: int = 2,
    ):
        super().__init__()
        half = channels // 2
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.filters = (
            nn.ModuleList([DynamicFilter(half, kernel_size, pool=pool(stride=stride)) for kernel_size in (3, 5)])
            if dynamic
            else None
        )
        self.modulate_global = GlobalModulation(half, pool=pool(stride=stride))
        self.modulate_window = WindowModulation(half, windows, pool(stride=windows * stride), blend_windows)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Transform a map; the shape stays."""
        first, second = F.gelu(self.conv_in(x)).chunk(2, dim=1)
        if self.filters is not None:
            first, second = self.filters[0](first), self.filters[1](second)
        y = torch.cat([self.modulate_global(first), self.modulate_window(second)], dim=1)
        return self.conv_out(y) + x


def block_builder(
    pool_window: int | None, pool_mode: PoolMode, blend_windows: bool, windows: int = 2
) -> Callable[[int, bool, int], ResidualBlock]:
    """Return a function that builds residual blocks, given their channels, `dynamic` and `stride`.

    Args:
        pool_window: test-time local pooling window, see `layers.LocalAvgPool2d`; None pools globally.
        pool_mode: rule for `pool_window`.
        blend_windows: whether window modulation changes gradually over the map.
        windows: windows per side of the window modulation.

    Raises:
        ValueError: if windows are blended and pooling is local.
    """
    if blend_windows and pool_window is not None:
        raise ValueError(
            f"blend_windows needs global pooling, got pool_window={pool_window}. Leave out pool_window, or set "
            "blend_windows=False."
        )
    pool = partial(LocalAvgPool2d, pool_window, pool_mode)
    return partial(ResidualBlock, pool=pool, blend_windows=blend_windows, windows=windows)


def sfnet(**overrides: Any) -> SFNet:
    """Build the published network: 13,270,313 parameters, 121 GMAC at 256 x 256.

    The released files hold 896 more, in two vectors per dynamic filter that are never used.

    Args:
        overrides: arguments of `SFNet` that differ from this network's.
    """
    return SFNet(**overrides)


def sfnet_small(**overrides: Any) -> SFNet:
    """Build the network that ships: the published widths, two residual blocks per stage, 2.39 M parameters.

    Args:
        overrides: arguments of `SFNet` that differ from this network's.
    """
    return SFNet(**{"depth": 2, **overrides})
