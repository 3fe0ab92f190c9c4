"""Masks drawn over the pictures that they are of."""

import colorsys

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

OPACITY = 0.45
"""Of what a mask paints over a picture."""
FIRST_HUE = 0.36
"""Of the first class, a green that tissue, streets and faces seldom have."""
HUE_STEP = 0.381966
"""Golden section of the circle: hues of neighboring classes are far apart, however many there are."""


def overlay(
    image: Float[Tensor, "3 H W"], mask: Int[Tensor, "h w"], *, opacity: float = OPACITY, outline: int | None = None
) -> Float[Tensor, "3 H W"]:
    """A picture with its mask in translucent color and an outline around each part.

    Args:
        image: RGB in [0, 1].
        mask: numbers of classes, 0 for the background, which is not painted.
        opacity: of the color, from 0 to 1; the outline is opaque.
        outline: its width within the mask, in pixels; 0 for none, None for what suits the size.

    Returns:
        RGB in [0, 1].

    Raises:
        ValueError: where picture and mask differ in size.
    """
    if image.shape[-2:] != mask.shape:
        raise ValueError(
            f"a mask is drawn over a picture of its size; got {tuple(mask.shape)} and {tuple(image.shape[-2:])}"
        )
    width = max(1, round(min(mask.shape) / 200)) if outline is None else outline
    painted = image.clone()
    for number in mask.unique().tolist():
        if number == 0:
            continue
        color = class_color(number).to(image)[:, None]
        inside = mask == number
        painted[:, inside] = (1 - opacity) * image[:, inside] + opacity * color
        if width:
            painted[:, inside & ~_eroded(inside, width)] = color
    return painted


def class_color(number: int) -> Float[Tensor, "3"]:
    """The color of a class, RGB in [0, 1].

    Args:
        number: of the class, from 1; 0 is the background, which has none.
    """
    hue = (FIRST_HUE + (number - 1) * HUE_STEP) % 1
    return torch.tensor(colorsys.hsv_to_rgb(hue, 0.95, 1.0))


def _eroded(inside: Bool[Tensor, "H W"], width: int) -> Bool[Tensor, "H W"]:
    """What lies deeper within than a width; the picture's border is no edge."""
    outside = F.pad((~inside)[None, None].float(), (width,) * 4)
    return F.max_pool2d(outside, 2 * width + 1, stride=1)[0, 0] == 0
