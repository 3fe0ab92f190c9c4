"""Trains a pretrained segmentation network with and without the crop curriculum, and scores it by `pranet`.

    python benchmarks/segmentation/segmentation.py --data TRAIN --validation-data VAL -o DIR [--device cuda]
        [--seconds 150]
    python benchmarks/segmentation/segmentation.py -o DIR --report  # prints the tables of a finished or cut measurement

TRAIN and VAL hold images/ and masks/. Each row trains the network of a recipe with the same samples, steps, random
changes and learning rates; only the curriculum differs:

- full: whole images.
- crop: cropped spectra, by the curriculum of the recipe.

First, a leak report compares VAL with TRAIN. All images are decoded once into the memory of the device, which also
makes the random changes. On a CUDA GPU, a step of each image size is recorded once as a CUDA graph (forward, backward
and optimizer) and replayed, because the launches of so small a network would otherwise take longer than its work; times
of steps without graphs are measured also. `--seconds` shortens all runs alike, so that the whole measurement fits.

Seconds of a run are those from its first step to the end of its last, of the wall clock on a GPU and of the processor
on a CPU, with random changes and crops, without reading, recording and scoring. The order of the rows rotates with the
seed. Scores are those of the averaged weights at the end, on whole images, so VAL influences no choice. Each network is
also scored on degraded copies of VAL: noise, blur, JPEG and removed high frequencies.

DIR/results.json is written after each run, with the figures of each image; DIR/table.md holds the tables.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from segmentation_robustness import corrupted
from segmentation_steps import Steps
from segmentation_tables import tables
from torch import Tensor

from passband.analysis.cost import macs
from passband.config import SegmentationRecipe, changed_recipe, load_recipe, parse_changes
from passband.data.batch_augmentation import BatchAugmentation
from passband.data.datasets.segmentation import SegmentationTrainingSet, SegmentationValidationSet
from passband.data.leaks import leak_report
from passband.data.masks import find_mask_pairs
from passband.metrics.mask_scores import class_counts, foreground_figures, pranet, predicted_classes, resized_logits
from passband.models import build_model
from passband.models.base import without_initial_weights
from passband.optimizers import learning_rate
from passband.provenance import environment
from passband.tasks.curriculum import Lesson

ROWS = ("full", "crop")
SCORING = 3.0
"""Seconds that are kept for scoring each run, if the seconds of the measurement are limited."""
THREADS = 16
"""Threads that decode and score."""


class Images:
    """Images and masks in the memory of a device.

    Args:
        samples: data set whose images have one size.
        device: device to keep them on.
    """

    def __init__(self, samples: Any, device: torch.device):
        with ThreadPoolExecutor(THREADS) as pool:
            read = list(pool.map(samples.__getitem__, range(len(samples))))
        if problems := [sample["problem"] for sample in read if sample["problem"]]:
            raise SystemExit(f"{len(problems)} files cannot be used, the first: {problems[0]}")
        self.names = [sample["name"] for sample in read]
        self.images = torch.stack([sample["image"].mul(255).round().byte() for sample in read]).to(device)
        self.masks = [sample["mask"].byte() for sample in read]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)


def order(count: int, batch: int, steps: int, seed: int) -> list[list[int]]:
    """Return the samples of each step: each epoch shows each image once, in a random order of its own."""
    generator = torch.Generator().manual_seed(seed)
    per_epoch = count // batch
    epochs = [torch.randperm(count, generator=generator).tolist() for _ in range(-(-steps // per_epoch))]
    return [epochs[step // per_epoch][batch * (step % per_epoch) :][:batch] for step in range(steps)]


def trained(
    row: str, seed: int, epochs: int, recipe: SegmentationRecipe, learned: Images, steps_of: Steps
) -> dict[str, Any]:
    """Train one network. The averaged weights are in `steps_of.averaged` afterwards.

    Returns:
        Seconds, seconds for each image size, and the sizes of the steps.
    """
    curriculum = Lesson(recipe, None).curriculum if row == "crop" else None
    augmentation = BatchAugmentation(**recipe.data.batch_augmentation.model_dump())
    side, batch, device = recipe.data.size, recipe.data.batch, steps_of.device
    per_epoch = len(learned) // batch
    steps = epochs * per_epoch
    numbers = order(len(learned), batch, steps, seed)
    masks = torch.stack(learned.masks).to(device)
    steps_of.start(seed)
    warmup = recipe.optim.warmup(per_epoch)
    sizes: dict[int, int] = {}
    started = steps_of.now()
    for step in range(steps):
        chosen = torch.tensor(numbers[step], device=device)
        images = learned.images[chosen].float() / 255
        images, mask = augmentation(
            images, masks[chosen].long(), [seed * 10**7 + step * batch + n for n in range(batch)]
        )
        seen = images if curriculum is None else curriculum.apply(images, step / steps)
        sizes[seen.shape[-1]] = sizes.get(seen.shape[-1], 0) + 1
        loss = steps_of.step(seen, mask, learning_rate(step, steps, warmup, recipe.optim))
        if step % (5 * per_epoch) == 0 or step == steps - 1:
            print(
                f"  {row} seed {seed} step {step} of {steps}: loss {loss.item():.4f}, {seen.shape[-1]} pixels",
                flush=True,
            )
    seconds = steps_of.now() - started
    pixels = sum(count * size**2 for size, count in sizes.items()) / (steps * side**2)
    return {"seconds": seconds, "steps": steps, "epochs": epochs, "sizes": sizes, "pixels": pixels}


@torch.no_grad()
def scored(steps_of: Steps, images: Tensor, masks: list[Tensor], batch: int) -> list[dict[str, float]]:
    """Score the averaged network on images: the figures of `pranet` and of probability .5 for each image."""
    logits = [one for part in images.split(batch) for one in steps_of.predict(part).float().cpu()]

    def figures(pair: tuple[Tensor, Tensor]) -> dict[str, float]:
        one, mask = pair
        one, mask = resized_logits(one[None].double(), mask.shape)[0], mask.long()
        return {**pranet(one, mask), **foreground_figures(class_counts(predicted_classes(one), mask, 2))}

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(figures, zip(logits, masks, strict=True)))


def fitting_epochs(
    seconds: float, most: int, options: argparse.Namespace, recipe: SegmentationRecipe, learned: Images, steps_of: Steps
) -> int:
    """Return the number of epochs, at most a given one, with which all runs take some seconds together."""
    total = 0.0
    for row in options.rows:  # one epoch each, with everything that a run does; the first time takes longer
        tries = [trained(row, 0, 1, recipe, learned, steps_of)["seconds"] for _ in range(2)]
        total += len(options.seeds) * min(tries)
    return max(1, min(most, int(seconds / total)))


def main() -> None:
    """Run the measurement, or print the tables of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder to train on")
    parser.add_argument("--validation-data", type=Path, help="folder to score on")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--report", action="store_true", help="only print the tables of the folder")
    parser.add_argument("--recipe", default="segment-kvasir-pretrained", help="recipe of both rows")
    parser.add_argument("--set", action="append", default=[], help="change of the recipe, such as data.size=224")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="length of each run, instead of that of the recipe")
    parser.add_argument("--seconds", type=float, help="seconds for all runs together")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True, help="record steps on a GPU")
    parser.add_argument("--limit", type=int, help="largest number of images to train and to score on, for trials")
    options = parser.parse_args()
    if options.report:
        print(tables(json.loads((options.output / "results.json").read_text())))
        return
    began = time.perf_counter()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    recipe = changed_recipe(load_recipe(options.recipe), parse_changes(options.set))
    learned, held = find_mask_pairs(options.data), find_mask_pairs(options.validation_data)
    leaks = leak_report(learned, held)
    print(
        f"leak report: {' '.join(leaks.lines()) or f'none of {leaks.scored} images is also learned from'}", flush=True
    )
    size = recipe.data.size
    training = Images(SegmentationTrainingSet(learned[: options.limit], 1, size, 0, cache=False), device)
    validation = Images(SegmentationValidationSet(held[: options.limit], 1, size, cache=False), device)
    copies = corrupted(validation.images)
    print(f"read {len(training)} + {len(validation)} images in {time.perf_counter() - began:.1f} s", flush=True)

    arguments = {**recipe.model.arguments}
    steps_of = Steps(
        lambda: build_model(recipe.model.name, **arguments), recipe, device, (*recipe.sizes, size), options.graphs
    )
    print(f"steps: {json.dumps(steps_of.report)}, ready after {time.perf_counter() - began:.1f} s", flush=True)
    epochs = options.epochs or recipe.optim.epochs or 1
    if options.seconds:
        left = options.seconds - (time.perf_counter() - began) - SCORING * len(options.rows) * len(options.seeds)
        epochs = fitting_epochs(left, epochs, options, recipe, training, steps_of)
        print(f"{epochs} epochs fit into {left:.0f} s", flush=True)
    counted = build_model(recipe.model.name, **without_initial_weights(arguments))
    results: dict[str, Any] = {
        **environment(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "recipe": recipe.model_dump(mode="json"),
        "epochs": epochs,
        "images": [len(training), len(validation)],
        "leaks": leaks.lines(),
        "parameters": sum(parameter.numel() for parameter in steps_of.model.parameters()),
        "macs": {side: macs(counted, (3, side, side)) for side in (*recipe.sizes, size)},
        "steps": steps_of.report,
        "runs": [],
    }
    options.output.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(options.seeds):
        for row in options.rows[number % len(options.rows) :] + options.rows[: number % len(options.rows)]:
            run = {"row": row, "seed": seed, **trained(row, seed, epochs, recipe, training, steps_of)}
            for name, images in {"clean": validation.images, **copies}.items():
                figures = scored(steps_of, images.float() / 255, validation.masks, recipe.validation.batch)
                run[name] = figures if name == "clean" else {"mean_dice": [one["mean_dice"] for one in figures]}
            results["runs"].append(run)
            dice = sum(one["mean_dice"] for one in run["clean"]) / len(run["clean"])
            print(f"{row} seed {seed}: Dice {100 * dice:.2f} %, {run['seconds']:.1f} s", flush=True)
            (options.output / "results.json").write_text(json.dumps(results))
            (options.output / "table.md").write_text(tables(results))
    print(tables(results))
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
