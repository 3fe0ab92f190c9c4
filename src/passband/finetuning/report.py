"""Scores of held-out pairs before and after, as tables and pictures."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from torch import Tensor

from passband.data.datasets.crops import read_pair
from passband.data.pairs import Pair
from passband.drawing.comparison import comparison_rows
from passband.evaluation.restoration_report import finite
from passband.inference.memory import restore_within
from passband.io.files import write_whole
from passband.io.image import write_image
from passband.metrics import psnr, ssim
from passband.models import load_model, pick_device
from passband.models.sfnet import mean_view
from passband.provenance import environment
from passband.runs import read_run
from passband.tasks.restoration import check_views

REACHED = "it reached its length"
"""Why a run ended that did not end early."""
SHOWN, SHOWN_SIDE = 6, 320
"""Rows of the picture before and after, and the side in pixels of the parts shown."""

Item = TypeVar("Item")


def score(weights: str | Path, views: int, pairs: Sequence[Pair], device: str) -> list[tuple[dict[str, float], Tensor]]:
    """Restore the degraded pictures of pairs.

    Args:
        weights: as in `models.load_model`.
        views: pictures of each scene that they take.
        pairs: what to restore, at most so many as shall be.
        device: see `models.pick_device`.

    Returns:
        For each pair, PSNR in dB and SSIM of the whole picture, and the middle of it.
    """
    torch_device = pick_device(device)
    model = load_model(weights).to(torch_device)
    check_views(model, views, weights)
    scores = []
    for pair in pairs:
        degraded, clean = (image[None] for image in read_pair(pair))
        restored = restore_within(model, degraded.to(torch_device))[0].clamp(0, 1).cpu()
        figures = {"psnr": psnr(restored, clean).item(), "ssim": ssim(restored, clean).item()}
        scores.append((figures, _middle(restored[0])))
    return scores


def conclude(
    output: Path,
    views: int,
    held_out: Sequence[Pair],
    before: Sequence[tuple[dict[str, float], Tensor]],
    steps: int,
    device: str,
) -> dict[str, Any]:
    """Score the best weights of a run that has ended, and write the tables and the picture.

    Args:
        output: the run's folder.
        views: pictures of each scene that the weights take.
        held_out: all pairs that were held out.
        before: what `score` gave for some of them, taken by `evenly`, and the weights that the run began with.
        steps: of the run.
        device: see `models.pick_device`.

    Returns:
        What finetune.json holds.
    """
    pairs = evenly(held_out, len(before))
    after = score(output / "weights" / "best", views, pairs, device)
    images, rows, captions = [], [], []
    for pair, (earlier, earlier_picture), (later, later_picture) in zip(pairs, before, after, strict=True):
        degraded, clean = (image[None] for image in read_pair(pair))
        degraded = mean_view(degraded)
        images.append(
            {
                "name": pair.name,
                "psnr_degraded": psnr(degraded, clean).item(),
                "psnr_before": earlier["psnr"],
                "psnr_after": later["psnr"],
                "ssim_degraded": ssim(degraded, clean).item(),
                "ssim_before": earlier["ssim"],
                "ssim_after": later["ssim"],
            }
        )
        rows.append([_middle(degraded[0]), earlier_picture, later_picture, _middle(clean[0])])
        captions.append(
            [
                f"{pair.name}: {images[-1]['psnr_degraded']:.1f} dB",
                f"before: {earlier['psnr']:.1f} dB",
                f"fine-tuned: {later['psnr']:.1f} dB",
                "clean",
            ]
        )
    figures = [name for name in images[0] if name != "name"]
    result = {
        "mean": {name: fmean(image[name] for image in images) for name in figures},
        "images": images,
        "protocol": "rgb",
        "held_out": [pair.name for pair in held_out],
        "steps": steps,
        "best_step": _best_step(output),
        "ended": read_run(output)["reason"] or REACHED,
        **environment(),
    }
    with write_whole(output / "finetune.json") as path:
        path.write_text(json.dumps(finite(result), indent=2) + "\n", encoding="utf-8")
    with write_whole(output / "finetune.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["name", *figures])
        writer.writeheader()
        writer.writerows(images)
    write_image(output / "before_after.png", comparison_rows(evenly(rows, SHOWN), evenly(captions, SHOWN)))
    return result


def _best_step(output: Path) -> int:
    """The step whose weights are the best ones of a run; 0 for those that it began with."""
    with (output / "validation.csv").open(newline="", encoding="utf-8") as file:
        return int(max(csv.DictReader(file), key=lambda row: float(row["psnr"]))["step"])


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of a sequence's items, spread over it, in order."""
    count = min(most, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def _middle(image: Tensor) -> Tensor:
    """The middle of a picture, its own memory."""
    height, width = image.shape[-2:]
    top, left = max(0, height - SHOWN_SIDE) // 2, max(0, width - SHOWN_SIDE) // 2
    return image[:, top : top + SHOWN_SIDE, left : left + SHOWN_SIDE].clone()
