"""Trains the small networks of demonstrations, for a time or a number of steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from passband.config import Recipe, changed_recipe, parse_recipe
from passband.data.pasting import PARTS
from passband.run_length import recipe_within
from passband.runs import Progress
from passband.training import StepReport, train

ShowStep = Callable[[StepReport], None]


def no_display(step: StepReport) -> None:
    """Show nothing of a step."""


def train_small(
    settings: dict[str, Any],
    data: Path,
    run: Path,
    *,
    minutes: float,
    steps: int | None,
    device: str,
    report: ShowStep,
) -> Progress:
    """Train a small network on a pasted set.

    Args:
        settings: content of the recipe.
        data: folder of the set, with its parts.
        run: folder of the run.
        minutes: time of the training in minutes: as many steps as this machine trains in it.
        steps: number of steps instead of the time; None for the time.
        device: device to train on, see `models.pick_device`.
        report: function that is called after every step.

    Returns:
        Progress of the run.
    """
    recipe: Recipe = parse_recipe({"optim": {"steps": 100}, **settings}, settings["name"])
    training, validation = (data / part for part in PARTS)
    if steps is None:
        recipe = recipe_within(recipe, minutes, data=training, validation_data=validation, device=device)
    else:
        recipe = changed_recipe(recipe, {"optim.steps": steps, "optim.warmup_steps": min(10, steps - 1)})
    every = recipe.optim.length(1)  # one validation, at the end
    recipe = changed_recipe(recipe, {"validation.every": every, "checkpoint_every": every})
    return train(recipe, run, data=training, validation_data=validation, device=device, report=report)
