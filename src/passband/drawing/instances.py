"""Draws instances over their images: masks, boxes, names and scores."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import readable_on
from passband.drawing.lettering import fitted, font, line_height
from passband.drawing.overlay import class_color, note, overlay
from passband.io.image import from_pil, to_pil
from passband.io.rle import Rle, decode_mask

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

LINE = 250
"""Ratio of the shorter side of the image to the width of a line. Lines are at least one pixel wide."""
TEXT = 28
"""Ratio of the shorter side of the image to the height of text."""
TEXT_SIZES = (11, 40)
"""Smallest and largest height of text in pixels."""
NOTHING = "nothing found"
"""Text on an image without instances."""

Place = tuple[int, int, int, int]
"""Rectangle x1, y1, x2, y2 in pixels."""


def draw_instances(
    image: Float[Tensor, "3 H W"],
    boxes: Float[Tensor, "N 4"],
    titles: Sequence[str],
    masks: Iterable[Rle] | None = None,
    nothing: str = NOTHING,
) -> Float[Tensor, "3 H W"]:
    """Draw a translucent mask, a box and a title for each instance, in one color per instance.

    Titles are black or white on the color of the instance, whichever has more contrast. They never overlap. A title
    that finds no room is left out, and earlier titles are placed first.

    Args:
        image: RGB image in [0, 1], which is not changed.
        boxes: boxes of the instances, x1, y1, x2, y2 in pixels.
        titles: titles of the instances, such as their names and scores. An empty title is not drawn.
        masks: masks of the instances, of the size of the image, or None. They are decoded one at a time.
        nothing: text in a corner of an image without instances. An empty text is not drawn.

    Returns:
        RGB image in [0, 1], in steps of 1/255.
    """
    from PIL import ImageDraw

    if not len(boxes):
        return note(image, nothing) if nothing else image
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
    colors = [class_color(place + 1) for place in range(len(boxes))]
    bytes_of = [(int(r), int(g), int(b)) for r, g, b in (torch.round(255 * color).int().tolist() for color in colors)]
    for box, color in zip(boxes.tolist(), bytes_of, strict=True):
        draw.rectangle(box, outline=color, width=width)
    smallest, largest = TEXT_SIZES
    letters = font(max(smallest, min(largest, min(image.shape[-2:]) // TEXT)))
    texts, places = place_titles(titles, boxes, (image.shape[-2], image.shape[-1]), letters)
    for text, at, color, ground in zip(texts, places, bytes_of, colors, strict=True):
        if at is not None:
            draw.rectangle((at[0], at[1], at[2] - 1, at[3] - 1), fill=color)
            middle = (at[0] + _margin(letters), (at[1] + at[3]) / 2)
            draw.text(middle, text, fill=readable_on(ground.tolist()), font=letters, anchor="lm")
    return from_pil(picture).image


def place_titles(
    titles: Sequence[str], boxes: Float[Tensor, "N 4"], size: tuple[int, int], letters: "FreeTypeFont"
) -> tuple[list[str], list[Place | None]]:
    """Find a place for each title near its box, within the image and without overlap with earlier titles.

    Args:
        titles: titles of the instances, which may be empty.
        boxes: boxes of the instances, x1, y1, x2, y2 in pixels.
        size: (height, width) of the image in pixels.
        letters: font of the titles.

    Returns:
        Titles, shortened to the width of the image, and the rectangle of each. The rectangle is None if the title is
        empty or finds no room.
    """
    height, width = size
    texts = [fitted(title, width - 2 * _margin(letters), letters) for title in titles]
    taken: list[Place] = []
    places: list[Place | None] = []
    for text, box in zip(texts, boxes.tolist(), strict=True):
        wide, high = (
            round(letters.getlength(text)) + 2 * _margin(letters),
            round(line_height(round(letters.size)) * 0.85),
        )
        chosen = None
        for x, y in _candidates(box, wide, high, width) if text else ():
            place = (x, y, x + wide, y + high)
            if 0 <= y <= height - high and wide <= width and not any(_overlap(place, other) for other in taken):
                chosen = place
                taken.append(place)
                break
        places.append(chosen)
    return texts, places


def _candidates(box: Sequence[float], wide: int, high: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield possible top left corners of a title: above, inside and below its box, then farther and farther away."""
    left, top, right, bottom = (round(number) for number in box)
    columns = [max(0, min(x, width - wide)) for x in (left, right - wide)]
    for x in columns:
        yield from ((x, top - high), (x, top + 1), (x, bottom + 1), (x, bottom - high - 1))
    for step in range(1, 7):
        for x in columns:
            yield from ((x, top - high - step * high), (x, top + 1 + step * high), (x, bottom + 1 + step * high))


def _overlap(first: Place, second: Place) -> bool:
    """Return whether two rectangles share a pixel."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _margin(letters: "FreeTypeFont") -> int:
    """Return the space in pixels to the left and right of a title, inside its rectangle."""
    return max(2, round(letters.size / 4))
