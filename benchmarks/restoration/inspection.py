"""Scores an inspector: the degradations it finds, the gains it predicts, and the clean images it leaves alone.

The test images are clean photos, and photos degraded by the second generators, on which no network is trained. The
script prints the share of clean images that are left alone, the share of images whose most probable degradation is
correct, the share that gets the right network, and predicted against true gains. The right network is the specialist of
the degradation or the network with the largest true gain. If no network truly gains more than `WORTH`, it is right
to leave the image alone.
"""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from second_generators import SECOND, degrade_second
from torch import Tensor

from passband.data.datasets.crops import CLEAN, degraded_as_file
from passband.data.images import find_images
from passband.inference import Inspector, Restorer
from passband.inference.inspection.inspector import Diagnosis
from passband.io.image import read_image, to_pil
from passband.io.json_files import write_json
from passband.metrics import psnr
from passband.studies.gain_table import SPECIALISTS
from passband.tasks.inspection import PSNR_RANGE
from passband.weights_finding import shipped_weights

WORTH = 0.3
"""Largest true gain in dB that an image may miss."""
MOST = 60.0
"""PSNR of equal images in dB."""
WIDTHS = (4, 8, 8, 9, 7, 9, 10, 10, 7)
"""Names of the printed columns."""


def cropped(image: Tensor, side: int | None) -> Tensor:
    """Return the middle of an image, limited to a side in pixels."""
    height, width = image.shape[-2:]
    side = side or max(height, width)
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return image[:, top : top + side, left : left + side].contiguous()


def stored(image: Tensor, quality: int | None) -> bytes:
    """Return an image after storing it as JPEG of a quality, or as PNG."""
    file = io.BytesIO()
    if quality is None:
        to_pil(image).save(file, "PNG", compress_level=1)
    else:
        to_pil(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def look(
    inspector: Inspector, kind: str, paths: list[Path], options: argparse.Namespace, restorers: dict[str, Restorer]
) -> list[dict[str, Any]]:
    """Return predictions and true values for every image of a degradation."""
    rows = []
    for index, path in enumerate(paths):
        clean = read_image(path)
        if kind == CLEAN:
            degraded = clean
        elif options.generator == "second":
            degraded = degrade_second(clean, kind, seed=options.seed, index=index)
        else:
            degraded = degraded_as_file(clean, kind, seed=options.seed, index=index)
        content = stored(cropped(degraded, options.crop), options.quality)
        given, target = read_image(content)[None], cropped(clean, options.crop)[None]
        found: Diagnosis = inspector(content).among(list(shipped_weights()))
        before = min(MOST, psnr(given, target).item())
        first = max(found.probabilities, key=lambda name: found.probabilities[name])
        row: dict[str, Any] = {
            "name": path.stem,
            "first": first,
            "psnr": before,
            "psnr_predicted": found.psnr,
            "choice": found.choice,
            "confidence": found.confidence,
            "predicted": dict(found.gains),
            "true": {},
        }
        for name, restorer in restorers.items():
            part = [cropped(image[0], options.part)[None] for image in (given, target)]
            pair = min(MOST, psnr(*part).item()), min(MOST, psnr(restorer.restore(part[0]).cpu(), part[1]).item())
            row["true"][name] = pair[1] - pair[0]
        rows.append(row)
    return rows


def is_right(kind: str, row: dict[str, Any]) -> bool:
    """Tell whether the network that was chosen for a degraded image is right, see above."""
    choice, true = row["choice"], row["true"]
    special = SPECIALISTS.get(kind, "")
    largest = max(true.values(), default=0.0)
    if choice is None:
        return bool(true) and largest <= WORTH
    return choice == special or (choice in true and true[choice] == largest)


def gained(rows: list[dict[str, Any]]) -> tuple[float, float] | None:
    """Return the mean gain in dB of the chosen networks, and of the best choice for each image."""
    if not all(row["true"] for row in rows):
        return None
    chosen = [row["true"].get(row["choice"], 0.0) for row in rows]
    return float(np.mean(chosen)), float(np.mean([max(0.0, *row["true"].values()) for row in rows]))


def figures_of(kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the scores of a degradation."""
    errors = [
        row["predicted"][name] - row["true"][name] for row in rows for name in row["true"] if name in row["predicted"]
    ]
    best = [max(row["true"], key=lambda name: row["true"][name]) for row in rows if row["true"]]
    right = [is_right(kind, row) for row in rows]
    return {
        "n": len(rows),
        "alone": float(np.mean([row["choice"] is None for row in rows])),
        "right_kind": float(np.mean([row["first"] == kind for row in rows])),
        "right_network": None if kind == CLEAN else float(np.mean(right)),
        "is_best": float(np.mean([row["choice"] == name for row, name in zip(rows, best, strict=True)]))
        if best
        else None,
        "gained": gained(rows),
        "strange": float(np.mean([row["confidence"] < 0.1 for row in rows])),
        "psnr_error": float(np.mean([abs(min(row["psnr"], PSNR_RANGE[1]) - row["psnr_predicted"]) for row in rows])),
        "gain_error": float(np.mean(np.abs(errors))) if errors else None,
        "gain_bias": float(np.mean(errors)) if errors else None,
        "pictures": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path, help="folder of clean photos, such as Kodak")
    parser.add_argument("--generator", choices=["second", "trained"], default="second")
    parser.add_argument("--kinds", nargs="+", default=[*SECOND, CLEAN], choices=[*SECOND, CLEAN])
    parser.add_argument("--weights", default="inspector")
    parser.add_argument("--count", type=int, help="number of photos, from the first")
    parser.add_argument("--crop", type=int, help="side in pixels of the inspected middle; default: the whole image")
    parser.add_argument("--part", type=int, help="side in pixels of the restored middle, for true gains")
    parser.add_argument(
        "--restore", nargs="*", help="networks whose true gains are measured; default: the shipped ones"
    )
    parser.add_argument("--quality", type=int, help="quality of JPEG; default: PNG")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--threads", type=int)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    inspector = Inspector(options.weights)
    names = list(shipped_weights()) if options.restore is None else options.restore
    restorers = {name: Restorer(name, precision="float32") for name in names}
    paths = find_images(options.photographs)[: options.count]
    found = {}
    titles = ("n", "alone", "kind", "network", "best", "strange", "PSNR err", "gain err", "bias")
    print(f"{'':<13}" + "".join(f"{title:>{width}}" for title, width in zip(titles, WIDTHS, strict=True)))
    for kind in options.kinds:
        row = found[kind] = figures_of(kind, look(inspector, kind, paths, options, restorers))
        shares = [row["alone"], row["right_kind"], row["right_network"], row["is_best"], row["strange"]]
        texts = ["-" if share is None else f"{100 * share:.0f} %" for share in shares]
        errors = [
            "-" if row[name] is None else f"{row[name]:.2f}" for name in ("psnr_error", "gain_error", "gain_bias")
        ]
        cells = zip([str(row["n"]), *texts, *errors], WIDTHS, strict=True)
        print(f"{kind:<13}" + "".join(f"{text:>{width}}" for text, width in cells), flush=True)
        if options.output is not None:
            protocol = {key: str(value) for key, value in vars(options).items()}
            write_json(options.output, {"protocol": protocol, "kinds": found})


if __name__ == "__main__":
    main()
