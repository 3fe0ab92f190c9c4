"""Rows of `gpu.py` that measure the training of every kind of recipe, in images per second.

Each row trains on a small data set that is made in a temporary folder. It shows the images per second of the data
loader alone, of the step alone on one batch that lies on the device, and of `passband.training.train` with both. The
speeds of the loader and of the training include the start of the processes that load.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_rows import Bench, Row, median_seconds, peak_memory
from PIL import Image
from torch import nn

from passband.config import changed_recipe, load_recipe, recipe_on
from passband.config.common import Recipe
from passband.data.datasets.loaders import batch_loader, on_device
from passband.data.datasets.order import NumberedBatches
from passband.io.image import write_image
from passband.mixed_precision import MIXED_PRECISION, fast_layers, memory_format
from passband.models import build_from
from passband.optimizers import build_optimizer
from passband.tasks import TASKS
from passband.training import train

IMAGES = 1000
"""Number of images of a training, within the limits of the steps."""
STEPS = (14, 28)
"""Smallest and largest number of steps. Each process of the loader prepares one or two batches."""
PRECISIONS = ("float32", "bfloat16")


def photographs(bench: Bench) -> Path:
    """Write a folder of photos, and return it."""
    folder = bench.folder / "photos"
    if not folder.exists():
        for number, image in enumerate(bench.photos):
            write_image(folder / f"{number:02d}.png", image)
    return folder


def pairs(bench: Bench) -> Path:
    """Write pairs of noisy and clean photos, and return the folder."""
    folder = bench.folder / "pairs"
    if not folder.exists():
        generator = torch.Generator().manual_seed(0)
        for number, image in enumerate(bench.photos):
            noisy = (image + 0.1 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
            write_image(folder / "clean" / f"{number:02d}.png", image)
            write_image(folder / "degraded" / f"{number:02d}.png", noisy)
    return folder


def classes(bench: Bench) -> Path:
    """Write a folder of JPEG files with a subfolder for each of four classes, and return it."""
    folder = bench.folder / "classes"
    for name in "abcd":
        for number, image in enumerate(bench.photos):
            path = folder / name / f"{number}.jpg"
            if not path.exists():
                write_image(path, image)
    return folder


def masks(bench: Bench) -> Path:
    """Write photos and masks of their bright parts, and return the folder."""
    folder = bench.folder / "masks"
    if not folder.exists():
        for number, image in enumerate(bench.photos):
            write_image(folder / "images" / f"{number}.png", image)
            (folder / "masks").mkdir(exist_ok=True)
            mask = (image.mean(0) > image.mean()).to(torch.uint8) * 255
            Image.fromarray(mask.numpy()).save(folder / "masks" / f"{number}.png")
    return folder


def instances(bench: Bench) -> Path:
    """Write photos with two boxes as instances in COCO's format, and return the folder."""
    folder = bench.folder / "instances"
    if folder.exists():
        return folder
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, image in enumerate(bench.photos, 1):
        height, width = image.shape[-2:]
        write_image(folder / "images" / f"{number}.jpg", image)
        images.append({"id": number, "file_name": f"{number}.jpg", "height": height, "width": width})
        for place, (left, top) in enumerate(((10, 12), (width // 2, height // 2))):
            w, h = width // 3, height // 3
            polygon = [left, top, left + w, top, left + w, top + h, left, top + h]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": place + 1,
                    "bbox": [left, top, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                    "segmentation": [polygon],
                }
            )
    categories = [{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


KINDS: dict[str, tuple[str, Callable[[Bench], Path], dict[str, Any], dict[str, Any]]] = {
    "restoration, simulated (general)": (
        "general",
        photographs,
        {"data.sources": [], "validation.count": 1, "validation.crop": 64},
        {"data.batch": 2, "data.crop": 32, "data.workers": 0},
    ),
    "restoration, pairs (derain)": (
        "derain",
        pairs,
        {"validation.count": 1, "validation.crop": 64},
        {"data.batch": 1, "data.crop": 32, "data.workers": 0, "model.arguments": {"width": 16, "depth": 1}},
    ),
    "classification, coefficients (dct-small)": (
        "dct-small",
        classes,
        {"validation.count": 4},
        {"data.batch": 4, "data.workers": 0, "data.size": 64, "model.arguments": {"width": 8}},
    ),
    "classification, coefficients (dct-resnet50-24s)": (
        "dct-resnet50-24s",
        classes,
        {"validation.count": 4, "data.batch": 64},  # of the recipe's 256, because each image takes long to prepare
        {"data.batch": 2, "data.workers": 0, "data.size": 112, "model.arguments": {"width": 8}},
    ),
    "segmentation (segment-small)": (
        "segment-small",
        masks,
        {"validation.count": 2},
        {"data.batch": 2, "data.workers": 0, "data.size": 64, "model.arguments": {"width": 4, "depth": 2}},
    ),
    "detection (detection-small)": (
        "detection-small",
        instances,
        {},
        {"data.batch": 2, "data.workers": 0, "data.min_size": [48], "data.max_size": 80},
    ),
    "inspection (inspector)": (
        "inspector",
        photographs,
        {"data.sources": [], "data.gains": "", "validation.count": 2, "data.samples": 2000},
        {"data.batch": 2, "data.workers": 0, "model.arguments": {"width": 8}},
    ),
}
"""By name: the recipe, the function that writes its data, changes of the recipe, and further changes for small runs."""
GPU_WORKERS = max(1, min(14, (os.cpu_count() or 1) - 2))
"""Processes that load data, beside a GPU."""


def recipe_of(bench: Bench, kind: str, precision: str) -> Recipe:
    """Return the recipe of a kind, shortened."""
    name, _, changes, small = KINDS[kind]
    recipe = recipe_on(load_recipe(name), bench.device.type)
    steps = 2 if bench.small else min(STEPS[1], max(STEPS[0], IMAGES // recipe.data.batch))
    common = {"precision": precision, "optim.epochs": None, "optim.steps": steps, "optim.warmup_epochs": None}
    common |= {"optim.warmup_steps": 1, "validation.every": 10**6, "checkpoint_every": 10**6}
    common["data.held_out"] = 0.0
    if not bench.small:
        common["data.workers"] = GPU_WORKERS
    accepted = {key: value for key, value in (common | changes).items() if _has(recipe, key)}
    return changed_recipe(recipe, accepted | (small if bench.small else {}))


def _has(recipe: Recipe, key: str) -> bool:
    """Tell whether a recipe has a setting."""
    part: Any = recipe
    for name in key.split("."):
        if not hasattr(part, name):
            return False
        part = getattr(part, name)
    return True


def _loader_speed(bench: Bench, recipe: Recipe, task: Any, dataset: Any) -> tuple[float, Any]:
    """Return the images per second of the loader, with the start of its processes, and a batch on the device."""
    assert recipe.optim.steps is not None
    batches = NumberedBatches(0, recipe.optim.steps, recipe.data.batch, 0, 1)
    started, last = time.perf_counter(), None
    for batch in batch_loader(dataset, batches, task.collate, workers=recipe.data.workers, device=bench.device):
        last = batch
    seconds = time.perf_counter() - started
    return recipe.optim.steps * recipe.data.batch / seconds, next(iter(on_device([last], bench.device)))


def _step(bench: Bench, recipe: Recipe, task: Any, model: nn.Module, lesson: Any, batch: Any) -> Callable[[], None]:
    """Return a function that does one step of training on a batch."""
    optimizer = build_optimizer(recipe.optim, model)
    is_mixed = MIXED_PRECISION[recipe.precision] == "bf16"

    def step() -> None:
        fast = fast_layers(bench.device.type, recipe.precision)
        with torch.autocast(bench.device.type, torch.bfloat16, enabled=is_mixed), fast:
            loss, _ = task.loss(model, batch, 0.5, lesson)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _measured(bench: Bench, kind: str) -> dict[str, Any]:
    """Return the images per second of the loader, of the step at both precisions, and of the training in bfloat16."""
    folder = KINDS[kind][1](bench)
    figures: dict[str, Any] = {}
    batch = None
    rows = [(precision, memory_format(bench.device.type, precision)) for precision in PRECISIONS]
    for precision, layout in (rows[0], (PRECISIONS[1], torch.contiguous_format), rows[1]):
        recipe = recipe_of(bench, kind, precision)
        task = TASKS[recipe.task](recipe)
        network = task.network_config(folder, None)
        dataset, lesson = task.training_data(folder, network), task.lesson(folder, network)
        if batch is None:
            figures["loader"], batch = _loader_speed(bench, recipe, task, dataset)
        torch.manual_seed(0)
        model = build_from(network).to(bench.device).to(memory_format=layout).train()
        with peak_memory(bench) as peak:
            seconds = median_seconds(bench, _step(bench, recipe, task, model, lesson, batch), most=20)
        name = precision if (precision, layout) in rows else f"{precision} channel by channel"
        figures[f"step {name}"] = recipe.data.batch / seconds
        if peak:
            figures[f"peak GB {name}"] = peak["peak_gb"]
        del model
    recipe = recipe_of(bench, kind, "bfloat16")
    output = bench.folder / "run"
    shutil.rmtree(output, ignore_errors=True)
    progress = train(recipe, output, data=folder, device=str(bench.device))
    speed = progress.step * recipe.data.batch / progress.seconds
    return figures | {"training bfloat16": speed, "batch": recipe.data.batch, "steps": progress.step}


def _row(kind: str) -> Row:
    return Row("training", kind, 14, lambda bench: _measured(bench, kind))


ROWS = [_row(kind) for kind in KINDS]
