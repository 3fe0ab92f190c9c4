"""What every public function on tensors refuses first, with a sentence that says what to do.

torch itself wraps integers around, spreads one batch over another, or stops within a layer with an error about that
layer. Each check reads shapes and types alone, so it costs nothing beside the work that follows.
"""

from typing import Any

import torch
from torch import Tensor


def check_floats(image: Any, where: str) -> None:
    """Refuse what is not a tensor of floating-point values.

    Args:
        image: what was passed.
        where: the function or layer, for the error.

    Raises:
        TypeError: for another kind of thing, or for integers.
    """
    if not isinstance(image, Tensor):
        raise TypeError(
            f"{where} needs a torch tensor of floating-point values, got {kind_of(image)}. {conversion(image)}"
        )
    if not image.is_floating_point():
        raise TypeError(f"{where} needs floating-point values, got {image.dtype}. {conversion(image)}")


def check_images(image: Any, where: str, channels: int | None = None) -> None:
    """Refuse what is not a batch of images B C H W of floating-point values.

    Args:
        image: what was passed.
        where: the function or layer, for the error.
        channels: how many there must be; None for any number.

    Raises:
        TypeError: as `check_floats`.
        ValueError: for another number of axes or channels, or for a batch without values.
    """
    check_floats(image, where)
    wanted = f"B {'C' if channels is None else channels} H W"
    if image.ndim != 4:
        advice = " Add the axis of the batch: image[None]." if image.ndim == 3 else ""
        raise ValueError(f"{where} needs a batch of shape {wanted}, got {shape_of(image)}.{advice}")
    if channels is not None and image.shape[1] != channels:
        raise ValueError(
            f"{where} needs a batch of shape {wanted}, got {shape_of(image)}.{channel_advice(image, channels)}"
        )


def check_same_shape(first: Any, second: Any, where: str, names: tuple[str, str]) -> None:
    """Refuse two batches of floating-point values whose shapes differ, which torch might spread over each other.

    Args:
        first: what was passed first.
        second: what was passed beside it.
        where: the function, for the error.
        names: what the function calls the two.

    Raises:
        TypeError: as `check_floats`, for either.
        ValueError: for shapes that differ, with both.
    """
    check_floats(first, f"{names[0]} of {where}")
    check_floats(second, f"{names[1]} of {where}")
    if first.shape != second.shape:
        raise ValueError(
            f"{where} compares tensors of one shape, got {names[0]} of shape {shape_of(first)} and {names[1]} of shape "
            f"{shape_of(second)}. Crop, resize or select until both agree."
        )


def shape_of(image: Tensor) -> str:
    """A tensor's shape in words, such as `1 x 3 x 64 x 96`."""
    return " x ".join(map(str, image.shape)) or "() (a single number)"


def kind_of(thing: Any) -> str:
    """What something is, in words, with shape and type where it has them."""
    name = {"ndarray": "numpy array"}.get(type(thing).__name__, type(thing).__name__)
    name = f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"
    if isinstance(thing, Tensor):
        return f"a tensor of shape {shape_of(thing)} and type {thing.dtype}"
    shape = getattr(thing, "shape", None)
    if isinstance(shape, tuple):
        return f"{name} of shape {' x '.join(map(str, shape))} and type {getattr(thing, 'dtype', '?')}"
    return name


def conversion(image: Any) -> str:
    """A sentence that says how something becomes a tensor of floating-point values in [0, 1]."""
    if isinstance(image, Tensor):
        full = {torch.uint8: "255", torch.uint16: "65535", torch.int16: "32767"}.get(image.dtype)
        return f"Convert it with image.float() / {full}." if full else "Convert it with image.float()."
    if type(image).__module__.partition(".")[0] == "numpy":
        return "Convert it with passband.as_tensor(array), which also moves the channels first."
    if isinstance(image, list | tuple):
        return "Join the images with torch.stack, or pass them one by one."
    return "Convert it with passband.as_tensor, which takes files, PIL images and arrays."


def channel_advice(image: Tensor, channels: int) -> str:
    """A sentence, with a space before it, that says how a batch gets the channels that are needed; empty if unknown."""
    found = image.shape[1]
    if image.shape[-1] == channels:
        return " The channels come second: image.movedim(-1, 1)."
    if channels == 3 and found == 4:
        return " Leave out the alpha channel: image[:, :3]."
    if channels == 3 and found == 1:
        return " Repeat the gray channel: image.expand(-1, 3, -1, -1)."
    return ""


def check_rgb(image: Any, where: str) -> None:
    """Refuse what is not one image or several, ... 3 H W, of floating-point values.

    Args:
        image: what was passed.
        where: the function, for the error.

    Raises:
        TypeError: as `check_floats`.
        ValueError: for another number of channels.
    """
    check_floats(image, where)
    if image.ndim < 3 or image.shape[-3] != 3:
        last = " The channels come before height and width: image.movedim(-1, -3)." if image.shape[-1:] == (3,) else ""
        raise ValueError(f"{where} needs RGB of shape 3 H W or B 3 H W, got {shape_of(image)}.{last}")
