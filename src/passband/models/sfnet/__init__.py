"""SFNet (Cui et al., "Selective Frequency Network for Image Restoration", ICLR 2023).

This is one network for every degradation. The released code has four copies that differ only in test-time pooling; here
that is `pool_window` and `pool_mode`. Other differences: each dynamic filter is one grouped convolution (the released
ones unfold k^2 copies of the map). Two vectors per dynamic filter that the released code saves but never uses are
removed. A batch of one image can be trained on. Outputs are equal to 1e-5.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import DynamicFilter, GlobalModulation, LocalAvgPool2d, WindowModulation
from passband.layers.pooling import PoolMode
from passband.models.base import HUB_OPTIONS, HubNetwork
from passband.models.inputs import check_batch
from passband.weights_io import CheckpointError, load_config, load_state, load_weights, save_weights


class SFNet(
    HubNetwork,
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

    Raises:
        ValueError: if an argument is invalid.
    """

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
    ):
        super().__init__()
        if windows not in (1, 2):
            raise ValueError(f"windows is 1 or 2 windows per side; got {windows}")
        if width < 16 or width % 16:
            raise ValueError(f"width is a positive multiple of 16 (two filter branches of 8 groups); got {width}")
        if depth < 1:
            raise ValueError(f"depth is at least 1 residual block per stage; got {depth}")
        if in_channels < 3 or in_channels % 3:
            raise ValueError(f"in_channels is 3 per view of the scene; got {in_channels}")
        if blend_windows and pool_window is not None:
            raise ValueError(
                f"blend_windows needs global pooling, got pool_window={pool_window}. Leave out pool_window, or set "
                "blend_windows=False."
            )
        self.in_channels = in_channels
        self.arguments = {
            "width": width,
            "depth": depth,
            "in_channels": in_channels,
            "pool_window": pool_window,
            "pool_mode": pool_mode,
            "blend_windows": blend_windows,
            "windows": windows,
        }
        widths = (width, 2 * width, 4 * width)
        pool = partial(LocalAvgPool2d, pool_window, pool_mode)
        stages = [
            partial(_stage, channels, depth, stride, pool, blend_windows, windows)
            for channels, stride in zip(widths, (1, 2, 4), strict=True)
        ]
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
        self.encoder = nn.ModuleList([stage() for stage in stages])
        self.decoder = nn.ModuleList([stage() for stage in stages])
        self.grow = nn.ModuleList(
            [nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1) for channels in widths[:2]]
        )
        self.merge = nn.ModuleList([nn.Conv2d(2 * channels, channels, 1) for channels in widths[:2]])
        self.head = nn.ModuleList([nn.Conv2d(channels, 3, 3, padding=1) for channels in widths])

    def forward(self, image: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B 3 _ _"]]:
        """Restore a batch.

        Args:
            image: degraded images in [0, 1], H and W divisible by 8 and at least 16.

        Returns:
            Restored images at quarter, half and full size, near [0, 1] but not clamped.

        Raises:
            TypeError: if the input is not a tensor with the type of the weights, but for example an array or 8-bit
                integers.
            ValueError: if the shape, the size or the number of channels does not fit.
        """
        check_batch(image, self, "SFNet", self.in_channels)
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
        """Raise a ValueError that says what to do if the network cannot take a size."""
        if height % self.multiple or width % self.multiple or min(height, width) < self.minimum:
            raise ValueError(
                f"SFNet needs H and W divisible by {self.multiple} and at least {self.minimum}, got {height}x{width}; "
                f"use ops.tiling.pad_to_multiple(image, {self.multiple}, {self.minimum})"
            )

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights for `save_pretrained`; the mixin writes the config and the model card."""
        save_weights(self, save_directory, config={"model": "sfnet", **self.arguments})

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: Any) -> "SFNet":
        """Read the weights for `from_pretrained`, from a folder or from the hub with the mixin's own options."""
        options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        if Path(model_id).exists():  # the config may name a builder with its own arguments
            from passband.models import build_from  # the builders need this class, so they are imported later

            model = build_from({**load_config(model_id), **kwargs})
            if not isinstance(model, cls):
                raise CheckpointError(
                    f"a {cls.__name__} is needed, but {model_id} holds another network; load it with models.load_model"
                )
        else:
            model = cls(**kwargs)
        load_state(model, load_weights(model_id, **options), source=model_id)
        return model.eval()


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


def sfnet(**overrides: Any) -> SFNet:
    """Build the published network: 13,271,209 parameters, 121 GMAC at 256 x 256."""
    return SFNet(**overrides)


def sfnet_small(**overrides: Any) -> SFNet:
    """Build the network that ships: the published widths, two residual blocks per stage, 2.39 M parameters."""
    return SFNet(**{"depth": 2, **overrides})


def _stage(channels: int, depth: int, stride: int, *options: Any) -> nn.Sequential:
    """Build `depth` residual blocks; the last has the dynamic filters."""
    return nn.Sequential(*[ResidualBlock(channels, i == depth - 1, stride, *options) for i in range(depth)])


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
    """Return the mean of the views of 3 channels each; a single view is returned unchanged."""
    return image if image.shape[1] == 3 else image.unflatten(1, (-1, 3)).mean(1)
