"""Trains the small networks of demonstrations, for a time or a number of steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from passband.config import Recipe, changed_recipe, parse_recipe
from passband.data.pasting import PARTS
from passband.run_length import LEAST_STEPS, recipe_within
from passband.runs import Progress, RunError
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
    validations: int = 1,
) -> Progress:
    """Train a small network on a set with the parts `PARTS`.

    Args:
        settings: content of the recipe.
        data: folder of the set, with its parts.
        run: folder of the run.
        minutes: time of the training in minutes: as many steps as this machine trains in it, and at least
            `LEAST_STEPS`.
        steps: number of steps instead of the time; None for the time.
        device: device to train on, see `models.pick_device`.
        report: function that is called after every step.
        validations: largest number of validations; the last one is at the end.

    Returns:
        Progress of the run.
    """
    recipe: Recipe = parse_recipe({"optim": {"steps": 100}, **settings}, settings["name"])
    training, validation = (data / part for part in PARTS)
    if steps is None:
        try:
            recipe = recipe_within(recipe, minutes, data=training, validation_data=validation, device=device)
        except RunError:  # a slow machine shows fewer steps, or takes longer, rather than nothing
            steps = LEAST_STEPS
    if steps is not None:
        recipe = changed_recipe(recipe, {"optim.steps": steps, "optim.warmup_steps": min(10, steps - 1)})
    length = recipe.optim.length(1)
    every = -(-length // validations)
    recipe = changed_recipe(recipe, {"validation.every": every, "checkpoint_every": length})
    return train(recipe, run, data=training, validation_data=validation, device=device, report=report)
