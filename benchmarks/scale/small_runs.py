"""Makes small data sets of drawn shapes, and recipes of all tasks that train on them in seconds.

`benchmarks/scale/processes.py` and `benchmarks/scale/training_kills.py` train them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from passband.config import Recipe, changed_recipe, parse_recipe
from passband.data.datasets.order import scored_batches
from passband.models import build_from
from passband.processes import count as processes
from passband.processes import rank, summed_counts
from passband.tasks import TASKS

SIZES = ((64, 80), (48, 64), (72, 56))
"""Heights and widths of the images, in turn."""
ADAMW = {"optimizer": "adamw", "learning_rate": 1e-3, "warmup_steps": 0}

RECIPES: dict[str, dict[str, Any]] = {
    "restoration": {
        "model": {"name": "sfnet", "arguments": {"width": 16, "depth": 1}},
        "data": {"crop": 32, "degradations": {"rain": 1.0, "haze": 1.0}, "mixtures": 0.2, "camera": 0.3},
        "optim": {"learning_rate": 5e-4, "clip_norm": 0.1},
        "validation": {"count": 5, "crop": 32, "batch": 2},
    },
    "classification": {
        "model": {"name": "gated-dct-resnet18", "arguments": {"width": 8}},
        "data": {"input": "coefficients", "size": 64, "scale": [0.25, 1.0]},
        "optim": ADAMW,
        "validation": {"batch": 3},
    },
    "detection": {
        "model": {
            "name": "dct-mask-rcnn-resnet18",
            "arguments": {
                "width": 8,
                "features": 8,
                "box_features": 16,
                "smallest_anchor": 8,
                "rpn_pre_nms_top_n_test": 40,
                "rpn_post_nms_top_n_test": 30,
                "rpn_pre_nms_top_n_train": 40,
                "rpn_post_nms_top_n_train": 30,
                "box_batch_size_per_image": 16,
                "rpn_batch_size_per_image": 32,
            },
        },
        "data": {"min_size": [40, 48, 64], "max_size": 90},
        "optim": {**ADAMW, "milestones": [], "clip_norm": 5.0},
        "validation": {"batch": 2},
    },
    "segmentation": {
        "model": {"name": "unet", "arguments": {"width": 4, "depth": 2}},
        "data": {"size": 32},
        "optim": ADAMW,
        "loss": {"name": "cross_entropy+dice"},
        "curriculum": {
            "mode": "mask",
            "schedule": "adaptive",
            "definition": "magnitude",
            "adaptive": {"shares": [0.0, 0.5], "radii": 3, "images": 2, "between": "linear"},
        },
        "validation": {"batch": 2},
    },
    "inspection": {
        "model": {"name": "inspector", "arguments": {"width": 8, "hidden": 8}},
        "data": {"samples": 40, "crop": 64, "zoom": 1.2, "gains": ""},
        "optim": ADAMW,
        "validation": {"count": 3, "batch": 2},
    },
}
"""Settings of each task that differ from the defaults."""


def small_recipe(
    task: str, steps: int, *, batch: int = 4, every: int | None = None, checkpoint_every: int = 2
) -> Recipe:
    """Return the recipe of a short run.

    Args:
        task: task, a key of `RECIPES`.
        steps: length of the run in steps.
        batch: samples of a step, over all processes.
        every: steps between validations; None validates at the end only.
        checkpoint_every: steps between checkpoints.
    """
    own = RECIPES[task]
    content = {
        "name": f"small-{task}",
        "task": task,
        "seed": 5,
        "checkpoint_every": checkpoint_every,
        **own,
        "data": {**own["data"], "batch": batch, "workers": 0},
        "optim": {**own["optim"], "steps": steps},
        "validation": {**own["validation"], "every": every or steps},
    }
    return parse_recipe(content, f"benchmarks/scale/small_runs.py, {task}")


def scores(task: str, data: Path, count: int | None = None) -> dict[str, str]:
    """Score an untrained network, each process of the run its share, and return all figures to the last digit.

    Args:
        task: task, a key of `RECIPES`.
        data: folder of the images.
        count: largest number of images to score; None for that of the recipe.
    """
    recipe = small_recipe(task, 1)
    if count is not None and "count" in type(recipe.validation).model_fields:
        more = {"data.samples": 20 * count} if task == "inspection" else {}  # a tenth of them is scored
        recipe = changed_recipe(recipe, {"validation.count": count, **more})
    made = TASKS[task](recipe)
    network = made.network_config(data, None)
    torch.manual_seed(0)
    model = build_from(network)
    samples: Any = made.validation_data(data, None, network)
    shares = scored_batches(len(samples), 2, rank(), processes())
    with summed_counts(model):
        result = made.validate(model, (made.collate([samples[one] for one in share]) for share in shares), samples)
    seen = {name: value.sum().item() for name, value in model.state_dict().items() if name.startswith("gate.seen")}
    figures = {**result.figures, **seen, "score": result.score, "picture": result.picture.double().sum().item()}
    return {"images": str(len(samples)), **{name: repr(value) for name, value in figures.items()}}


def write_data(folder: Path, task: str, count: int = 8) -> Path:
    """Write the images that a task learns from, and return their folder.

    Args:
        folder: folder that gets a subfolder for the task.
        task: task, a key of `RECIPES`.
        count: number of images.
    """
    root = folder / task
    if task == "classification":
        for number in range(count):
            image, _ = _shapes(number, classes=(number % 2,))
            _save(image, root / ("disc" if number % 2 == 0 else "box") / f"{number}.jpg")
    elif task == "segmentation":
        for number in range(count):
            image, found = _shapes(number)
            mask = np.zeros(image.shape[:2], np.uint8)
            for left, top, width, height, _ in found:
                mask[top : top + height, left : left + width] = 255
            _save(image, root / "images" / f"{number}.png")
            _save(mask, root / "masks" / f"{number}.png")
    elif task == "detection":
        _write_coco(root, count)
    else:
        for number in range(count):
            _save(_shapes(number)[0], root / f"{number}.png")
    return root


def _write_coco(root: Path, count: int) -> None:
    """Write images and annotations as COCO has them."""
    images, annotations = [], []
    for number in range(count):
        image, found = _shapes(number)
        name = f"{number + 1:012d}.png"
        _save(image, root / "train2017" / name)
        images.append({"id": number + 1, "file_name": name, "height": image.shape[0], "width": image.shape[1]})
        for left, top, width, height, kind in found:
            corners = [left, top, left + width, top, left + width, top + height, left, top + height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": kind + 1,
                    "bbox": [left, top, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "segmentation": [corners],
                }
            )
    categories = [{"id": 1, "name": "dark"}, {"id": 2, "name": "light"}]
    path = root / "annotations" / "instances_train2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def _shapes(seed: int, classes: tuple[int, ...] = (0, 1)) -> tuple[np.ndarray, list[tuple[int, int, int, int, int]]]:
    """Draw one to three rectangles on noise: the image, and left, top, width, height and class of each."""
    rng = np.random.default_rng([2026, seed])
    height, width = SIZES[seed % len(SIZES)]
    image = rng.normal(120, 12, (height, width, 3))
    found = []
    for _ in range(1 + seed % 3):
        across, down = (int(value) for value in rng.integers(10, 28, 2))
        left, top = int(rng.integers(width - across)), int(rng.integers(height - down))
        kind = int(rng.choice(classes))
        image[top : top + down, left : left + across] = (230 if kind else 20) + rng.normal(0, 8, (down, across, 3))
        found.append((left, top, across, down, kind))
    return image.clip(0, 255).astype(np.uint8), found


def _save(pixels: np.ndarray, path: Path) -> None:
    """Write an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))
