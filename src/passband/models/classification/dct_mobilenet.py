"""MobileNetV2 on cubes of frequency channels (Xu et al., "Learning in the Frequency Domain", CVPR 2020, section 3.2).

The first convolution is removed. A cube of C x 112 x 112 (of an image of 896 pixels at stride 8, or of 448 at stride 4)
enters the first inverted residual, whose depthwise and projecting convolutions take C channels. Everything else,
including the names of the parameters, is torchvision's.

MACs (1000 classes), all counted by `analysis.cost`: 0.301 G for RGB at 3 x 224 x 224; 0.282, 0.287, 0.290 G for 6, 24
and 32 channels at C x 112 x 112.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import ClassifierNetwork

GRID = 112


class FrequencyMobileNet(ClassifierNetwork):
    """Classify cubes of frequency channels, or images, at a tenth of ResNet's cost.

    Args:
        channels: frequency channels of the cube; with `stem`, channels of the image, which are 3.
        classes: number of classes.
        width: factor of the channels of every layer.
        stem: whether to keep MobileNetV2's own first convolution, for an image in RGB or YCbCr, as in torchvision's
            network.

    Raises:
        ValueError: if an argument is invalid.
    """

    first_block = "features.1.conv."

    def __init__(self, channels: int = 24, classes: int = 1000, width: float = 1.0, stem: bool = False):
        super().__init__()
        if min(channels, classes) < 1 or width <= 0:
            raise ValueError(
                f"channels and classes are at least 1, width is above 0; got {channels}, {classes} and {width}"
            )
        if stem and channels != 3:
            raise ValueError(f"with stem the input is an image of 3 channels; got channels={channels}")
        from torchvision.models.mobilenetv2 import InvertedResidual, mobilenet_v2

        self.channels, self.classes = channels, classes
        self.arguments = {"channels": channels, "classes": classes, "width": width, "stem": stem}
        self.name = "mobilenet-v2" if stem else "dct-mobilenet-v2"
        self.input_shape = (channels, 2 * GRID, 2 * GRID) if stem else (channels, GRID, GRID)
        network = mobilenet_v2(width_mult=width, num_classes=classes)
        self.features, self.classifier = network.features, network.classifier
        self.pool = nn.AdaptiveAvgPool2d(1)
        if not stem:
            first: Any = self.features[1]
            block = InvertedResidual(channels, first.out_channels, stride=1, expand_ratio=1)
            for module in block.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out")  # as in torchvision's other layers
            self.features[0], self.features[1] = nn.Identity(), block

    def compute(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Compute the logits."""
        return self.classifier(self.pool(self.features(x)).flatten(1))


def dct_mobilenet_v2(**overrides: Any) -> FrequencyMobileNet:
    """Build MobileNetV2 for 24 frequency channels: 3.5 M parameters, 0.287 GMAC at 112 x 112.

    Args:
        overrides: arguments of `FrequencyMobileNet` that differ from this network's.
    """
    return FrequencyMobileNet(**overrides)


def mobilenet_v2(**overrides: Any) -> FrequencyMobileNet:
    """Build torchvision's MobileNetV2 for images in RGB or YCbCr, for comparison: 3.5 M parameters, 0.30 GMAC.

    Args:
        overrides: arguments of `FrequencyMobileNet` that differ from this network's.
    """
    return FrequencyMobileNet(**{"channels": 3, "stem": True, **overrides})
