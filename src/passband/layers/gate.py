"""A gate that learns which frequency channels a network needs (Xu et al., CVPR 2020, section 3.3).

Differences from the released gate: evaluation has no noise, so that an image always gets the same result. The
temperature is used, and falls on a schedule. The magnitude of a channel is pooled, because the mean of signed
coefficients is nearly zero and mostly noise. The gate counts the channels that it opens, in training and in evaluation.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.naming import suggestion
from passband.ops.checks import check_images
from passband.ops.precision import widened
from passband.processes import total

POOLS = ("magnitude", "signed")

OFF, ON = 0.1, 2.0
"""Initial biases of a channel's two logits: sigmoid(1.9) = 87 % of the gates are open at the start."""
SPREAD = 1e-3
"""Standard deviation of the initial weights of the logits; it is small, so that the image has little influence at the
start."""


class ChannelGate(nn.Module):
    """Let some channels of a cube through, chosen for each image, and set the others to zero.

    Steps: the pooled value of each channel, a 1 x 1 convolution over all channels, batch normalization, ReLU, a pair of
    logits from each channel's own value, and Gumbel-softmax. The decision is rounded in the forward pass and smooth in
    the backward pass (straight-through). In evaluation the larger logit decides, without noise.

    Args:
        channels: number of channels of the cube.
        pool: values to average over positions: the `"magnitude"` of coefficients, or the `"signed"` values of the
            released gate.

    Attributes:
        temperature: temperature of the Gumbel-softmax, above 0, which training sets, see `temperature`. It does not
            change how often a gate opens, only how smooth the gradient is.
        opened: number of images for which each channel was open since `reset`.
        seen: number of images since `reset`.

    Raises:
        ValueError: if `channels` is below 1 or `pool` is unknown.

    Source: Xu et al., CVPR 2020, section 3.3; Jang et al., "Categorical Reparameterization with Gumbel-Softmax",
    ICLR 2017.
    """

    opened: Tensor
    seen: Tensor

    def __init__(self, channels: int = 192, pool: str = "magnitude"):
        super().__init__()
        if channels < 1:
            raise ValueError(f"ChannelGate needs at least 1 channel; got {channels}")
        if pool not in POOLS:
            near = suggestion(pool, POOLS)
            raise ValueError(f"pool of a ChannelGate must be one of {', '.join(POOLS)}; got {pool!r}.{near}")
        self.channels, self.pool = channels, pool
        self.temperature = 1.0
        self.is_synchronized = False  # set by processes.synchronize: counts and statistics are those of all processes
        self.squeeze = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.pair = nn.Conv2d(channels, 2 * channels, 1, groups=channels)
        nn.init.kaiming_normal_(self.squeeze.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.squeeze.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.pair.weight, std=SPREAD)
        with torch.no_grad():
            self.pair.bias.copy_(torch.tensor([OFF, ON]).repeat(channels))  # type: ignore[union-attr]
        self.register_buffer("opened", torch.zeros(channels, dtype=torch.int64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, cube: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B C"]]:
        """Gate a batch of cubes.

        Args:
            cube: normalized coefficients.

        Returns:
            The cubes with the closed channels at zero, and the decisions: 1 for open and 0 for closed, with the
            gradient of the soft decision in training.

        Raises:
            ValueError: if the number of channels differs, or the temperature is not above 0.
        """
        check_images(cube, "ChannelGate")
        if cube.shape[1] != self.channels:
            raise ValueError(f"ChannelGate was built for {self.channels} channels, got {cube.shape[1]}")
        logits = self.logits(cube)
        if self.training:
            if self.temperature <= 0:
                raise ValueError(f"temperature of a ChannelGate must be above 0; got {self.temperature}")
            soft = F.gumbel_softmax(logits, tau=self.temperature, dim=-1)[..., 1]
            hard = (soft > 0.5).to(soft.dtype)
            # the added difference is exactly zero, so the value stays exactly 0 or 1
            decision = hard + (soft - soft.detach())
        else:
            decision = hard = (logits[..., 1] > logits[..., 0]).to(logits.dtype)
        with torch.no_grad():
            counts = F.pad(hard.sum(0).to(torch.int64), (0, 1), value=len(cube))
            if self.training and self.is_synchronized:
                counts = total(counts)
            self.opened += counts[:-1]
            self.seen += counts[-1]
        return cube * decision.to(cube.dtype)[:, :, None, None], decision

    def logits(self, cube: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 2"]:
        """Return a pair of logits per channel, closed and open, in float32 at least.

        Args:
            cube: normalized coefficients.

        Returns:
            Logits; index 0 of the last axis is "closed" and index 1 is "open".
        """
        pooled = (cube.abs() if self.pool == "magnitude" else cube).mean((2, 3), keepdim=True)
        mixed = self.squeeze(pooled)
        if self.training and (len(cube) > 1 or self.is_synchronized):
            mixed = self.norm(mixed)
        else:  # a single image has no variance, so the running statistics are used, as in evaluation
            norm = self.norm
            mixed = F.batch_norm(
                mixed, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
            )
        pairs = self.pair(F.relu(mixed)).view(len(cube), self.channels, 2)
        return widened(pairs)

    def keep_probability(self) -> Float[Tensor, " C"]:
        """Return the share of images since `reset` for which each channel was open, 0 to 1.

        Raises:
            ValueError: if there were no images.
        """
        if not self.seen:
            raise ValueError("the gate has seen no images: run it on some first, in training or in evaluation")
        return self.opened / self.seen

    def to_static(self, count: int, order: Sequence[int] | None = None) -> list[int]:
        """Return the channels that were open most often, for use as a fixed subset.

        Args:
            count: number of channels, 1 to all.
            order: all indices, in the order in which channels that were open equally often are chosen, such as
                `layers.channels.zigzag_order`; None for ascending order.

        Returns:
            Exactly `count` indices, ascending.

        Raises:
            ValueError: if `count` is out of range, `order` does not name each channel once, or the gate has seen no
                images.
        """
        if not 1 <= count <= self.channels:
            raise ValueError(f"a subset has 1 to {self.channels} channels; got {count}")
        first = list(range(self.channels)) if order is None else list(order)
        if sorted(first) != list(range(self.channels)):
            raise ValueError(f"order must name each of {self.channels} channels once; got {len(first)} indices")
        often = self.keep_probability()[first].argsort(descending=True, stable=True)
        return sorted(first[place] for place in often[:count].tolist())

    def reset(self) -> None:
        """Set the counts to zero."""
        self.opened.zero_()
        self.seen.zero_()


def temperature(fraction: float, start: float = 5.0, end: float = 0.5) -> float:
    """Return the temperature of the Gumbel-softmax, which falls by the same factor in each step.

    A high temperature gives smooth gradients far from the decision. A low one gives gradients near the decision that
    vary much.

    Args:
        fraction: share of the run that is done, 0 to 1.
        start: temperature at the beginning; 5 as in FBNet (Wu et al., CVPR 2019), which also lets it fall
            exponentially.
        end: temperature at the end; 0.5, the lowest that Jang et al. (ICLR 2017) use.

    Returns:
        The temperature.

    Raises:
        ValueError: if `fraction` is not in [0, 1] or a temperature is not above 0.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be the share of the run that is done, 0 to 1; got {fraction}")
    if min(start, end) <= 0:
        raise ValueError(f"temperatures must be above 0; got {start} to {end}")
    return start * (end / start) ** fraction
