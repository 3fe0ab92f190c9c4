"""Scores held-out pairs before and after fine-tuning, and writes the scores as tables and an image."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor

from passband.data.pairs import Pair
from passband.data.selection import evenly
from passband.drawing.comparison import comparison_rows
from passband.evaluation.pair_scores import PairScore, score_pair
from passband.inference.restorer import Restorer
from passband.io.image import write_image
from passband.io.json_files import write_json
from passband.provenance import environment
from passband.reports.files import write_csv
from passband.runs import read_run

REACHED = "it reached its length"
"""Reason why a run ended if it did not end early."""
SHOWN_PAIRS = 6
"""Number of rows of before_after.png."""
PART_SIDE = 320
"""Side of the parts of images in before_after.png, in pixels."""


def score(weights: str | Path, views: int, pairs: Sequence[Pair], device: str) -> list[PairScore]:
    """Restore the degraded images of pairs and score them, exactly as an evaluation does.

    Args:
        weights: weights to load, as `Restorer` takes them.
        views: number of images of a scene that the weights take.
        pairs: pairs to score.
        device: name of a device, see `models.pick_device`.

    Returns:
        The score of each pair, with the middle parts of its images alone.
    """
    restorer = Restorer(weights, device, precision="float32", views=views)
    return [_middles(score_pair(restorer, pair)) for pair in pairs]


def conclude(
    output: Path,
    views: int,
    held_out: Sequence[Pair],
    before: Sequence[PairScore],
    steps: int,
    device: str,
) -> dict[str, Any]:
    """Score the best weights of a run that has ended, and write the tables and the image.

    Args:
        output: folder of the run.
        views: number of images of a scene that the weights take.
        held_out: all pairs that were held out.
        before: scores of the weights that the run began with, for the pairs that `evenly` takes.
        steps: number of steps of the run.
        device: name of a device, see `models.pick_device`.

    Returns:
        The content of finetune.json.
    """
    pairs = evenly(held_out, len(before))
    after = score(output / "weights" / "best", views, pairs, device)
    images, rows, captions = [], [], []
    for pair, earlier, later in zip(pairs, before, after, strict=True):
        figures = {}
        for name in ("psnr", "ssim"):
            figures[f"{name}_degraded"] = later.figures[f"{name}_degraded"]
            figures[f"{name}_before"] = earlier.figures[name]
            figures[f"{name}_after"] = later.figures[name]
        images.append({"name": pair.name, **figures})
        rows.append([later.degraded, earlier.restored, later.restored, later.clean])
        captions.append(
            [
                f"{pair.name}: {images[-1]['psnr_degraded']:.1f} dB",
                f"before: {earlier.figures['psnr']:.1f} dB",
                f"fine-tuned: {later.figures['psnr']:.1f} dB",
                "clean",
            ]
        )
    names = [name for name in images[0] if name != "name"]
    result = {
        "mean": {name: fmean(image[name] for image in images) for name in names},
        "images": images,
        "protocol": "rgb",
        "held_out": [pair.name for pair in held_out],
        "steps": steps,
        "best_step": _best_step(output),
        "ended": read_run(output)["reason"] or REACHED,
        **environment(),
    }
    write_json(output / "finetune.json", result)
    write_csv(output / "finetune.csv", ["name", *names], images)
    write_image(output / "before_after.png", comparison_rows(evenly(rows, SHOWN_PAIRS), evenly(captions, SHOWN_PAIRS)))
    return result


def _best_step(output: Path) -> int:
    """Return the step of the best weights of a run; 0 for those that it began with."""
    with (output / "validation.csv").open(newline="", encoding="utf-8") as file:
        return int(max(csv.DictReader(file), key=lambda row: float(row["psnr"]))["step"])


def _middles(scored: PairScore) -> PairScore:
    """Return the score of a pair with the middle parts of its images alone, to save memory."""
    parts = {name: _middle(getattr(scored, name)) for name in ("degraded", "restored", "clean")}
    return replace(scored, **parts)


def _middle(image: Tensor) -> Tensor:
    """Return a copy of the middle of an image."""
    height, width = image.shape[-2:]
    top, left = max(0, height - PART_SIDE) // 2, max(0, width - PART_SIDE) // 2
    return image[:, top : top + PART_SIDE, left : left + PART_SIDE].clone()
