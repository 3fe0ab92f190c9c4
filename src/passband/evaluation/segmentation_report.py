"""The files of a segmentation network's evaluation: evaluation.json, evaluation.csv, worst_best.png, report.md."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.comparison import comparison_rows
from passband.evaluation.restoration_report import ROWS, finite, how_it_was_made
from passband.io.files import write_whole
from passband.io.image import write_image

SHOWN = 512
"""Longest side of a picture within a picture, in pixels."""
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
"""Figure to what it is called."""


def write_segmentation_report(
    output: Path,
    result: dict[str, Any],
    shown: Sequence[Sequence[Float[Tensor, "3 _ _"]]],
    captions: Sequence[Sequence[str]],
) -> None:
    """Write evaluation.json, evaluation.csv (a row per picture), worst_best.png and report.md.

    Args:
        output: the folder, made where it does not exist.
        result: what `evaluate_segmenter` returns.
        shown: rows of pictures in [0, 1], all of a row of one size.
        captions: a text for each of them.
    """
    with write_whole(output / "evaluation.json") as path:
        path.write_text(json.dumps(finite(result), indent=2) + "\n", encoding="utf-8")
    with (
        write_whole(output / "evaluation.csv") as path,
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, ["name", *result["figures"], "foreground", "predicted"])
        writer.writeheader()
        writer.writerows(result["images"])
    small = [[_small(image) for image in row] for row in shown]
    write_image(output / "worst_best.png", comparison_rows(small, captions))
    with write_whole(output / "report.md") as path:
        path.write_text("\n".join(_markdown(result)) + "\n", encoding="utf-8", errors="backslashreplace")


def scores_table(result: dict[str, Any]) -> list[str]:
    """Lines of a Markdown table: the figures in %, and those of an empty answer.

    Args:
        result: what `evaluate_segmenter` returns.
    """
    names = result["figures"]
    return [
        "| | " + " | ".join(NAMES[name] for name in names) + " |",
        "|---|" + "---|" * len(names),
        _row(f"network ({result['protocol']})", result["mean"], names),
        _row("all background", result["background"], names),
    ]


def figures_line(figures: dict[str, Any], names: Sequence[str]) -> str:
    """Figures in a line.

    Args:
        figures: name to share.
        names: which, in order.
    """
    return ", ".join(f"{NAMES[name]} {100 * figures[name]:.2f} %" for name in names)


def _markdown(result: dict[str, Any]) -> list[str]:
    """Lines of report.md."""
    images, names = result["images"], result["figures"]
    lines = [
        f"# {result['weights']} on {result['data']}",
        "",
        f"{len(images)} pictures by the protocol `{result['protocol']}`: {result['protocol_summary']}. In %; beside it "
        "the foreground's Dice and IoU of each picture at probability .5, then the mean.",
        "",
        *scores_table(result),
        "",
        *([*(f"- {note}" for note in result["notes"]), ""] if result["notes"] else []),
        "Of all pixels together:",
        "",
        "| class | share of the pixels | IoU | Dice |",
        "|---|---|---|---|",
        *(
            f"| {_cell(row['name'])} | {_percent(row['share'])} | {_percent(row['iou'])} | {_percent(row['dice'])} |"
            for row in result["classes"]
        ),
        "",
        f"Worst ({', '.join(map(_cell, result['worst']))}) and best ({', '.join(map(_cell, result['best']))}) "
        "pictures, by the foreground's Dice: picture, truth, prediction:",
        "",
        "![Pictures, truths and predictions](worst_best.png)",
        "",
        *how_it_was_made(
            result,
            {
                "protocol": f"`{result['protocol']}`: {result['protocol_summary']}",
                "pictures": f"resized to {result['size']} x {result['size']}, scored at the size of their masks",
            },
            {
                "speed": f"{result['images_per_second']:.1f} pictures/s, reading and scoring included; the network "
                f"{result['network_seconds']:.2f} s of {result['seconds']:.2f}"
            },
        ),
    ]
    if result["failed"]:
        lines += ["", f"## Not scored ({len(result['failed'])})", ""]
        lines += [f"- {_cell(row['reason'])}" for row in result["failed"][:ROWS]]
    lines += [
        "",
        "## Pictures",
        "",
        "| name | " + " | ".join(NAMES[name] for name in names) + " |",
        "|---|" + "---|" * len(names),
        *(_row(row["name"], row, names) for row in images[:ROWS]),
    ]
    if len(images) > ROWS:
        lines += ["", f"The first {ROWS} of {len(images)}; all are in [evaluation.csv](evaluation.csv)."]
    return lines


def _row(name: str, figures: dict[str, Any], names: Sequence[str]) -> str:
    return f"| {_cell(name)} | " + " | ".join(f"{100 * figures[figure]:.2f}" for figure in names) + " |"


def _small(image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 h w"]:
    """A picture that fits into another."""
    height, width = image.shape[-2:]
    ratio = min(1.0, SHOWN / max(height, width))
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    return image if ratio == 1 else F.interpolate(image[None], size, mode="area")[0]


def _percent(share: float | None) -> str:
    """A share, if there is one."""
    return "none here" if share is None else f"{100 * share:.2f} %"


def _cell(text: str) -> str:
    """Text that stays within its place in a table."""
    return text.replace("|", "\\|").replace("\n", " ")
