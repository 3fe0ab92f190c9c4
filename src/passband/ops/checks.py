"""Checks the inputs of public functions on tensors, and raises errors that say what to do.

Without these checks, torch would wrap integers around, broadcast one batch over another, or fail inside a layer with an
error about that layer. Each check reads only shapes and types, so its cost is negligible.
"""

from typing import Any

import torch
from torch import Tensor


def check_floats(image: Any, where: str) -> None:
    """Raise an error unless the input is a tensor of floating-point values that is not empty.

    Args:
        image: input to check.
        where: name of the function or layer for the error.

    Raises:
        TypeError: if the input is not a tensor, or holds integers.
        ValueError: if it is empty.
    """
    if not isinstance(image, Tensor):
        raise TypeError(
            f"{where} needs a torch tensor of floating-point values, got {kind_of(image)}. {conversion_advice(image)}"
        )
    if not image.is_floating_point():
        raise TypeError(f"{where} needs floating-point values, got {image.dtype}. {conversion_advice(image)}")
    if not image.numel():
        raise ValueError(f"{where} needs a tensor with values, got {shape_of(image)}.")


def check_images(image: Any, where: str, channels: int | None = None) -> None:
    """Raise an error unless the input is a batch of images, B C H W, of floating-point values.

    Args:
        image: input to check.
        where: name of the function or layer for the error.
        channels: number of channels that the batch must have, or None for any number.

    Raises:
        TypeError: if the input is not a tensor of floating-point values.
        ValueError: if the batch is empty, or the number of axes or channels is wrong.
    """
    check_floats(image, where)
    shape = f"B {'C' if channels is None else channels} H W"
    if image.ndim != 4:
        advice = " Add the axis of the batch: image[None]." if image.ndim == 3 else ""
        raise ValueError(f"{where} needs a batch of shape {shape}, got {shape_of(image)}.{advice}")
    if channels is not None and image.shape[1] != channels:
        raise ValueError(
            f"{where} needs a batch of shape {shape}, got {shape_of(image)}.{channel_advice(image, channels)}"
        )


def check_same_shape(first: Any, second: Any, where: str, names: tuple[str, str]) -> None:
    """Raise an error unless two tensors of floating-point values have the same shape. torch might broadcast them.

    Args:
        first: first tensor.
        second: second tensor.
        where: name of the function for the error.
        names: names of the two arguments.

    Raises:
        TypeError: if either is not a tensor of floating-point values.
        ValueError: if the shapes differ, or a tensor is empty.
    """
    check_floats(first, f"{names[0]} of {where}")
    check_floats(second, f"{names[1]} of {where}")
    if first.shape != second.shape:
        raise ValueError(
            f"{where} needs two tensors of the same shape, got {names[0]} of shape {shape_of(first)} and {names[1]} of "
            f"shape {shape_of(second)}. Crop or resize one of them."
        )


def shape_of(image: Tensor) -> str:
    """Return a tensor's shape as a text such as `1 x 3 x 64 x 96`.

    Args:
        image: tensor of any number of axes.
    """
    return " x ".join(map(str, image.shape)) or "() (a single number)"


def kind_of(thing: Any) -> str:
    """Describe an object in words, with its shape and type if it has them.

    Args:
        thing: object of any type, such as the wrong argument of a call.

    Returns:
        Words for a message, such as "a tensor of shape 3 x 8 x 8 and type torch.uint8" or "a list".
    """
    name = {"ndarray": "numpy array"}.get(type(thing).__name__, type(thing).__name__)
    name = f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"
    if isinstance(thing, Tensor):
        return f"a tensor of shape {shape_of(thing)} and type {thing.dtype}"
    shape = getattr(thing, "shape", None)
    if isinstance(shape, tuple):
        return f"{name} of shape {' x '.join(map(str, shape))} and type {getattr(thing, 'dtype', '?')}"
    return name


def conversion_advice(image: Any) -> str:
    """Return a sentence that says how to convert an object to a tensor of floating-point values in [0, 1].

    Args:
        image: object that was given instead of such a tensor: a tensor of integers, an array, a list or anything else.
    """
    if isinstance(image, Tensor):
        full = {torch.uint8: "255", torch.uint16: "65535", torch.int16: "32767"}.get(image.dtype)
        return f"Convert it with image.float() / {full}." if full else "Convert it with image.float()."
    if type(image).__module__.partition(".")[0] == "numpy":
        return "Convert it with passband.as_tensor(array), which also moves the channels first."
    if isinstance(image, list | tuple):
        return "Join the images with torch.stack, or pass them one by one."
    return "Convert it with passband.as_tensor, which takes files, PIL images and arrays."


def channel_advice(image: Tensor, channels: int) -> str:
    """Return a sentence, with a space before it, that says how to get the right channels; empty if unknown.

    Args:
        image: batch of images with the wrong number of channels.
        channels: number of channels that is needed.
    """
    count = image.shape[1]
    if image.shape[-1] == channels:
        return " The channels come second: image.movedim(-1, 1)."
    if channels == 3 and count == 4:
        return " Leave out the alpha channel: image[:, :3]."
    if channels == 3 and count == 1:
        return " Repeat the gray channel: image.expand(-1, 3, -1, -1)."
    return ""


def check_rgb(image: Any, where: str) -> None:
    """Raise an error unless the input is RGB: an image 3 H W or several with leading axes, of floating-point values.

    Args:
        image: input to check.
        where: name of the function for the error.

    Raises:
        TypeError: if the input is not a tensor of floating-point values.
        ValueError: if it is empty, or does not have 3 channels.
    """
    check_floats(image, where)
    if image.ndim < 3 or image.shape[-3] != 3:
        last = " The channels come before height and width: image.movedim(-1, -3)." if image.shape[-1:] == (3,) else ""
        raise ValueError(f"{where} needs RGB of shape 3 H W or B 3 H W, got {shape_of(image)}.{last}")
