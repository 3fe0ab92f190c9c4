"""What all charts share: titles, colors that color-blind readers tell apart, and files as PNG and SVG."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from passband.io.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222")
"""Of lines, the first for what matters most. Source: Okabe and Ito, "Color Universal Design", 2008."""
QUIET = "#666666"
"""Of what explains."""
TITLE, NOTE = 13, 9.5
"""Sizes of letters, in points."""
DOTS = 150
"""Pixels per inch of PNG files."""
KINDS = (".png", ".svg")
"""PNG for slides and notes, SVG for print and to be edited."""
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "svg.hashsalt": "passband",  # so that the same chart is the same file
    "text.parse_math": False,  # a dollar sign in a name is no formula
}


def new_chart(width: float, height: float, title: str = "") -> "Figure":
    """An empty figure of its own, which pyplot does not know of.

    Args:
        width: in inches.
        height: in inches.
        title: at the top left, of a chart of several panels; one panel has its `headline`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr]
    if title:
        figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE, fontweight="bold")
    return figure


def headline(axes: Any, title: str, text: str) -> None:
    """A title and a sentence below it, both from the left edge of the axes on.

    Args:
        axes: the only ones of a chart.
        title: a few words.
        text: the sentence.
    """
    axes.set_title(text, loc="left", fontsize=NOTE, color=QUIET, pad=10)
    place = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 28), "textcoords": "offset points"}
    axes.annotate(title, **place, fontsize=TITLE, fontweight="bold", annotation_clip=False)


def save_chart(figure: "Figure", path: Path | str) -> None:
    """Write a chart into one file, whole or not at all.

    Args:
        figure: the chart.
        path: the file; its suffix says the type: .png, .svg, .pdf.

    Raises:
        ValueError: for a type that cannot be drawn.
        OSError: the file cannot be written.
    """
    from matplotlib import rc_context

    path = Path(path)
    kinds = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in kinds:
        raise ValueError(f"{path} cannot be drawn: its suffix {path.suffix!r} is not one of {', '.join(sorted(kinds))}")
    dated = {"svg": "Date", "pdf": "CreationDate"}
    with rc_context(STYLE), write_whole(path) as temporary:
        figure.savefig(temporary, format=kind, metadata={dated[kind]: None} if kind in dated else None)


def save_charts(figure: "Figure", path: Path | str) -> None:
    """Write a chart as PNG and SVG.

    Args:
        figure: the chart.
        path: of the PNG file; the SVG file lies beside it.

    Raises:
        OSError: a file cannot be written.
    """
    for kind in KINDS:
        save_chart(figure, Path(path).with_suffix(kind))


def readable_on(color: Any) -> str:
    """Black or white, whichever has more contrast on a color (relative luminance of WCAG 2.1).

    Args:
        color: red, green and blue in [0, 1].
    """
    parts = [float(part) for part in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"
