"""SFNet's decoupler: low-pass filters that are predicted from the image, followed by a modulator of both parts."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.modulation import Modulator
from passband.layers.pooling import LocalAvgPool2d
from passband.ops.checks import check_images


class DynamicFilter(nn.Module):
    """Split a map into a low and a high part by predicted filters, then weight and join them (MDSF).

    One low-pass kernel per sample and group of channels is predicted from the global average of the map. Its weights
    are positive and add to one. The high part is the map minus the low part.

    If the modulator weights whole channels (its pooling is global), filtering and weighting are one filter, low * a +
    (x - low) * b = (a - b) * low + b * x, and neither part is computed alone.

    Args:
        channels: number of channels of the map, a multiple of `groups`.
        kernel_size: side of the kernels in positions of the map, odd.
        groups: number of groups of channels that share a kernel.
        pool: pooling of the modulator; None for the global average. The kernels are always predicted from the global
            average, as in the released code.

    Raises:
        ValueError: if `channels` is not a multiple of `groups`, or `kernel_size` is even.

    Source: Cui et al., "Selective Frequency Network for Image Restoration", ICLR 2023, section 3.2.
    """

    def __init__(self, channels: int, kernel_size: int, groups: int = 8, pool: nn.Module | None = None):
        super().__init__()
        if channels % groups:
            raise ValueError(f"DynamicFilter needs channels divisible by groups={groups}; got {channels}")
        if kernel_size % 2 == 0:
            raise ValueError(f"DynamicFilter needs an odd kernel_size; got {kernel_size}")
        self.kernel_size, self.groups = kernel_size, groups
        self.average = LocalAvgPool2d()
        self.predict = nn.Conv2d(channels, groups * kernel_size**2, 1, bias=False)
        self.norm = nn.BatchNorm2d(groups * kernel_size**2)
        self.is_synchronized = False  # set by processes.synchronize: the batch also has the maps of other processes
        self.modulator = Modulator(channels, pool=pool)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Filter a map, weight both parts and join them.

        Args:
            x: map, with H and W above kernel_size // 2.

        Returns:
            A map of the same shape.

        Raises:
            TypeError: if the input is not a tensor of floating-point values.
            ValueError: if the number of channels differs, or the map is too small.
        """
        check_images(x, "DynamicFilter", self.predict.in_channels)
        if min(x.shape[-2:]) <= self.kernel_size // 2:
            raise ValueError(
                f"DynamicFilter with kernel_size {self.kernel_size} needs H and W above {self.kernel_size // 2}, got "
                f"{x.shape[-2]}x{x.shape[-1]}; use ops.tiling.pad_to_multiple"
            )
        kernels = self.kernels(x)
        for_low, for_high = self.modulator.attention(self.modulator.pool(x))
        padded = F.pad(x, (self.kernel_size // 2,) * 4, mode="reflect")
        if for_low.shape[-2:] == (1, 1):
            return self.modulator.join(self.apply_kernels(padded, self.fold(kernels, for_low, for_high)))
        return self.modulator.blend(x, self.apply_kernels(padded, kernels), for_low, for_high)

    def low_pass(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the low part of a map: each sample's groups are filtered by their own kernels, edges reflected.

        Args:
            x: map, with H and W above kernel_size // 2.

        Returns:
            The low part, of the shape of the map.
        """
        return self.apply_kernels(F.pad(x, (self.kernel_size // 2,) * 4, mode="reflect"), self.kernels(x))

    def kernels(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G k k"]:
        """Predict one kernel per sample and group; each adds to one.

        Args:
            x: map.

        Returns:
            Positive weights, kernel_size x kernel_size for each sample and group.
        """
        return self.kernels_for(self.average(x))

    def kernels_for(self, average: Float[Tensor, "B C 1 1"]) -> Float[Tensor, "B G k k"]:
        """Predict the kernels of maps with this global average.

        Args:
            average: global average of each channel of the map.

        Returns:
            Positive weights, as `kernels` returns them.
        """
        is_batch = self.training and (len(average) > 1 or self.is_synchronized)
        logits = normalize_prediction(self.norm, self.predict(average), is_batch)
        weights = logits.view(len(average), self.groups, -1).softmax(-1)
        return weights.unflatten(-1, (self.kernel_size, self.kernel_size))

    def fold(
        self,
        kernels: Float[Tensor, "B G k k"],
        for_low: Float[Tensor, "B C 1 1"],
        for_high: Float[Tensor, "B C 1 1"],
    ) -> Float[Tensor, "B C k k"]:
        """Return kernels that filter and weight at once, one per sample and channel.

        Args:
            kernels: kernel of each sample and group of channels, which adds to one.
            for_low: weight of the low part of each channel.
            for_high: weight of the high part of each channel.

        Returns:
            Kernels (for_low - for_high) * kernel + for_high at the center. They add to the weight of the low part.
        """
        per_channel = kernels.repeat_interleave(for_low.shape[1] // self.groups, dim=1)
        center = torch.zeros_like(kernels[:1, :1])
        center[..., self.kernel_size // 2, self.kernel_size // 2] = 1.0
        return per_channel * (for_low - for_high) + center * for_high

    def apply_kernels(
        self, padded: Float[Tensor, "B C _ _"], kernels: Float[Tensor, "B _ k k"]
    ) -> Float[Tensor, "B C h w"]:
        """Filter a map that is padded already.

        Args:
            padded: map with kernel_size // 2 more positions on every side.
            kernels: kernels of each sample, one for each group or for each channel.

        Returns:
            The filtered map, without the padding.
        """
        return filter_each(padded, kernels)


def normalize_prediction(
    norm: nn.BatchNorm2d, prediction: Float[Tensor, "B C 1 1"], is_batch: bool
) -> Float[Tensor, "B C 1 1"]:
    """Normalize what a filter predicts from the average of a map.

    Args:
        norm: batch normalization of the filter.
        prediction: prediction for each sample.
        is_batch: whether the statistics are those of the batch. A single 1 x 1 map has no variance, so the running
            statistics are then used, as in evaluation.

    Returns:
        The normalized prediction, of the same shape.
    """
    if is_batch:
        return norm(prediction)
    return F.batch_norm(
        prediction, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
    )


def filter_each(
    padded: Float[Tensor, "B C _ _"], kernels: Float[Tensor, "B _ k l"], dilation: int = 1
) -> Float[Tensor, "B C h w"]:
    """Filter each sample by its own kernels.

    Args:
        padded: map with the positions around it that the kernels reach.
        kernels: kernels of each sample, one for each group or for each channel.
        dilation: distance of the kernels' positions.

    Returns:
        The filtered map, without the padding.
    """
    batch, channels = padded.shape[:2]
    kernels = kernels.to(padded.dtype).repeat_interleave(channels // kernels.shape[1], dim=1)
    # samples become groups of one convolution, so that each sample has its own kernels without unfolding
    out = F.conv2d(
        padded.flatten(0, 1)[None], kernels.flatten(0, 1)[:, None], dilation=dilation, groups=batch * channels
    )
    return out.view(batch, channels, *out.shape[-2:])
