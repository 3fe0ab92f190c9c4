"""The confusion matrix as a chart."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from passband.drawing.charts import STYLE, headline, new_chart
from passband.drawing.lettering import CUT, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGIBLE = 50
"""Classes up to which each has its name and each square its number."""
LETTERS = 24
"""Of a name, at most."""


def confusion_chart(confusion: Int[Tensor, "classes classes"], names: list[str]) -> "Figure":
    """Draw who was taken for whom: a row per true class, whose squares are shares of its pictures.

    Args:
        confusion: counts, from `metrics.confusion_matrix`.
        names: of the classes; above `LEGIBLE` of them names and numbers are left out.

    Returns:
        A figure of its own, which pyplot does not know of; a square is the darker the larger the share, and holds the
        count.
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
        headline(axes, "Confusion matrix", f"{right:,} of {count:,} pictures are recognized")
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
    """`confusion_chart` as pixels.

    Args:
        confusion: as in `confusion_chart`.
        names: as in `confusion_chart`.

    Returns:
        RGB in [0, 1].
    """
    from matplotlib import rc_context

    figure = confusion_chart(confusion, names)
    with rc_context(STYLE):
        figure.canvas.draw()
    pixels = torch.from_numpy(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())  # type: ignore[attr-defined]
    return pixels.movedim(-1, 0).float() / 255


def _short(name: str) -> str:
    """A name that leaves room for the squares."""
    name = printable(name)
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}{CUT}"
