"""Masks drawn over the pictures that they are of."""

import colorsys

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passband.drawing.lettering import fitted, font, line_height
from passband.io.image import from_pil, to_pil

NOTE_SIZES = (11, 40)
"""Least and greatest size of the letters of a note, in pixels."""
OPACITY = 0.45
"""Of what a mask paints over a picture."""
FIRST_COLORS = (
    (0, 158, 115),
    (240, 228, 66),
    (86, 180, 233),
    (230, 159, 0),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Of the first classes, which color-blind readers tell apart, in bytes; the first is a green that tissue, streets and
faces seldom have. Source: Okabe and Ito, "Color Universal Design", 2008."""
FIRST_HUE = 0.68
"""Of the first class after these."""
HUE_STEP = 0.381966
"""Golden section of the circle: hues of neighboring classes are far apart, however many there are."""


def overlay(
    image: Float[Tensor, "3 H W"],
    mask: Int[Tensor, "h w"],
    *,
    opacity: float = OPACITY,
    outline: int | None = None,
    nothing: str = "",
) -> Float[Tensor, "3 H W"]:
    """A picture with its mask in translucent color and an outline around each part.

    Args:
        image: RGB in [0, 1].
        mask: numbers of classes, 0 for the background, which is not painted.
        opacity: of the color, from 0 to 1; the outline is opaque.
        outline: its width within the mask, in pixels; 0 for none, None for what suits the size.
        nothing: what is written into a corner where all is background; empty for none.

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
    return note(painted, nothing) if nothing and not bool(mask.any()) else painted


def note(image: Float[Tensor, "3 H W"], text: str) -> Float[Tensor, "3 H W"]:
    """A picture with a few words in its upper left corner, white on black.

    Args:
        image: RGB in [0, 1]; not changed.
        text: cut where the picture is too narrow.
    """
    from PIL import ImageDraw

    height, width = image.shape[-2:]
    smallest, largest = NOTE_SIZES
    size = max(smallest, min(largest, min(height, width) // 24))
    letters, margin = font(size), size // 2
    shown = fitted(text, width - 4 * margin, letters)
    if not shown:
        return image
    picture = to_pil(image.clamp(0, 1))
    draw = ImageDraw.Draw(picture)
    right, bottom = margin + letters.getlength(shown) + 2 * margin, margin + line_height(size)
    draw.rectangle((margin, margin, right, bottom), fill="black")
    middle = (2 * margin, (margin + bottom) / 2)
    draw.text(middle, shown, fill="white", font=letters, anchor="lm")
    return from_pil(picture).image


def class_color(number: int) -> Float[Tensor, "3"]:
    """The color of a class, RGB in [0, 1].

    Args:
        number: of the class, from 1; 0 is the background, which has none.
    """
    if 1 <= number <= len(FIRST_COLORS):
        return torch.tensor(FIRST_COLORS[number - 1]) / 255
    hue = (FIRST_HUE + (number - 1 - len(FIRST_COLORS)) * HUE_STEP) % 1
    return torch.tensor(colorsys.hsv_to_rgb(hue, 0.8, 0.95))


def _eroded(inside: Bool[Tensor, "H W"], width: int) -> Bool[Tensor, "H W"]:
    """What lies deeper within than a width; the picture's border is no edge."""
    outside = F.pad((~inside)[None, None].float(), (width,) * 4)
    return F.max_pool2d(outside, 2 * width + 1, stride=1)[0, 0] == 0
