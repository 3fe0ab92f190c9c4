"""Chooses the settings of a fine-tuning for the pairs, the machine and the time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from passband import hardware
from passband.config import RestorationRecipe, parse_recipe
from passband.models import pick_device
from passband.models.restoration.three_scales import ThreeScaleNetwork

HELD_OUT = 0.2
"""Share of the pairs that is held out if no folder to score on is given."""
CROP = 160
"""Side of training crops, in pixels."""
LEAST_CROP = 64
"""Side of training crops for small images, in pixels; images below it are padded."""
VALIDATION_CROP = 256
"""Side of validation crops, in pixels."""
BATCH = 4
"""Number of crops in a batch."""
DEEP = 8
"""Number of blocks per stage from which a network has the published depth."""
RATE, DEEP_RATE = 5e-4, 5e-5
"""Peak learning rates of the shipped networks and of the published depth: half of the rates they were trained with."""
VALIDATIONS = 12
"""Number of validations of a run."""
PATIENCE = 6
"""Number of validations without a better score that end a run: half of them, because the last part of a cosine may
still gain, and the best weights are kept in any case."""
SCORED = 50
"""Largest number of held-out pairs that are scored, while training and before and after."""
SHARE_SCORED = 0.1
"""Largest share of the time for the scores before and after."""
SHARE_VALIDATED = 0.15
"""Largest share of the time for the validations of the run."""
CROPS = (160, 128, 96, 64)
"""Sides of training crops in pixels; a short time takes smaller ones."""
WANTED_STEPS = 200
"""Number of steps below which smaller crops are taken."""
LEAST_STEPS = 20
"""Number of steps below which little can be learned."""
PROBE_STEPS, PROBE_CROPS = 3, 2
"""Numbers of steps and of validation crops that are timed beforehand."""


@dataclass(frozen=True)
class RunPlan:
    """The size of a run that fits into a time.

    Attributes:
        steps: length of the run.
        crop: side of the training crops in pixels.
        validations: number of validations, without the one before the first step.
        count: number of crops in each validation.
    """

    steps: int
    crop: int
    validations: int
    count: int


def fit_time(seconds: float, step: float, validated: float, crops: Sequence[int], count: int) -> RunPlan:
    """Find the run that fits into a time, in which validations take at most a small share.

    Args:
        seconds: time for steps and validations, in seconds.
        step: time of a step with the first of `crops`, in seconds.
        validated: time of one crop in a validation, in seconds.
        crops: sides to choose from in pixels, the largest first. A smaller one is taken if fewer than `WANTED_STEPS`
            steps with a larger one fit.
        count: number of held-out crops for validation.

    Returns:
        A plan of at least one step and one validation of one crop, even if the time is too short.
    """
    affordable = SHARE_VALIDATED * max(0.0, seconds) / max(validated, 1e-9)  # crops in all validations
    count = max(1, min(count, int(affordable / 2)))
    validations = max(1, min(VALIDATIONS, int(affordable / count) - 1))
    left = max(0.0, seconds - (validations + 1) * count * validated)
    fitting = [(crop, max(1, int(left / (step * (crop / crops[0]) ** 2)))) for crop in crops]
    crop, steps = next((fit for fit in fitting if fit[1] >= WANTED_STEPS), fitting[-1])
    return RunPlan(steps, crop, min(validations, steps), count)


def fitting_crop(network: ThreeScaleNetwork, smallest: int, side: int) -> int:
    """Return a side of crops that fits the network and, if possible, the images.

    Args:
        network: network to fine-tune.
        smallest: smallest side of the images, in pixels.
        side: preferred side, in pixels.
    """
    least = max(LEAST_CROP, network.minimum)
    return max(least, min(side, smallest) // network.multiple * network.multiple)


def recipe_for_pairs(
    steps: int,
    *,
    network: ThreeScaleNetwork,
    smallest: int,
    crop: int | None,
    share: float,
    views: int,
    learning_rate: float | None,
    precision: str,
    device: str,
    seed: int,
    validations: int = VALIDATIONS,
    count: int = SCORED,
) -> RestorationRecipe:
    """Return settings for few pairs: a slow start, statistics of normalization that stay, and an early end.

    Args:
        steps: length of the run.
        network: network to fine-tune.
        smallest: smallest side of the images, in pixels.
        crop: side of the training crops in pixels; None chooses it by the size of the images.
        share: share of the pairs to hold out.
        views: number of images of a scene that the network takes.
        learning_rate: peak of the learning rate; None chooses it by the depth.
        precision: precision of the training, `"float32"` or `"bfloat16"`.
        device: name of a device, see `models.pick_device`.
        seed: seed of the held-out pairs, the order, the crops and the flips.
        validations: number of validations of the run.
        count: number of held-out pairs for validation, and for the scores before and after.

    Raises:
        RecipeError: if no network takes such a crop.
    """
    every = max(1, math.ceil(steps / validations))
    content = {
        "name": "finetune",
        "seed": seed,
        "precision": precision,
        "checkpoint_every": max(1, math.ceil(steps / VALIDATIONS)),
        "model": {"arguments": {"in_channels": 3 * views}},
        "data": {
            "source": "pairs",
            "views": views,
            "crop": crop or fitting_crop(network, smallest, CROP),
            "batch": BATCH,
            "workers": 0 if pick_device(device).type == "cpu" else 4,  # on a CPU the step uses all cores
            "held_out": share,
            "skip_bad": True,  # a bad pair that was not checked before must not end the run
        },
        "optim": {
            "optimizer": "adamw",
            "learning_rate": learning_rate or (RATE if network.arguments["depth"] < DEEP else DEEP_RATE),
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
            "crop": fitting_crop(network, smallest, VALIDATION_CROP),
            "patience": PATIENCE
            if validations == VALIDATIONS
            else None,  # with few validations, all of them are needed
        },
    }
    recipe = parse_recipe(content, "finetune")
    assert isinstance(recipe, RestorationRecipe)  # the task of a recipe that names none
    return recipe


def training_precision(device: str = "auto") -> str:
    """Return the precision to train in: `"bfloat16"` if the device trains fast in it, else `"float32"`.

    Args:
        device: name of a device, see `models.pick_device`.
    """
    return hardware.training_precision(pick_device(device))
