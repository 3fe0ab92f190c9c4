"""Tables of `detection_rows.py`, from the files of its runs."""

import argparse
import statistics
from typing import Any

from passband.metrics.intervals import student_interval


def interval(values: list[float]) -> str:
    """Return a mean in percent with its 95 % interval over seeds (Student's t)."""
    if len(values) < 2:
        return f"{100 * values[0]:.1f}"
    found = student_interval([100 * value for value in values])
    return f"{found.value:.1f} ± {found.high - found.value:.1f}"


def paired(rows: dict[str, dict[int, dict[str, Any]]], first: str, second: str, kind: str) -> str:
    """Return the difference of two rows over their common seeds."""
    seeds = sorted({*rows.get(first, {})} & {*rows.get(second, {})})
    values = [rows[first][seed]["figures"][kind]["AP"] - rows[second][seed]["figures"][kind]["AP"] for seed in seeds]
    return interval(values) if values else "-"


def table(found: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the tables in Markdown."""
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    for one in found:
        rows.setdefault(one["row"], {})[one["seed"]] = one
    lines = [
        f"{options.images[0]} training and {options.images[1]} held-out images of {options.size} pixels, start: "
        f"{options.start}, batches of {options.batch}. Mean over seeds and 95 % interval (Student's t), in percent.",
        "",
        "| row | seeds | steps | box AP | box AP50 | box AP75 | mask AP | mask AP50 | mask AP75 | backbone GMACs "
        "| parameters | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row, runs in rows.items():
        one = next(iter(runs.values()))
        figures = [
            interval([run["figures"][kind][name] for run in runs.values()])
            for kind in ("box", "mask")
            for name in ("AP", "AP50", "AP75")
        ]
        seconds = statistics.fmean(run["train_seconds"] for run in runs.values())
        lines.append(
            f"| {row} | {len(runs)} | {one['steps']} | {' | '.join(figures)} | {one['backbone_macs'] / 1e9:.3f} "
            f"| {one['parameters'] / 1e6:.2f} M | {seconds:.0f} |"
        )
    for row in [name for name in rows if name != "rgb" and "rgb" in rows]:
        lines += [
            "",
            f"{row} minus rgb, same seeds: box AP {paired(rows, row, 'rgb', 'box')}, mask AP "
            f"{paired(rows, row, 'rgb', 'mask')}.",
        ]
    for kind in ("box", "mask"):
        names = list(found[0]["figures"][kind])
        lines += [
            "",
            f"COCO's figures of {kind}es, mean over seeds, in percent:"
            if kind == "box"
            else "COCO's figures of masks, mean over seeds, in percent:",
            "",
        ]
        lines += [f"| row | {' | '.join(names)} |", f"|---{'|---' * len(names)}|"]
        for row, runs in rows.items():
            means = [statistics.fmean(run["figures"][kind][name] for run in runs.values()) for name in names]
            lines.append(f"| {row} | {' | '.join('-' if mean < 0 else f'{100 * mean:.1f}' for mean in means)} |")
    return "\n".join(lines) + "\n"
