"""Letters in pictures: one font everywhere, the one that matplotlib draws its charts with."""

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
"""Color of letters on white: nearly black."""
CUT = "…"
"""Stands for the letters in the middle of a text that is too long for its place."""


@lru_cache(maxsize=64)
def font(size: int, *, bold: bool = False) -> "FreeTypeFont":
    """DejaVu Sans, which has Latin, Greek and Cyrillic letters.

    Args:
        size: of the letters, in pixels.
        bold: for titles.
    """
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def printable(text: str) -> str:
    """A text in one line that can be drawn, whatever bytes a file name holds."""
    shown = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else " " for letter in shown).strip()


def fitted(text: str, width: float, letters: "FreeTypeFont") -> str:
    """A text that is no wider than its place: letters in the middle are left out, so that its figures stay.

    Args:
        text: in one line.
        width: of the place, in pixels.
        letters: the font.
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
    """Height of a line of text with room above and below, in pixels."""
    return round(1.6 * size)


def text_strip(text: str, width: int, size: int, *, bold: bool = False) -> Float[Tensor, "3 h w"]:
    """A line of text on white.

    Args:
        text: cut in the middle where it is too long.
        width: of the strip, in pixels.
        size: of the letters, in pixels.
        bold: for titles.

    Returns:
        RGB in [0, 1], `line_height(size)` pixels high.
    """
    from PIL import Image, ImageDraw

    letters = font(size, bold=bold)
    strip = Image.new("RGB", (width, line_height(size)), "white")
    middle = (0, line_height(size) / 2)
    ImageDraw.Draw(strip).text(middle, fitted(text, width, letters), fill=INK, font=letters, anchor="lm")
    return torch.from_numpy(np.asarray(strip).copy()).movedim(-1, 0).float() / 255
