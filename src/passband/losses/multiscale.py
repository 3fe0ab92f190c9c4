"""SFNet's loss over the sizes that the network predicts."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.losses.spectral import spectral_l1
from passband.ops.checks import check_images, kind_of, shape_of
from passband.ops.precision import computing_dtype, widened


def multiscale_loss(
    predictions: Sequence[Float[Tensor, "B C _ _"]],
    clean: Float[Tensor, "B C H W"],
    spectral_weight: float = 0.1,
    added: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Float[Tensor, ""]:
    """Sum, over sizes, the L1 distance of images and the weighted L1 distance of spectra.

    Args:
        predictions: restored images, one entry for each size. Each has the proportions of `clean` up to a pixel, and
            none is larger. Its target is `clean` in its size, resized bilinearly without antialiasing.
        clean: clean images in [0, 1].
        spectral_weight: weight of the spectral distance.
        added: further loss of each size, a function of predicted and clean images; None for no other.

    Returns:
        The sum, in float32, or in float64 for images of that type.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if `predictions` is a tensor instead of a list, or a prediction differs from `clean` in batch,
            channels or proportions.

    Source: Cui et al., ICLR 2023, equations 12 to 14.
    """
    _check_predictions(predictions, clean, "multiscale_loss")
    total = torch.zeros((), dtype=computing_dtype(clean), device=clean.device)
    for predicted in predictions:
        target = _in_size_of(predicted, clean)
        total = total + F.l1_loss(widened(predicted), target) + spectral_weight * spectral_l1(predicted, target)
        if added is not None:
            total = total + added(widened(predicted), target)
    return total


def relative_multiscale_loss(
    predictions: Sequence[Float[Tensor, "B C _ _"]],
    clean: Float[Tensor, "B C H W"],
    spectral_weight: float = 0.1,
    floor: float = 0.02,
    added: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Float[Tensor, ""]:
    """Compute the mean over samples of the logarithm of `multiscale_loss`.

    Each sample then counts by the factor by which its own loss falls, as in a gain in dB. In a batch of several
    degradations, the plain mean is dominated by those with large differences (haze) and hardly depends on those with
    small ones (blur).

    Args:
        predictions: restored images, as for `multiscale_loss`.
        clean: clean images, as for `multiscale_loss`.
        spectral_weight: weight of the spectral distance.
        floor: constant that is added to each sample's loss, so that a nearly perfect sample does not outweigh the
            others.
        added: further loss of each size, as for `multiscale_loss`.

    Returns:
        The mean of natural logarithms, in float32, or in float64 for images of that type; negative once the losses are
        below 1.

    Raises:
        TypeError, ValueError: as `multiscale_loss` raises them.

    Source: the logarithm after the PSNR loss of Chen et al., "Simple Baselines for Image Restoration", ECCV 2022.
    """
    _check_predictions(predictions, clean, "relative_multiscale_loss")
    # all samples together, because on a GPU, starting the operations of each would take longer than the network
    losses = torch.zeros(len(clean), dtype=computing_dtype(clean), device=clean.device)
    for predicted in predictions:
        target = _in_size_of(predicted, clean)
        difference = widened(predicted) - target
        spectrum = torch.view_as_real(torch.fft.fft2(difference))  # the difference of the spectra
        losses = losses + difference.abs().mean((1, 2, 3)) + spectral_weight * spectrum.abs().mean((1, 2, 3, 4))
        if added is not None:
            pairs = zip(widened(predicted).split(1), target.split(1), strict=True)
            losses = losses + torch.stack([added(*pair) for pair in pairs])
    return (losses + floor).log().mean()


def _in_size_of(predicted: Tensor, clean: Tensor) -> Tensor:
    """Return clean images in the size of predicted ones."""
    if predicted.shape[-2:] == clean.shape[-2:]:
        return clean
    return F.interpolate(clean, predicted.shape[-2:], mode="bilinear", align_corners=False, antialias=False)


def _check_predictions(predictions: Any, clean: Any, where: str) -> None:
    """Raise an error for predictions that torch would broadcast, or whose proportions differ from the clean images'."""
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
        # networks round when they halve odd sides
        scaled = abs(rows - height * columns / width) <= 1 or abs(columns - width * rows / height) <= 1
        if predicted.shape[:2] != clean.shape[:2] or not scaled or rows > height or columns > width:
            raise ValueError(
                f"{where} needs predictions of the batch and the channels of clean, in its size or a smaller one of "
                f"the same proportions. Prediction {place} is {shape_of(predicted)}, clean is {shape_of(clean)}."
            )
