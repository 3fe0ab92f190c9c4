"""ConvIR (Cui et al., "Revitalizing Convolutional Network for Image Restoration", TPAMI 2024).

The network has SFNet's frame, with plain residual blocks. The last block of each stage filters the map at three smaller
sizes by strips and squares that are predicted from the image. Difference to the released code: each filter is one
grouped convolution (the released ones unfold 3 or 9 copies of the map). Outputs are equal to 1e-5.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.shape_filter import MultiShapeFilter
from passband.models.restoration.three_scales import ThreeScaleNetwork

POOLS = (8, 4, 2)
"""Factors by which the multi-scale filter reduces a map, in the order of computation."""


class ConvIR(
    ThreeScaleNetwork,
    library_name="passband",
    pipeline_tag="image-to-image",
    license="mit",
    paper_url="https://doi.org/10.1109/TPAMI.2024.3419007",
    tags=["image-restoration", "convir"],
):
    """Restore a degraded image at three scales.

    Args:
        width: channels at full size; 2 and 4 times as many at half and quarter size.
        depth: residual blocks per stage: 4 (S), 8 (B) or 16 (L) as published; the last of each has the filters.
        in_channels: number of input channels: 3 for an image, 3 n for n views of it. The network predicts what to add
            to the mean of the views.
        dilations: distances of the filters' positions on maps that are reduced by 8, 4 and 2. They decide the least
            side of the input: 256 pixels as published.
        full_depth: residual blocks per stage at full size; None for `depth`.
        tile: side in pixels of the tiles in which `inference` restores larger images, each with its own averages, see
            `models.restoration.three_scales`; None restores an image as a whole.

    Raises:
        ValueError: if an argument is invalid.
    """

    model_name = "convir"
    width_multiple = 8
    """The width is divisible by this: 8 groups of channels share the filters' kernels."""
    multiple = 32
    """Sides of the input are divisible by this: two halvings, then a reduction by 8."""

    def __init__(
        self,
        width: int = 32,
        depth: int = 8,
        in_channels: int = 3,
        dilations: Sequence[int] = (7, 9, 11),
        full_depth: int | None = None,
        tile: int | None = None,
    ):
        least_depth = depth if full_depth is None else min(depth, full_depth)
        if least_depth < 1:
            raise ValueError(f"depth and full_depth are at least 1 residual block per stage; got {least_depth}")
        if len(dilations) != len(POOLS) or min(dilations) < 1:
            raise ValueError(f"dilations are three numbers from 1; got {list(dilations)}")
        arguments = {
            "width": width,
            "depth": depth,
            "in_channels": in_channels,
            "dilations": list(dilations),
            "full_depth": full_depth,
            "tile": tile,
        }

        def stage(channels: int, stride: int) -> nn.Sequential:
            count = depth if full_depth is None or stride > 1 else full_depth
            return nn.Sequential(
                *[ConvBlock(channels, dilations if number == count - 1 else None) for number in range(count)]
            )

        # at quarter size, a reduced map must be larger than the reflection at its border
        side = max(4 * pool * (dilation + 1) for pool, dilation in zip(POOLS, dilations, strict=True))
        self.minimum = -(-side // self.multiple) * self.multiple
        super().__init__(width, in_channels, stage, arguments)


class ConvBlock(nn.Module):
    """Two convolutions, with the multi-scale filter between them if it is the last of its stage, around an identity.

    Args:
        channels: channels of the map.
        dilations: dilations of the multi-scale filter; None for a block without it.
    """

    def __init__(self, channels: int, dilations: Sequence[int] | None = None):
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.scales = MultiScaleFilter(channels, dilations) if dilations else None
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Transform a map; the shape stays."""
        y = F.gelu(self.conv_in(x))
        if self.scales is not None:
            y = self.scales(y)
        return self.conv_out(y) + x


class MultiScaleFilter(nn.Module):
    """Filter a map at an eighth, a quarter and a half of its size, each result helping the next, and join them.

    Args:
        channels: channels of the map.
        dilations: distances of the filters' positions at each of these sizes.
    """

    def __init__(self, channels: int, dilations: Sequence[int]):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in POOLS])
        self.filters = nn.ModuleList([MultiShapeFilter(channels, dilation) for dilation in dilations])
        self.join = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Filter a map whose sides are divisible by 8; the shape stays."""
        total, level = x, None
        for pool, conv, multi_shape in zip(POOLS, self.convs, self.filters, strict=True):
            reduced = F.avg_pool2d(x, pool)
            if level is not None:
                reduced = reduced + enlarge(level, reduced.shape[-2], reduced.shape[-1])
            level = multi_shape(conv(reduced))
            total = total + enlarge(level, x.shape[-2], x.shape[-1])
        return self.join(F.gelu(total))


def enlarge(x: Float[Tensor, "B C h w"], height: int, width: int) -> Float[Tensor, "B C {height} {width}"]:
    """Enlarge a map bilinearly; the centers of its corners stay at the corners.

    Args:
        x: map.
        height: new height, in positions.
        width: new width, in positions.

    Returns:
        The enlarged map.
    """
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=True)


def convir(**overrides: Any) -> ConvIR:
    """Build a network of any size; without arguments, it is the published base network.

    Args:
        overrides: arguments of `ConvIR` that differ from this network's.
    """
    return ConvIR(**overrides)


def convir_s(**overrides: Any) -> ConvIR:
    """Build the published small network: 5,530,505 parameters, 39 GMAC at 256 x 256.

    Args:
        overrides: arguments of `ConvIR` that differ from this network's.
    """
    return ConvIR(**{"depth": 4, **overrides})


def convir_b(**overrides: Any) -> ConvIR:
    """Build the published base network: 8,630,665 parameters, 68 GMAC at 256 x 256.

    Args:
        overrides: arguments of `ConvIR` that differ from this network's.
    """
    return ConvIR(**{"depth": 8, **overrides})


def convir_l(**overrides: Any) -> ConvIR:
    """Build the published large network: 14,830,985 parameters, 126 GMAC at 256 x 256.

    Args:
        overrides: arguments of `ConvIR` that differ from this network's.
    """
    return ConvIR(**{"depth": 16, **overrides})


def convir_tiny(**overrides: Any) -> ConvIR:
    """Build a network of the cost of `sfnet_small`, 19 GMAC at 256 x 256, for sides from 96 pixels.

    Args:
        overrides: arguments of `ConvIR` that differ from this network's.
    """
    return ConvIR(**{"depth": 1, "full_depth": 2, "dilations": (2, 4, 8), **overrides})
