"""Measures time, agreement and memory of every engine against a literal SFNet in float32, and the PSNR of each.

    python benchmarks/speed/restore.py [--quick] [--rounds 5] [--variants "openvino bfloat16,..."] [-o restore.json]
    python benchmarks/speed/restore.py --data PAIRS [--weights general] [--every 1] [-o restore-data.json]

The first command compares the published network, with weights that are the same everywhere, at 256 x 256 and 1280 x
720. The reference is the network as research code writes it: each dynamic filter unfolds k^2 copies of its map. Each
variant runs in its own process. The processes take turns in a rotating order, so that a drifting machine affects all of
them equally. Times are of one image, after one warm-up image: the smallest and the median over the rounds. The
reference restores the image as a whole, and the others work as `passband restore` does: torch uses bands if its maps
are large. Agreement is the PSNR in dB against the reference, for values in [0, 1]. Memory is the peak of the whole
process from the first image on, with torch and parameters.

The second command restores the pairs of a folder with each engine, and prints the mean PSNR against the clean images.
Quantizing to int8 takes minutes the first time.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from figures import run_child, write_figures
from sfnet import build, unfold_forward
from skimage.data import chelsea

from passband.data.degradations import degrade
from passband.data.pairs import find_pairs
from passband.evaluation import evaluate_restoration
from passband.inference.restorer import Restorer
from passband.io.arrays import from_array
from passband.layers import DynamicFilter
from passband.provenance import peak_memory, reset_peak_memory

REFERENCE = "unfold float32"
VARIANTS = {
    REFERENCE: ("torch", "float32"),
    "torch auto": ("torch", "auto"),
    "torch float32": ("torch", "float32"),
    "torch bfloat16": ("torch", "bfloat16"),
    "openvino auto": ("openvino", "auto"),
    "openvino float32": ("openvino", "float32"),
    "openvino bfloat16": ("openvino", "bfloat16"),
    "onnxruntime float32": ("onnxruntime", "float32"),
    "openvino int8": ("openvino", "int8"),
}
SIZES = ((256, 256), (720, 1280))
QUICK_SIZES = ((64, 64),)


def picture(height: int, width: int) -> torch.Tensor:
    """Return the same rainy photo at any size."""
    clean = F.interpolate(from_array(chelsea())[0][None], (height, width), mode="bilinear", antialias=True)[0]
    return degrade(clean, "rain", seed=1, index=0, version=1)[None]


def child(variant: str, weights: Path, height: int, width: int, output: Path) -> None:
    """Run one variant, and print its results as JSON."""
    if variant == REFERENCE:
        DynamicFilter.forward = unfold_forward  # type: ignore[method-assign]
    name, precision = VARIANTS[variant]
    restorer = Restorer(weights, engine=name, precision=precision, device="cpu")
    restore = restorer.engine if variant == REFERENCE else restorer.restore
    image = picture(height, width)
    reset_peak_memory(image.device)
    restored = restore(image).clamp(0, 1)
    started = time.perf_counter()
    restore(image)
    seconds = time.perf_counter() - started
    torch.save(restored, output)
    print(json.dumps({"seconds": seconds, "bytes": peak_memory(image.device), "precision": restorer.precision}))


def compare(options: argparse.Namespace) -> dict[str, dict[str, dict[str, float | str]]]:
    """Run all variants at all sizes, and print a table for each size."""
    variants = [REFERENCE, *(name for name in options.variants if name != REFERENCE)]
    figures: dict[str, dict[str, dict[str, float | str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights"
        build("sfnet-small" if options.quick else "sfnet").save_pretrained(weights)
        for height, width in QUICK_SIZES if options.quick else SIZES:
            runs: dict[str, list[dict[str, float | str]]] = {variant: [] for variant in variants}
            for number in range(options.rounds):
                turned = variants[number % len(variants) :] + variants[: number % len(variants)]
                for variant in turned:
                    choices = ("--child", variant, str(weights), str(height), str(width), str(Path(folder) / variant))
                    runs[variant].append(run_child(__file__, *choices))
            outputs = {variant: torch.load(Path(folder) / variant) for variant in variants}
            size = f"{width}x{height}"
            figures[size] = {variant: summary(runs[variant]) for variant in variants}
            base = figures[size][REFERENCE]
            print(f"\n{size}, {torch.get_num_threads()} threads, torch {torch.__version__}, {options.rounds} rounds")
            print(f"{'':<21}{'runs in':>9}{'least s':>9}{'median s':>10}{'faster':>8}{'by median':>11}", end="")
            print(f"{'dB':>8}{'largest':>10}{'peak MB':>9}")
            for variant, figure in figures[size].items():
                difference = (outputs[variant] - outputs[REFERENCE]).double()
                error = difference.square().mean()
                figure["agreement"] = float("inf") if error == 0 else -10 * torch.log10(error).item()
                figure["difference"] = difference.abs().max().item()
                figure["faster"] = base["seconds"] / figure["seconds"]
                figure["faster_by_median"] = base["median_seconds"] / figure["median_seconds"]
                print(
                    f"{variant:<21}{figure['precision']:>9}{figure['seconds']:>9.3f}{figure['median_seconds']:>10.3f}"
                    f"{figure['faster']:>7.2f}x{figure['faster_by_median']:>10.2f}x{figure['agreement']:>8.1f}"
                    f"{figure['difference']:>10.1e}{figure['bytes'] / 1e6:>9.0f}",
                    flush=True,
                )
    return figures


def summary(runs: list[dict[str, float | str]]) -> dict[str, float | str]:
    """Return the rounds of one variant as one line."""
    seconds = [run["seconds"] for run in runs]
    return {
        "precision": runs[0]["precision"],
        "seconds": min(seconds),
        "median_seconds": statistics.median(seconds),
        "bytes": max(run["bytes"] for run in runs),
    }


def score(options: argparse.Namespace) -> dict[str, dict[str, float | str]]:
    """Restore pairs with every engine, and print the mean PSNR of each."""
    pairs = find_pairs(options.data)[:: options.every]
    print(f"{len(pairs)} pairs of {options.data}, weights {options.weights}: mean PSNR in dB, its cost against float32")
    figures: dict[str, dict[str, float | str]] = {}
    exact: float | None = None
    for variant in ("torch float32", *(name for name in options.variants if name not in ("torch float32", REFERENCE))):
        engine, precision = VARIANTS[variant]
        with tempfile.TemporaryDirectory() as folder:
            result = evaluate_restoration(
                options.weights, options.data, folder, engine=engine, precision=precision, device="cpu", pairs=pairs
            )
        mean = result["mean"]["psnr"]
        exact = mean if exact is None else exact
        figures[variant] = {"precision": result["precision"], "psnr": mean, "cost": exact - mean}
        print(f"{variant:<21}{result['precision']:>9}{mean:>9.3f}{exact - mean:>9.3f}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--quick", action="store_true", help="use the small network at 64x64, to check that all engines run"
    )
    parser.add_argument("--variants", default=",".join(VARIANTS), help="variants, separated by commas")
    parser.add_argument("--data", type=Path, help="folder of pairs: measure quality instead of speed")
    parser.add_argument("--weights", default="general", help="weights for --data")
    parser.add_argument("--every", type=int, default=1, help="score every Nth pair only")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        variant, weights, height, width, output = options.child
        child(variant, Path(weights), int(height), int(width), Path(output))
        return
    options.variants = [name.strip() for name in options.variants.split(",")]
    for name in options.variants:
        if name not in VARIANTS:
            parser.error(f"--variants takes {', '.join(VARIANTS)}; got {name!r}")
    # what another run found out or quantized is no part of this one, unless the caller says so
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("PASSBAND_CACHE", cache)
        figures = score(options) if options.data else compare(options)
    write_figures(options.output, figures)


if __name__ == "__main__":
    main()
