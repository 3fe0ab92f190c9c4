"""FSNet (Cui et al., "Image Restoration via Frequency Selection", TPAMI 2023).

The network is SFNet with other stages at full size: each is a small U, whose middle blocks compute at half of the
stage's size, with the stage's input added at its end. Differences to the released code are those of `sfnet`.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.pooling import PoolMode
from passband.models.restoration.sfnet import ResidualBlock, block_builder
from passband.models.restoration.three_scales import ThreeScaleNetwork


class FSNet(
    ThreeScaleNetwork,
    library_name="passband",
    pipeline_tag="image-to-image",
    license="mit",
    paper_url="https://doi.org/10.1109/TPAMI.2023.3330416",
    tags=["image-restoration", "fsnet"],
):
    """Restore a degraded image at three scales.

    Args:
        width: channels at full size; 2 and 4 times as many at half and quarter size.
        depth: residual blocks per stage at half and quarter size; the last of each has the dynamic filters.
        in_channels: number of input channels: 3 for an image, 3 n for n views of it. The network predicts what to add
            to the mean of the views.
        pool_window: test-time local pooling window, see `layers.LocalAvgPool2d`; None pools globally.
        pool_mode: rule for `pool_window`: `"fraction"`, `"first"` or `"tlc"`.
        blend_windows: whether window modulation changes gradually over the image, see `models.SFNet`; the published
            weights were trained without it.
        full_depth: residual blocks per stage at full size, at least 3; None for `depth`, but at least 3.
        tile: side in pixels of the tiles in which `inference` restores larger images, each with its own averages, see
            `models.restoration.three_scales`; None restores an image as a whole.

    Raises:
        ValueError: if an argument is invalid.
    """

    model_name = "fsnet"
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
        full_depth: int | None = None,
        tile: int | None = None,
    ):
        if depth < 1:
            raise ValueError(f"depth is at least 1 residual block per stage; got {depth}")
        if full_depth is not None and full_depth < 3:
            raise ValueError(f"full_depth is at least 3: a block before, inside and after the U; got {full_depth}")
        arguments = {
            "width": width,
            "depth": depth,
            "in_channels": in_channels,
            "pool_window": pool_window,
            "pool_mode": pool_mode,
            "blend_windows": blend_windows,
            "full_depth": full_depth,
            "tile": tile,
        }
        block = block_builder(pool_window, pool_mode, blend_windows)

        def stage(channels: int, stride: int) -> nn.Module:
            if stride == 1:
                return UStage(channels, max(depth, 3) if full_depth is None else full_depth, block)
            return nn.Sequential(*[block(channels, number == depth - 1, stride) for number in range(depth)])

        super().__init__(width, in_channels, stage, arguments)


class UStage(nn.Module):
    """Residual blocks at full size, with those in the middle at half of it, around an identity.

    The map is halved after the first quarter of the blocks, and enlarged before the last quarter.

    Args:
        channels: channels of the map.
        depth: number of blocks, at least 3; the last one has the dynamic filters.
        block: function that builds a block, see `sfnet.block_builder`.
    """

    def __init__(self, channels: int, depth: int, block: Callable[[int, bool, int], ResidualBlock]):
        super().__init__()
        edge = max(1, depth // 4)
        self.halved = range(edge, depth - edge)
        """Numbers of the blocks at half size."""
        self.blocks = nn.ModuleList(
            [block(channels, number == depth - 1, 2 if number in self.halved else 1) for number in range(depth)]
        )
        self.down = nn.Conv2d(channels, channels, 2, stride=2, groups=channels)
        self.join = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Transform a map of even sides; the shape stays."""
        y = skip = x
        for number, block in enumerate(self.blocks):
            if number == self.halved.start:
                skip, y = y, self.down(y)
            if number == self.halved.stop:
                y = self.join(torch.cat([F.interpolate(y, skip.shape[-2:], mode="bilinear"), skip], dim=1))
            y = block(y)
        return y + x


def fsnet(**overrides: Any) -> FSNet:
    """Build the published network: 13,274,793 parameters, 107 GMAC at 256 x 256.

    The released files hold 896 more, in two vectors per dynamic filter that are never used.

    Args:
        overrides: arguments of `FSNet` that differ from this network's.
    """
    return FSNet(**overrides)


def fsnet_small(**overrides: Any) -> FSNet:
    """Build a network of the cost of `sfnet_small`, 21 GMAC: two blocks per stage, and three at full size.

    Args:
        overrides: arguments of `FSNet` that differ from this network's.
    """
    return FSNet(**{"depth": 2, "full_depth": 3, **overrides})
