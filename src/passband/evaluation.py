"""Scoring a network on a folder of pairs, with a report that says how."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.analysis.comparison import comparison_rows, zoomed_crop
from passband.data.pairs import find_pairs
from passband.data.restoration import read_pair
from passband.io.files import write_whole
from passband.io.image import write_image
from passband.metrics import psnr, ssim
from passband.metrics.fidelity import SSIM_WINDOW
from passband.models import load_model, pick_device
from passband.provenance import environment
from passband.tasks.restoration import restore_batch

PROTOCOLS: dict[str, Callable[[Float[Tensor, "B 3 H W"]], Float[Tensor, "B 3 H W"]]] = {
    "rgb": lambda image: image,
    "rgb8": lambda image: image.mul(255).round() / 255,
}
"""What is done to both pictures before they are compared: `rgb` compares floats, `rgb8` pictures of 8 bits. PSNR is
the mean of each picture's own over all of RGB; SSIM has an 11x11 Gaussian of 1.5, valid, per channel."""
FIGURES = ("psnr", "ssim", "psnr_degraded", "ssim_degraded")


def evaluate(
    weights: str | Path,
    data: Path,
    output: Path,
    *,
    protocol: str = "rgb",
    device: str = "auto",
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
    **overrides: Any,
) -> dict[str, Any]:
    """Score a network against the clean pictures, and the degraded input beside it.

    Writes evaluation.json (mean, images, protocol, versions), evaluation.csv (a row per image) and
    worst_median_best.png (degraded | restored | clean, and the same enlarged where there is most detail).

    Args:
        weights: a shipped name, a folder, a published SFNet pickle, or a hub id.
        data: a folder of pairs, see `data.pairs.find_pairs`.
        output: a folder for the report.
        protocol: a key of `PROTOCOLS`.
        device: see `models.pick_device`.
        report: called with each image's figures and the number of images.
        overrides: keywords of the network's constructor.

    Returns:
        What evaluation.json holds: PSNR in dB, SSIM up to 1.

    Raises:
        ValueError: for an unknown protocol, pairs of two sizes, pictures too small for SSIM, or unpaired files.
        CheckpointError: for weights that cannot be used.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}: one of {', '.join(PROTOCOLS)}")
    prepare = PROTOCOLS[protocol]
    pairs = find_pairs(data)
    place = pick_device(device)
    model = load_model(weights, **overrides).to(place)

    @torch.inference_mode()
    def restore(degraded: Tensor) -> Tensor:
        return restore_batch(model, degraded.to(place)).clamp(0, 1).cpu()

    rows: list[dict[str, Any]] = []
    for pair in pairs:
        degraded, clean = (image[None] for image in read_pair(pair))
        if min(clean.shape[-2:]) < SSIM_WINDOW:
            raise ValueError(
                f"{pair.clean} is {clean.shape[-1]}x{clean.shape[-2]}: SSIM needs pictures of at least "
                f"{SSIM_WINDOW}x{SSIM_WINDOW} pixels; leave it out of {data}"
            )
        restored = restore(degraded)
        degraded, restored, clean = prepare(degraded), prepare(restored), prepare(clean)
        row = {
            "name": pair.name,
            "psnr": psnr(restored, clean).item(),
            "ssim": ssim(restored, clean).item(),
            "psnr_degraded": psnr(degraded, clean).item(),
            "ssim_degraded": ssim(degraded, clean).item(),
        }
        rows.append(row)
        report(row, len(pairs))
    ranked = sorted(range(len(rows)), key=lambda number: rows[number]["psnr"])
    shown = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    result = {
        "mean": {name: sum(row[name] for row in rows) / len(rows) for name in FIGURES},
        "images": rows,
        "protocol": protocol,
        "weights": str(weights),
        "data": str(data),
        **{rank: rows[number]["name"] for rank, number in shown.items()},
        **environment(),
    }
    _write_report(output, result, rows)
    pictures = []
    for number in dict.fromkeys(shown.values()):
        degraded, clean = read_pair(pairs[number])
        restored = restore(degraded[None])[0]
        images = [degraded, restored, clean]
        pictures += [images, zoomed_crop(images, clean)]
    write_image(output / "worst_median_best.png", comparison_rows(pictures))
    return result


def _write_report(output: Path, result: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Write evaluation.json and evaluation.csv."""
    with write_whole(output / "evaluation.json") as path:
        path.write_text(json.dumps(_finite(result), indent=2) + "\n", encoding="utf-8")
    with write_whole(output / "evaluation.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["name", *FIGURES])
        writer.writeheader()
        writer.writerows(rows)


def _finite(value: Any) -> Any:
    """The same with infinite figures (of equal pictures) as text, because JSON has no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not torch.isfinite(torch.tensor(value)):
        return str(value)
    return value
