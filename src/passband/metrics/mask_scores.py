"""Named ways to score masks.

Figures of different protocols are different quantities, so a protocol's name stands beside every figure, and so does
what an empty answer gets (`all_background`): by `lab_macro` nearly half of the points. In all of them logits are
enlarged bilinearly to the size of the mask before anything is decided, and every table has `foreground_dice` and
`foreground_iou`: of the foreground at probability .5, per picture, then the mean.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from passband.metrics.counting import count_pairs
from passband.naming import entry
from passband.ops.checks import check_floats, shape_of

LEVELS = 256
"""Thresholds of the protocol `pranet`."""

MaskMetrics = dict[str, float]
"""Name to value, in [0, 1]."""


@dataclass(frozen=True)
class Protocol:
    """A named way to score."""

    summary: str
    """What is done, in a sentence."""
    figures: tuple[str, ...]
    """Names of the figures, the main one first."""
    picture: Callable[[Float[Tensor, "K H W"], Int[Tensor, "H W"]], MaskMetrics] | None
    """The figures of a picture, from logits of the mask's size; None where only a whole set has any."""
    binary: bool = False
    """Whether it is for masks of foreground and background alone."""


def class_counts(predicted: Int[Tensor, "..."], mask: Int[Tensor, "..."], classes: int) -> Int64[Tensor, "K K"]:
    """How many pixels of a class (row) were taken for a class (column).

    Args:
        predicted: numbers of classes.
        mask: the true ones.
        classes: how many there are with the background.

    Raises:
        TypeError: for values that are not integers.
        ValueError: for shapes that differ, or numbers that are not from 0 to classes - 1.
    """
    return count_pairs(mask, predicted, classes, "class_counts", ("mask", "predicted"))


def predicted_classes(logits: Float[Tensor, "*B K H W"]) -> Int64[Tensor, "*B H W"]:
    """The class of each pixel: of one logit, 1 where the probability is above .5; else the class of the greatest.

    Args:
        logits: NaN counts as background.
    """
    check_floats(logits, "predicted_classes")
    logits = logits.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return (logits[..., 0, :, :] > 0).long() if logits.shape[-3] == 1 else logits.argmax(-3)


def macro_figures(counts: Int[Tensor, "K K"]) -> MaskMetrics:
    """Accuracy, and the means over classes of F1, precision, recall and IoU, as scikit-learn has them.

    Classes that neither the truth nor the answer has are left out, as `labels=None` does; what would be 0 / 0 is 0, as
    with `zero_division=0`.

    Args:
        counts: true class (row), taken for (column).
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
    """Dice and IoU of the foreground: of several classes the mean over those that truth or answer have.

    An empty answer to an empty mask is right: 1.

    Args:
        counts: true class (row), taken for (column); 0 is the background.
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
    """Dice and IoU of a picture at 256 thresholds, by two histograms.

    The map is stretched so that its least value is 0 and its greatest 1, and rounded to 255 levels, as maps are when
    they are saved as pictures; a pixel is foreground where its level is at least the threshold's. A constant map has
    level 0. What would be 0 / 0 is 0.

    Args:
        probability: of the foreground.
        mask: 1 for foreground.

    Returns:
        Dice and IoU in float64, for levels 0 to 255.

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
    """A map from its least to its greatest value, as levels 0 to 255; one that is constant but for rounding is 0."""
    values = probability.double()
    least, greatest = values.aminmax()
    span = greatest - least
    if span <= 1e-9 * greatest:
        return torch.zeros_like(values, dtype=torch.int64)
    # as published, so that a map of next to nothing stays so
    return ((values - least) / (span + 1e-8) * (LEVELS - 1)).round().long()


def lab_macro(logits: Float[Tensor, "K H W"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
    """Of a picture, `macro_figures` over the background and the other classes."""
    return macro_figures(class_counts(predicted_classes(logits), mask, max(len(logits), 2)))


def pranet(logits: Float[Tensor, "1 H W"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
    """Of a picture, the means over 256 thresholds of `threshold_curves`, and the mean absolute error."""
    probability = logits[0].double().sigmoid()
    dice, iou = threshold_curves(probability, mask)
    error = (stretched_levels(probability).double() / (LEVELS - 1) - mask).abs()
    return {"mean_dice": dice.mean().item(), "mean_iou": iou.mean().item(), "mae": error.mean().item()}


def binary(logits: Float[Tensor, "1 H W"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
    """Of a picture, Dice and IoU of the foreground at probability .5; 1 of an empty answer to an empty mask."""
    found = foreground_figures(class_counts(predicted_classes(logits), mask, 2))
    return {"dice": found["foreground_dice"], "iou": found["foreground_iou"]}


def micro_figures(counts: Int[Tensor, "K K"]) -> MaskMetrics:
    """Dice, IoU, precision and recall of all pixels of a set together, the foreground's classes pooled.

    What would be 0 / 0 is 0; Dice and IoU of empty answers to empty masks are 1.

    Args:
        counts: of all pictures.

    Returns:
        Also `accuracy`, and `class_iou`: the mean over classes, with the background, of each one's IoU.
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
        "at probability .5, means over background and foreground of each picture's figures, then over pictures",
        ("iou", "f1", "precision", "recall", "accuracy"),
        lab_macro,
    ),
    "pranet": Protocol(
        "each map stretched from its least to its greatest value; means over 256 thresholds of each picture's Dice and "
        "IoU, then over pictures",
        ("mean_dice", "mean_iou", "mae"),
        pranet,
        binary=True,
    ),
    "binary": Protocol(
        "at probability .5, each picture's Dice and IoU of the foreground, then the mean over pictures",
        ("dice", "iou"),
        binary,
        binary=True,
    ),
    "micro": Protocol(
        "at probability .5, of the pixels of all pictures together",
        ("dice", "iou", "precision", "recall", "accuracy", "class_iou"),
        None,
    ),
}


class SegmentationScores:
    """Scores of a set, picture by picture.

    Args:
        protocol: a key of `PROTOCOLS`.
        classes: 1 for foreground and background, else how many there are with the background.

    Raises:
        ValueError: for an unknown protocol, or one for binary masks where there are several classes.
    """

    def __init__(self, protocol: str, classes: int):
        self.protocol = entry(protocol, PROTOCOLS, "protocol")
        if self.protocol.binary and classes != 1:
            others = ", ".join(name for name, other in PROTOCOLS.items() if not other.binary)
            raise ValueError(f"protocol {protocol} is for binary masks, and there are {classes} classes: use {others}")
        self.classes = classes
        self.counts = torch.zeros(max(classes, 2), max(classes, 2), dtype=torch.int64)
        self.pictures: list[MaskMetrics] = []

    def add(self, logits: Float[Tensor, "K h w"], mask: Int[Tensor, "H W"]) -> MaskMetrics:
        """Score a picture.

        Args:
            logits: of any size and on any device; they are enlarged (or shrunk) bilinearly to that of the mask.
            mask: the true classes.

        Returns:
            Its figures by the protocol, and `foreground_dice` and `foreground_iou`.

        Raises:
            ValueError: for another number of logits, or values of the mask that are no classes.
        """
        check_floats(logits, "SegmentationScores.add")
        if logits.ndim != 3 or mask.ndim != 2:
            raise ValueError(
                f"SegmentationScores.add needs logits K H W and a mask H W of one picture, got logits of "
                f"{shape_of(logits)} and a mask of {shape_of(mask)}."
            )
        if len(logits) != self.classes:
            raise ValueError(f"{self.classes} maps of logits are needed, one per class; got {len(logits)}")
        if not mask.numel() or int(mask.min()) < 0 or int(mask.max()) >= len(self.counts):
            raise ValueError(f"a mask has the classes 0 to {len(self.counts) - 1} at one pixel at least")
        # in double precision, which not every device has, a constant map stays constant when it is enlarged
        logits, mask = resized_logits(logits[None].detach().cpu().double(), mask.shape)[0], mask.cpu()
        counts = class_counts(predicted_classes(logits), mask, len(self.counts))
        self.counts += counts
        own = self.protocol.picture(logits, mask) if self.protocol.picture else micro_figures(counts)
        figures = {**own, **foreground_figures(counts)}
        self.pictures.append(figures)
        return figures

    def total(self) -> MaskMetrics:
        """The figures of all pictures together: means of theirs, or those of all pixels by `micro`.

        Raises:
            ValueError: where no picture was scored.
        """
        if not self.pictures:
            raise ValueError("no picture was scored: add some first")
        means = {
            name: sum(figures[name] for figures in self.pictures) / len(self.pictures) for name in self.pictures[0]
        }
        return means if self.protocol.picture else {**means, **micro_figures(self.counts)}


def resized_logits(logits: Float[Tensor, "B K h w"], size: Any) -> Float[Tensor, "B K H W"]:
    """Logits of another size, bilinearly, without smoothing.

    Args:
        logits: of the network.
        size: height and width wanted.
    """
    if logits.shape[-2:] == tuple(size):
        return logits
    return F.interpolate(logits, tuple(size), mode="bilinear", align_corners=False)


def all_background(protocol: str, masks: Iterable[Int[Tensor, "_ _"]], classes: int = 1) -> MaskMetrics:
    """What a network gets that finds nothing, to stand beside every table.

    Args:
        protocol: a key of `PROTOCOLS`.
        masks: the true classes.
        classes: as for `SegmentationScores`.
    """
    scores = SegmentationScores(protocol, classes)
    nothing = torch.full((classes, 1, 1), -1.0)
    if classes > 1:
        nothing[0] = 1.0
    for mask in masks:
        scores.add(nothing, mask)
    return scores.total()


def _ratio(part: Float[Tensor, "*N"], whole: Float[Tensor, "*N"] | Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """A quotient that is 0 where it would be 0 / 0."""
    empty: Bool[Tensor, "*N"] = whole == 0
    return torch.where(empty, 0.0, part / torch.where(empty, 1.0, whole))
