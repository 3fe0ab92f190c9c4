"""Demonstrates the curriculum on cropped spectra: trains the same network with it and without, and draws both."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.data.pasting import PasteSettings, SetPlan, paste_set
from passband.demos.segmentation import RECIPE, AnyShape
from passband.demos.small_training import fitting_length, new_folders, train_small
from passband.drawing.charts.runs import RunCurves, run_curves_chart
from passband.drawing.charts.style import save_charts
from passband.runs import read_curves
from passband.training import StepReport

SIDE = 96
"""Side of the images, in pixels."""
STAGES = (48, 72)
"""Sides of the images in the first two thirds of the steps of the curriculum."""
COUNTS = (600, 24)
"""Numbers of images to train on and to score on."""
FULL_SHARE = 0.6
"""Share of the time that the training without a curriculum gets. Both have equally many steps."""
VALIDATIONS = 6
"""Number of validations of each training."""
SCORE = "foreground_dice"
"""Score that the chart shows."""
CURRICULA: dict[str, dict[str, Any]] = {
    "whole images": {"mode": "none"},
    "curriculum": {"mode": "crop", "start": 0.5, "shape": "step", "plateaus": 3, "sizes": list(STAGES)},
}
"""Settings of the curriculum of each training, by its name."""

ShowNamedStep = Callable[[StepReport, str], None]


def no_named_display(step: StepReport, name: str) -> None:
    """Show nothing of a step.

    Args:
        step: figures of the step.
        name: name of the training.
    """


@dataclass(frozen=True)
class Trained:
    """One of the two trainings."""

    seconds: float
    """Time of the training in seconds, validations included."""
    steps: int
    """Number of steps."""
    dice: float
    """Mean Dice of the shapes in the new images, 0 to 1."""


def demonstrate_curriculum(
    output: Path,
    *,
    seed: int = 0,
    minutes: float = 1.0,
    steps: int | None = None,
    device: str = "auto",
    report: ShowNamedStep = no_named_display,
) -> dict[str, Trained]:
    """Make a set of images and masks, and train a network on it twice: on whole images, and with a curriculum.

    Writes set/ (images and masks), whole-images/ and curriculum/ (the trainings with their weights), and
    curriculum.png and .svg (loss and score over the seconds of each training).

    Args:
        output: new folder for the files.
        seed: seed of the set and of both trainings.
        minutes: time of both trainings together, in minutes.
        steps: number of steps of each training instead of the time; None for the time.
        device: device to train on, see `models.pick_device`.
        report: function that is called after every step with the step and the name of its training.

    Returns:
        Time and score of each training, by the names of `CURRICULA`.

    Raises:
        FileExistsError: if the folder holds a set.
    """
    data, runs = output / "set", {name: output / name.replace(" ", "-") for name in CURRICULA}
    with new_folders(data, *runs.values()):
        settings = PasteSettings((SIDE, SIDE), count=(1, 3), scale=(0.25, 0.6))
        paste_set("segmentation", AnyShape(), data, SetPlan(COUNTS, settings, seed))
        recipe = {**RECIPE, "seed": seed, "data": {**RECIPE["data"], "size": SIDE}}
        threads: int | None = None
        if steps is None:  # both trainings have equal steps and threads, so that their times can be compared
            whole = {**recipe, "name": "whole images", "curriculum": {"mode": "none"}}
            steps, threads = fitting_length(whole, data, minutes=FULL_SHARE * minutes, device=device)
        results: dict[str, Trained] = {}
        curves: list[RunCurves] = []
        for name, curriculum in CURRICULA.items():
            run = runs[name]
            ends: list[float] = []

            def timed(step: StepReport, name: str = name, ends: list[float] = ends) -> None:
                ends.append(time.monotonic())
                report(step, name)

            progress = train_small(
                {**recipe, "name": name, "curriculum": curriculum},
                data,
                run,
                minutes=minutes,
                steps=steps,
                device=device,
                report=timed,
                validations=VALIDATIONS,
                threads=threads,
            )
            trained, validated = (_over_seconds(run / file, ends) for file in ("log.csv", "validation.csv"))
            curves.append(RunCurves(name, {"loss": trained["loss"]}, {SCORE: validated[SCORE]}))
            results[name] = Trained(progress.seconds, progress.step, progress.figures[SCORE])
        chart = run_curves_chart(curves, f"The same {steps} steps, with a curriculum and without", "seconds")
        assert chart is not None, "every run has steps"
        save_charts(chart, output / "curriculum.png")
        return results


def _over_seconds(file: Path, ends: list[float]) -> dict[str, tuple[list[float], list[float]]]:
    """Return the columns of a log of a run over the seconds since the first step, instead of over steps."""
    columns = read_curves(file)
    return {
        name: ([ends[int(step) - 1] - ends[0] for step in steps], list(values))
        for name, (steps, values) in columns.items()
    }
