"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015), with batch normalization and outputs of the input's size.

Differences from the paper: convolutions pad by one pixel, so that a map of logits has the size of its image and skips
need no cropping. Each convolution is followed by batch normalization and has no bias. With `bilinear` the maps are
enlarged by interpolation instead of transposed convolutions: 17.3 M parameters instead of 31.0 M at width 64.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import SegmentationNetwork


class UNet(SegmentationNetwork):
    """Classify every pixel of an image, from maps of several sizes.

    Args:
        width: channels of the maps of full size; twice as many at each size below.
        depth: number of halvings.
        in_channels: number of input channels.
        classes: 1 for foreground and background, otherwise the number of classes including the background.
        bilinear: whether to enlarge maps by bilinear interpolation, with half as many channels at the smallest size,
            instead of by transposed convolutions.

    Raises:
        ValueError: if an argument is invalid.
    """

    def __init__(self, width: int = 64, depth: int = 4, in_channels: int = 3, classes: int = 1, bilinear: bool = False):
        super().__init__()
        if min(width, depth, in_channels, classes) < 1:
            raise ValueError(
                f"width, depth, in_channels and classes are at least 1; got {width}, {depth}, {in_channels} and "
                f"{classes}"
            )
        self.name = "unet"
        self.arguments = {
            "width": width,
            "depth": depth,
            "in_channels": in_channels,
            "classes": classes,
            "bilinear": bilinear,
        }
        self.in_channels, self.classes, self.multiple = in_channels, classes, 2**depth
        widths = [width << level for level in range(depth + 1)]
        half = 2 if bilinear else 1  # interpolation keeps the channels that a transposed convolution halves
        widths[-1] //= half
        self.stem = _double(in_channels, width)
        self.down = nn.ModuleList(_double(before, after) for before, after in pairwise(widths))
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        coming = widths[-1]
        for level in reversed(range(depth)):
            skip = widths[level]
            self.up.append(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
                if bilinear
                else nn.ConvTranspose2d(coming, skip, 2, stride=2)
            )
            joined = skip + (coming if bilinear else skip)
            coming = skip // half if level else width
            self.merge.append(_double(joined, coming, between=joined // 2 if bilinear else coming))
        self.head = nn.Conv2d(width, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # logits start near 0, because a network that starts with large logits first has to unlearn them
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def compute(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Compute the logits at every pixel."""
        maps = [self.stem(image)]
        for convolutions in self.down:
            maps.append(convolutions(F.max_pool2d(maps[-1], 2)))
        x = maps.pop()
        for enlarge, convolutions in zip(self.up, self.merge, strict=True):
            x = convolutions(torch.cat([maps.pop(), enlarge(x)], 1))
        return self.head(x)


def unet(**overrides: Any) -> UNet:
    """Build the U-Net of width 64 and depth 4: 31.0 M parameters, 48.2 GMAC at 256 x 256.

    Args:
        overrides: arguments of `UNet` that differ from this network's.
    """
    return UNet(**overrides)


def _double(coming: int, going: int, between: int | None = None) -> nn.Sequential:
    """Build two 3 x 3 convolutions, each with batch normalization and ReLU."""
    between = between or going
    return nn.Sequential(
        nn.Conv2d(coming, between, 3, padding=1, bias=False),
        nn.BatchNorm2d(between),
        nn.ReLU(inplace=True),
        nn.Conv2d(between, going, 3, padding=1, bias=False),
        nn.BatchNorm2d(going),
        nn.ReLU(inplace=True),
    )
