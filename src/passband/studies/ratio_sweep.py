"""Sweeps over final frequency ratios: trains a run for each, scores all at the whole spectrum, and writes one table.

The study of "Adaptive Frequency Ratio Scheduler" (lab slides, 2023): how far may the ratio fall before the network
no longer segments whole images?
"""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.checkpoints import sound_checkpoint
from passband.config import SegmentationRecipe, recipe_scored_on
from passband.evaluation import evaluate_segmenter
from passband.io.files import results_folder, write_whole
from passband.io.json_files import write_json
from passband.io.shards import data_folder, location
from passband.models import pick_device
from passband.processes import from_first, rank
from passband.processes.start import join
from passband.provenance import environment
from passband.runs import Progress, RunError, check_free, keep_run, read_run
from passband.studies.ratio_sweep_report import draw_sweep, sweep_table
from passband.tasks.segmentation import Segmentation
from passband.training import StepReport, train
from passband.weights_finding import RUN_FILE

SWEEP_PROTOCOL = "lab_macro"
"""Protocol of the five scores of the slides."""
SCORES_FOLDER = "report"
"""Name of the folder of a run's scores."""


@dataclass(frozen=True)
class Sweep:
    """The state of a sweep."""

    rows: tuple[dict[str, Any], ...]
    """For each finished ratio `final_ratio`, the figures of `lab_macro` in [0, 1], Dice and IoU of the foreground,
    `seconds` and `steps`."""
    ratios: tuple[float, ...]
    """All ratios of the sweep."""
    output: Path
    stopped: Progress | None = None
    """Progress of the run that was stopped; None if none was."""

    def exit_if_signaled(self) -> None:
        """End this process if a signal stopped the sweep, see `runs.Progress`."""
        if self.stopped is not None:
            self.stopped.exit_if_signaled()

    @property
    def is_done(self) -> bool:
        """Whether all runs are finished."""
        return len(self.rows) == len(self.ratios)


def sweep_ratios(
    recipe: SegmentationRecipe,
    output: str | Path,
    *,
    data: str | Path,
    validation_data: str | Path | None = None,
    weights: str | Path | None = None,
    resume: bool = False,
    max_minutes: float | None = None,
    device: str = "auto",
    report: Callable[[float, StepReport], None] = lambda ratio, step: None,
) -> Sweep:
    """Train a network for each of a recipe's `curriculum.final_ratios`, and score all of them.

    Writes into `output`: run.json, a folder final-RATIO of each run with its scores in report/, and after each run
    table.md, table.json and plot.png. The weights at the end of a run are scored by `lab_macro`, at the whole spectrum
    and the size of the masks.

    Args:
        recipe: settings with final ratios.
        output: folder of the sweep; new, or with `resume` that of a sweep that was begun.
        data: folder of images and masks to learn from.
        validation_data: folder to score on; None scores on the part that the recipe holds out, or on `data`.
        weights: weights to start every run from; None for fresh ones.
        resume: whether a sweep goes on; finished runs are not repeated.
        max_minutes: time after which the sweep stops cleanly, in minutes; None for no limit.
        device: device to train on, see `training.train`.
        report: function that is called with the ratio after every step.

    Raises:
        RunError: if `output` holds a sweep and `resume` is off, or the reverse, if the sweep has other settings, or if
            another process trains it.
        ValueError: if the recipe has no final ratios, or `training.train` raises it.
        OSError: if the data cannot be read, or the folder cannot be written to.
    """
    output, data = results_folder(output), data_folder(data)
    validation_data = None if validation_data is None else data_folder(validation_data)
    recipe = recipe_scored_on(recipe, validation_data)
    if not recipe.curriculum.final_ratios:
        raise ValueError("a sweep needs curriculum.final_ratios, such as [0.9, 0.6, 0.3, 0]")
    join(pick_device(device))
    # from here on, no other process trains this sweep
    with ExitStack() as kept:
        if (lock := keep_run(output, rank() == 0)) is not None:
            kept.callback(lock.release)
        if not resume:
            check_free(output, (data, validation_data))
        elif not (output / RUN_FILE).exists():
            raise RunError(f"nothing to resume in {output}: begin anew in another folder")
        elif read_run(output)["recipe"] != recipe:
            raise RunError(f"{output} was begun with another recipe: choose another folder, or the recipe that it has")
        from_first(None)  # no process writes before all have checked the folder
        started = time.monotonic()
        rows: list[dict[str, Any]] = []
        status, stopped = "interrupted", None
        try:
            _describe(output, recipe, data, validation_data, weights, "running")
            for ratio in recipe.curriculum.final_ratios:
                left = None if max_minutes is None else from_first(max_minutes - (time.monotonic() - started) / 60)
                if left is not None and left <= 0:
                    status = "stopped"
                    break
                row, stopped = _done(
                    of_ratio(recipe, ratio),
                    output / f"final-{ratio:g}",
                    data=data,
                    validation_data=validation_data,
                    weights=weights,
                    max_minutes=left,
                    device=device,
                    report=lambda step, ratio=ratio: report(ratio, step),
                )
                if row is None:
                    status = "stopped"
                    break
                rows.append({"final_ratio": ratio, **row})
                _write(output, recipe, rows)
            else:
                status = "finished"
        except Exception:
            status = "failed"
            raise
        finally:
            _describe(output, recipe, data, validation_data, weights, status)
    return Sweep(tuple(rows), recipe.curriculum.final_ratios, output, stopped)


def of_ratio(recipe: SegmentationRecipe, ratio: float) -> SegmentationRecipe:
    """Return the recipe of one run of a sweep.

    Args:
        recipe: recipe with final ratios.
        ratio: final ratio of the run, or its constant ratio if the recipe's ratio is fixed.
    """
    changed = recipe.curriculum.model_copy(update={"end": ratio, "final_ratios": ()})
    return recipe.model_copy(update={"name": f"{recipe.name}-{ratio:g}", "curriculum": changed})


def _done(
    recipe: SegmentationRecipe,
    run: Path,
    *,
    data: Path,
    validation_data: Path | None,
    device: str,
    **options: Any,
) -> tuple[dict[str, Any] | None, Progress | None]:
    """Train and score a run unless that is done, and return its scores, or None and its progress.

    Several processes train together. The first one scores.
    """
    progress = None
    # a finished run needs no checkpoints
    is_finished = rank() == 0 and (run / RUN_FILE).exists() and read_run(run)["status"] == "finished"
    if not from_first(is_finished):
        resume = from_first(rank() == 0 and sound_checkpoint(run) is not None)
        if not resume and rank() == 0:
            shutil.rmtree(run, ignore_errors=True)  # it stopped before its first checkpoint, or lost all of them
        places = {"data": data, "validation_data": validation_data, "device": device}
        progress = train(recipe, run, resume=resume, **places, **options)
    scores = None
    if rank() == 0 and (about := read_run(run))["status"] == "finished":
        scores = _scores(recipe, run, about, data=data, validation_data=validation_data, device=device)
    return from_first(scores), progress


def _scores(
    recipe: SegmentationRecipe,
    run: Path,
    about: dict[str, Any],
    *,
    data: Path,
    validation_data: Path | None,
    device: str,
) -> dict[str, Any]:
    """Score a finished run unless that is done, and return its scores."""
    scores = run / SCORES_FOLDER / "evaluation.json"
    if scores.exists():
        result = json.loads(scores.read_text(encoding="utf-8"))
    else:
        pairs = Segmentation(recipe).split(data)[1] if validation_data is None else None
        result = evaluate_segmenter(
            run / "weights" / "last",
            validation_data or data,
            run / SCORES_FOLDER,
            protocol=SWEEP_PROTOCOL,
            pairs=pairs,
            device=device,
        )
    return {
        **result["mean"],
        "background": result["background"],
        "images": len(result["images"]),
        "seconds": about["seconds"],
        "steps": about["step"],
        "run": run.name,
    }


def _write(output: Path, recipe: SegmentationRecipe, rows: list[dict[str, Any]]) -> None:
    """Write the table as Markdown and JSON, and the chart."""
    if rank():
        return  # only the first process of a parallel run writes
    fixed = recipe.curriculum.fixed
    with write_whole(output / "table.md") as path:
        path.write_text("\n".join(sweep_table(recipe.name, rows, fixed=fixed)) + "\n", encoding="utf-8")
    write_json(output / "table.json", {"protocol": SWEEP_PROTOCOL, "rows": rows, **environment()})
    draw_sweep(rows, output / "plot.png", fixed=fixed)


def _describe(
    output: Path,
    recipe: SegmentationRecipe,
    data: Path,
    validation_data: Path | None,
    weights: str | Path | None,
    status: str,
) -> None:
    """Write run.json, from which the sweep can be resumed."""
    if rank():
        return  # only the first process of a parallel run writes
    content = {
        "status": status,
        "recipe": recipe.model_dump(),
        "data": location(data),
        "validation_data": location(validation_data) if validation_data else None,
        "weights": str(weights) if weights else None,
        "runs": [f"final-{ratio:g}" for ratio in recipe.curriculum.final_ratios],
        **environment(),
    }
    write_json(output / RUN_FILE, content)
