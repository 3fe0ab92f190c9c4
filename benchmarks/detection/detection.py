"""Overfits a small Mask R-CNN on a few images, from DCT channels and from RGB, until it finds their instances.

    python benchmarks/detection/detection.py --data COCO -o DIR [--rows rgb dct-24s ...] [--pictures 12] [--size 192]
        [--steps 400] [--minutes 20] [--seed 0]

COCO is a folder or a file of annotations in COCO's format. The script chooses the images whose smallest instance covers
the largest share of the image, without crowds and with at most MOST instances. At a reduced size, the objects of other
images would be only a few pixels large. Every row is the same network (a ResNet-18 of half the width with group
normalization, pyramid and heads), trained from random weights by the same recipe on the same images in the same order.
Only the input of layer1 differs:

- rgb: the stem of ResNet.
- dct-24s: the DCT of the resized pixels.
- native-24s: the coefficients of the JPEG files at the size of the files. The cost grows with the ratio of this size
  to SIZE.

The scores are measured on the training images. A score near 1 shows that losses, boxes, masks and scores fit each
other; it says nothing about new images. --minutes limits each row, and a row that is stopped by it is marked. Finished
rows are skipped, and a stopped row is resumed. The script writes DIR/table.md and DIR/table.json, and for each row a
run, a report and images with the found instances.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from passband.analysis.cost import macs
from passband.checkpoints import latest_checkpoint
from passband.config import parse_recipe
from passband.data.coco import CocoImages, find_coco
from passband.evaluation import evaluate
from passband.inference import InstanceFinder
from passband.io.files import write_whole
from passband.provenance import environment
from passband.runs import read_run
from passband.training import StepReport, train

ROWS: dict[str, dict[str, Any]] = {
    "rgb": {"channels": "rgb"},
    "dct-24s": {"channels": "24S"},
    "native-24s": {"channels": "24S", "input": "coefficients"},
}
MOST = 6
"""Largest number of instances of a chosen image."""
BAR = 0.5
"""Mask AP50 from which a row counts as learned."""


def chosen(pictures: CocoImages, count: int) -> CocoImages:
    """Return the images whose smallest instance covers the largest share of the image."""
    shares = []
    for place, image in enumerate(pictures.images):
        if image.trained and len(image.trained) == len(image.instances) <= MOST:
            smallest = min(instance.area for instance in image.instances)
            shares.append((smallest / (image.height * image.width), place))
    if len(shares) < count:
        raise SystemExit(f"{pictures.source} has {len(shares)} pictures of 1 to {MOST} instances, fewer than {count}")
    return pictures.only(sorted(place for _, place in sorted(shares, reverse=True)[:count]))


def written(pictures: CocoImages, path: Path) -> Path:
    """Write a file of annotations with these images and their categories, and return its path."""
    truth = pictures.ground_truth()
    files = {image.number: str(image.path.resolve()) for image in pictures.images}
    used = {annotation["category_id"] for annotation in truth["annotations"]}
    content = {
        "images": [{**image, "file_name": files[image["id"]]} for image in truth["images"]],
        "annotations": truth["annotations"],
        "categories": [category for category in truth["categories"] if category["id"] in used],
    }
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return path


def settings(row: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe of a row."""
    return {
        "name": row,
        "task": "detection",
        "seed": options.seed,
        "checkpoint_every": 100,
        "model": {
            "name": "dct-mask-rcnn-resnet18",
            "arguments": {
                "width": options.width,
                "features": 2 * options.width,
                "box_features": 8 * options.width,
                "smallest_anchor": 32 if row == "native-24s" else max(4, options.size // 12),
                "rpn_pre_nms_top_n_train": 500,
                "rpn_pre_nms_top_n_test": 500,
                "rpn_post_nms_top_n_train": 200,
                "rpn_post_nms_top_n_test": 200,
                "box_batch_size_per_image": 64,
            },
        },
        "data": {
            **ROWS[row],
            "min_size": [options.size],
            "max_size": 2 * options.size,
            "flip": False,
            "batch": options.batch,
            "workers": options.workers,
        },
        "optim": {
            "optimizer": "adamw",
            "learning_rate": options.learning_rate,
            "final_learning_rate": options.learning_rate / 100,
            "milestones": [],
            "weight_decay": 1e-4,
            "steps": options.steps,
            "warmup_steps": min(50, options.steps - 1),
            "clip_norm": 5.0,
            "ema": 0.95,
        },
        "validation": {"every": max(1, options.steps // 6), "batch": 4},
    }


def measured(row: str, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train and score a row of the table, and return it."""
    folder = options.output / row
    run, done = folder / "run", folder / "row.json"
    if done.exists():
        return json.loads(done.read_text(encoding="utf-8"))
    recipe = parse_recipe(settings(row, options), row)
    resume = latest_checkpoint(run) is not None
    if resume and read_run(run)["recipe"] != recipe:
        raise SystemExit(f"{run} was trained by other settings than are asked for now: choose another folder with -o")
    if not resume and run.exists():
        raise SystemExit(f"{run} was stopped before its first checkpoint: remove it")

    def report(step: StepReport) -> None:
        if step.step % 50 == 0 or step.step == 1:
            print(f"{row}: step {step.step} of {step.steps}, loss {step.loss:.3f}, {step.seconds_left:.0f} s left")

    progress = train(
        recipe, run, data=data, resume=resume, max_minutes=options.minutes, device=options.device, report=report
    )
    weights = run / "weights" / "last"
    scored = evaluate(weights, data, folder / "report", device=options.device)
    detector = InstanceFinder(weights, "cpu")
    side = (3, options.size, options.size)
    taken = {
        "steps": progress.step,
        "finished": progress.step == options.steps,
        "minutes": progress.seconds / 60,
        "seconds_per_step": progress.seconds / max(1, progress.step),
        "figures": scored["figures"],
        "parameters": sum(weight.numel() for weight in detector.model.parameters()),
        "backbone_macs": None if detector.model.input == "coefficients" else macs(detector.model.backbone, side),
    }
    with write_whole(done) as temporary:
        temporary.write_text(json.dumps(taken, indent=2) + "\n", encoding="utf-8")
    return taken


def table(rows: dict[str, dict[str, Any]], pictures: CocoImages, options: argparse.Namespace) -> str:
    """Return the table in Markdown."""
    lines = [
        f"# {len(pictures)} pictures of {pictures.source.name}, {options.size} pixels, from fresh weights",
        "",
        f"Scored on the pictures that were learned from. Bar: mask AP50 of at least {BAR}.",
        "",
        "| row | mask AP50 | mask AP | box AP50 | box AP | steps | minutes | s/step | backbone GMACs | learned |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        mask, box = row["figures"]["mask"], row["figures"]["box"]
        cost = "" if row["backbone_macs"] is None else f"{row['backbone_macs'] / 1e9:.2f}"
        learned = "yes" if mask["AP50"] >= BAR else "no"
        steps = f"{row['steps']}{'' if row['finished'] else ' (stopped)'}"
        lines.append(
            f"| {name} | {mask['AP50']:.3f} | {mask['AP']:.3f} | {box['AP50']:.3f} | {box['AP']:.3f} | {steps} "
            f"| {row['minutes']:.1f} | {row['seconds_per_step']:.2f} | {cost} | {learned} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=["dct-24s", "rgb"])
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=None, help="time limit of each row in minutes")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    pictures = chosen(find_coco(options.data), options.pictures)
    data = written(pictures, options.output / "pictures.json")
    rows: dict[str, dict[str, Any]] = {}
    for row in options.rows:
        rows[row] = measured(row, data, options)
        text = table(rows, pictures, options)
        kept = {name: value for name, value in vars(options).items() if name not in ("data", "output")}
        content = {"options": kept, "rows": rows, **environment()}
        (options.output / "table.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (options.output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
