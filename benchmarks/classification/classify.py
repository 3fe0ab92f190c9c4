"""Compares inputs of a classifier: pixels, frequency channels, and channels that a gate chose.

    python benchmarks/classification/classify.py --data TRAIN --validation-data TEST -o DIR [--rows rgb dct-24s ...]
        [--seeds 0 1 2] [--size 128] [--width 32] [--epochs 60]

TRAIN and TEST hold a subfolder of JPEG files for each class. Every row is the same ResNet-18, trained by the same
recipe for the same number of epochs on the same files. Only its input differs. A cube has the size of the maps that the
stem of ResNet computes from an image of SIZE pixels, so the rest of the network costs the same. The cubes come from an
image of twice SIZE at stride 8, as in Xu et al. (CVPR 2020), or from an image of SIZE at stride 4 (the row native-24s,
which sees the same pixels as rgb).

The row learned-24 uses the 24 channels that a gate opens most often on TRAIN. The gate is trained first, on all 192
channels, with the same recipe and seed. The row therefore needs twice the training, which the table notes.

Scores are those of the weights at the end of each run, so TEST does not influence any choice. Finished cells (row x
seed) are skipped, and a stopped cell is resumed. The script writes DIR/table.md and DIR/table.json, with mean and
spread over the seeds, and the difference to rgb with the same seeds.
"""

import argparse
import json
import math
import shutil
import statistics
from pathlib import Path
from typing import Any

import torch

from passband.analysis.channels import analyze_channels
from passband.analysis.cost import cost
from passband.checkpoints import latest_checkpoint
from passband.config import parse_recipe
from passband.evaluation import evaluate_classifier
from passband.inference import Classifier
from passband.provenance import environment
from passband.runs import read_run
from passband.training import train

ROWS = {
    "rgb": ("resnet18", {"input": "rgb"}),
    "ycbcr": ("resnet18", {"input": "ycbcr"}),
    "dct-192": ("dct-resnet18", {"channels": "192"}),
    "dct-64s": ("dct-resnet18", {"channels": "64S"}),
    "dct-48s": ("dct-resnet18", {"channels": "48S"}),
    "dct-24s": ("dct-resnet18", {"channels": "24S"}),
    "dct-24t": ("dct-resnet18", {"channels": "24T"}),
    "native-24s": ("dct-resnet18", {"channels": "24S", "stride": 4}),
    "learned-24": ("dct-resnet18", {}),
}
GATED = ("gated-dct-resnet18", {"channels": "192"})
KEPT = 24
BASE = "rgb"
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Half width of the 95 % confidence interval in standard errors (Student's t), by number of seeds. About 2 for more."""


def settings(name: str, model: str, data: dict[str, Any], seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe of a cell."""
    data = {"input": "coefficients", "stride": 8, **data}
    doubled = data["input"] == "coefficients" and data["stride"] == 8
    return {
        "name": name,
        "task": "classification",
        "seed": seed,
        "checkpoint_every": 50,
        "model": {"name": model, "arguments": {"width": options.width}},
        "data": {
            **data,
            "size": (2 if doubled else 1) * options.size,
            "scale": [0.25, 1.0],
            "statistics": "fit",
            "skip_bad": True,
            "batch": options.batch,
            "workers": options.workers,
        },
        "optim": {
            "optimizer": "adamw",
            "learning_rate": options.learning_rate,
            "final_learning_rate": options.learning_rate / 100,
            "weight_decay": 0.05,
            "epochs": options.epochs,
            "warmup_epochs": min(3, options.epochs - 1),
            "clip_norm": 1.0,
            "ema": 0.99,
        },
        "loss": {"label_smoothing": 0.1},
        "gate": {"weight": options.gate_weight},
        "validation": {"every": 10**9, "batch": 32},
    }


def trained(cell: Path, recipe: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Train or resume the network of a cell, unless it is finished, and return its progress."""
    run = cell / "run"
    done = cell / "trained.json"
    resume = latest_checkpoint(run) is not None
    if resume and read_run(run)["recipe"] != parse_recipe(recipe, cell.name):
        raise SystemExit(f"{run} was trained by other settings than are asked for now: choose another folder with -o")
    if done.exists():
        return json.loads(done.read_text())
    if not resume:
        shutil.rmtree(run, ignore_errors=True)  # begun, and stopped before its first checkpoint
    progress = train(
        parse_recipe(recipe, cell.name),
        run,
        data=options.data,
        validation_data=options.validation_data,
        resume=resume,
        device=options.device,
    )
    figures = {"steps": progress.step, "images_per_second": progress.step * options.batch / progress.seconds}
    done.write_text(json.dumps(figures) + "\n")
    return figures


def learned_channels(seed: int, options: argparse.Namespace) -> list[int]:
    """Return the channels that a gate, trained with this seed, opens most often on the training data."""
    cell = options.output / "gated-192" / f"seed-{seed}"
    trained(cell, settings("gated-192", *GATED, seed, options), options)
    listed = cell / "channels" / "channels.json"
    if not listed.exists():
        analyze_channels(cell / "run", listed.parent, data=options.data, keep=KEPT, device=options.device)
    return json.loads(listed.read_text())["kept"]


def measured(row: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train and score a cell of the table, and return its row."""
    cell = options.output / row / f"seed-{seed}"
    done = cell / "cell.json"
    model, data = ROWS[row]
    if row == "learned-24":
        data = {"channels": learned_channels(seed, options)}
    recipe = settings(row, model, data, seed, options)
    figures = trained(cell, recipe, options)
    if done.exists():
        return json.loads(done.read_text())
    weights = cell / "run" / "weights" / "last"
    scored = evaluate_classifier(weights, options.validation_data, cell / "report", device=options.device)
    classifier = Classifier(weights, "cpu")
    shape = classifier.preprocessing.input_shape
    counted = cost(classifier.model, shape)
    result = {
        "top1": scored["mean"]["top1"],
        "loss": scored["mean"]["loss"],
        "pictures": len(scored["images"]),
        "failed": len(scored["failed"]),
        "most_frequent_class": max(one["count"] for one in scored["classes"]) / len(scored["images"]),
        "side": recipe["data"]["size"],
        "input_shape": shape,
        "input_bytes": 4 * math.prod(shape),
        "macs": counted.macs,
        "parameters": counted.parameters,
        "epochs": options.epochs * (2 if row == "learned-24" else 1),
        "training_images_per_second": figures["images_per_second"],
        "scoring_images_per_second": scored["images_per_second"],
        "channels": list(classifier.preprocessing.channels),
        "recipe": recipe,
    }
    done.write_text(json.dumps(result, indent=2) + "\n")
    return result


def summary(cells: dict[str, dict[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return a row of the table for each input."""
    rows = []
    for name, seeds in cells.items():
        first = next(iter(seeds.values()))
        scores = [100 * cell["top1"] for cell in seeds.values()]
        gains = [
            100 * (cell["top1"] - cells[BASE][seed]["top1"])
            for seed, cell in seeds.items()
            if seed in cells.get(BASE, {})
        ]
        row = {key: first[key] for key in ("side", "input_shape", "input_bytes", "macs", "parameters", "epochs")}
        row |= {"row": name, "seeds": list(seeds), "top1": scores, "top1_mean": statistics.mean(scores)}
        row |= {"top1_spread": statistics.stdev(scores) if len(scores) > 1 else None}
        row |= {"loss_mean": statistics.mean(cell["loss"] for cell in seeds.values())}
        if name != BASE and gains:
            row["gain_mean"] = statistics.mean(gains)
            row["gain_error"] = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else None
        for key in ("training_images_per_second", "scoring_images_per_second"):
            row[key] = statistics.median(cell[key] for cell in seeds.values())
        rows.append(row)
    return rows


def gain(row: dict[str, Any]) -> str:
    """Return the difference to the base, with its standard error."""
    if "gain_mean" not in row:
        return ""
    if row["gain_error"] is None:
        return f"{row['gain_mean']:+.1f}, one seed"
    is_nil = abs(row["gain_mean"]) < STUDENT.get(len(row["seeds"]), 2.2) * row["gain_error"]
    return f"{row['gain_mean']:+.1f} ± {row['gain_error']:.1f}{', nil within noise' if is_nil else ''}"


def table(rows: list[dict[str, Any]], cells: dict[str, dict[int, dict[str, Any]]], options: argparse.Namespace) -> str:
    """Return the Markdown table and its notes."""
    first = next(iter(next(iter(cells.values())).values()))
    error = 100 * (first["top1"] * (1 - first["top1"]) / first["pictures"]) ** 0.5
    lines = [
        f"ResNet-18, width {options.width}, {options.epochs} epochs, batch {options.batch}, seeds "
        f"{', '.join(map(str, options.seeds))}; scored on {first['pictures']} pictures, of which the most frequent "
        f"class has {100 * first['most_frequent_class']:.1f} %. By their number, the standard error of one run is "
        f"{error:.1f} points. ± is the standard deviation over seeds; of differences, the standard error of a mean.",
        "",
        f"| input | picture | numbers | KB | GMACs | epochs | top-1, % | minus {BASE} | loss | images/s, training "
        "| images/s, files to classes |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        spread = "" if row["top1_spread"] is None else f" ± {row['top1_spread']:.1f}"
        shape = " x ".join(map(str, row["input_shape"]))
        lines.append(
            f"| {row['row']} | {row['side']} x {row['side']} | {shape} | {row['input_bytes'] / 1024:.0f} "
            f"| {row['macs'] / 1e9:.3f} | {row['epochs']} | {row['top1_mean']:.1f}{spread} | {gain(row)} "
            f"| {row['loss_mean']:.3f} | {row['training_images_per_second']:.1f} "
            f"| {row['scoring_images_per_second']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder to train on")
    parser.add_argument("--validation-data", type=Path, required=True, help="folder to score on")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for runs and tables")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--size", type=int, default=128, help="side in pixels of the images that rgb sees, a multiple of 32"
    )
    parser.add_argument("--width", type=int, default=32, help="channels of the first layer of ResNet-18")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument(
        "--gate-weight", type=float, default=1.0, help="weight of the cost on open channels, for learned-24"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that read images")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu"))
    parser.add_argument("--threads", type=int, help="threads of torch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    cells: dict[str, dict[int, dict[str, Any]]] = {}
    for seed in options.seeds:  # a whole table of few seeds is worth more than a few rows of many
        for row in options.rows:
            cell = measured(row, seed, options)
            cells.setdefault(row, {})[seed] = cell
            print(f"{row:<12} seed {seed}: top-1 {100 * cell['top1']:.2f} %, loss {cell['loss']:.3f}", flush=True)
            rows = summary(cells)
            about = {name: str(value) for name, value in vars(options).items()}
            content = {"options": about, "rows": rows, "threads": torch.get_num_threads(), **environment()}
            (options.output / "table.json").write_text(json.dumps(content, indent=2) + "\n")
            (options.output / "table.md").write_text(table(rows, cells, options))
    print()
    print((options.output / "table.md").read_text())


if __name__ == "__main__":
    main()
