"""Makes charts with a common style, titles and colors, and writes them as PNG and SVG."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passband.io.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222")
"""Colors of lines, the most important line first. Color-blind readers can tell them apart. Source: Okabe and Ito,
"Color Universal Design", 2008."""
QUIET = "#666666"
"""Color of explanations, such as subtitles and labels of axes."""
TITLE, NOTE = 13, 9.5
"""Sizes in points of the letters of titles and of explanations."""
DOTS = 150
"""Resolution of PNG files in pixels per inch."""
KINDS = (".png", ".svg")
"""Types of the files of a chart: PNG for slides and notes, SVG for print and editing."""
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "svg.hashsalt": "passband",  # without a fixed salt, each run writes another file
    "text.parse_math": False,  # names may contain dollar signs
}


def new_chart(width: float, height: float, title: str = "") -> "Figure":
    """Return an empty matplotlib figure, which is not registered with pyplot.

    Args:
        width: width in inches.
        height: height in inches.
        title: title at the top left of a chart with several panels. A chart with one panel uses `headline` instead.
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
    """Write a title and a sentence below it, both aligned with the left edge of the axes.

    Args:
        axes: axes of a chart with one panel.
        title: title of a few words.
        text: sentence below the title.
    """
    axes.set_title(text, loc="left", fontsize=NOTE, color=QUIET, pad=10)
    position = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 28), "textcoords": "offset points"}
    axes.annotate(title, **position, fontsize=TITLE, fontweight="bold", annotation_clip=False)


def save_chart(figure: "Figure", path: Path | str) -> None:
    """Write a chart into a file. The file is complete or does not exist.

    Args:
        figure: chart to write.
        path: file to write. Its suffix decides the type, such as .png, .svg or .pdf.

    Raises:
        ValueError: if the suffix is not supported.
        OSError: if the file cannot be written.
    """
    from matplotlib import rc_context

    path = Path(path)
    kinds = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in kinds:
        raise ValueError(f"{path} cannot be drawn: its suffix {path.suffix!r} is not one of {', '.join(sorted(kinds))}")
    date_keys = {"svg": "Date", "pdf": "CreationDate"}  # left out, so that the same chart gives the same file
    with rc_context(STYLE), _laid_out(figure), write_whole(path) as temporary:
        figure.savefig(temporary, format=kind, metadata={date_keys[kind]: None} if kind in date_keys else None)


def png_bytes(figure: "Figure") -> bytes:
    """Return a chart as the content of a PNG file.

    Args:
        figure: chart to draw.
    """
    from matplotlib import rc_context

    content = io.BytesIO()
    with rc_context(STYLE), _laid_out(figure):
        figure.savefig(content, format="png")
    return content.getvalue()


def save_charts(figure: "Figure", path: Path | str) -> None:
    """Write a chart as PNG and SVG.

    Args:
        figure: chart to write.
        path: path of the PNG file. The SVG file is written beside it.

    Raises:
        OSError: if a file cannot be written.
    """
    from matplotlib import rc_context

    with rc_context(STYLE), _laid_out(figure):
        for kind in KINDS:
            save_chart(figure, Path(path).with_suffix(kind))


@contextmanager
def _laid_out(figure: "Figure") -> Iterator[None]:
    """Find the layout of a chart for all files that are written inside.

    With a layout engine, matplotlib draws a chart twice for each file, the first time only to find the layout.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    try:
        yield
    finally:
        if engine is not None:
            figure.set_layout_engine(engine)


def readable_on(color: Any) -> str:
    """Return `"black"` or `"white"`, whichever has more contrast on a color (relative luminance of WCAG 2.1).

    Args:
        color: red, green and blue in [0, 1].
    """
    parts = [float(part) for part in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"
