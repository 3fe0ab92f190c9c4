"""Settings of a fine-tuning, chosen for the pairs, the machine and the time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from passband.config import RestorationRecipe, parse_recipe
from passband.inference.precision import fast_precision
from passband.models import pick_device

HELD_OUT = 0.2
"""Share of the pairs that is held out where no folder to score on is given."""
CROP, LEAST_CROP, VALIDATION_CROP = 160, 64, 256
"""Sides in pixels: of training crops, how far small pictures push them down (below, they are padded), of those scored
while training."""
BATCH = 4
RATE, DEEP_RATE, DEEP = 5e-4, 5e-5, 8
"""Peak rates, each half of what such weights were trained with: the shipped ones, and networks of the published depth
(from this many blocks per stage)."""
VALIDATIONS, PATIENCE = 12, 6
"""Validations of a run, and how many without a better score end it: half of them, because the last part of a cosine may
still gain, and the best weights are kept whatever follows."""
SCORED = 50
"""Held-out pairs that are scored, while training and before and after."""
SHARE_SCORED, SHARE_VALIDATED = 0.1, 0.15
"""Shares of the time for the scores before and after, and for the validations of the run, at most."""
CROPS = (160, 128, 96, 64)
"""Sides of training crops in pixels, from which a short time takes smaller ones."""
WANTED_STEPS, LEAST_STEPS = 200, 20
"""Steps for which crops become smaller, and under which little can be learned."""
PROBE_STEPS, PROBE_CROPS = 3, 2
"""Steps and validation crops that are timed to find how many fit."""


@dataclass(frozen=True)
class Plan:
    """The size of a run that fits into a time.

    Attributes:
        steps: length of the run.
        crop: side of the training crops in pixels.
        validations: in the course of the run, besides the one before the first step.
        count: crops of each validation.
    """

    steps: int
    crop: int
    validations: int
    count: int


def fit_time(seconds: float, step: float, validated: float, crops: Sequence[int], count: int) -> Plan:
    """Find the run that fits into a time, of which validations take at most a small share.

    Args:
        seconds: time for steps and validations.
        step: seconds of a step with the first of `crops`.
        validated: seconds that one crop takes in a validation.
        crops: sides to choose from in pixels, the largest first. A smaller one is taken where fewer than
            `WANTED_STEPS` steps of a larger one fit.
        count: held-out crops that there are to validate on.

    Returns:
        At least one step and one validation of one crop, whatever the time.
    """
    affordable = SHARE_VALIDATED * max(0.0, seconds) / max(validated, 1e-9)  # crops in all validations
    count = max(1, min(count, int(affordable / 2)))
    validations = max(1, min(VALIDATIONS, int(affordable / count) - 1))
    left = max(0.0, seconds - (validations + 1) * count * validated)
    fitting = [(crop, max(1, int(left / (step * (crop / crops[0]) ** 2)))) for crop in crops]
    crop, steps = next((fit for fit in fitting if fit[1] >= WANTED_STEPS), fitting[-1])
    return Plan(steps, crop, min(validations, steps), count)


def recipe_for_pairs(
    steps: int,
    *,
    smallest: int,
    crop: int | None,
    share: float,
    views: int,
    depth: int,
    learning_rate: float | None,
    precision: str,
    device: str,
    seed: int,
    validations: int = VALIDATIONS,
    count: int = SCORED,
) -> RestorationRecipe:
    """Settings for few pairs: a gentle start with fresh moments, statistics that stay, an end when nothing improves.

    Args:
        steps: length of the run.
        smallest: least side of the pictures in pixels.
        crop: side of the training crops in pixels; None for what suits the pictures.
        share: of the pairs to hold out.
        views: pictures of each scene that the network takes.
        depth: blocks per stage of the network.
        learning_rate: peak of the rate; None for what suits the depth.
        precision: `"float32"` or `"bfloat16"`.
        device: see `models.pick_device`.
        seed: decides what is held out, order, crops and flips.
        validations: in the course of the run.
        count: held-out pairs that are validated on, and scored before and after.

    Raises:
        RecipeError: for a crop that no network takes.
    """
    every = max(1, math.ceil(steps / validations))
    fitting = max(LEAST_CROP, smallest // 8 * 8)
    content = {
        "name": "finetune",
        "seed": seed,
        "precision": precision,
        "checkpoint_every": max(1, math.ceil(steps / VALIDATIONS)),
        "model": {"arguments": {"in_channels": 3 * views}},
        "data": {
            "source": "pairs",
            "views": views,
            "crop": crop or min(CROP, fitting),
            "batch": BATCH,
            "workers": 0 if pick_device(device).type == "cpu" else 4,  # the step has all cores of a CPU
            "held_out": share,
            "skip_bad": True,  # pairs that were not looked at before the run do not end it
        },
        "optim": {
            "optimizer": "adamw",
            "learning_rate": learning_rate or (RATE if depth < DEEP else DEEP_RATE),
            "final_learning_rate": 0.0,
            "steps": steps,
            "warmup_steps": steps // 20,
            "clip_norm": 0.1,
            "ema": 0.99,
            "keep_statistics": True,
        },
        "validation": {
            "every": every,
            "count": count,
            "crop": min(VALIDATION_CROP, fitting),
            "patience": PATIENCE if validations == VALIDATIONS else None,  # few validations are needed to choose from
        },
    }
    recipe = parse_recipe(content, "finetune")
    assert isinstance(recipe, RestorationRecipe)  # the task where none is named
    return recipe


def training_precision(device: str = "auto") -> str:
    """The precision to train in: `"bfloat16"` where the device computes convolutions fast in it, else `"float32"`.

    Args:
        device: see `models.pick_device`.
    """
    return "bfloat16" if fast_precision(pick_device(device), torch.get_num_threads()) == "bfloat16" else "float32"
