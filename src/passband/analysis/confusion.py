"""The confusion matrix as a picture."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

LEGIBLE = 50
"""Classes up to which each has its name and each square its number."""
DOTS = 100
"""Pixels per inch of the picture."""


def confusion_picture(confusion: Int[Tensor, "classes classes"], names: list[str]) -> Float[Tensor, "3 H W"]:
    """Draw who was taken for whom: a row per true class, whose squares are shares of its pictures.

    Args:
        confusion: counts, from `metrics.confusion_matrix`.
        names: of the classes; above `LEGIBLE` of them names and numbers are left out.

    Returns:
        RGB in [0, 1]; a square is the darker the larger the share, and holds the count.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = len(names)
    legible = classes <= LEGIBLE
    side = 2.6 + (max(2.4, 0.34 * classes) if legible else 6.0)
    figure = Figure(figsize=(side, side), dpi=DOTS, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = (confusion.double() / confusion.sum(1, keepdim=True).clamp(min=1)).numpy()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if legible:
        labels = [_short(name) for name in names]
        axes.set_xticks(range(classes), labels, rotation=90)
        axes.set_yticks(range(classes), labels)
        for (row, column), count in np.ndenumerate(confusion.numpy()):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")
    canvas.draw()
    pixels = torch.from_numpy(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return pixels.movedim(-1, 0).float() / 255


def _short(name: str, most: int = 24) -> str:
    """A name that leaves room for the squares; a dollar sign is no formula."""
    return (name if len(name) <= most else f"{name[: most - 1]}…").replace("$", r"\$")
