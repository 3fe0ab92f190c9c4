"""Losses of segmentation: cross-entropies, soft Dice losses, and their sums.

All are computed in float32 or float64, also under autocast, from logits and masks of one size. Pixels with the label
`ops.labels.IGNORED` have no effect. A cross-entropy is the mean over the other pixels of an image, and then over
images, so that it does not depend on how processes split a batch.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from passband.naming import entry
from passband.ops.checks import check_images, kind_of, shape_of
from passband.ops.labels import IGNORED, has_class
from passband.ops.precision import widened

SMOOTH = 1.0
"""Pixels that `dice_loss` adds. They keep the gradient of nearly empty masks finite, and are few beside a mask of
hundreds of pixels."""


def binary_cross_entropy(logits: Float[Tensor, "B 1 H W"], mask: Num[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Compute the mean cross-entropy of foreground and background over all pixels, in nats.

    Args:
        logits: logits of the foreground.
        mask: 1 for foreground, 0 for background, or the share of the foreground; `IGNORED` for other pixels.

    Returns:
        The loss.

    Raises:
        TypeError: if the logits are not a tensor of floating-point values, or the mask is not a tensor.
        ValueError: if the shapes do not fit.
    """
    _check(logits, mask, "binary_cross_entropy", 1)
    wide = widened(logits)
    truth, counted = _split(mask)
    losses = F.binary_cross_entropy_with_logits(wide[:, 0], truth.to(wide.dtype), reduction="none")
    return _mean(losses, counted)


def dice_loss(
    logits: Float[Tensor, "B 1 H W"], mask: Num[Tensor, "B H W"], smooth: float = SMOOTH
) -> Float[Tensor, ""]:
    """Compute the soft Dice loss of the foreground, averaged over images.

    With the probability p of the foreground and the mask t it is 1 - (2 sum p t + smooth) / (sum p + sum t + smooth).
    For an empty mask this is sum p / (sum p + smooth): 0 if the prediction is empty, and nearly 1 otherwise.

    Args:
        logits: logits of the foreground.
        mask: 1 for foreground, 0 for background, or the share of the foreground; `IGNORED` for other pixels.
        smooth: pixels to add, above 0.

    Returns:
        The loss, from 0 to 1.

    Raises:
        TypeError: if the logits are not a tensor of floating-point values, or the mask is not a tensor.
        ValueError: if the shapes do not fit, or `smooth` is not above 0.

    Source: Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, without the squares in the denominator.
    """
    _check(logits, mask, "dice_loss", 1)
    truth, counted = _split(mask)
    probabilities = widened(logits).sigmoid()
    return _soft_dice(probabilities, truth[:, None].to(probabilities.dtype), counted, smooth).mean()


def binary_cross_entropy_and_dice(logits: Float[Tensor, "B 1 H W"], mask: Num[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Compute the sum of `binary_cross_entropy` and `dice_loss`.

    Args:
        logits: logits of the foreground.
        mask: 1 for foreground, 0 for background, or the share of the foreground; `IGNORED` for other pixels.

    Returns:
        The loss.

    Raises:
        TypeError, ValueError: as `binary_cross_entropy` raises them.
    """
    return binary_cross_entropy(logits, mask) + dice_loss(logits, mask)


def cross_entropy(logits: Float[Tensor, "B K H W"], mask: Int[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Compute the mean cross-entropy of several classes over all pixels, in nats.

    Args:
        logits: logits of each class.
        mask: labels from 0 to K - 1; `IGNORED` for other pixels.

    Returns:
        The loss.

    Raises:
        TypeError: if the logits are not a tensor of floating-point values, or the mask is not a tensor.
        ValueError: if the shapes do not fit.
    """
    _check(logits, mask, "cross_entropy")
    losses = F.cross_entropy(widened(logits), mask.long(), ignore_index=IGNORED, reduction="none")
    return _mean(losses, has_class(mask))


def class_dice_loss(
    logits: Float[Tensor, "B K H W"], mask: Int[Tensor, "B H W"], smooth: float = SMOOTH
) -> Float[Tensor, ""]:
    """Compute the mean of `dice_loss` over images and classes, each class against all others, including the background.

    A class that an image does not contain counts as an empty mask.

    Args:
        logits: logits of each class.
        mask: labels from 0 to K - 1; `IGNORED` for other pixels.
        smooth: pixels to add, above 0.

    Returns:
        The loss, from 0 to 1.

    Raises:
        TypeError: if the logits are not a tensor of floating-point values, or the mask is not a tensor.
        ValueError: if the shapes do not fit, or `smooth` is not above 0.
    """
    _check(logits, mask, "class_dice_loss")
    labels, counted = _split(mask)
    truth = F.one_hot(labels.long(), logits.shape[1]).movedim(-1, 1)
    probabilities = widened(logits).softmax(1)
    return _soft_dice(probabilities, truth.to(probabilities.dtype), counted, smooth).mean()


def cross_entropy_and_class_dice(logits: Float[Tensor, "B K H W"], mask: Int[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Compute the sum of `cross_entropy` and `class_dice_loss`.

    Args:
        logits: logits of each class.
        mask: labels from 0 to K - 1; `IGNORED` for other pixels.

    Returns:
        The loss.

    Raises:
        TypeError, ValueError: as `cross_entropy` raises them.
    """
    return cross_entropy(logits, mask) + class_dice_loss(logits, mask)


SegmentationLoss = Callable[[Tensor, Tensor], Tensor]
"""A function of logits B K H W and masks B H W that returns a scalar."""
SEGMENTATION_LOSSES: dict[str, tuple[SegmentationLoss, SegmentationLoss]] = {
    "cross_entropy": (binary_cross_entropy, cross_entropy),
    "dice": (dice_loss, class_dice_loss),
    "cross_entropy+dice": (binary_cross_entropy_and_dice, cross_entropy_and_class_dice),
}
"""By name, the loss of one map of logits (foreground and background), and the loss of one map per class."""


def segmentation_loss(name: str, classes: int) -> SegmentationLoss:
    """Return the loss of a name.

    Args:
        name: name of the loss, a key of `SEGMENTATION_LOSSES`.
        classes: 1 for foreground and background, otherwise the number of classes including the background.

    Raises:
        ValueError: if the name is unknown; the message suggests the nearest.
    """
    return entry(name, SEGMENTATION_LOSSES, "loss")[classes > 1]


def _check(logits: Any, mask: Any, where: str, channels: int | None = None) -> None:
    """Raise an error for logits and masks of different shapes, which torch might broadcast."""
    check_images(logits, f"logits of {where}", channels)
    if not isinstance(mask, Tensor):
        raise TypeError(f"{where} needs a tensor B H W as its mask, got {kind_of(mask)}.")
    if mask.shape != (len(logits), *logits.shape[-2:]):
        more = " Leave out the axis of the channels: mask[:, 0]." if mask.ndim == 4 and mask.shape[1] == 1 else ""
        raise ValueError(
            f"{where} needs a mask B H W of the batch and the size of the logits, got a mask of {shape_of(mask)} and "
            f"logits of {shape_of(logits)}.{more}"
        )


def _split(mask: Num[Tensor, "B H W"]) -> tuple[Num[Tensor, "B H W"], Bool[Tensor, "B H W"]]:
    """Return a mask with the label 0 for ignored pixels, and which pixels are not ignored."""
    counted = has_class(mask)
    return torch.where(counted, mask, torch.zeros_like(mask)), counted


def _mean(losses: Float[Tensor, "B H W"], counted: Bool[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Return the mean over images of the mean over the pixels that are counted, which is 0 for an image without any."""
    numbers = counted.sum((-2, -1))
    sums = torch.where(counted, losses, torch.zeros_like(losses)).sum((-2, -1))
    return (sums / numbers.clamp(min=1)).mean()


def _soft_dice(
    probabilities: Float[Tensor, "B K H W"],
    truth: Float[Tensor, "B K H W"],
    counted: Bool[Tensor, "B H W"],
    smooth: float,
) -> Float[Tensor, "B K"]:
    """Return one minus the soft Dice coefficient of each map over the pixels that are counted."""
    if smooth <= 0:
        raise ValueError(f"smooth must be above 0, so that empty masks have a loss; got {smooth}")
    inside = counted[:, None].to(probabilities.dtype)
    probabilities, truth = probabilities * inside, truth * inside
    common = (probabilities * truth).sum((-2, -1))
    both = probabilities.sum((-2, -1)) + truth.sum((-2, -1))
    return 1 - (2 * common + smooth) / (both + smooth)
