"""Checks the input of networks before their first layer, with errors that say what to do."""

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
"""The class that takes files, PIL images and arrays, by task."""


def network_name(model: object) -> str:
    """Return the name of a network for messages: its own, such as `Restormer`, or that of its class.

    Args:
        model: network.
    """
    return str(getattr(model, "name", type(model).__name__))


def check_batch(image: Any, model: nn.Module, name: str, channels: int | None = None) -> None:
    """Raise an error unless the input is a batch B C H W of floats with the type and device of a network's weights.

    Only shapes and types are read, so that nothing waits for a GPU.

    Args:
        image: input to check.
        model: network.
        name: name of the network, for error messages.
        channels: required number of channels; None for any number.

    Raises:
        TypeError: if the input is not a tensor of floats, or its precision differs from that of the weights.
        ValueError: if the number of axes or channels is wrong, the batch has no pixels, or the device differs.
    """
    if not isinstance(image, Tensor):
        predictor = f"passband.{PREDICTORS.get(getattr(model, 'task', ''), PREDICTORS['restoration'])}"
        wanted = f"B {'C' if channels is None else channels} H W"
        raise TypeError(
            f"{name} takes a torch tensor of shape {wanted}, got {kind_of(image)}. Convert it with "
            f"passband.as_tensor(...)[None], or use {predictor}, which takes files, PIL images and arrays."
        )
    check_images(image, name, channels)
    if not image.numel():
        raise ValueError(f"{name} needs at least one image with at least one pixel, got {shape_of(image)}.")
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
    """Raise an error unless the input is a list of images C H W, each valid as a batch of `check_batch`.

    Args:
        images: input to check.
        model: network.
        name: name of the network, for error messages.

    Raises:
        TypeError: if the input is not a list, or as `check_batch` raises it.
        ValueError: as `check_batch` raises it.
    """
    if not isinstance(images, list | tuple):
        advice = " Pass list(images)." if isinstance(images, Tensor) and images.ndim == 4 else " Pass [image]."
        raise TypeError(f"{name} takes a list of images C H W, got {kind_of(images)}.{advice}")
    for image in images:
        if not isinstance(image, Tensor) or image.ndim == 3:
            check_batch(image[None] if isinstance(image, Tensor) else image, model, name)
