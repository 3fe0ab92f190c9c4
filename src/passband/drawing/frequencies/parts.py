"""Draws the low and high parts of an image by several definitions of the frequency ratio, side by side."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import NOTE, QUIET, STYLE, TITLE, new_chart
from passband.drawing.frequencies.spectrum import draw_amplitudes
from passband.drawing.zoom import most_detailed, with_enlarged_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 3.3
"""Width of a column in inches."""
SIDE = 420
"""Longest side of an image in pixels, which is the resolution of a column."""
ZOOM = 2
"""Factor by which the framed part is enlarged, if the image was not shrunk."""
ROWS = ("kept frequencies", "low part", "framed: low part", "framed: high part")
"""Names of the rows."""


def parts_figure(
    image: Float[Tensor, "3 H W"], columns: Sequence[Mapping[str, Any]], ratio: float, definitions: Mapping[str, str]
) -> "Figure":
    """Draw a column for each definition: the disc that is kept, the low part, and details of the low and the high part.

    The details are at the resolution of the image or enlarged, because shrinking an image removes its high frequencies.

    Args:
        image: RGB image in [0, 1].
        columns: a mapping for each definition: its name `definition`, the figures `radius`, `share_of_nyquist`,
            `coefficients` and `energy` (shares from 0 to 1), the image `low`, and the image `high` around gray with its
            `gain`.
        ratio: share of the spectrum that was asked for, 0 to 1.
        definitions: the quantity that a ratio is a share of, by the name of the definition.

    Returns:
        A matplotlib figure, which is not registered with pyplot.
    """
    from matplotlib import rc_context

    height, width = image.shape[-2:]
    tall = min(2.0, max(0.4, height / width)) * (WIDTH - 0.3)
    with rc_context(STYLE):
        figure = new_chart(max(2, len(columns)) * WIDTH + 0.4, WIDTH + 3 * tall + 2.2)
        figure.suptitle(
            f"A frequency ratio of {ratio:g}, by each definition", x=0.012, ha="left", fontsize=TITLE, fontweight="bold"
        )
        grid = figure.subplots(len(ROWS), len(columns), squeeze=False, height_ratios=[WIDTH - 0.3, *[tall] * 3])
        for number, column in enumerate(columns):
            _draw_column(grid[:, number], image, column, ratio, definitions[column["definition"]])
        for panel, name in zip(grid[:, 0], ROWS, strict=True):
            panel.set_ylabel(name, fontsize=NOTE + 1, color=QUIET)
        figure.supxlabel(
            "The dashed circle encloses the frequencies of the low part. Low part + high part = image.",
            x=0.012, ha="left", fontsize=NOTE, color=QUIET,
        )  # fmt: skip
        return figure


def _draw_column(
    panels: Any, image: Float[Tensor, "3 H W"], column: Mapping[str, Any], ratio: float, quantity: str
) -> None:
    """Draw the panels of one definition."""
    spectrum, *others = panels
    draw_amplitudes(spectrum, image, {column["share_of_nyquist"]: ""}, side=320)
    spectrum.set_title(f"{column['definition']}", loc="left", fontsize=NOTE + 2, fontweight="bold", pad=32)
    spectrum.annotate(
        textwrap.fill(f"{100 * ratio:g} % of {quantity}", 36), (0, 1), xycoords="axes fraction", xytext=(0, 6),
        textcoords="offset points", fontsize=NOTE - 0.5, color=QUIET, annotation_clip=False,
    )  # fmt: skip
    kept = (
        f"{_percent(column['coefficients'])} of all frequencies,\n{_percent(column['energy'])} of the contrast energy"
    )
    spectrum.set_xlabel(kept, fontsize=NOTE - 0.5, color=QUIET, loc="left")
    gain = f"amplified {column['gain']} times" if column["gain"] > 1 else ""
    height, width = image.shape[-2:]
    find = partial(most_detailed, image)
    low, high = column["low"].clamp(0, 1), column["high"]
    (framed, _), (low_detail, high_detail) = with_enlarged_part((low, high), (height, width), find, SIDE, ZOOM)
    for panel, part, note in zip(others, (framed, low_detail, high_detail), ("", "", gain), strict=True):
        panel.imshow(part.movedim(0, -1).cpu().numpy())
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        panel.set_xlabel(note, fontsize=NOTE - 0.5, color=QUIET, loc="left")


def _percent(share: float) -> str:
    """Return a share in percent, without rounding a part to nothing or to the whole."""
    if 0 < share < 0.0001:
        return "below 0.01 %"
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.1f} %"
