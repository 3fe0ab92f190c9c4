"""Builds the parts of a detector: the layers of its backbone, their normalization, and the heads of torchvision."""

from typing import Any

from torch import nn

from passband.models.classification.dct_efficientnet import FrequencyEfficientNet
from passband.models.classification.dct_resnet import FrequencyResNet
from passband.models.detection.stem import STRIDE

LEVELS = 4
"""Number of ResNet layers that enter the pyramid, which adds one more level by taking every other position."""
NORMS = ("batch", "frozen", "group")


def backbone_classifier(
    channels: int, depth: int | None, width: int, *, stem: bool
) -> FrequencyResNet | FrequencyEfficientNet:
    """Build the classifier whose layers form a backbone.

    Args:
        channels: number of input channels.
        depth: number of layers of a ResNet; None for EfficientNet-Lite0.
        width: channels of a ResNet's 3 x 3 convolutions in layer1.
        stem: whether the network keeps its own first layers, for images in RGB.
    """
    if depth is None:
        return FrequencyEfficientNet(channels, 1, stem=stem)
    return FrequencyResNet(channels, 1, depth, width, stem=stem)


def build_detector(
    backbone: nn.Module,
    masks: bool,
    classes: int,
    features: int,
    box_features: int,
    smallest_anchor: int,
    **arguments: Any,
) -> Any:
    """Build torchvision's detector around a backbone, with random choices that depend on each image alone.

    Args:
        backbone: backbone with its pyramid.
        masks: whether to predict masks or only boxes.
        classes: number of categories, without the background.
        features: channels of the pyramid and of the heads' convolutions.
        box_features: outputs of each of the box head's two hidden layers.
        smallest_anchor: side of the finest level's anchors in pixels of the resized image.
        arguments: further arguments of torchvision's detector.

    Returns:
        The detector; its parts `transform`, `rpn` and `roi_heads` are used.
    """
    from torchvision.models.detection import FasterRCNN, MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.ops import MultiScaleRoIAlign
    from torchvision.ops.poolers import initLevelMapper

    from passband.models.detection.draws import SeededSampler, SeededTransform

    levels = [str(level) for level in range(LEVELS)]
    box_pool = MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2)
    anchors = tuple((smallest_anchor << level,) for level in range(LEVELS + 1))
    parts: dict[str, Any] = {
        "rpn_anchor_generator": AnchorGenerator(anchors, ((0.5, 1.0, 2.0),) * len(anchors)),
        "box_roi_pool": box_pool,
        "box_head": TwoMLPHead(features * 7 * 7, box_features),
        "box_predictor": FastRCNNPredictor(box_features, classes + 1),
    }
    network = FasterRCNN
    if masks:
        network = MaskRCNN
        parts["mask_head"] = MaskRCNNHeads(features, (features,) * 4, 1)
        parts["mask_predictor"] = MaskRCNNPredictor(features, features, classes + 1)
    detector: Any = network(backbone, **parts, **arguments)
    names = ("min_size", "max_size", "image_mean", "image_std", "size_divisible")
    detector.transform = SeededTransform(**{name: getattr(detector.transform, name) for name in names})
    pools = [box_pool, *([detector.roi_heads.mask_roi_pool] if masks else [])]
    for pool in pools:
        # torchvision guesses the strides from the first batch, and is wrong if its padding is large
        pool.scales = [1 / (STRIDE << level) for level in range(LEVELS)]
        first = STRIDE.bit_length() - 1
        pool.map_levels = initLevelMapper(first, first + LEVELS - 1)
    for part in (detector.rpn, detector.roi_heads):
        part.fg_bg_sampler = SeededSampler(
            part.fg_bg_sampler.batch_size_per_image, part.fg_bg_sampler.positive_fraction
        )
    return detector


def renormalize(body: nn.Module, norm: str) -> None:
    """Replace the batch normalization of a network.

    Args:
        body: network, changed in place.
        norm: one of `NORMS`.
    """
    from torchvision.ops import FrozenBatchNorm2d

    if norm == "batch":
        return
    for parent in list(body.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.BatchNorm2d):
                count = layer.num_features
                # 32 groups as published, with at least 4 channels each
                groups = max(1, min(32, count // 4))
                while count % groups:
                    groups -= 1
                setattr(
                    parent,
                    name,
                    FrozenBatchNorm2d(count, eps=layer.eps) if norm == "frozen" else nn.GroupNorm(groups, count),
                )
