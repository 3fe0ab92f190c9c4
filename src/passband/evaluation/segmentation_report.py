"""Writes the files of a segmentation evaluation: evaluation.json, evaluation.csv, worst_best.png, report.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.comparison import comparison_rows
from passband.evaluation.report import ROWS, heading, how_it_was_made, not_scored, noted, write_results
from passband.io.image import write_image
from passband.naming import counted
from passband.reports.files import cell, percent

SHEET_SIDE = 512
"""Longest side of an image in worst_best.png, in pixels."""
NAMES = {
    "iou": "IoU",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "pixel accuracy",
    "mean_dice": "mean Dice",
    "mean_iou": "mean IoU",
    "mae": "mean absolute error",
    "dice": "Dice",
    "class_iou": "IoU of classes",
    "foreground_dice": "foreground Dice",
    "foreground_iou": "foreground IoU",
}
"""Name of each figure in reports."""


def write_segmentation_report(
    output: Path,
    result: dict[str, Any],
    shown: Sequence[Sequence[Float[Tensor, "3 _ _"]]],
    captions: Sequence[Sequence[str]],
) -> None:
    """Write evaluation.json, evaluation.csv (a row for each image), worst_best.png and report.md.

    Args:
        output: folder of the report, which is made if it does not exist.
        result: result of `evaluate_segmenter`.
        shown: rows of images in [0, 1]; all images of a row have one size.
        captions: a text for each of these images.
    """
    small = [[_small(image) for image in row] for row in shown]
    write_image(output / "worst_best.png", comparison_rows(small, captions))
    write_results(output, result, ["name", *result["figures"], "foreground", "predicted"], _markdown(result))


def scores_table(result: dict[str, Any]) -> list[str]:
    """Return a Markdown table with the figures in percent, and those of a prediction without foreground.

    Args:
        result: result of `evaluate_segmenter`.
    """
    names = result["figures"]
    return [
        "| | " + " | ".join(NAMES[name] for name in names) + " |",
        "|---|" + "---|" * len(names),
        _row(f"network ({result['protocol']})", result["mean"], names),
        _row("all background", result["background"], names),
    ]


def segmentation_line(figures: dict[str, Any], names: Sequence[str]) -> str:
    """Return figures in a line.

    Args:
        figures: shares by name.
        names: names of the figures, in the order of the line.
    """
    return ", ".join(f"{NAMES[name]} {100 * figures[name]:.2f} %" for name in names)


def _markdown(result: dict[str, Any]) -> list[str]:
    """Return the lines of report.md."""
    images, names = result["images"], result["figures"]
    lines = [
        *heading(result),
        f"{counted(len(images), 'image')} by the protocol `{result['protocol']}`: {result['protocol_summary']}. In %; "
        "beside it the foreground's Dice and IoU of each image at probability 0.5, then the mean.",
        "",
        *scores_table(result),
        "",
        *noted(result),
        "Of all pixels together:",
        "",
        "| class | share of the pixels | IoU | Dice |",
        "|---|---|---|---|",
        *(
            f"| {cell(row['name'])} | {' | '.join(percent(row[key], 2) for key in ('share', 'iou', 'dice'))} |"
            for row in result["classes"]
        ),
        "",
        f"Worst ({', '.join(map(cell, result['worst']))}) and best ({', '.join(map(cell, result['best']))}) "
        "images by the foreground's Dice: image, ground truth, prediction:",
        "",
        "![Images, ground truths and predictions](worst_best.png)",
        "",
        *how_it_was_made(
            result,
            {
                "protocol": f"`{result['protocol']}`: {result['protocol_summary']}",
                "images": f"resized to {result['size']} x {result['size']}, scored at the size of their masks",
            },
            {
                "speed": f"{result['images_per_second']:.1f} images/s, reading and scoring included; the network "
                f"{result['network_seconds']:.2f} s of {result['seconds']:.2f}"
            },
        ),
    ]
    lines += not_scored(result, ROWS)
    lines += [
        "",
        "## Images",
        "",
        "| name | " + " | ".join(NAMES[name] for name in names) + " |",
        "|---|" + "---|" * len(names),
        *(_row(row["name"], row, names) for row in images[:ROWS]),
    ]
    if len(images) > ROWS:
        lines += ["", f"The first {ROWS} of {len(images)}; all are in [evaluation.csv](evaluation.csv)."]
    return lines


def _row(name: str, figures: dict[str, Any], names: Sequence[str]) -> str:
    """Return a row of a Markdown table with figures in percent."""
    return f"| {cell(name)} | " + " | ".join(f"{100 * figures[figure]:.2f}" for figure in names) + " |"


def _small(image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 h w"]:
    """Return an image that is small enough for worst_best.png."""
    height, width = image.shape[-2:]
    ratio = min(1.0, SHEET_SIDE / max(height, width))
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    return image if ratio == 1 else F.interpolate(image[None], size, mode="area")[0]
