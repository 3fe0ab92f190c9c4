"""Draws text on images, with the font of matplotlib's charts."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

INK = (34, 34, 34)
"""Color of letters on white, which is nearly black."""
CUT = "…"
"""Character that replaces the middle of a text that is too long."""


@lru_cache(maxsize=64)
def font(size: int, *, bold: bool = False) -> "FreeTypeFont":
    """Return the font DejaVu Sans, which has Latin, Greek and Cyrillic letters.

    Args:
        size: size of the letters in pixels.
        bold: whether the letters are bold, for titles.
    """
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def printable(text: str) -> str:
    """Return a text on one line, with spaces for characters that cannot be drawn, as some file names have them.

    Args:
        text: text of any characters.
    """
    shown = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else " " for letter in shown).strip()


def fitted(text: str, width: float, letters: "FreeTypeFont") -> str:
    """Shorten a text to a width. Letters in its middle are left out, because numbers are often at its end.

    Args:
        text: text on one line.
        width: largest width in pixels.
        letters: font of the text.

    Returns:
        The whole text, a shortened text, or an empty text if not even one letter fits.
    """
    text = printable(text)
    if letters.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        short = f"{text[: kept // 2]}{CUT}{text[len(text) - (kept - kept // 2) :]}"
        if letters.getlength(short) <= width:
            return short
    return ""


def line_height(size: int) -> int:
    """Return the height in pixels of a line of text, including the space above and below it.

    Args:
        size: size of the letters in pixels.
    """
    return round(1.6 * size)


def text_strip(text: str, width: int, size: int, *, bold: bool = False) -> Float[Tensor, "3 h w"]:
    """Draw a line of text on white.

    Args:
        text: text to draw, which is shortened if it is too long.
        width: width of the strip in pixels.
        size: size of the letters in pixels.
        bold: whether the letters are bold, for titles.

    Returns:
        RGB image in [0, 1], `line_height(size)` pixels high.
    """
    from PIL import Image, ImageDraw

    letters = font(size, bold=bold)
    strip = Image.new("RGB", (width, line_height(size)), "white")
    middle = (0, line_height(size) / 2)
    ImageDraw.Draw(strip).text(middle, fitted(text, width, letters), fill=INK, font=letters, anchor="lm")
    return torch.from_numpy(np.asarray(strip).copy()).movedim(-1, 0).float() / 255
