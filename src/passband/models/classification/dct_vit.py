"""A Vision Transformer on blocks of frequency channels (Park and Johnson, "RGB no more", CVPR 2023).

A patch is a group of blocks: 2 x 2 blocks of 8 x 8 pixels, or 1 block. All coefficients of a patch, those of Y, Cb and
Cr, become one token by one linear layer ("grouped embedding"). The rest is the plain Vision
Transformer of Beyer et al. ("Better plain ViT baselines for ImageNet-1k", 2022), as in that paper: fixed sine and
cosine positions in two directions, layer normalization before attention and before the two linear layers, and the mean
of all tokens before the last layer. There is no class token.

MACs (1000 classes), all counted by `analysis.cost`: 1.25 G for the tiny network (width 192, depth 12, 3 heads) with all
192 channels of an image of 224 pixels at stride 8, in patches of 2 x 2 blocks.

Differences from the paper: the cube holds Cb and Cr at the resolution of Y, so a patch of a file with chroma at half
the size has 4 blocks of Cb rather than 1 with the same content, and any choice of channels is possible.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import ClassifierNetwork

LONGEST = 10_000
"""Longest wave of the positions, in tokens, relative to the shortest (Vaswani et al., NeurIPS 2017)."""


class FrequencyViT(ClassifierNetwork):
    """Classify cubes of frequency channels with a Vision Transformer.

    Args:
        channels: frequency channels of the cube.
        classes: number of classes.
        width: numbers of each token, a multiple of 4 and of `heads`.
        depth: number of transformer blocks.
        heads: number of attention heads.
        group: cells along each side of a patch.
        expansion: ratio of the width of the hidden linear layer to `width`.
        drop_path: share of samples for which the last block adds nothing while training, 0 to 1. It grows evenly from 0
            at the first block (stochastic depth).

    Raises:
        ValueError: if an argument is invalid.
    """

    def __init__(
        self,
        channels: int = 192,
        classes: int = 1000,
        width: int = 192,
        depth: int = 12,
        heads: int = 3,
        group: int = 2,
        expansion: int = 4,
        drop_path: float = 0.0,
    ):
        super().__init__()
        if min(channels, classes, width, depth, heads, group, expansion) < 1:
            raise ValueError(
                "channels, classes, width, depth, heads, group and expansion are at least 1; got "
                f"{channels}, {classes}, {width}, {depth}, {heads}, {group} and {expansion}"
            )
        if width % 4 or width % heads:
            raise ValueError(f"width must be a multiple of 4 and of heads; got width={width} and heads={heads}")
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path must be at least 0 and below 1; got {drop_path}")
        self.channels, self.classes = channels, classes
        self.arguments = {
            "channels": channels,
            "classes": classes,
            "width": width,
            "depth": depth,
            "heads": heads,
            "group": group,
            "expansion": expansion,
            "drop_path": drop_path,
        }
        self.name = "dct-vit"
        self.group = group
        self.input_shape = (channels, 14 * group, 14 * group)
        self.embed = nn.Conv2d(channels, width, group, stride=group)
        rates = [drop_path * number / max(1, depth - 1) for number in range(depth)]
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, expansion, rate) for rate in rates)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.embed.weight, std=(channels * group * group) ** -0.5)
        nn.init.zeros_(self.embed.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.head.weight)

    def compute(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Compute the logits. Sides that are no multiple of `group` are padded with zeros."""
        height, width = x.shape[-2:]
        x = self.embed(F.pad(x, (0, -width % self.group, 0, -height % self.group)))
        x = x + positions(x.shape[1], x.shape[2], x.shape[3], x.device).to(x.dtype)
        x = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class TransformerBlock(nn.Module):
    """Attention, then two linear layers, each added to its input.

    Args:
        width: numbers of each token.
        heads: number of attention heads.
        expansion: ratio of the width of the hidden layer to `width`.
        drop_path: share of samples for which the block adds nothing while training.
    """

    def __init__(self, width: int, heads: int, expansion: int, drop_path: float = 0.0):
        super().__init__()
        self.heads, self.drop_path = heads, drop_path
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return the tokens after attention and the two linear layers."""
        x = x + self._dropped(self._attention(self.norm1(x)))
        return x + self._dropped(self.narrow(F.gelu(self.widen(self.norm2(x)))))

    def _attention(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        query, key, value = self.mix(x).reshape(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value)
        return self.join(out.transpose(1, 2).reshape(batch, count, width))

    def _dropped(self, branch: Tensor) -> Tensor:
        """Return the branch, while training with zeros for some of the samples."""
        if not self.training or self.drop_path == 0:
            return branch
        keep = 1 - self.drop_path
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(keep) / keep


def positions(
    width: int, rows: int, columns: int, device: torch.device | None = None
) -> Float[Tensor, "D rows columns"]:
    """Return the fixed positions of tokens in two directions (Beyer et al., 2022).

    Args:
        width: numbers of each token, a multiple of 4: a quarter each for sine and cosine, across and down.
        rows: number of rows of tokens.
        columns: number of columns of tokens.
        device: device to compute them on, so that nothing is copied to a GPU in each pass; None for the CPU.

    Returns:
        Sines and cosines, in [-1, 1].
    """
    steps = waves(width // 4, device)[:, None]
    across, down = (steps * torch.arange(count, device=device) for count in (columns, rows))
    parts = [across.sin(), across.cos()], [down.sin(), down.cos()]
    shown = [part[:, None, :].expand(-1, rows, -1) for part in parts[0]]
    shown += [part[:, :, None].expand(-1, -1, columns) for part in parts[1]]
    return torch.cat(shown)


def waves(count: int, device: torch.device | None = None) -> Float[Tensor, " count"]:
    """Return the frequencies of the positions in radians per token, which fall evenly on a logarithmic scale.

    Args:
        count: number of frequencies, 1 or more.
        device: device to compute them on; None for the CPU.

    Returns:
        Frequencies from 1 down to 1 / `LONGEST`.
    """
    return torch.exp(-math.log(LONGEST) * torch.arange(count, device=device) / max(1, count - 1))


def dct_vit(**overrides: Any) -> FrequencyViT:
    """Build the tiny Vision Transformer for 192 channels: 5.7 M parameters, 1.25 GMAC at 28 x 28.

    `width=384` and `heads=6` make the small one: 22.0 M parameters, 4.57 GMAC.

    Args:
        overrides: arguments of `FrequencyViT` that differ from this network's.
    """
    return FrequencyViT(**overrides)
