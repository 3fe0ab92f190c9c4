"""What training of segmentation minimizes: cross-entropies, soft Dice losses, and their sums.

All compute in float32 at least, whatever autocast says, and take logits and masks of one size.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Num
from torch import Tensor

from passband.naming import entry
from passband.ops.checks import check_images, kind_of, shape_of

SMOOTH = 1.0
"""Pixels that `dice_loss` adds: they keep the gradient of nearly empty masks finite, and are little beside a mask of
hundreds."""


def binary_cross_entropy(logits: Float[Tensor, "B 1 H W"], mask: Num[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Mean over all pixels of the cross-entropy of foreground and background, in nats.

    Args:
        logits: of the foreground.
        mask: 1 for foreground, 0 for background, or the share of the foreground.
    """
    _check(logits, mask, "binary_cross_entropy", 1)
    return F.binary_cross_entropy_with_logits(_precise(logits)[:, 0], mask.to(_precise(logits).dtype))


def dice_loss(
    logits: Float[Tensor, "B 1 H W"], mask: Num[Tensor, "B H W"], smooth: float = SMOOTH
) -> Float[Tensor, ""]:
    """Mean over pictures of 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), with the probability p of t = 1.

    Of an empty mask this is sum p / (sum p + smooth): 0 for an empty answer, and nearly 1 for any other.

    Args:
        logits: of the foreground.
        mask: 1 for foreground, 0 for background, or the share of the foreground.
        smooth: above 0, in pixels.

    Source: Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, without the squares in the denominator.
    """
    _check(logits, mask, "dice_loss", 1)
    return _soft_dice(_precise(logits).sigmoid(), mask[:, None].to(_precise(logits).dtype), smooth).mean()


def binary_cross_entropy_and_dice(logits: Float[Tensor, "B 1 H W"], mask: Num[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """The sum of `binary_cross_entropy` and `dice_loss`."""
    return binary_cross_entropy(logits, mask) + dice_loss(logits, mask)


def cross_entropy(logits: Float[Tensor, "B K H W"], mask: Int[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Mean over all pixels of the cross-entropy of several classes, in nats.

    Args:
        logits: one per class.
        mask: numbers of classes.
    """
    _check(logits, mask, "cross_entropy")
    return F.cross_entropy(_precise(logits), mask.long())


def class_dice_loss(
    logits: Float[Tensor, "B K H W"], mask: Int[Tensor, "B H W"], smooth: float = SMOOTH
) -> Float[Tensor, ""]:
    """Mean over pictures and classes, the background among them, of `dice_loss` of each class against the others.

    A class that a picture has not is there an empty mask.

    Args:
        logits: one per class.
        mask: numbers of classes.
        smooth: above 0, in pixels.
    """
    _check(logits, mask, "class_dice_loss")
    truth = F.one_hot(mask.long(), logits.shape[1]).movedim(-1, 1)
    probabilities = _precise(logits).softmax(1)
    return _soft_dice(probabilities, truth.to(probabilities.dtype), smooth).mean()


def cross_entropy_and_class_dice(logits: Float[Tensor, "B K H W"], mask: Int[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """The sum of `cross_entropy` and `class_dice_loss`."""
    return cross_entropy(logits, mask) + class_dice_loss(logits, mask)


SegmentationLoss = Callable[[Tensor, Tensor], Tensor]
"""Takes logits B K H W and masks B H W, gives a scalar."""
SEGMENTATION_LOSSES: dict[str, tuple[SegmentationLoss, SegmentationLoss]] = {
    "cross_entropy": (binary_cross_entropy, cross_entropy),
    "dice": (dice_loss, class_dice_loss),
    "cross_entropy+dice": (binary_cross_entropy_and_dice, cross_entropy_and_class_dice),
}
"""By name, the loss of one logit (foreground or not), and that of one logit per class."""


def segmentation_loss(name: str, classes: int) -> SegmentationLoss:
    """The loss of a name.

    Args:
        name: a key of `SEGMENTATION_LOSSES`.
        classes: 1 for foreground or not, else how many there are with the background.

    Raises:
        ValueError: for an unknown name, naming the nearest.
    """
    return entry(name, SEGMENTATION_LOSSES, "loss")[classes > 1]


def _check(logits: Any, mask: Any, where: str, channels: int | None = None) -> None:
    """Refuse logits and masks that do not belong together, which torch might spread over each other."""
    check_images(logits, f"logits of {where}", channels)
    if not isinstance(mask, Tensor):
        raise TypeError(f"{where} needs a tensor B H W as its mask, got {kind_of(mask)}.")
    if mask.shape != (len(logits), *logits.shape[-2:]):
        more = " Leave out the axis of the channels: mask[:, 0]." if mask.ndim == 4 and mask.shape[1] == 1 else ""
        raise ValueError(
            f"{where} needs a mask B H W of the batch and the size of the logits, got a mask of {shape_of(mask)} and "
            f"logits of {shape_of(logits)}.{more}"
        )


def _precise(logits: Tensor) -> Tensor:
    """Logits in single precision at least."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _soft_dice(
    probabilities: Float[Tensor, "B K H W"], truth: Float[Tensor, "B K H W"], smooth: float
) -> Float[Tensor, "B K"]:
    """One minus the soft Dice coefficient of each map."""
    if smooth <= 0:
        raise ValueError(f"smooth is above 0, so that empty masks have a loss; got {smooth}")
    common = (probabilities * truth).sum((-2, -1))
    both = probabilities.sum((-2, -1)) + truth.sum((-2, -1))
    return 1 - (2 * common + smooth) / (both + smooth)
