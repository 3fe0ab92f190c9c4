"""SFNet's decoupler: low-pass filters that the picture itself chooses, then a modulator over the two parts."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.modulation import Modulator


class DynamicFilter(nn.Module):
    """Split a map into a low and a high part by learned filters, then weigh and join them (MDSF).

    One low-pass kernel per sample and group of channels is predicted from the global average of the map; its
    weights are positive and add to one. The high part is what the low one leaves.

    Args:
        channels: channels of the map, a multiple of `groups`.
        kernel_size: side of the kernels in positions of the map, odd.
        groups: groups of channels that share a kernel.
        pool: pooling of the modulator; None for the global average. The kernels are always predicted from the
            global average, as in the released code.

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
        self.predict = nn.Conv2d(channels, groups * kernel_size**2, 1, bias=False)
        self.norm = nn.BatchNorm2d(groups * kernel_size**2)
        self.modulator = Modulator(channels, pool=pool)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Filter, weigh and join.

        Args:
            x: the map, with H and W above kernel_size // 2.

        Returns:
            A map of the same shape.
        """
        low = self.low_pass(x)
        return self.modulator(low, x - low)

    def low_pass(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The low part of a map: each sample's groups filtered by their own kernels, edges reflected."""
        batch, channels, height, width = x.shape
        kernels = self.kernels(x).to(x.dtype).repeat_interleave(channels // self.groups, dim=1)
        padded = F.pad(x, (self.kernel_size // 2,) * 4, mode="reflect")
        # samples become groups of one convolution, so that each keeps its own kernels and nothing is unfolded
        low = F.conv2d(padded.flatten(0, 1)[None], kernels.flatten(0, 1)[:, None], groups=batch * channels)
        return low.view(batch, channels, height, width)

    def kernels(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G k k"]:
        """One kernel per sample and group; each adds to one."""
        logits = self.predict(x.mean((-2, -1), keepdim=True))
        if self.training and len(x) > 1:
            logits = self.norm(logits)
        else:  # one 1x1 map has no spread to normalize by: use the running statistics, as in evaluation
            norm = self.norm
            logits = F.batch_norm(
                logits, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
            )
        weights = logits.view(len(x), self.groups, -1).softmax(-1)
        return weights.unflatten(-1, (self.kernel_size, self.kernel_size))
