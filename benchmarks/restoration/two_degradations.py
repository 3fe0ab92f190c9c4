"""Scores `--weights auto` on images with two degradations, with one network and with two that run one after the other.

    python benchmarks/restoration/two_degradations.py KODAK [--crop 256] [--count 8] [-o results.json]

The second generators, on which no network is trained, degrade each photo twice, in the order of the names. Each row
gives the mean PSNR of the degraded images, the mean gains of `general`, of the first network that `auto` chooses, and
of all networks that it chooses, the number of images that get a second network, and the largest loss by it. Images with
one degradation and clean images show whether a second network does harm.
"""

import argparse
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from inspection import MOST, cropped
from second_generators import SECOND, degrade_second

from passband.data.datasets.crops import CLEAN
from passband.data.images import find_images
from passband.inference import InspectedChoice, Restorer
from passband.inference.restoration.chain import chained_names
from passband.io.image import read_image
from passband.io.json_files import write_json
from passband.metrics import psnr

MIXTURES = ("haze+rain", "haze+snow", "defocus+rain", "rain+defocus", "motion-blur+rain", "haze+raindrop")
"""Pairs of degradations, in the order in which they are made."""


def look(choice: InspectedChoice, kinds: str, path: Path, index: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the choice for a degraded photo, and the PSNR before and after each network."""
    clean = read_image(path)
    degraded = clean
    for number, kind in enumerate([] if kinds == CLEAN else kinds.split("+")):
        degraded = degrade_second(degraded, kind, seed=options.seed + number, index=index)
    target = cropped(clean, options.crop)[None]
    image = (cropped(degraded, options.crop)[None] * 255).round() / 255
    decision = choice.of_image(image[0])

    def score(image: torch.Tensor) -> float:
        return min(MOST, psnr(image, target).item())

    row = {
        "name": path.stem,
        "choice": decision.weights,
        "line": decision.line,
        "before": score(image),
        "general": score(Restorer("general", options.device).restore(image).cpu()),
        "after": [],
    }
    for name in chained_names(decision.weights) if decision.weights else ():
        image = Restorer(name, options.device).restore(image).cpu()
        row["after"].append(score(image))
    return row


def figures_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean gains of a row of the table."""

    def gain(most: int) -> float:
        """Return the mean gain of at most a number of networks."""
        return mean([row["before"], *row["after"]][: 1 + most][-1] - row["before"] for row in rows)

    twice = [row["after"][1] - row["after"][0] for row in rows if len(row["after"]) > 1]
    return {
        "n": len(rows),
        "before": mean(row["before"] for row in rows),
        "general": mean(row["general"] - row["before"] for row in rows),
        "one": gain(1),
        "two": gain(2),
        "count": len(twice),
        "least": min(twice, default=None),
        "images": rows,
    }


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, help="folder of clean photos, such as Kodak")
    parser.add_argument("--kinds", nargs="+", default=[*MIXTURES, *SECOND, CLEAN], help="degradations joined by +")
    parser.add_argument("--count", type=int, default=8, help="number of photos, from the first")
    parser.add_argument("--crop", type=int, default=256, help="side in pixels of the middle that is inspected")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    choice, found = InspectedChoice(), {}
    paths = find_images(options.photographs)[: options.count]
    print(f"{'':<17}{'before':>8}{'general':>9}{'one':>7}{'two':>7}{'count':>7}{'least':>7}")
    for kinds in options.kinds:
        row = found[kinds] = figures_of([look(choice, kinds, path, n, options) for n, path in enumerate(paths)])
        least = "-" if row["least"] is None else f"{row['least']:+.1f}"
        gains = "".join(f"{row[name]:>+{width}.2f}" for name, width in (("general", 9), ("one", 7), ("two", 7)))
        print(f"{kinds:<17}{row['before']:>8.2f}{gains}{row['count']:>7}{least:>7}", flush=True)
        if options.output is not None:
            protocol = {key: str(value) for key, value in vars(options).items()}
            write_json(options.output, {"protocol": protocol, "kinds": found})


if __name__ == "__main__":
    main()
