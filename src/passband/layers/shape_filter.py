"""ConvIR's multi-shape filters: dilated filters of squares and strips, whose kernels are predicted from the image."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.dynamic_filter import filter_each, normalize_prediction
from passband.layers.pooling import LocalAvgPool2d
from passband.ops.checks import check_images

SHAPES = {"square": (3, 3), "across": (1, 3), "down": (3, 1)}
"""Height and width of the kernels, by shape."""


class LineMean(nn.Module):
    """Average a map along each of its rows or each of its columns.

    Args:
        dim: axis of the average: -1 averages each row, -2 averages each column.
    """

    def __init__(self, dim: Literal[-1, -2]):
        super().__init__()
        self.dim = dim

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """Return the averages, of size H x 1 or 1 x W."""
        return x.mean(self.dim, keepdim=True)


class ShapeFilter(nn.Module):
    """Filter a map by predicted kernels of one shape, and weigh the result against the map.

    With f the filtered map and m the mean, the output is (f * (inside + 1) - inside * m) * low + x * (high + 1). It is
    linear in the map, so filtering and weighting are one grouped convolution and one addition. All three vectors start
    at zero, so that the output of a fresh filter is the map itself.

    Args:
        channels: number of channels of the map, a multiple of `groups`.
        shape: shape of the kernels. `"square"` is 3 x 3, and m is the average of the map. `"across"` is 1 x 3, and m is
            the average of each row. `"down"` is 3 x 1, and m is the average of each column.
        dilation: distance of the kernel's positions, in positions of the map.
        groups: number of groups of channels that share a kernel.

    Raises:
        ValueError: if `channels` is not a multiple of `groups`.

    Source: Cui et al., "Revitalizing Convolutional Network for Image Restoration", TPAMI 2024.
    """

    def __init__(self, channels: int, shape: Literal["square", "across", "down"], dilation: int, groups: int = 8):
        super().__init__()
        if channels % groups:
            raise ValueError(f"ShapeFilter needs channels divisible by groups={groups}; got {channels}")
        self.size, self.dilation, self.groups = SHAPES[shape], dilation, groups
        height, width = (dilation * (side // 2) for side in self.size)
        self.padding = (width, width, height, height)
        self.average = LocalAvgPool2d()
        self.mean = {"square": None, "across": LineMean(-1), "down": LineMean(-2)}[shape]
        self.predict = nn.Conv2d(channels, groups * self.size[0] * self.size[1], 1, bias=False)
        self.norm = nn.BatchNorm2d(self.predict.out_channels) if shape == "square" else None
        self.is_synchronized = False  # set by processes.synchronize: the batch also has the maps of other processes
        self.inside = nn.Parameter(torch.zeros(channels, 1, 1))
        self.low = nn.Parameter(torch.zeros(channels))
        self.high = nn.Parameter(torch.zeros(channels))

    def forward(
        self, x: Float[Tensor, "B C H W"], gain: Tensor | float = 1.0, through: Tensor | float = 0.0
    ) -> Float[Tensor, "B C H W"]:
        """Filter a map; the shape stays.

        Args:
            x: map, with sides above the dilation along the kernel.
            gain: factor of the output, a number or a value for each channel (C 1 1).
            through: factor of the map that is added to the output, in the same form.

        Raises:
            TypeError: if the input is not a tensor of floating-point values.
            ValueError: if the number of channels differs, or the map is too small.
        """
        check_images(x, "ShapeFilter", self.predict.in_channels)
        if any(padding >= side for padding, side in zip(self.padding[::2], x.shape[:-3:-1], strict=True)):
            raise ValueError(
                f"ShapeFilter with dilation {self.dilation} needs H and W above it, got {x.shape[-2]}x{x.shape[-1]}; "
                "use ops.tiling.pad_to_multiple"
            )
        average = self.average(x)
        mean = average if self.mean is None else self.mean(x)
        kernels = self.kernels_for(average, gain, through)
        return self.apply_kernels(F.pad(x, self.padding, mode="reflect"), kernels, self.shift_for(mean, gain))

    def kernels_for(
        self, average: Float[Tensor, "B C 1 1"], gain: Tensor | float = 1.0, through: Tensor | float = 0.0
    ) -> Float[Tensor, "B C k l"]:
        """Return kernels that filter and weigh at once, one for each sample and channel.

        Args:
            average: global average of the map.
            gain: factor of the output, see `forward`.
            through: factor of the map that is added, see `forward`.

        Returns:
            Kernels of the filter's size, 3 x 3, 1 x 3 or 3 x 1. Filtering by them and adding `shift_for` is the whole
            layer.
        """
        prediction = self.predict(average)
        if self.norm is not None:
            is_batch = self.training and (len(average) > 1 or self.is_synchronized)
            prediction = normalize_prediction(self.norm, prediction, is_batch)
        kernels = prediction.tanh().view(len(average), self.groups, *self.size)
        kernels = kernels.repeat_interleave(average.shape[1] // self.groups, dim=1)
        center = torch.zeros_like(kernels[:1, :1])
        center[..., self.size[0] // 2, self.size[1] // 2] = 1.0
        for_low = (self.inside + 1.0) * self.low[:, None, None] * gain
        return kernels * for_low + center * ((self.high[:, None, None] + 1.0) * gain + through)

    def shift_for(self, mean: Float[Tensor, "B C h w"], gain: Tensor | float = 1.0) -> Float[Tensor, "B C h w"]:
        """Return the value to add to the filtered map.

        Args:
            mean: m, the average of the map, of its rows or of its columns.
            gain: factor of the output, see `forward`.

        Returns:
            The value for each position of `mean`, to be broadcast over the map.
        """
        return -self.inside * self.low[:, None, None] * gain * mean

    def apply_kernels(
        self, padded: Float[Tensor, "B C _ _"], kernels: Float[Tensor, "B C k l"], shift: Float[Tensor, "B C _ _"]
    ) -> Float[Tensor, "B C h w"]:
        """Filter a map that is padded already, and shift the result.

        Args:
            padded: map with the positions around it that the kernels reach.
            kernels: kernel of each sample and channel, see `kernels_for`.
            shift: value to add, see `shift_for`.

        Returns:
            The filtered map, without the padding.
        """
        return filter_each(padded, kernels, self.dilation).add_(shift.to(padded.dtype))


class MultiShapeFilter(nn.Module):
    """Add a square filter of a map, and two strip filters of it, one after the other.

    With s the result of the strips, which run across and then down, the output is square(x) + gain * s + through * x.

    Args:
        channels: number of channels of the map, a multiple of 8.
        dilation: distance of the kernels' positions, in positions of the map.

    Source: Cui et al., "Revitalizing Convolutional Network for Image Restoration", TPAMI 2024.
    """

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.square = ShapeFilter(channels, "square", dilation)
        self.across = ShapeFilter(channels, "across", dilation)
        self.down = ShapeFilter(channels, "down", dilation)
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1))
        self.through = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Filter a map; the shape stays.

        Raises:
            TypeError: if the input is not a tensor of floating-point values.
            ValueError: if the number of channels differs, or the map is too small.
        """
        return self.square(x, through=self.through) + self.down(self.across(x), gain=self.gain)
