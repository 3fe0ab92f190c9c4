"""Recipes and first weights of the rows of `detection_rows.py`."""

import argparse
from collections.abc import Iterator
from typing import Any

import torch

from passband.config import Recipe, parse_recipe
from passband.demos import detection as demo
from passband.io.image import read_image
from passband.layers.channels import channel_subset
from passband.models import dct_efficientnet_lite0, efficientnet_lite0, fit_first_block, load_imagenet
from passband.models.classification.dct_efficientnet import MEAN, STD
from passband.models.detection.stem import GRAY, CubeStem

ROWS: dict[str, dict[str, Any]] = {
    "rgb": {"channels": "rgb"},
    "dct-24s": {"channels": "24S"},
    "native-24s": {"channels": "24S", "input": "coefficients"},
}
FITTED = 512
"""Largest number of images that the first block is fitted to."""


def recipe_of(row: str, seed: int, options: argparse.Namespace, steps: int) -> Recipe:
    """Return the recipe of a run."""
    if options.objects is None:
        return small_recipe(row, seed, options, steps)
    return parse_recipe(
        {
            "name": f"{row}-{seed}",
            "task": "detection",
            "seed": seed,
            "precision": options.precision,
            "checkpoint_every": 100_000,
            "model": {
                "name": "dct-mask-rcnn-lite0",
                "backbone_weights": start_of(row, options),
                "arguments": {
                    "norm": "batch",
                    "features": options.features,
                    "smallest_anchor": 16,
                    "rpn_pre_nms_top_n_train": 500,
                    "rpn_pre_nms_top_n_test": 300,
                    "rpn_post_nms_top_n_train": 300,
                    "rpn_post_nms_top_n_test": 300,
                    "box_batch_size_per_image": 64,
                },
            },
            "data": {
                **ROWS[row],
                "min_size": [options.size],
                "max_size": options.size,
                "batch": options.batch,
                "workers": options.workers,
            },
            "optim": {
                "optimizer": "adamw",
                "learning_rate": options.learning_rate,
                "final_learning_rate": options.learning_rate / 100,
                "milestones": [],
                "weight_decay": 1e-2,
                "steps": steps,
                "warmup_steps": min(50, steps // 5),
                "clip_norm": 5.0,
                "ema": 0.98,
            },
            "validation": {"every": steps, "batch": 8, "count": 8},
        },
        row,
    )


def small_recipe(row: str, seed: int, options: argparse.Namespace, steps: int) -> Recipe:
    """Return the recipe of the demonstration with another input and another length."""
    return parse_recipe(
        {
            **demo.RECIPE,
            "name": f"{row}-{seed}",
            "seed": seed,
            "checkpoint_every": 100_000,
            "data": {**demo.RECIPE["data"], **ROWS[row], "workers": options.workers},
            "optim": {**demo.RECIPE["optim"], "steps": steps, "warmup_steps": min(10, steps // 5)},
            "validation": {"every": steps, "batch": 8, "count": 8},
        },
        row,
    )


def start_of(row: str, options: argparse.Namespace) -> str | None:
    """Return the weights that the backbone of a row starts from."""
    if options.start == "fresh":
        return None
    return "imagenet" if row == "rgb" or not options.fit_steps else str(options.output / "start")


def fit_start(options: argparse.Namespace) -> None:
    """Write a backbone of frequency channels whose first block is fitted to the map of the RGB network."""
    folder = options.output / "start"
    if folder.exists() or options.start == "fresh" or not options.fit_steps or {*options.rows} == {"rgb"}:
        return
    torch.manual_seed(0)
    device = torch.device(options.device)
    stem = CubeStem(channel_subset("24S")).to(device)
    teacher, model = efficientnet_lite0(), dct_efficientnet_lite0()
    load_imagenet(teacher)
    load_imagenet(model)
    teacher, model = teacher.to(device), model.to(device)
    paths = sorted((options.output / "set" / "train" / "images").glob("*.jpg"))[:FITTED]
    images = torch.stack([read_image(path) for path in paths]).to(device)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            view = images[torch.randint(len(images), (options.batch,), device=device)]
            yield stem(view - GRAY), (view - MEAN) / STD

    share = fit_first_block(model, teacher, batches(), options.fit_steps)
    print(f"the first block explains {100 * share:.0f} % of the variance of the map of the RGB network", flush=True)
    model.cpu().eval().save_pretrained(folder)
