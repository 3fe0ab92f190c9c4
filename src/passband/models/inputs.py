"""What every network refuses before its first layer: anything that is not a batch it can take, with what to do."""

from typing import Any

import torch
from torch import Tensor, nn

from passband.ops.checks import check_images, kind_of, shape_of

PREDICTORS = {
    "restoration": "Restorer",
    "classification": "Classifier",
    "segmentation": "Segmenter",
    "detection": "InstanceFinder",
    "inspection": "Inspector",
}
"""A task to the class that takes files, PIL pictures and arrays."""


def check_batch(image: Any, model: nn.Module, name: str, channels: int | None = None) -> None:
    """Refuse what is not a batch B C H W of floats of the type and on the device of a network's weights.

    Shapes and types alone are read, so that nothing waits for a GPU.

    Args:
        image: what was passed.
        model: the network.
        name: of the network, for the error.
        channels: how many there must be; None for any number.

    Raises:
        TypeError: for another kind of thing, for integers, or for floats of another precision than the weights.
        ValueError: for another number of axes or channels, for a batch without pixels, or for another device.
    """
    if not isinstance(image, Tensor):
        predictor = f"passband.{PREDICTORS.get(getattr(model, 'task', ''), PREDICTORS['restoration'])}"
        wanted = f"B {'C' if channels is None else channels} H W"
        raise TypeError(
            f"{name} takes a torch tensor of shape {wanted}, got {kind_of(image)}. Convert it with "
            f"passband.as_tensor(...)[None], or use {predictor}, which takes files, PIL pictures and arrays."
        )
    check_images(image, name, channels)
    if not image.numel():
        raise ValueError(f"{name} needs at least one picture with at least one pixel, got {shape_of(image)}.")
    weight = next((value for value in model.parameters() if value.is_floating_point()), None)
    if weight is None:
        return
    if image.device != weight.device:
        raise ValueError(
            f"{name} has its weights on {weight.device}, but the batch is on {image.device}. Move the batch with "
            f"image.to({str(weight.device)!r})."
        )
    if image.dtype != weight.dtype and not torch.is_autocast_enabled(image.device.type):
        raise TypeError(
            f"{name} has weights of {weight.dtype}, but the batch is {image.dtype}. Convert the batch with "
            f"image.to({weight.dtype})."
        )


def check_list(images: Any, model: nn.Module, name: str) -> None:
    """Refuse what is not a list of pictures C H W, each as `check_batch` wants a batch of it.

    Args:
        images: what was passed.
        model: the network.
        name: of the network, for the error.

    Raises:
        TypeError: for something else than a list, or as `check_batch`.
        ValueError: as `check_batch`.
    """
    if not isinstance(images, list | tuple):
        advice = " Pass list(images)." if isinstance(images, Tensor) and images.ndim == 4 else " Pass [image]."
        raise TypeError(f"{name} takes a list of pictures C H W, got {kind_of(images)}.{advice}")
    for image in images:
        if not isinstance(image, Tensor) or image.ndim == 3:
            check_batch(image[None] if isinstance(image, Tensor) else image, model, name)
