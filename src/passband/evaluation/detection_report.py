"""The files of a detector's evaluation: evaluation.json, evaluation.csv, categories.csv, report.md."""

import csv
import json
from pathlib import Path
from typing import Any

from passband.evaluation.restoration_report import finite, how_it_was_made
from passband.io.files import write_whole

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
COLUMNS = ("AP", "AP50", "AP75", "S", "M", "L")
"""Of papers' tables."""
CSV_COLUMNS = ("name", "image_id", "height", "width", "instances", "found", "best_score", "seconds")
"""Of evaluation.csv."""
LISTED = 20
"""Failures listed in report.md; evaluation.json lists all."""
MEANINGS = {
    "AP": "mean of the ten overlaps from .50 to .95",
    "AP50": "at an overlap of .50",
    "AP75": "at an overlap of .75",
    "APs": "of instances smaller than 32 x 32 pixels",
    "APm": "of those up to 96 x 96",
    "APl": "of larger ones",
    "AR1": "recall with 1 instance a picture",
    "AR10": "with 10",
    "AR100": "with 100",
    "ARs": "of small ones",
    "ARm": "of medium ones",
    "ARl": "of large ones",
}
"""What COCO's twelve figures are."""


def write_detection_report(output: Path, result: dict[str, Any]) -> None:
    """Write evaluation.json, evaluation.csv (a row per picture), categories.csv and report.md.

    Args:
        output: the folder, made where it does not exist.
        result: what `evaluate_detector` returns.
    """
    with write_whole(output / "evaluation.json") as path:
        path.write_text(json.dumps(finite(result), indent=2) + "\n", encoding="utf-8")
    with write_whole(output / "evaluation.csv") as path:
        _write_csv(path, list(CSV_COLUMNS), result["images"])
    with write_whole(output / "categories.csv") as path:
        _write_csv(path, list(result["categories"][0]), result["categories"])
    with write_whole(output / "report.md") as path:
        path.write_text("\n".join(_markdown(result)) + "\n", encoding="utf-8", errors="backslashreplace")


def paper_table(result: dict[str, Any]) -> list[str]:
    """Lines of a Markdown table with papers' columns: boxes and masks side by side, in percent.

    Args:
        result: what `evaluate_detector` returns; with a benchmark, published figures stand below.
    """
    kinds = list(result["figures"])
    names = [f"{kind} {column}" for kind in kinds for column in COLUMNS]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines.append(f"| ours | {' | '.join(_percent(result['columns'][name]) for name in names)} |")
    for row in result["published"]:
        cells = [f"{row[kind]:.1f}" if column == "AP" else "" for kind in kinds for column in COLUMNS]
        lines.append(f"| {row['source']} | {' | '.join(cells)} |")
    return lines


def _write_csv(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Write rows under a header."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _markdown(result: dict[str, Any]) -> list[str]:
    """Lines of report.md."""
    figures = result["figures"]
    kinds = list(figures)
    lines = [
        f"# {result['weights']} on {result['data']}",
        "",
        f"{len(result['images'])} pictures, in percent:",
        "",
        *paper_table(result),
        "",
        *(f"- {note}" for note in result["notes"]),
        *([""] if result["notes"] else []),
        "## COCO's twelve figures",
        "",
        f"| figure | {' | '.join(kinds)} | |",
        "|---" * (len(kinds) + 2) + "|",
        *(
            f"| {name} | {' | '.join(_share(figures[kind][name]) for kind in kinds)} | {meaning} |"
            for name, meaning in MEANINGS.items()
        ),
        "",
        "## Categories",
        "",
        f"| category | instances | {' | '.join(f'{kind} AP' for kind in kinds)} |",
        "|---" * (len(kinds) + 2) + "|",
        *(
            f"| {_cell(row['name'])} | {row['instances']} | {' | '.join(_share(row[f'{kind}_AP']) for kind in kinds)} |"
            for row in sorted(result["categories"], key=lambda row: -row["instances"])
        ),
    ]
    drawn = [row for row in result["images"] if row["file"]]
    if drawn:
        lines += [
            "",
            "## Pictures",
            "",
            f"What is there, and beside it what was found with a score of at least {result['score']:g}.",
            "",
            *(f"![{_cell(row['name'])}](<{row['file']}>)" for row in drawn),
        ]
    if result["failed"]:
        lines += ["", f"## Not read ({len(result['failed'])})", ""]
        lines += [f"- {_cell(row['reason'])}" for row in result["failed"][:LISTED]]
        lines += ["- ..."] if len(result["failed"]) > LISTED else []
    scored = {name: result[name.replace(" ", "_")] for name in ("protocol", "annotations", "scored by")}
    speed = {
        "seconds": f"{result['seconds']:.2f}, {result['network_seconds']:.2f} of them of the network; "
        f"{result['images_per_second']:.2f} pictures/s"
    }
    return [*lines, "", *how_it_was_made(result, scored, speed)]


def _percent(value: float | None) -> str:
    """A figure in percent, if there is anything to find."""
    return "" if value is None else f"{value:.1f}"


def _share(value: float | None) -> str:
    """A share in percent, if there is anything to find."""
    return "none here" if value is None or value < 0 else f"{100 * value:.1f}"


def _cell(text: str) -> str:
    """Text that stays within its place in a table."""
    return text.replace("|", "\\|").replace("\n", " ")
