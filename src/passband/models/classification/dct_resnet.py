"""ResNets on cubes of frequency channels (Xu et al., "Learning in the Frequency Domain", CVPR 2020, section 3.2).

A cube of C x 56 x 56 replaces the output of ResNet's stem for an image of 224 pixels: conv1, bn1, relu and maxpool are
removed, and the first block takes C channels. The cube is that of an image of 448 pixels at stride 8, or of 224 pixels
at stride 4. Blocks, initial weights and names of the parameters are torchvision's.

MACs of ResNet-50 (1000 classes), all counted by `analysis.cost`:

| network | input | MACs |
|---|---|---|
| RGB or YCbCr (`stem=True`) | 3 x 224 x 224 | 4.09 G |
| 24, 64, 192 channels | C x 56 x 56 | 3.93, 3.97, 4.10 G |
| 24 channels, `published_stride=True` | 24 x 56 x 56 | 13.53 G |
| 192 channels, `grid=28` | 192 x 28 x 28 | 3.19 G |

Differences from the released code: layer2 halves the resolution as ResNet's does. The released one keeps it
(`published_stride`) and costs 3.3 times as much as the RGB network that it is compared with.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import ClassifierNetwork

DEPTHS = (18, 50)
GRIDS = (28, 56)


class FrequencyResNet(ClassifierNetwork):
    """Classify cubes of frequency channels, or images.

    Args:
        channels: frequency channels of the cube; channels of the image with `stem`.
        classes: number of classes.
        depth: number of layers: 18 (two 3 x 3 convolutions a block) or 50 (bottlenecks).
        width: channels of layer1's 3 x 3 convolutions; 2, 4 and 8 times as many in the layers after it.
        grid: positions per side of the cube: 56 if layer1 takes it. 28 is for the cube of an image of 224 pixels at
            stride 8: layer1 is also removed, and layer2 takes the cube without halving it, so that all maps have
            ResNet's resolution ("UpSampling" of Gueguen et al., NeurIPS 2018; their batch normalization of the input is
            left out, because cubes are normalized already).
        published_stride: whether layer2 keeps the resolution, as in the released code, instead of halving it.
        stem: whether to keep ResNet's own first layers, for an image in RGB or YCbCr, as in torchvision's ResNet.

    Raises:
        ValueError: if an argument is invalid.
    """

    def __init__(
        self,
        channels: int = 24,
        classes: int = 1000,
        depth: int = 50,
        width: int = 64,
        grid: int = 56,
        published_stride: bool = False,
        stem: bool = False,
    ):
        super().__init__()
        if depth not in DEPTHS:
            raise ValueError(f"depth of a FrequencyResNet is one of {DEPTHS}; got {depth}")
        if grid not in GRIDS:
            raise ValueError(f"grid of a FrequencyResNet is one of {GRIDS}; got {grid}")
        if min(channels, classes, width) < 1:
            raise ValueError(f"channels, classes and width are at least 1; got {channels}, {classes} and {width}")
        if grid == 28 and (published_stride or stem):
            raise ValueError("grid=28 drops layer1 and keeps layer2's resolution; leave out published_stride and stem")
        self.channels, self.classes = channels, classes
        self.arguments = {
            "channels": channels,
            "classes": classes,
            "depth": depth,
            "width": width,
            "grid": grid,
            "published_stride": published_stride,
            "stem": stem,
        }
        self.name = f"resnet{depth}" if stem else f"dct-resnet{depth}"
        self.input_shape = (channels, 4 * grid, 4 * grid) if stem else (channels, grid, grid)
        steps = _stem(channels, width) if stem else {}
        incoming, first = width if stem else channels, 2 if grid == 28 else 1
        for layer in range(first, 5):
            keeps_resolution = layer == first or (layer == 2 and published_stride)
            steps[f"layer{layer}"] = _layer(
                layer,
                depth,
                incoming,
                width << (layer - 1),
                stride=1 if keeps_resolution else 2,
                # a cube is not a map of features, so the first block never passes it on unchanged
                project=layer == first and not stem,
            )
            incoming = (width << (layer - 1)) * (4 if depth == 50 else 1)
        steps["avgpool"] = nn.AdaptiveAvgPool2d(1)
        for step, module in steps.items():
            self.add_module(step, module)
        self.steps = tuple(steps)
        """Names of the modules between input and classes, in order; those with parameters have torchvision's names."""
        self.first_block = f"layer{first}.0."
        self.fc = nn.Linear(incoming, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def compute(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Compute the logits."""
        for step in self.steps:
            x = self.get_submodule(step)(x)
        return self.fc(x.flatten(1))


def dct_resnet50(**overrides: Any) -> FrequencyResNet:
    """Build ResNet-50 for 24 frequency channels: 25.5 M parameters, 3.93 GMAC at 56 x 56.

    Args:
        overrides: arguments of `FrequencyResNet` that differ from this network's.
    """
    return FrequencyResNet(**overrides)


def dct_resnet18(**overrides: Any) -> FrequencyResNet:
    """Build ResNet-18 for 24 frequency channels: 11.7 M parameters, 1.63 GMAC at 56 x 56.

    Args:
        overrides: arguments of `FrequencyResNet` that differ from this network's.
    """
    return FrequencyResNet(**{"depth": 18, **overrides})


def resnet50(**overrides: Any) -> FrequencyResNet:
    """Build torchvision's ResNet-50 for images in RGB or YCbCr, for comparison: 25.6 M parameters, 4.09 GMAC.

    Args:
        overrides: arguments of `FrequencyResNet` that differ from this network's.
    """
    return FrequencyResNet(**{"channels": 3, "stem": True, **overrides})


def resnet18(**overrides: Any) -> FrequencyResNet:
    """Build torchvision's ResNet-18 for images in RGB or YCbCr, for comparison: 11.7 M parameters, 1.81 GMAC.

    Args:
        overrides: arguments of `FrequencyResNet` that differ from this network's.
    """
    return FrequencyResNet(**{"depth": 18, "channels": 3, "stem": True, **overrides})


def _stem(channels: int, width: int) -> dict[str, nn.Module]:
    """Build ResNet's layers before its blocks, which reduce the resolution to a quarter."""
    return {
        "conv1": nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(width),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }


def _layer(layer: int, depth: int, incoming: int, width: int, *, stride: int, project: bool) -> nn.Sequential:
    """Build the blocks of a layer of ResNet.

    Args:
        layer: number of the layer, 1 to 4.
        depth: depth of the whole network.
        incoming: number of input channels.
        width: channels of the 3 x 3 convolutions.
        stride: stride of the first block.
        project: whether the shortcut of the first block is a convolution even if it could be left out.
    """
    from torchvision.models.resnet import BasicBlock, Bottleneck

    block, counts = {18: (BasicBlock, (2, 2, 2, 2)), 50: (Bottleneck, (3, 4, 6, 3))}[depth]
    outgoing = width * block.expansion
    shortcut = None
    if project or stride != 1 or incoming != outgoing:
        shortcut = nn.Sequential(nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False), nn.BatchNorm2d(outgoing))
    return nn.Sequential(
        block(incoming, width, stride, shortcut), *[block(outgoing, width) for _ in range(counts[layer - 1] - 1)]
    )
