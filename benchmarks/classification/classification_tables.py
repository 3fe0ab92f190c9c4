"""The tables of `classification_rows.py`: means with intervals, and pairs of rows."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from passband.io.files import write_whole
from passband.metrics.intervals import two_way_interval, two_way_p_value

INPUTS = ("rgb", "12S", "24S", "48S", "64S", "learned-24", "192")
CONV_INPUTS = ("rgb", "12S", "24S", "48S", "64S", "learned-24")
BASE = "rgb"
LARGEST_DIFFERENCE = 0.16
"""Largest difference of the multiply-accumulates of the rows of a network, relative to rgb."""
POWER, LEVEL = 0.8, 0.95
WORDS = {
    "lite0-imagenet": "EfficientNet-lite0, ImageNet start",
    "lite0": "EfficientNet-lite0, fresh weights",
    "resnet18": "ResNet-18 of width 32, fresh weights",
    "vit": "Vision Transformer of width 144 and depth 7, fresh weights",
}


def finished(output: Path) -> list[dict[str, Any]]:
    """Return the lines of the runs that ended."""
    path = output / "runs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _mean_and_half(values: np.ndarray) -> tuple[float, float]:
    """Return mean and half width of the interval of values of seeds x images."""
    interval = two_way_interval(values, level=LEVEL)
    return interval.value, interval.high - interval.value


def pictures_needed(first: np.ndarray, second: np.ndarray) -> float:
    """Return the number of images at which a difference like this one is found with a probability of `POWER`.

    Two rows of right and wrong answers (seeds x images) are compared by McNemar's test with level 5 %: n =
    (z_a sqrt(p) + z_b sqrt(p - d^2))^2 / d^2, with the share p of images on which exactly one is right and the
    difference d (Connor, Biometrics 43, 1987, equation 4).
    """
    difference = float((first - second).mean())
    if difference == 0:
        return math.inf
    discordant = float(np.abs(first - second).mean())
    z_level, z_power = norm.ppf((1 + LEVEL) / 2), norm.ppf(POWER)
    root = z_level * discordant**0.5 + z_power * (discordant - difference**2) ** 0.5
    return (root / difference) ** 2


def holm(pairs: list[dict[str, Any]]) -> None:
    """Mark the pairs that stay different when the number of comparisons is counted (Holm, 1979)."""
    ordered = sorted(pairs, key=lambda pair: pair["p"])
    stays = True
    for place, pair in enumerate(ordered):
        stays = stays and pair["p"] <= (1 - LEVEL) / (len(ordered) - place)
        pair["holm"] = bool(stays)


def compared(rows: dict[str, dict[int, np.ndarray]]) -> list[dict[str, Any]]:
    """Return the difference of each pair of rows, on the same images and seeds."""
    pairs = []
    names = list(rows)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            seeds = sorted(set(rows[first]) & set(rows[second]))
            if not seeds:
                continue
            a, b = (np.stack([rows[name][seed] for seed in seeds]).astype(float) for name in (first, second))
            mean, half = _mean_and_half(a - b)
            pairs.append(
                {"first": first, "second": second, "seeds": len(seeds), "mean": 100 * mean, "half": 100 * half}
                | {"p": two_way_p_value(a - b), "needed": pictures_needed(a, b)}
            )
    holm(pairs)
    return pairs


def write_tables(output: Path) -> None:
    """Write DIR/table.md and DIR/table.json from the lines of the runs."""
    lines = [line for line in finished(output) if line["network"] != "gate"]
    sections: list[str] = []
    content: dict[str, Any] = {}
    for name in dict.fromkeys(line["network"] for line in lines):
        own = [line for line in lines if line["network"] == name]
        names = [row for row in INPUTS if any(line["row"] == row for line in own)]
        of = {row: [line for line in own if line["row"] == row] for row in names}
        rights = {
            row: {line["seed"]: np.array([mark == "1" for mark in line["right"]]) for line in of[row]} for row in names
        }
        pairs = compared(rights)
        table, base = [], of.get(BASE, [None])[0]
        for row in names:
            first = of[row][0]
            mean, half = _mean_and_half(np.stack(list(rights[row].values())).astype(float))
            gain = next((pair for pair in pairs if (pair["first"], pair["second"]) == (BASE, row)), None)
            entry = {
                **{key: first[key] for key in ("row", "input", "macs", "parameters", "epochs", "explained")},
                **{"seeds": len(of[row]), "top1": 100 * mean, "half": 100 * half},
                "relative_macs": first["macs"] / base["macs"] if base else None,
                "gain": None if gain is None else -gain["mean"],
                "gain_half": None if gain is None else gain["half"],
                "seconds": statistics.median(line["seconds"] for line in of[row]),
            }
            if row in CONV_INPUTS and base:
                assert abs(entry["relative_macs"] - 1) <= LARGEST_DIFFERENCE, f"{name} {row}: {entry['relative_macs']}"
            table.append(entry)
        content[name] = {"rows": table, "pairs": pairs, "images": len(lines[0]["right"])}
        sections.append(section(name, table, pairs, len(lines[0]["right"]), own[0]))
    with write_whole(output / "table.json") as path:
        path.write_text(json.dumps(content, indent=2) + "\n")
    with write_whole(output / "table.md") as path:
        path.write_text("\n".join(sections))


def section(
    name: str, table: list[dict[str, Any]], pairs: list[dict[str, Any]], images: int, line: dict[str, Any]
) -> str:
    """Return the Markdown table of a network, and the pairs of rows that differ."""
    text = [
        f"**{WORDS[name]}**: {line['epochs']} epochs of {line['images']} images, scored on {images}.",
        "",
        f"| input | numbers | GMACs | of rgb | parameters | seeds | top-1, % | minus {BASE} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        gain = "" if row["gain"] is None else f"{row['gain']:+.1f} ± {row['gain_half']:.1f}"
        relative = "" if row["relative_macs"] is None else f"{row['relative_macs']:.2f}"
        text.append(
            f"| {row['row']} | {' x '.join(map(str, row['input']))} | {row['macs'] / 1e9:.3f} | {relative} "
            f"| {row['parameters'] / 1e6:.2f} M | {row['seeds']} | {row['top1']:.1f} ± {row['half']:.1f} | {gain} |"
        )
    if any(row["seeds"] == 1 for row in table):
        text += ["", "An interval of one seed counts the spread over images only. Another seed may differ by more."]
    apart = [pair for pair in pairs if abs(pair["mean"]) > pair["half"]]
    text += ["", f"Intervals (95 %) separate {len(apart)} of {len(pairs)} pairs of rows:" if pairs else "", ""]
    for pair in apart:
        more, less = (pair["first"], pair["second"])[:: 1 if pair["mean"] > 0 else -1]
        also = "; also when all comparisons are counted (Holm)" if pair["holm"] else ""
        alone = ", from one seed" if pair["seeds"] == 1 else ""
        text.append(
            f"- {more} is better than {less} by {abs(pair['mean']):.1f} ± {pair['half']:.1f} points{alone}{also}"
        )
    near = [pair for pair in pairs if pair not in apart]
    for pair in near:
        count = f"about {100 * math.ceil(pair['needed'] / 100):,} images" if math.isfinite(pair["needed"]) else ""
        needed = f"one run each would need {count} to separate them" if count else "no number of images separates them"
        text.append(f"- {pair['first']} minus {pair['second']}: {pair['mean']:+.1f} ± {pair['half']:.1f}; {needed}")
    return "\n".join(text) + "\n"
