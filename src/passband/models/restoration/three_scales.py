"""The frame that SFNet, FSNet and ConvIR share: an encoder and a decoder at three scales.

The networks of Cui et al. differ in the stages of the frame alone. Each scale has a stage in the encoder and one in the
decoder. Features of the downscaled image join the encoder, and each scale of the decoder predicts an image.

The networks average over the whole map. They are trained on crops, so that the averages over a large photo can be
unlike those of the training, and parts of a photo can be degraded unlike others. There are two remedies at test time:
local averages (`layers.LocalAvgPool2d`), and tiles as large as the crops (`tile`). Source: Chu et al., "Improving Image
Restoration by Revisiting Global Information Aggregation", ECCV 2022.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import HubNetwork
from passband.models.inputs import check_batch
from passband.weights_io import save_weights

Network = TypeVar("Network", bound="ThreeScaleNetwork")

SMALLEST_TILE = 64
"""Smallest side of a tile in pixels."""


class ThreeScaleNetwork(HubNetwork):
    """Restore a degraded image at three scales. The stages of the encoder and the decoder are passed in.

    Args:
        width: channels at full size; 2 and 4 times as many at half and quarter size.
        in_channels: number of input channels: 3 for an image, 3 n for n views of it. The network predicts what to add
            to the mean of the views.
        stage: function that builds a stage, given its channels and the pixels of the image per position of its map (1,
            2 or 4). The stage keeps the shape of a map.
        arguments: keywords of the network's constructor that build it again, `tile` among them.

    Raises:
        ValueError: if the width, the number of input channels or the tile is invalid.

    Attributes:
        model_name: key of `models.MODELS` that is written into the config of saved weights.
        width_multiple: number that the width must be a multiple of.
        multiple: number by which the sides of the input must be divisible, in pixels.
        minimum: least side of the input, in pixels.
        tile: side in pixels of the tiles in which larger images are restored; None to restore them as a whole.
    """

    model_name: str
    width_multiple: int
    multiple: int
    minimum: int

    def __init__(self, width: int, in_channels: int, stage: Callable[[int, int], nn.Module], arguments: dict[str, Any]):
        super().__init__()
        if width < 1 or width % self.width_multiple:
            raise ValueError(
                f"width is a positive multiple of {self.width_multiple} (the filters of {type(self).__name__} have 8 "
                f"groups of channels); got {width}"
            )
        if in_channels < 3 or in_channels % 3:
            raise ValueError(f"in_channels is 3 per view of the scene; got {in_channels}")
        tile = arguments.get("tile")
        least = max(SMALLEST_TILE, self.minimum)
        if tile is not None and (tile < least or tile % self.multiple):
            raise ValueError(
                f"tile must be a multiple of {self.multiple} from {least} pixels, or None (--tile 0) for the whole "
                f"image; got {tile}"
            )
        self.in_channels, self.arguments, self.tile = in_channels, arguments, tile
        widths = (width, 2 * width, 4 * width)
        # index 0 is full size, 1 half, 2 quarter
        self.stem = nn.ModuleList(
            [
                nn.Conv2d(in_channels, widths[0], 3, padding=1),
                nn.Conv2d(widths[0], widths[1], 3, stride=2, padding=1),
                nn.Conv2d(widths[1], widths[2], 3, stride=2, padding=1),
            ]
        )
        self.shallow = nn.ModuleList([_shallow_features(in_channels, channels) for channels in widths[1:]])
        self.fuse = nn.ModuleList([nn.Conv2d(2 * channels, channels, 3, padding=1) for channels in widths[1:]])
        self.encoder = nn.ModuleList([stage(channels, 2**scale) for scale, channels in enumerate(widths)])
        self.decoder = nn.ModuleList([stage(channels, 2**scale) for scale, channels in enumerate(widths)])
        self.grow = nn.ModuleList(
            [nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1) for channels in widths[:2]]
        )
        self.merge = nn.ModuleList([nn.Conv2d(2 * channels, channels, 1) for channels in widths[:2]])
        self.head = nn.ModuleList([nn.Conv2d(channels, 3, 3, padding=1) for channels in widths])

    def forward(self, image: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B 3 _ _"]]:
        """Restore a batch.

        Args:
            image: degraded images in [0, 1], H and W divisible by `multiple` and at least `minimum`.

        Returns:
            Restored images at quarter, half and full size, near [0, 1] but not clamped.

        Raises:
            TypeError: if the input is not a tensor with the type of the weights, but for example an array or 8-bit
                integers.
            ValueError: if the shape, the size or the number of channels does not fit.
        """
        check_batch(image, self, type(self).__name__, self.in_channels)
        self.check_size(*image.shape[-2:])
        half = F.interpolate(image, scale_factor=0.5)
        quarter = F.interpolate(half, scale_factor=0.5)

        full_features = self.encoder[0](F.gelu(self.stem[0](image)))
        x = F.gelu(self.stem[1](full_features))
        half_features = self.encoder[1](self.fuse[0](torch.cat([x, self.shallow[0](half)], dim=1)))
        x = F.gelu(self.stem[2](half_features))
        x = self.encoder[2](self.fuse[1](torch.cat([x, self.shallow[1](quarter)], dim=1)))

        x = self.decoder[2](x)
        restored_quarter = self.head[2](x) + mean_view(quarter)
        x = self.merge[1](torch.cat([F.gelu(self.grow[1](x)), half_features], dim=1))
        x = self.decoder[1](F.gelu(x))
        restored_half = self.head[1](x) + mean_view(half)
        x = self.merge[0](torch.cat([F.gelu(self.grow[0](x)), full_features], dim=1))
        x = self.decoder[0](F.gelu(x))
        return [restored_quarter, restored_half, self.head[0](x) + mean_view(image)]

    def check_size(self, height: int, width: int) -> None:
        """Raise an error that says what to do unless the network takes images of a size.

        Args:
            height: height of the image, in pixels.
            width: width of the image, in pixels.

        Raises:
            ValueError: if a side is not a multiple of `multiple`, or is below `minimum`.
        """
        if height % self.multiple or width % self.multiple or min(height, width) < self.minimum:
            raise ValueError(
                f"{type(self).__name__} needs H and W divisible by {self.multiple} and at least {self.minimum}, got "
                f"{height}x{width}; use ops.tiling.pad_to_multiple(image, {self.multiple}, {self.minimum})"
            )

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights for `save_pretrained`; the mixin writes the config and the model card."""
        save_weights(self, save_directory, config={"model": self.model_name, **self.arguments})


def _shallow_features(in_channels: int, channels: int) -> nn.Sequential:
    """Build the layers that compute features of a downscaled input, which are fused into the encoder at that size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels // 4, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(channels // 4, channels // 2, 1),
        nn.GELU(),
        nn.Conv2d(channels // 2, channels // 2, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(channels // 2, channels, 1),
        nn.InstanceNorm2d(channels, affine=True),
    )


def mean_view(image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
    """Return the mean of the views of 3 channels each; a single view is returned unchanged.

    Args:
        image: views of 3 channels each, one after the other along the axis of channels.

    Returns:
        The mean view, in the range of the views.
    """
    return image if image.shape[1] == 3 else image.unflatten(1, (-1, 3)).mean(1)
