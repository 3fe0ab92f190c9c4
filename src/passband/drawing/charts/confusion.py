"""Draws confusion matrices."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from passband.drawing.charts.style import STYLE, headline, new_chart
from passband.drawing.lettering import CUT, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGIBLE = 50
"""Largest number of classes for which the chart shows names and counts."""
LETTERS = 24
"""Largest number of letters of a name in the chart."""


def confusion_chart(confusion: Int[Tensor, "classes classes"], names: list[str]) -> "Figure":
    """Draw a confusion matrix with a row for each true class and a column for each predicted class.

    The color of a square is its share of the images of the true class. The number in it is the count of images.

    Args:
        confusion: counts of images, from `metrics.confusion_matrix`.
        names: names of the classes. With more than `LEGIBLE` classes, names and counts are not drawn.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    classes = len(names)
    legible = classes <= LEGIBLE
    side = 3.2 + (max(2.4, 0.34 * classes) if legible else 6.0)
    right, count = int(confusion.trace()), int(confusion.sum())
    with rc_context(STYLE):
        figure = new_chart(side + 0.8, side)
        axes = figure.add_subplot()
        shares = (confusion.double() / confusion.sum(1, keepdim=True).clamp(min=1)).numpy()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.spines[:].set_visible(False)
        headline(axes, "Confusion matrix", f"{right:,} of {count:,} images are classified correctly")
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        if legible:
            labels = [_short(name) for name in names]
            axes.set_xticks(range(classes), labels, rotation=90 if max(map(len, labels)) > 3 else 0)
            axes.set_yticks(range(classes), labels)
            for (row, column), number in np.ndenumerate(confusion.numpy()):
                if number:
                    color = "white" if shares[row, column] > 0.5 else "black"
                    axes.text(column, row, str(number), ha="center", va="center", color=color, fontsize=8)
        figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")
    return figure


def confusion_picture(confusion: Int[Tensor, "classes classes"], names: list[str]) -> Float[Tensor, "3 H W"]:
    """Draw a confusion matrix as an image.

    Args:
        confusion: counts of images, as in `confusion_chart`.
        names: names of the classes, as in `confusion_chart`.

    Returns:
        RGB image in [0, 1].
    """
    from matplotlib import rc_context

    figure = confusion_chart(confusion, names)
    with rc_context(STYLE):
        figure.canvas.draw()
    pixels = torch.from_numpy(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())  # type: ignore[attr-defined]
    return pixels.movedim(-1, 0).float() / 255


def _short(name: str) -> str:
    """Return a name, cut to at most `LETTERS` letters."""
    name = printable(name)
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}{CUT}"
