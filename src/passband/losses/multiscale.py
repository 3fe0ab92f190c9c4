"""SFNet's loss over the sizes that the network predicts."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.losses.spectral import spectral_l1
from passband.ops.checks import check_images, kind_of, shape_of


def multiscale_loss(
    predictions: Sequence[Float[Tensor, "B C _ _"]],
    clean: Float[Tensor, "B C H W"],
    spectral_weight: float = 0.1,
    added: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Float[Tensor, ""]:
    """Sum over sizes of the L1 distance and the weighted L1 distance of spectra.

    Args:
        predictions: a list of restored pictures, one entry for each size, all of the proportions of `clean` to a
            pixel and none larger; the target of each is `clean` in its size by bilinear interpolation without
            antialiasing.
        clean: the clean pictures, [0, 1].
        spectral_weight: weight of the spectral part.
        added: a further loss of each size, which takes predicted and clean images; None for no other.

    Returns:
        The sum, computed in float32.

    Raises:
        TypeError: for what is not a tensor of floating-point values.
        ValueError: for a tensor instead of a list, or a prediction of another batch, other channels, or a size that is
            not that of the clean pictures made smaller.

    Source: Cui et al., ICLR 2023, equations 12 to 14.
    """
    _check_predictions(predictions, clean, "multiscale_loss")
    total = torch.zeros((), device=clean.device)
    for predicted in predictions:
        size = predicted.shape[-2:]
        target = clean
        if size != clean.shape[-2:]:
            target = F.interpolate(clean, size, mode="bilinear", align_corners=False, antialias=False)
        total = total + F.l1_loss(predicted.float(), target) + spectral_weight * spectral_l1(predicted, target)
        if added is not None:
            total = total + added(predicted.float(), target)
    return total


def relative_multiscale_loss(
    predictions: Sequence[Float[Tensor, "B C _ _"]],
    clean: Float[Tensor, "B C H W"],
    spectral_weight: float = 0.1,
    floor: float = 0.02,
    added: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Float[Tensor, ""]:
    """Mean over samples of the logarithm of `multiscale_loss`.

    A sample then counts by the factor its own loss falls by, as in a gain in dB. In a batch of several degradations
    the plain mean follows those that leave large differences (haze) and hardly sees those that leave small ones
    (blur).

    Args:
        predictions: as for `multiscale_loss`.
        clean: as for `multiscale_loss`.
        spectral_weight: as for `multiscale_loss`.
        added: as for `multiscale_loss`.
        floor: added to each sample's loss, so that one that is nearly perfect does not outweigh the rest.

    Returns:
        The mean of natural logarithms; negative once the losses are below 1. Computed in float32.

    Raises:
        TypeError, ValueError: as `multiscale_loss`.

    Source: the logarithm after the PSNR loss of Chen et al., "Simple Baselines for Image Restoration", ECCV 2022.
    """
    _check_predictions(predictions, clean, "relative_multiscale_loss")
    samples = [
        multiscale_loss([predicted[i : i + 1] for predicted in predictions], clean[i : i + 1], spectral_weight, added)
        for i in range(len(clean))
    ]
    return (torch.stack(samples) + floor).log().mean()


def _check_predictions(predictions: Any, clean: Any, where: str) -> None:
    """Refuse predictions that torch would spread over the clean pictures, or shrink these to without a word."""
    check_images(clean, f"clean of {where}")
    if not isinstance(predictions, list | tuple):
        raise ValueError(
            f"{where} needs a list of predictions, one for each size, got {kind_of(predictions)} beside clean of shape "
            f"{shape_of(clean)}. Pass [prediction] for one size."
        )
    height, width = clean.shape[-2:]
    for place, predicted in enumerate(predictions):
        check_images(predicted, f"prediction {place} of {where}")
        rows, columns = predicted.shape[-2:]
        # sizes are rounded where the network halves odd sides
        scaled = abs(rows - height * columns / width) <= 1 or abs(columns - width * rows / height) <= 1
        if predicted.shape[:2] != clean.shape[:2] or not scaled or rows > height or columns > width:
            raise ValueError(
                f"{where} needs predictions of the batch and the channels of clean, in its size or a smaller one of "
                f"the same proportions. Prediction {place} is {shape_of(predicted)}, clean is {shape_of(clean)}."
            )
