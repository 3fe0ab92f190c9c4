"""Scores masks by named protocols.

Values of different protocols are different quantities. Therefore the protocol's name is always given with a value, and
so is the value of predicting only background (`all_background`): by `lab_macro` this scores nearly 50 %. In all
protocols, logits are enlarged bilinearly to the size of the mask before pixels are classified. Every table also has
`foreground_dice` and `foreground_iou`: the foreground at probability .5, per image, then the mean. `SegmentationScores`
leaves pixels with the label `ops.labels.IGNORED` out of everything.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from passband.metrics.counting import count_pairs
from passband.naming import entry
from passband.ops.checks import check_floats, shape_of
from passband.ops.labels import IGNORED, has_class
from passband.processes import in_turn, total

LEVELS = 256
"""Number of thresholds of the protocol `pranet`."""

MaskMetrics = dict[str, float]
"""Values in [0, 1] by the name of the metric."""


@dataclass(frozen=True)
class Protocol:
    """A named way to score."""

    summary: str
    """Description in one sentence."""
    figures: tuple[str, ...]
    """Names of the metrics, the main one first."""
    of_image: Callable[[Float[Tensor, "K H W"], Int[Tensor, "H W"]], MaskMetrics] | None
    """Function that computes the metrics of an image from logits of the mask's size; None if only a whole data set has
    metrics."""
    binary: bool = False
    """Whether the protocol is only for masks of foreground and background."""


def class_counts(predicted: Int[Tensor, "..."], mask: Int[Tensor, "..."], classes: int) -> Int64[Tensor, "K K"]:
    """Count the pixels of each true class (row) that were predicted as each class (column).

    Args:
        predicted: predicted labels.
        mask: true labels.
        classes: number of classes, including the background.

    Returns:
        The counts.

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if the shapes differ, or a label is not from 0 to classes - 1.
    """
    return count_pairs(mask, predicted, classes, "class_counts", ("mask", "predicted"))


def predicted_classes(logits: Float[Tensor, "*B K H W"]) -> Int64[Tensor, "*B H W"]:
    """Return the class of each pixel.

    For one map of logits this is 1 where the probability is above .5; otherwise it is the class with the largest logit.

    Args:
        logits: logits of each class; NaN counts as background.

    Returns:
        The label of each pixel.
    """
    check_floats(logits, "predicted_classes")
    logits = logits.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return (logits[..., 0, :, :] > 0).long() if logits.shape[-3] == 1 else logits.argmax(-3)


def macro_figures(counts: Int[Tensor, "K K"]) -> MaskMetrics:
    """Compute the accuracy, and the means over classes of F1, precision, recall and IoU, as scikit-learn does.

    Classes that are neither in the truth nor in the prediction are left out, as with `labels=None`; 0 / 0 counts as 0,
    as with `zero_division=0`.

    Args:
        counts: pixels of each true class (row) and predicted class (column).

    Returns:
        The metrics by name.
    """
    table = counts.double()
    right, true, taken = table.diagonal(), table.sum(1), table.sum(0)
    here = true + taken > 0
    right, true, taken = right[here], true[here], taken[here]
    return {
        "iou": _ratio(right, true + taken - right).mean().item(),
        "f1": _ratio(2 * right, true + taken).mean().item(),
        "precision": _ratio(right, taken).mean().item(),
        "recall": _ratio(right, true).mean().item(),
        "accuracy": (right.sum() / table.sum()).item(),
    }


def foreground_figures(counts: Int[Tensor, "K K"]) -> MaskMetrics:
    """Compute Dice and IoU of the foreground: the mean over the classes that are in the truth or in the prediction.

    Predicting an empty mask correctly scores 1.

    Args:
        counts: pixels of each true class (row) and predicted class (column); 0 is the background.

    Returns:
        The metrics by name.
    """
    table = counts.double()
    right, true, taken = table.diagonal()[1:], table.sum(1)[1:], table.sum(0)[1:]
    here = true + taken > 0
    if not here.any():
        return {"foreground_dice": 1.0, "foreground_iou": 1.0}
    right, true, taken = right[here], true[here], taken[here]
    return {
        "foreground_dice": (2 * right / (true + taken)).mean().item(),
        "foreground_iou": (right / (true + taken - right)).mean().item(),
    }


def threshold_curves(
    probability: Float[Tensor, "H W"], mask: Int[Tensor, "H W"]
) -> tuple[Float[Tensor, "256"], Float[Tensor, "256"]]:
    """Compute Dice and IoU of an image at 256 thresholds, from two histograms.

    The map is stretched so that its least value is 0 and its greatest is 1, and rounded to 256 levels, as maps are when
    they are saved as images. A pixel is foreground if its level is at least the threshold. A constant map has level 0.
    0 / 0 counts as 0.

    Args:
        probability: probability of the foreground, in [0, 1].
        mask: 1 for foreground.

    Returns:
        Dice and IoU in float64, for the thresholds 0 to 255.

    Raises:
        TypeError: if the map is not a tensor of floating-point values.
        ValueError: if the map and the mask differ in size.

    Source: Fan et al., "PraNet", MICCAI 2020, and its evaluation.
    """
    check_floats(probability, "threshold_curves")
    if probability.shape != mask.shape:
        raise ValueError(
            f"threshold_curves needs a map and a mask of one size, got {shape_of(probability)} and {shape_of(mask)}."
        )
    levels = stretched_levels(probability)
    bins = torch.bincount(levels.flatten() + LEVELS * mask.flatten().long(), minlength=2 * LEVELS).view(2, LEVELS)
    wrong, right = bins.flip(1).cumsum(1).flip(1).double()
    true = bins[1].sum()
    return _ratio(2 * right, right + wrong + true), _ratio(right, wrong + true)


def stretched_levels(probability: Float[Tensor, "H W"]) -> Int64[Tensor, "H W"]:
    """Stretch a map from its least to its greatest value to levels 0 to 255.

    Args:
        probability: values of any range; NaN counts as 0.

    Returns:
        Levels; 0 everywhere if the map is constant.
    """
    values = probability.double().nan_to_num(nan=0.0)
    least, greatest = values.aminmax()
    span = greatest - least
    if span <= 1e-9 * greatest:
        return torch.zeros_like(values, dtype=torch.int64)
    # the constant is the published one; it keeps a nearly constant map small
    return ((values - least) / (span + 1e-8) * (LEVELS - 1)).round().long()


def lab_macro(logits: Float[Tensor, "K H W"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
    """Compute `macro_figures` of an image over the background and the other classes.

    Args:
        logits: logits of the mask's size, one map for each class with the background, or a single map of the
            foreground.
        mask: true labels, from 0 to K - 1, or 0 and 1 for a single map.

    Returns:
        The metrics of `macro_figures`.
    """
    return macro_figures(class_counts(predicted_classes(logits), mask, max(len(logits), 2)))


def pranet(logits: Float[Tensor, "1 H W"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
    """Compute the means of `threshold_curves` of an image over 256 thresholds, and the mean absolute error.

    Args:
        logits: logits of the foreground.
        mask: 1 for foreground and 0 for background.

    Returns:
        `mean_dice`, `mean_iou` and `mae`.
    """
    probability = logits[0].double().sigmoid()
    dice, iou = threshold_curves(probability, mask)
    error = (stretched_levels(probability).double() / (LEVELS - 1) - mask).abs()
    return {"mean_dice": dice.mean().item(), "mean_iou": iou.mean().item(), "mae": error.mean().item()}


def binary(logits: Float[Tensor, "1 H W"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
    """Compute Dice and IoU of an image's foreground at probability .5.

    Args:
        logits: logits of the foreground.
        mask: 1 for foreground and 0 for background.

    Returns:
        `dice` and `iou`; 1 for an empty mask that was predicted correctly.
    """
    found = foreground_figures(class_counts(predicted_classes(logits), mask, 2))
    return {"dice": found["foreground_dice"], "iou": found["foreground_iou"]}


def micro_figures(counts: Int[Tensor, "K K"]) -> MaskMetrics:
    """Compute Dice, IoU, precision and recall of all pixels of a data set together, with all foreground classes pooled.

    0 / 0 counts as 0; predicting empty masks correctly scores Dice and IoU of 1.

    Args:
        counts: pixels of all images.

    Returns:
        These metrics, `accuracy`, and `class_iou`: the mean IoU over classes, including the background.
    """
    table = counts.double()
    right, true, taken = (part[1:].sum() for part in (table.diagonal(), table.sum(1), table.sum(0)))
    empty = bool(true + taken == 0)
    return {
        "dice": 1.0 if empty else (2 * right / (true + taken)).item(),
        "iou": 1.0 if empty else (right / (true + taken - right)).item(),
        "precision": _ratio(right, taken).item(),
        "recall": _ratio(right, true).item(),
        "accuracy": (table.trace() / table.sum()).item(),
        "class_iou": macro_figures(counts)["iou"],
    }


PROTOCOLS: dict[str, Protocol] = {
    "lab_macro": Protocol(
        "at probability .5, means over background and foreground of each image's values, then over images",
        ("iou", "f1", "precision", "recall", "accuracy"),
        lab_macro,
    ),
    "pranet": Protocol(
        "each map stretched from its least to its greatest value; means over 256 thresholds of each image's Dice and "
        "IoU, then over images",
        ("mean_dice", "mean_iou", "mae"),
        pranet,
        binary=True,
    ),
    "binary": Protocol(
        "at probability .5, each image's Dice and IoU of the foreground, then the mean over images",
        ("dice", "iou"),
        binary,
        binary=True,
    ),
    "micro": Protocol(
        "at probability .5, over the pixels of all images together",
        ("dice", "iou", "precision", "recall", "accuracy", "class_iou"),
        None,
    ),
}


class SegmentationScores:
    """Scores of a data set, image by image.

    Args:
        protocol: name of the protocol, a key of `PROTOCOLS`.
        classes: 1 for foreground and background, otherwise the number of classes including the background.

    Raises:
        ValueError: if the protocol is unknown, or is for binary masks while there are several classes, or if
            there is no class.
    """

    def __init__(self, protocol: str, classes: int):
        self.protocol = entry(protocol, PROTOCOLS, "protocol")
        if classes < 1:
            raise ValueError(f"classes must be 1 for binary masks, or the number of classes; got {classes}")
        if self.protocol.binary and classes != 1:
            others = ", ".join(name for name, other in PROTOCOLS.items() if not other.binary)
            raise ValueError(f"protocol {protocol} is for binary masks, and there are {classes} classes: use {others}")
        self.classes = classes
        self.counts = torch.zeros(max(classes, 2), max(classes, 2), dtype=torch.int64)
        self.per_image: list[MaskMetrics] = []

    def add(self, logits: Float[Tensor, "K h w"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
        """Score an image.

        Args:
            logits: logits of any size and on any device; they are resized bilinearly to the size of the mask.
            mask: true labels, or `ops.labels.IGNORED` for pixels that are not scored.

        Returns:
            The image's metrics by the protocol, and `foreground_dice` and `foreground_iou`. Empty for a mask without
            pixels to score, which does not count as an image.

        Raises:
            ValueError: if the number of maps does not fit, or values of the mask are not classes.
        """
        check_floats(logits, "SegmentationScores.add")
        if logits.ndim != 3 or mask.ndim != 2:
            raise ValueError(
                f"SegmentationScores.add needs logits K H W and a mask H W of one image, got logits of "
                f"{shape_of(logits)} and a mask of {shape_of(mask)}."
            )
        if len(logits) != self.classes:
            raise ValueError(f"{self.classes} maps of logits are needed, one per class; got {len(logits)}")
        mask = mask.cpu()
        counted = has_class(mask)
        if mask.numel() and (int(mask.min()) < IGNORED or int(mask.max()) >= len(self.counts)):
            raise ValueError(
                f"a mask must have the classes 0 to {len(self.counts) - 1}, or {IGNORED} for pixels that are not scored"
            )
        if not counted.any():
            return {}
        # a constant map stays constant when it is enlarged in double precision, which only the CPU always has
        logits = resized_logits(logits[None].detach().cpu().double(), mask.shape)[0]
        if not counted.all():  # no figure depends on the places of pixels
            logits, mask = logits[:, None, counted], mask[None, counted]
        counts = class_counts(predicted_classes(logits), mask, len(self.counts))
        self.counts += counts
        own = self.protocol.of_image(logits, mask) if self.protocol.of_image else micro_figures(counts)
        figures = {**own, **foreground_figures(counts)}
        self.per_image.append(figures)
        return figures

    def gather(self, batches: list[list[MaskMetrics]]) -> None:
        """Take over the scores of all processes of a run, which score its batches in turn.

        Args:
            batches: results of `add` for each batch of this process.
        """
        self.counts = total(self.counts)
        self.per_image = list(chain(*in_turn(batches)))

    def total(self) -> MaskMetrics:
        """Compute the metrics of all images together: the means over images, or by `micro` those of all pixels.

        Raises:
            ValueError: if no image was scored.
        """
        if not self.per_image:
            raise ValueError("at least one image must be scored first; call add")
        means = {
            name: sum(figures[name] for figures in self.per_image) / len(self.per_image) for name in self.per_image[0]
        }
        return means if self.protocol.of_image else {**means, **micro_figures(self.counts)}


def resized_logits(logits: Float[Tensor, "B K h w"], size: Any) -> Float[Tensor, "B K H W"]:
    """Resize logits bilinearly, without smoothing.

    Args:
        logits: output of a network.
        size: new height and width.

    Returns:
        The resized logits.
    """
    if logits.shape[-2:] == tuple(size):
        return logits
    return F.interpolate(logits, tuple(size), mode="bilinear", align_corners=False)


def all_background(protocol: str, masks: Iterable[Int[Tensor, "_ _"]], classes: int = 1) -> MaskMetrics:
    """Score a network that predicts only background, as a reference for tables.

    Args:
        protocol: name of the protocol, a key of `PROTOCOLS`.
        masks: true labels of each image.
        classes: number of classes, as for `SegmentationScores`.

    Returns:
        The metrics by name.
    """
    scores = SegmentationScores(protocol, classes)
    nothing = torch.full((classes, 1, 1), -1.0)
    if classes > 1:
        nothing[0] = 1.0
    for mask in masks:
        scores.add(nothing, mask)
    return scores.total()


def _ratio(part: Float[Tensor, "*N"], whole: Float[Tensor, "*N"] | Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """Divide, and return 0 for 0 / 0."""
    empty: Bool[Tensor, "*N"] = whole == 0
    return torch.where(empty, 0.0, part / torch.where(empty, 1.0, whole))
