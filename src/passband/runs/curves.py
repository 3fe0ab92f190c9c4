"""Draws the curves of a run."""

from pathlib import Path

from passband.drawing.charts.style import save_charts
from passband.drawing.charts.training import training_curves
from passband.runs.folder import RunError, run_content
from passband.runs.tables import read_tables

CURVES_FILE = "curves.png"
"""Name of the chart in the folder of a run. It shows the loss and the scores over the steps. curves.svg lies beside
it."""


def draw_curves(output: Path | str, target: Path | str | None = None) -> Path:
    """Draw the loss and the scores of a run over its steps, as PNG and SVG. The run may still be training.

    Args:
        output: folder of the run.
        target: PNG file to write, with the SVG file beside it. None writes `CURVES_FILE` into the folder of the run.

    Returns:
        Path of the PNG file.

    Raises:
        RunError: if the folder holds no run, or the run has no steps yet.
        ValueError: if the target does not end in .png.
        OSError: if a file cannot be read or written.
    """
    output = Path(output)
    target = Path(target) if target is not None else output / CURVES_FILE
    if target.suffix.lower() != ".png":
        raise ValueError(f"the output of curves must end in .png; got {target}. An SVG file is written beside it.")
    run = run_content(output)
    trained, validated = read_tables(output)
    if not (trained or validated):
        raise RunError(f"the run in {output} has no steps yet, so there are no curves: train it first")
    recipe = run.get("recipe")
    name = recipe.get("name") if isinstance(recipe, dict) else None
    save_charts(training_curves(trained, validated, f"Training of {name or output.resolve().name}"), target)
    return target
