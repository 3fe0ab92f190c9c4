"""Checks the input of networks before their first layer, with errors that say what to do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from passband.models.network_task import PREDICTORS
from passband.ops.checks import check_images, kind_of

_VIEWS = {1: "one view", 2: "left and right views"}


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


def check_detection_batch(
    images: Sequence[Tensor],
    targets: Sequence[dict[str, Tensor]] | None,
    sizes: Sequence[tuple[int, int]] | None,
    model: Any,
) -> None:
    """Raise an error for input that a detector cannot be trained on or evaluate.

    Args:
        images: images or cubes, each valid for `check_list`.
        targets: instances of each image, needed in training; otherwise None.
        sizes: height and width of the images in pixels, for cubes; None for images.
        model: detector, a `dct_mask_rcnn.FrequencyRCNN`.

    Raises:
        TypeError: as `check_list` raises it.
        ValueError: if images are of another kind, training has no targets, or a box has no area.
    """
    what = "images of 3" if model.input == "pixels" else f"cubes of {model.channels}"
    needed = 3 if model.input == "pixels" else model.channels
    check_list(images, model, model.name)
    if not images or any(image.ndim != 3 or image.shape[0] != needed for image in images):
        raise ValueError(
            f"{model.name} takes a list of {what} channels each (input {model.input}); got "
            f"{[tuple(image.shape) for image in images]}"
        )
    if (model.input == "coefficients") != (sizes is not None) or (sizes is not None and len(sizes) != len(images)):
        needs = "needs the sizes of all images" if model.input == "coefficients" else "takes no sizes"
        raise ValueError(f"input {model.input} {needs}; got {0 if sizes is None else len(sizes)} of {len(images)}")
    if model.training and (targets is None or len(targets) != len(images)):
        raise ValueError("training needs targets for each of the images; call .eval() to find instances")
    for place, target in enumerate(targets or ()):
        boxes = target["boxes"]
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(1).nonzero().flatten()
        if len(flat):
            raise ValueError(
                f"boxes are x1, y1, x2, y2 with x1 < x2 and y1 < y2; image {place} of the batch has "
                f"{boxes[int(flat[0])].tolist()}"
            )


def input_views(model: object) -> int:
    """Return the number of images of a scene that a network takes: 1, or 2 for left and right views in 6 channels.

    Args:
        model: a restoration network or an engine.
    """
    return getattr(model, "in_channels", 3) // 3


def check_views(model: object, views: int, weights: str | Path) -> None:
    """Refuse a network that takes another number of views than it will get.

    Args:
        model: a restoration network or an engine; without `in_channels` it takes 3 channels.
        views: number of images of each scene that it will get.
        weights: name of the weights for the error.

    Raises:
        ValueError: if the numbers differ; the message says what to do.
    """
    taken = input_views(model)
    if taken != views:
        needed, given = (_VIEWS.get(count, f"{count} views") for count in (taken, views))
        raise ValueError(
            f"{weights} takes {3 * taken} input channels ({needed} of a scene), but gets {3 * views} ({given}): choose "
            f"weights for {given}, or give it {needed}"
        )
