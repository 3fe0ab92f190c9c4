"""Mask R-CNN and Faster R-CNN on frequency channels (Xu et al., CVPR 2020, section 4.4), and on RGB for comparison.

Region proposals, heads, losses and the resizing of images are those of torchvision's Mask R-CNN with a feature pyramid
(He et al., ICCV 2017; Lin et al., CVPR 2017), with the same parameter names: `channels="rgb"` with a ResNet-50 is
torchvision's network and takes its weights. Frequency channels replace the ResNet's first layers, as in
`models.classification.dct_resnet`: a cube at a stride of 4 pixels enters layer1.

The network takes one of two inputs, with the same weights; `models.detection.stem` defines the cube:

- Pixels: images are resized, and the cube is computed from their pixels.
- Coefficients: cubes as JPEG files store them, with the sizes of their images. Nothing is decoded or resized.

Boxes are in pixels of the original image in both cases. Masks stay as they are predicted, on 28 x 28 positions of each
box. `metrics.instance_scores.paste_masks` pastes them into the image one after the other, because a hundred of them at
once take gigabytes.

MACs of the backbone of ResNet-50 without its pyramid, by `analysis.cost`: 3.93 G with 24 channels and 4.09 G with RGB
for an image of 224 x 224; they grow with the number of pixels.

Differences from the published network: layer2 halves the resolution, as ResNet's does. Batches, anchors and losses are
torchvision's instead of mmdetection's. 48S and 64S are computed from images that are doubled by interpolation (see
`stem`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.channels import channel_subset
from passband.models.base import SavedNetwork
from passband.models.classification.dct_efficientnet import MEAN, STD, WIDTHS
from passband.models.classification.imagenet import HEADS, Mapped, load_imagenet
from passband.models.detection.parts import LEVELS, NORMS, backbone_classifier, build_detector, renormalize
from passband.models.detection.stem import DIVISIBLE, GRAY, CubeStem, batch_cubes
from passband.models.inputs import check_detection_batch
from passband.naming import entry, suggestion
from passband.processes import balanced, largest
from passband.weights_io import load_weights

BACKBONES = {"resnet18": 18, "resnet50": 50, "efficientnet-lite0": None}
"""Number of layers of each ResNet by the name of the backbone; None for another network."""
INPUTS = ("pixels", "coefficients")
Losses = dict[str, Float[Tensor, ""]]
DetectedInstances = dict[str, Tensor]


class FrequencyRCNN(
    SavedNetwork,
    library_name="passband",
    pipeline_tag="object-detection",
    license="mit",
    paper_url="https://arxiv.org/abs/2002.12416",
    tags=["object-detection", "instance-segmentation", "dct", "frequency-domain"],
):
    """Find the instances of categories in images: boxes, scores, labels, and masks.

    Args:
        channels: name from `layers.channels.SUBSETS` or channel numbers, ascending; `"rgb"` or None for pixels.
        classes: number of categories, without the background.
        masks: whether to predict masks (Mask R-CNN) or only boxes (Faster R-CNN).
        backbone: name of the backbone, a key of `BACKBONES`.
        width: channels of a ResNet's 3 x 3 convolutions in layer1; 2, 4 and 8 times as many in the layers after it. The
            widths of EfficientNet-Lite0 are fixed.
        features: channels of the pyramid and of the heads' convolutions.
        box_features: outputs of each of the box head's two hidden layers.
        norm: normalization of the backbone; pyramid and heads have none. `"batch"` is for training from fresh weights
            in large batches. `"frozen"` is batch normalization that keeps its statistics and scales, for pretrained
            weights. `"group"` is for fresh weights in small batches (Wu and He, ECCV 2018).
        input: `"pixels"` takes images, `"coefficients"` takes cubes of JPEG coefficients.
        min_size: shorter side of resized images, in pixels; of several, training draws one, and evaluation uses the
            last.
        max_size: longest side of resized images, in pixels.
        mean: mean of each channel, which is subtracted; None for ImageNet's. For pixels of EfficientNet-Lite0, None is
            the mean that its published weights were trained with.
        std: standard deviation of each channel, by which it is divided; None as for `mean`.
        chroma_ratio: reduction of chroma, see `models.detection.stem`.
        doubled: whether images are doubled first, see `models.detection.stem`.
        smallest_anchor: side of the finest level's anchors in pixels of the resized image; each next level doubles it.
        backbone_weights: weights that the backbone starts from, see `load_backbone`: weights of a classifier of the
            same channels, or `"imagenet"`, see `models.classification.imagenet.load_imagenet`; None for fresh weights.
        frozen_layers: number of the backbone's first layers that are not trained: 1 for layer1 and the layers before
            it, up to 4.
        box_score_thresh: least score of an instance.
        box_nms_thresh: overlap above which the lower of two boxes of a category is dropped.
        box_detections_per_img: largest number of instances in an image.
        box_batch_size_per_image: boxes of an image that the box head is trained on.
        rpn_batch_size_per_image: anchors of an image that the proposals are trained on.
        rpn_pre_nms_top_n_train: proposals of a level in training, before overlapping ones are dropped.
        rpn_pre_nms_top_n_test: proposals of a level in evaluation, before overlapping ones are dropped.
        rpn_post_nms_top_n_train: proposals of an image in training.
        rpn_post_nms_top_n_test: proposals of an image in evaluation.

    Raises:
        ValueError: if an argument is invalid, or weights of the backbone do not fit.
        CheckpointError: if weights of the backbone cannot be read.
    """

    task = "detection"

    transform: nn.Module
    rpn: nn.Module
    roi_heads: nn.Module

    def __init__(
        self,
        channels: str | Sequence[int] | None = "24S",
        classes: int = 80,
        masks: bool = True,
        backbone: str = "resnet50",
        width: int = 64,
        features: int = 256,
        box_features: int = 1024,
        norm: str = "batch",
        input: str = "pixels",
        min_size: int | Sequence[int] = 800,
        max_size: int = 1333,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        chroma_ratio: int = 2,
        doubled: bool = False,
        smallest_anchor: int = 32,
        backbone_weights: str | None = None,
        frozen_layers: int = 0,
        box_score_thresh: float = 0.05,
        box_nms_thresh: float = 0.5,
        box_detections_per_img: int = 100,
        box_batch_size_per_image: int = 512,
        rpn_batch_size_per_image: int = 256,
        rpn_pre_nms_top_n_train: int = 2000,
        rpn_pre_nms_top_n_test: int = 1000,
        rpn_post_nms_top_n_train: int = 2000,
        rpn_post_nms_top_n_test: int = 1000,
    ):
        torchvision_arguments = {
            "box_score_thresh": box_score_thresh,
            "box_nms_thresh": box_nms_thresh,
            "box_detections_per_img": box_detections_per_img,
            "box_batch_size_per_image": box_batch_size_per_image,
            "rpn_batch_size_per_image": rpn_batch_size_per_image,
            "rpn_pre_nms_top_n_train": rpn_pre_nms_top_n_train,
            "rpn_pre_nms_top_n_test": rpn_pre_nms_top_n_test,
            "rpn_post_nms_top_n_train": rpn_post_nms_top_n_train,
            "rpn_post_nms_top_n_test": rpn_post_nms_top_n_test,
        }
        arguments = {
            "channels": channels,
            "classes": classes,
            "masks": masks,
            "backbone": backbone,
            "width": width,
            "features": features,
            "box_features": box_features,
            "norm": norm,
            "input": input,
            "min_size": min_size,
            "max_size": max_size,
            "mean": mean,
            "std": std,
            "chroma_ratio": chroma_ratio,
            "doubled": doubled,
            "smallest_anchor": smallest_anchor,
            "backbone_weights": None,  # the saved weights include those that training started from
            "frozen_layers": frozen_layers,
            **torchvision_arguments,
        }
        super().__init__()
        from torchvision.models.detection.backbone_utils import BackboneWithFPN

        variants = {"resnet18": "dct-mask-rcnn-resnet18", "efficientnet-lite0": "dct-mask-rcnn-lite0"}
        self.name = variants.get(backbone, "dct-mask-rcnn")
        self.arguments = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
        self.depth = entry(backbone, BACKBONES, "backbone")
        self.is_rgb = channels is None or channels == "rgb"
        self.classes, self.masks, self.input, self.norm, self.width = classes, masks, input, norm, width
        if input not in INPUTS or (self.is_rgb and input != "pixels"):
            raise ValueError(
                f"input is pixels, or coefficients for frequency channels; got {input!r} with channels {channels!r}"
            )
        if norm not in NORMS:
            raise ValueError(f"norm is one of {', '.join(NORMS)}; got {norm!r}.{suggestion(norm, NORMS)}")
        if not 0 <= frozen_layers <= LEVELS:
            raise ValueError(f"frozen_layers is 0 to {LEVELS}; got {frozen_layers}")
        sizes = (min_size,) if isinstance(min_size, int) else tuple(min_size)
        if not sizes or min(sizes) < 1 or max_size < max(sizes):
            raise ValueError(f"min_size needs sides of 1 to max_size = {max_size} pixels; got {sizes}")
        if min(classes, features, box_features, smallest_anchor) < 1:
            raise ValueError("classes, features, box_features and smallest_anchor are at least 1")

        if self.is_rgb and (mean is None) != (std is None):
            raise ValueError("give mean and std of the pixels both, or neither for ImageNet's")
        if self.is_rgb and self.depth is None and mean is None:
            mean, std = [MEAN] * 3, [STD] * 3
        stem = None
        if not self.is_rgb:
            subset = channel_subset(channels)  # type: ignore[arg-type]
            stem = CubeStem(
                subset, mean, std, takes_pixels=input == "pixels", chroma_ratio=chroma_ratio, doubled=doubled
            )
        self.channels = 3 if stem is None else len(stem.mean)
        network = backbone_classifier(self.channels, self.depth, self.width, stem=self.is_rgb)
        body = nn.Sequential(OrderedDict(network.named_children()))
        if stem is not None:
            body = nn.Sequential(OrderedDict([("stem", stem), *body.named_children()]))
        renormalize(body, norm)
        first = ("conv1", "bn1", "conv_stem", "bn_stem", "layer0")
        frozen = [f"layer{layer}" for layer in range(1, frozen_layers + 1)] + [*first] * bool(frozen_layers)
        for step, module in body.named_children():
            if step in frozen:
                module.requires_grad_(False)
        outlets = {f"layer{level + 1}": str(level) for level in range(LEVELS)}
        outgoing = [*WIDTHS]
        if self.depth is not None:
            outgoing = [(width << level) * (4 if self.depth == 50 else 1) for level in range(LEVELS)]
        self.backbone = BackboneWithFPN(body, outlets, outgoing, features)

        detector = build_detector(
            self.backbone,
            masks,
            classes,
            features,
            box_features,
            smallest_anchor,
            min_size=sizes,
            max_size=max_size,
            # with this normalization the padding of batches is zero: a mean pixel, or one with zero coefficients
            image_mean=mean if self.is_rgb else [GRAY] * 3,
            image_std=std if self.is_rgb else [1.0] * 3,
            size_divisible=DIVISIBLE,
            **torchvision_arguments,
        )
        if backbone_weights is not None:
            self.load_backbone(None if backbone_weights == "imagenet" else load_weights(backbone_weights))
        self.transform, self.rpn, self.roi_heads = detector.transform, detector.rpn, detector.roi_heads
        self.is_synchronized = False  # set by processes.synchronize: batches are those of all processes

    def forward(
        self,
        images: list[Float[Tensor, "_ _ _"]],
        targets: list[dict[str, Tensor]] | None = None,
        sizes: list[tuple[int, int]] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Losses | list[DetectedInstances]:
        """Return losses in training and instances in evaluation.

        Args:
            images: RGB images in [0, 1] of any sizes; or, for coefficients, cubes that are not normalized, in the units
                of `ops.cube`.
            targets: instances of each image, needed for training: `boxes` (x1, y1, x2, y2 in pixels of the image),
                `labels` from 1, and `masks` of the image's size if masks are predicted. An image without instances has
                empty tensors.
            sizes: height and width of the images in pixels, for cubes; None for images.
            seeds: seed of the random choices for each image in training: its size, and the anchors and proposals to
                learn from. None draws them from the random state of the process.

        Returns:
            In training, five losses by torchvision's names (four without masks). In evaluation, for each image `boxes`,
            `labels` and `scores`, highest first, and `mask_probs` (N 1 28 28: probabilities on a grid over each box).

        Raises:
            ValueError: if images are of another kind, training has no targets, or a box has no area.
        """
        from torchvision.models.detection.image_list import ImageList
        from torchvision.models.detection.transform import resize_boxes

        check_detection_batch(images, targets, sizes, self)
        samplers: list[Any] = [self.rpn.fg_bg_sampler, self.roi_heads.fg_bg_sampler]
        drawing: list[Any] = [self.transform, *samplers]
        for part in drawing:
            part.seeds = seeds
        if self.input == "pixels":
            shown = [(image.shape[-2], image.shape[-1]) for image in images]
            batch, targets = self.transform(images, targets)
            tensors = batch.tensors
        else:
            shown = list(sizes or ())
            tensors, in_pixels = batch_cubes(images, shown, largest if self.training and self.is_synchronized else None)
            batch = ImageList(in_pixels, shown)
        # bfloat16 cannot hold fractions of pixels in large images, so autocast ends before the boxes
        features = OrderedDict((level, _at_least_single(feature)) for level, feature in self.backbone(tensors).items())
        with torch.autocast(tensors.device.type, enabled=False):
            proposals, losses = self.rpn(batch, features, targets)
            found, more = self.roi_heads(features, proposals, batch.image_sizes, targets)
        if self.training:
            losses = {**more, **losses}
            return self._balanced(losses, *samplers) if self.is_synchronized else losses
        results = []
        for one, resized, size in zip(found, batch.image_sizes, shown, strict=True):
            result = {**one, "boxes": resize_boxes(one["boxes"], list(resized), list(size))}
            if self.masks:
                result["mask_probs"] = result.pop("masks")
            results.append(result)
        return results

    @staticmethod
    def _balanced(losses: Losses, anchors: Any, proposals: Any) -> Losses:
        """Weight losses so that their means over processes are those over all anchors, proposals and instances."""
        chosen = anchors.chosen
        counts = {"loss_objectness": chosen, "loss_rpn_box_reg": chosen, "loss_mask": proposals.positives}
        return {name: balanced(loss, counts.get(name, proposals.chosen)) for name, loss in losses.items()}

    def load_backbone(self, state: dict[str, Tensor] | None = None) -> Mapped:
        """Load a classifier's weights into the backbone; pyramid and heads keep theirs.

        Args:
            state: weights of a classifier of the same kind, such as torchvision's ResNet or a `FrequencyResNet`; None
                takes weights of ImageNet. If the weights of the first block have more channels, the first ones are
                used, see `models.classification.imagenet.load_imagenet`.

        Returns:
            The entries that were copied, sliced and left.

        Raises:
            ValueError: if the weights are of another network, or the normalization is `"group"`, whose scales have
                another meaning.
        """
        if self.norm == "group":
            raise ValueError('weights of a classifier are with batch normalization: set norm to "frozen" or "batch"')
        network = backbone_classifier(self.channels, self.depth, self.width, stem=self.is_rgb)
        mapped = load_imagenet(network, state)
        left = {*mapped.fresh}
        self.backbone.body.load_state_dict(
            {
                name: value
                for name, value in network.state_dict().items()
                if name not in left and not (name.startswith(HEADS) or (self.norm == "frozen" and "tracked" in name))
            },
            strict=False,
        )
        return mapped


def dct_mask_rcnn(**overrides: Any) -> FrequencyRCNN:
    """Build Mask R-CNN with a ResNet-50 of 24 frequency channels; `channels="rgb"` builds torchvision's.

    Args:
        overrides: arguments of `FrequencyRCNN` that differ from this network's.
    """
    return FrequencyRCNN(**overrides)


def dct_mask_rcnn_lite0(**overrides: Any) -> FrequencyRCNN:
    """Build a small variant with EfficientNet-Lite0, which can start from ImageNet weights of a Python package.

    Args:
        overrides: arguments of `FrequencyRCNN` that differ from this network's.
    """
    small = {"backbone": "efficientnet-lite0", "features": 96, "box_features": 256}
    return FrequencyRCNN(**{**small, **overrides})


def dct_mask_rcnn_resnet18(**overrides: Any) -> FrequencyRCNN:
    """Build a small variant with a narrow ResNet-18, for work without a GPU.

    Args:
        overrides: arguments of `FrequencyRCNN` that differ from this network's.
    """
    small = {"backbone": "resnet18", "width": 32, "features": 64, "box_features": 256, "norm": "group"}
    return FrequencyRCNN(**{**small, **overrides})


def _at_least_single(feature: Tensor) -> Tensor:
    return feature.float() if feature.dtype in (torch.bfloat16, torch.float16) else feature
