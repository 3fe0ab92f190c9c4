"""Writes the files of a detector's evaluation: evaluation.json, evaluation.csv, categories.csv, report.md."""

from pathlib import Path
from typing import Any

from passband.evaluation.report import heading, how_it_was_made, not_scored, noted, write_results
from passband.naming import counted
from passband.reports.files import cell, percent, write_csv

PUBLISHED: dict[str, list[dict[str, Any]]] = {
    "coco": [
        {"source": "RGB, 12 epochs (Xu et al., CVPR 2020)", "box": 37.3, "mask": 34.2},
        {"source": "RGB, 24 epochs (the model zoo that it was taken from)", "box": 38.5, "mask": 35.1},
        {"source": "DCT-24S, 20 epochs (Xu et al., CVPR 2020)", "box": 37.7, "mask": 34.6},
        {"source": "DCT-48S, 20 epochs (Xu et al., CVPR 2020)", "box": 38.1, "mask": 35.0},
        {"source": "DCT-64S, 20 epochs (Xu et al., CVPR 2020)", "box": 38.1, "mask": 35.0},
    ],
}
"""AP in percent of Mask R-CNN with ResNet-50 and a pyramid on COCO's val2017 (Xu et al., tables 3 and 4)."""
PAPER_COLUMNS = ("AP", "AP50", "AP75", "S", "M", "L")
"""Columns of the tables of papers."""
CSV_COLUMNS = ("name", "image_id", "height", "width", "instances", "found", "best_score", "seconds")
"""Columns of evaluation.csv."""
FAILURES = 20
"""Number of failures that report.md lists; evaluation.json lists all."""
MEANINGS = {
    "AP": "mean of the ten overlaps from .50 to .95",
    "AP50": "at an overlap of .50",
    "AP75": "at an overlap of .75",
    "APs": "of instances smaller than 32 x 32 pixels",
    "APm": "of instances up to 96 x 96 pixels",
    "APl": "of larger instances",
    "AR1": "recall with 1 instance for each image",
    "AR10": "recall with 10 instances",
    "AR100": "recall with 100 instances",
    "ARs": "recall of small instances",
    "ARm": "recall of medium instances",
    "ARl": "recall of large instances",
}
"""Meanings of COCO's twelve figures."""


def write_detection_report(output: Path, result: dict[str, Any]) -> None:
    """Write evaluation.json, evaluation.csv (a row for each image), categories.csv and report.md.

    Args:
        output: folder of the report, which is made if it does not exist.
        result: result of `evaluate_detector`.
    """
    write_csv(output / "categories.csv", list(result["categories"][0]), result["categories"])
    write_results(output, result, CSV_COLUMNS, _markdown(result))


def paper_table(result: dict[str, Any]) -> list[str]:
    """Return a Markdown table with the columns of papers: boxes and masks side by side, in percent.

    Args:
        result: result of `evaluate_detector`; with a benchmark, the published figures follow below.
    """
    kinds = list(result["figures"])
    names = [f"{kind} {column}" for kind in kinds for column in PAPER_COLUMNS]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines.append(f"| ours | {' | '.join(_figure(result['columns'][name]) for name in names)} |")
    for row in result["published"]:
        cells = [f"{row[kind]:.1f}" if column == "AP" else "" for kind in kinds for column in PAPER_COLUMNS]
        lines.append(f"| {row['source']} | {' | '.join(cells)} |")
    return lines


def _markdown(result: dict[str, Any]) -> list[str]:
    """Return the lines of report.md."""
    figures = result["figures"]
    kinds = list(figures)
    lines = [
        *heading(result),
        f"{counted(len(result['images']), 'image')}, in percent:",
        "",
        *paper_table(result),
        "",
        *noted(result),
        "## COCO's twelve figures",
        "",
        f"| figure | {' | '.join(kinds)} | |",
        "|---" * (len(kinds) + 2) + "|",
        *(
            f"| {name} | {' | '.join(percent(figures[kind][name], unit='') for kind in kinds)} | {meaning} |"
            for name, meaning in MEANINGS.items()
        ),
        "",
        "## Categories",
        "",
        f"| category | instances | {' | '.join(f'{kind} AP' for kind in kinds)} |",
        "|---" * (len(kinds) + 2) + "|",
        *(
            " | ".join(
                [
                    f"| {cell(row['name'])}",
                    str(row["instances"]),
                    *(percent(row[f"{kind}_AP"], unit="") for kind in kinds),
                ]
            )
            + " |"
            for row in sorted(result["categories"], key=lambda row: -row["instances"])
        ),
    ]
    drawn = [row for row in result["images"] if row["file"]]
    if drawn:
        lines += [
            "",
            "## Images",
            "",
            f"The true instances, and beside them the predicted ones with a score of at least {result['score']:g}.",
            "",
            *(f"![{cell(row['name'])}](<{row['file']}>)" for row in drawn),
        ]
    lines += not_scored(result, FAILURES, "Not read")
    scored = {name: result[name.replace(" ", "_")] for name in ("protocol", "annotations", "scored by")}
    speed = {
        "seconds": f"{result['seconds']:.2f}, {result['network_seconds']:.2f} of them of the network; "
        f"{result['images_per_second']:.2f} images/s"
    }
    return [*lines, "", *how_it_was_made(result, scored, speed)]


def _figure(value: float | None) -> str:
    """Return a figure in percent, or nothing if the data do not give it."""
    return "" if value is None else f"{value:.1f}"
