"""Draws masks over their images."""

import colorsys

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passband.drawing.lettering import fitted, font, line_height
from passband.io.image import from_pil, to_pil

NOTE_SIZES = (11, 40)
"""Smallest and largest size in pixels of the letters of a note."""
OPACITY = 0.45
"""Opacity of a mask over an image, 0 to 1."""
FIRST_COLORS = (
    (0, 158, 115),
    (240, 228, 66),
    (86, 180, 233),
    (230, 159, 0),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Colors of the first classes, RGB from 0 to 255. Color-blind readers can tell them apart. The first color is a green
that is rare in tissue, streets and faces. Source: Okabe and Ito, "Color Universal Design", 2008."""
FIRST_HUE = 0.68
"""Hue of the first class after `FIRST_COLORS`, 0 to 1."""
HUE_STEP = 0.381966
"""Step from hue to hue, the golden section of the color circle. Hues of neighboring classes differ strongly for any
number of classes."""


def overlay(
    image: Float[Tensor, "3 H W"],
    mask: Int[Tensor, "h w"],
    *,
    opacity: float = OPACITY,
    outline: int | None = None,
    nothing: str = "",
) -> Float[Tensor, "3 H W"]:
    """Draw a mask over an image in translucent colors, with an outline around each region.

    Args:
        image: RGB image in [0, 1], which is not changed.
        mask: numbers of classes. 0 is the background, which is not drawn, and neither are ignored pixels, below 0.
        opacity: opacity of the colors, 0 to 1. The outline is opaque.
        outline: width in pixels of the outline, which lies inside the mask. 0 draws no outline, and None chooses a
            width for the size of the image.
        nothing: text in a corner of an image whose mask is all background. An empty text is not drawn.

    Returns:
        RGB image in [0, 1].

    Raises:
        ValueError: if image and mask differ in size.
    """
    if image.shape[-2:] != mask.shape:
        raise ValueError(
            f"an image and its mask must have the same size; got a mask of {tuple(mask.shape)} and an image of "
            f"{tuple(image.shape[-2:])} pixels"
        )
    width = max(1, round(min(mask.shape) / 200)) if outline is None else outline
    painted = image.clone()
    for number in mask.unique().tolist():
        if number <= 0:
            continue
        color = class_color(number).to(image)[:, None]
        inside = mask == number
        painted[:, inside] = (1 - opacity) * image[:, inside] + opacity * color
        if width:
            painted[:, inside & ~_eroded(inside, width)] = color
    return note(painted, nothing) if nothing and not bool((mask > 0).any()) else painted


def note(image: Float[Tensor, "3 H W"], text: str) -> Float[Tensor, "3 H W"]:
    """Draw a short text into the upper left corner of an image, white on black.

    Args:
        image: RGB image in [0, 1], which is not changed.
        text: text to draw, which is shortened if the image is too narrow.

    Returns:
        RGB image in [0, 1], without the text if there is no room for it.
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
    """Return the color of a class, RGB in [0, 1].

    Args:
        number: number of the class, from 1. The background, 0, has no color.
    """
    if 1 <= number <= len(FIRST_COLORS):
        return torch.tensor(FIRST_COLORS[number - 1]) / 255
    hue = (FIRST_HUE + (number - 1 - len(FIRST_COLORS)) * HUE_STEP) % 1
    return torch.tensor(colorsys.hsv_to_rgb(hue, 0.8, 0.95))


def _eroded(inside: Bool[Tensor, "H W"], width: int) -> Bool[Tensor, "H W"]:
    """Return the pixels of a region that are farther than a width from its edge. The border of the image is no edge."""
    outside = F.pad((~inside)[None, None].float(), (width,) * 4)
    return F.max_pool2d(outside, 2 * width + 1, stride=1)[0, 0] == 0
