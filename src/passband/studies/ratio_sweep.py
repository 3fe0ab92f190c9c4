"""A sweep over final frequency ratios: a run for each, all scored at the whole spectrum, one table.

The study of "Adaptive Frequency Ratio Scheduler" (lab slides, 2023): how far may the ratio fall before the network,
which is scored on whole pictures, no longer knows them?
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.config import SegmentationRecipe
from passband.evaluation import evaluate_segmenter
from passband.io.files import write_whole
from passband.provenance import environment
from passband.runs import RunError, check_free, latest_checkpoint, read_run
from passband.studies.ratio_sweep_report import draw_sweep, sweep_table
from passband.tasks.segmentation import Segmentation
from passband.training import StepReport, train

PROTOCOL = "lab_macro"
"""The slides' five scores."""
SCORED = "report"
"""Folder of a run with its scores."""


@dataclass(frozen=True)
class Sweep:
    """Where a sweep stands."""

    rows: tuple[dict[str, Any], ...]
    """For each ratio that is done `final_ratio`, the figures of `lab_macro` in [0, 1], Dice and IoU of the foreground,
    `seconds` and `steps`."""
    ratios: tuple[float, ...]
    """All that there are to be."""
    output: Path

    @property
    def is_done(self) -> bool:
        """Whether all runs are."""
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
    """Train a network for each of a recipe's `curriculum.final_ratios`, or go on where that was stopped, and score all.

    Writes into `output`: run.json, a run's folder final-RATIO for each ratio with its scores in report/, and after
    each run table.md, table.json and plot.png. Scored are the weights of the end of a run, at the whole spectrum and
    the size of the masks, by `lab_macro`.

    Args:
        recipe: settings, with final ratios.
        output: the sweep's folder; new, or with `resume` one that was begun.
        data: pictures and masks to learn from.
        validation_data: what to score on; None scores on what the recipe sets apart, or on `data`.
        weights: to start every run from.
        resume: go on; runs that are done are not done again.
        max_minutes: stop cleanly after this long.
        device: as for `training.train`.
        report: called with the ratio after every step.

    Raises:
        RunError: if `output` holds a sweep and `resume` is off, or the reverse, or one of other settings.
        ValueError: for a recipe without final ratios; as `training.train`.
    """
    output, data = Path(output), Path(data)
    validation_data = None if validation_data is None else Path(validation_data)
    if not recipe.curriculum.final_ratios:
        raise ValueError("a sweep needs curriculum.final_ratios, such as [0.9, 0.6, 0.3, 0]")
    if not resume:
        check_free(output)
    elif not (output / "run.json").exists():
        raise RunError(f"nothing to resume in {output}: begin anew in another folder")
    elif read_run(output)["recipe"] != recipe:
        raise RunError(f"{output} was begun with another recipe: choose another folder, or the recipe that it has")
    started = time.monotonic()
    rows: list[dict[str, Any]] = []
    status = "interrupted"
    try:
        _describe(output, recipe, data, validation_data, weights, "running")
        for ratio in recipe.curriculum.final_ratios:
            left = None if max_minutes is None else max_minutes - (time.monotonic() - started) / 60
            if left is not None and left <= 0:
                status = "stopped"
                break
            row = _done(
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
    return Sweep(tuple(rows), recipe.curriculum.final_ratios, output)


def of_ratio(recipe: SegmentationRecipe, ratio: float) -> SegmentationRecipe:
    """The recipe of one run of a sweep.

    Args:
        recipe: with final ratios.
        ratio: that the run comes to, or keeps to where the recipe's ratio is fixed.
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
) -> dict[str, Any] | None:
    """The scores of a run, which is trained and scored where that is not done; None where time ran out."""
    resume = latest_checkpoint(run) is not None
    if not resume:
        shutil.rmtree(run, ignore_errors=True)  # begun, and stopped before its first checkpoint
    if not resume or read_run(run)["status"] != "finished":
        train(recipe, run, data=data, validation_data=validation_data, resume=resume, device=device, **options)
    about = read_run(run)
    if about["status"] != "finished":
        return None
    scores = run / SCORED / "evaluation.json"
    if scores.exists():
        result = json.loads(scores.read_text(encoding="utf-8"))
    else:
        pairs = Segmentation(recipe).split(data)[1] if validation_data is None else None
        result = evaluate_segmenter(
            run / "weights" / "last",
            validation_data or data,
            run / SCORED,
            protocol=PROTOCOL,
            pairs=pairs,
            device=device,
        )
    return {
        **result["mean"],
        "background": result["background"],
        "pictures": len(result["images"]),
        "seconds": about["seconds"],
        "steps": about["step"],
        "run": run.name,
    }


def _write(output: Path, recipe: SegmentationRecipe, rows: list[dict[str, Any]]) -> None:
    """The table, for people and programs, and the picture."""
    fixed = recipe.curriculum.fixed
    with write_whole(output / "table.md") as path:
        path.write_text("\n".join(sweep_table(recipe.name, rows, fixed=fixed)) + "\n", encoding="utf-8")
    with write_whole(output / "table.json") as path:
        path.write_text(json.dumps({"protocol": PROTOCOL, "rows": rows, **environment()}, indent=2) + "\n")
    draw_sweep(rows, output / "plot.png", fixed=fixed)


def _describe(
    output: Path,
    recipe: SegmentationRecipe,
    data: Path,
    validation_data: Path | None,
    weights: str | Path | None,
    status: str,
) -> None:
    """Write run.json, by which the sweep can be gone on with."""
    content = {
        "status": status,
        "recipe": recipe.model_dump(),
        "data": str(Path(data).resolve()),
        "validation_data": str(Path(validation_data).resolve()) if validation_data else None,
        "weights": str(weights) if weights else None,
        "runs": [f"final-{ratio:g}" for ratio in recipe.curriculum.final_ratios],
        **environment(),
    }
    with write_whole(output / "run.json") as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
