"""Instances drawn over their pictures: masks, boxes, names and scores."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from passband.analysis.overlay import class_color, overlay
from passband.io.image import from_pil, to_pil
from passband.io.rle import Rle, decode_mask

LINE = 250
"""A line is as wide as this part of the picture's shorter side, at least one pixel."""
TEXT = 24
"""Text is as high as this part of the picture's shorter side."""
TEXT_SIZES = (9, 40)
"""Its least and greatest height, in pixels."""


def draw_instances(
    image: Float[Tensor, "3 H W"],
    boxes: Float[Tensor, "N 4"],
    titles: Sequence[str],
    masks: Iterable[Rle] | None = None,
) -> Float[Tensor, "3 H W"]:
    """A picture with a translucent mask, a box and a title for each instance, each in a color of its own.

    Args:
        image: RGB in [0, 1].
        boxes: x1, y1, x2, y2 in pixels.
        titles: of each instance, such as its name and score; empty for none.
        masks: of each, of the picture's size; one of them at a time is held as pixels.

    Returns:
        RGB in [0, 1], in steps of 1/255.
    """
    from PIL import ImageDraw, ImageFont

    painted = image.clone()
    width = max(1, round(min(image.shape[-2:]) / LINE))
    for place, mask in enumerate(masks or ()):
        pixels = decode_mask(mask).bool()
        rows, columns = (pixels.any(1).nonzero(), pixels.any(0).nonzero())
        if len(rows):
            part = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
            inside = pixels[part].long() * (place + 1)
            painted[:, part[0], part[1]] = overlay(painted[:, part[0], part[1]], inside, outline=width)
    picture = to_pil(painted.clamp(0, 1))
    draw = ImageDraw.Draw(picture)
    smallest, largest = TEXT_SIZES
    font = ImageFont.load_default(max(smallest, min(largest, min(image.shape[-2:]) // TEXT)))
    for place, (box, title) in enumerate(zip(boxes.tolist(), titles, strict=True)):
        color = tuple(torch.round(255 * class_color(place + 1)).int().tolist())
        draw.rectangle(box, outline=color, width=width)
        if title:
            left, top, right, bottom = draw.textbbox((0, 0), title, font=font)
            # above the box, or within it where there is no room, and never beyond the right edge
            x = max(0.0, min(box[0], image.shape[-1] - right - 2))
            y = box[1] - bottom - 2 if box[1] - bottom - 2 >= 0 else box[1] + 1
            draw.rectangle((x + left, y + top, x + right + 1, y + bottom + 1), fill=(0, 0, 0))
            draw.text((x + 1, y), title, fill=color, font=font)
    return from_pil(picture).image
