"""Tables of `segmentation.py`, from its file of results."""

from typing import Any

import numpy as np
from segmentation_robustness import DEGRADATIONS

from passband.metrics.intervals import student_interval, two_way_interval

FIGURES = {"mean_dice": "Dice", "mean_iou": "IoU", "foreground_dice": "Dice at .5", "foreground_iou": "IoU at .5"}
"""Columns of the first table, by the name of the figure."""


def mean(run: dict[str, Any], name: str) -> float:
    """Return a figure of a run on clean images in %, the mean over images."""
    return 100 * sum(one[name] for one in run["clean"]) / len(run["clean"])


def spread(values: list[float]) -> str:
    """Return the mean of values over seeds with the half width of its 95 % interval (Student's t)."""
    interval = student_interval(values)
    return f"{interval.value:.1f} ± {interval.high - interval.value:.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def dice_of(run: dict[str, Any], kind: str) -> list[float]:
    """Return the Dice of each image in %."""
    return (
        [100 * one["mean_dice"] for one in run["clean"]]
        if kind == "clean"
        else [100 * one for one in run[kind]["mean_dice"]]
    )


def difference(pairs: list[tuple[dict[str, Any], dict[str, Any]]], kind: str) -> str:
    """Return the mean difference of Dice of pairs of runs with one seed, with its interval over seeds and images."""
    groups = [
        [one - other for one, other in zip(dice_of(first, kind), dice_of(second, kind), strict=True)]
        for first, second in pairs
    ]
    found = two_way_interval(np.array(groups))
    verdict = "" if found.excludes_zero else ", nil within noise"
    return f"{found.value:+.1f} ({found.low:+.1f} to {found.high:+.1f}){verdict}"


def tables(results: dict[str, Any]) -> str:
    """Return the tables of results in Markdown."""
    return "\n".join([*score_table(results), "", *robustness_table(results), "", *step_table(results), ""])


def score_table(results: dict[str, Any]) -> list[str]:
    """Return the lines of the table of scores, times and compute."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for run in results["runs"]:
        rows.setdefault(run["row"], []).append(run)
    full = {run["seed"]: run for run in rows.get("full", [])}
    batch, macs = results["recipe"]["data"]["batch"], {int(side): count for side, count in results["macs"].items()}
    network = results["recipe"]["model"]
    about = ", ".join(f"{key} {value}" for key, value in network["arguments"].items())
    lines = [
        f"{network['name']} ({about}), {results['parameters'] / 1e6:.1f} M parameters; "
        f"{results['images'][0]} images to learn from and {results['images'][1]} to score on; {results['epochs']} "
        f"epochs, batch {batch}; {results['device']}. Leak report: "
        f"{' '.join(results['leaks']) or 'no scored image is learned from'}.",
        "",
        f"| curriculum | {' | '.join(FIGURES.values())} | seconds | time | pixels | forward PMAC |",
        f"|---|{'---|' * (len(FIGURES) + 4)}",
    ]
    for row, runs in rows.items():
        compute = batch * sum(macs[int(size)] * count for size, count in runs[0]["sizes"].items()) / 1e15
        both = [run["seconds"] / full[run["seed"]]["seconds"] for run in runs if run["seed"] in full]
        lines.append(
            f"| {row} | {' | '.join(spread([mean(run, name) for run in runs]) for name in FIGURES)} | "
            f"{spread([run['seconds'] for run in runs])} | {sum(both) / len(both) if both else float('nan'):.2f} | "
            f"{runs[0]['pixels']:.2f} | {compute:.2f} |"
        )
    lines += ["", "± is the 95 % interval over seeds (Student's t)."]
    if pairs := pairs_of(results):
        lines.append(
            f"Dice of crop minus full: {difference(pairs, 'clean')}, with the 95 % interval over seeds and images."
        )
    return lines


def pairs_of(results: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the runs with and without crops that have one seed."""
    runs = {(run["row"], run["seed"]): run for run in results["runs"]}
    seeds = sorted({run["seed"] for run in results["runs"]})
    return [(runs["crop", seed], runs["full", seed]) for seed in seeds if {("crop", seed), ("full", seed)} <= set(runs)]


def robustness_table(results: dict[str, Any]) -> list[str]:
    """Return the lines of the table of Dice on degraded images."""
    pairs = pairs_of(results)
    if not pairs:
        return []
    lines = ["| images | Dice, full | Dice, crop | crop minus full |", "|---|---|---|---|"]
    for kind in ("clean", *DEGRADATIONS):
        values = [
            spread([sum(dice_of(pair[place], kind)) / len(dice_of(pair[place], kind)) for pair in pairs])
            for place in (1, 0)
        ]
        lines.append(f"| {kind} | {values[0]} | {values[1]} | {difference(pairs, kind)} |")
    return lines


def step_table(results: dict[str, Any]) -> list[str]:
    """Return the lines of the table of times of single steps."""
    lines = [
        "| side in pixels | GMAC of an image | ms a step without a graph | ms a step with a graph |",
        "|---|---|---|---|",
    ]
    for side, count in sorted((int(side), count) for side, count in results["macs"].items()):
        times = [
            {int(key): one for key, one in results["steps"].get(name, {}).items()}.get(side)
            for name in ("eager ms", "graph ms")
        ]
        lines.append(
            f"| {side} | {count / 1e9:.2f} | {' | '.join('' if one is None else f'{one:.1f}' for one in times)} |"
        )
    return lines
