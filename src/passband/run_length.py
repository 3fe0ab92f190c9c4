"""Chooses the length of a run that is given in minutes, by timing a few steps on this machine."""

import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from passband.config import Recipe, changed_recipe, load_recipe, recipe_on
from passband.models import pick_device
from passband.processes import from_first
from passband.processes.start import join
from passband.runs import RunError
from passband.training import train

VALIDATIONS = 4
"""Number of validations of a run whose length is given in minutes. The validation of the weights that the run starts
from is not counted."""
LEAST_STEPS = 20
"""Smallest number of steps of a run whose length is given in minutes. Shorter runs would learn nothing."""
SPARE = 0.05
"""Share of the given minutes that is reserved for slow first steps and for writing checkpoints."""


def recipe_within(
    recipe: Recipe | str | Path,
    minutes: float,
    *,
    data: str | Path,
    validation_data: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
) -> Recipe:
    """Return a recipe whose length is the number of steps that this machine trains in a given time.

    A few steps are trained and timed, and their weights are thrown away. The length becomes a fixed number of steps.
    The learning rate therefore reaches its final value, and a resumed run ends with the same weights.

    Args:
        recipe: settings of the run, as `train` takes them; its own length is not used.
        minutes: time of the whole run in minutes, validations included.
        data: folder to train on, as `train` takes it.
        validation_data: folder to score on, as `train` takes it.
        weights: weights to start from, as `train` takes them.
        device: device to train on, as `train` takes it.

    Raises:
        RunError: if fewer than `LEAST_STEPS` steps fit.
        RecipeError, CheckpointError, ValueError: as `train` raises them.
    """
    recipe = recipe_on(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), pick_device(device).type)
    started, warm = time.monotonic(), max(3, recipe.data.workers)
    probe = {"optim.steps": 3 * warm, "optim.warmup_steps": 0, "validation.every": 3 * warm}
    # the first batches wait until all workers have started, and the next ones were prepared in that time
    step, validation = time_steps(
        changed_recipe(recipe, probe),
        data=data,
        validation_data=validation_data,
        weights=weights,
        device=device,
        skip=warm,
    )
    left = minutes * 60 * (1 - SPARE) - (VALIDATIONS + (weights is not None)) * validation
    left -= time.monotonic() - started
    steps = from_first(int(left / step))
    if steps < LEAST_STEPS:
        least = minutes + ((LEAST_STEPS - steps) * step) / 60
        raise RunError(
            f"at least {LEAST_STEPS} steps are needed, and {max(0, steps)} fit into {minutes:g} minutes: a step takes "
            f"{step:.2g} s, and a validation {validation:.2g} s. Use --minutes {math.ceil(least)}"
        )
    length = {"optim.steps": steps, "optim.warmup_steps": min(recipe.optim.warmup(steps), steps // 10)}
    every = max(1, math.ceil(steps / VALIDATIONS))
    return changed_recipe(recipe, {**length, "validation.every": every, "checkpoint_every": max(1, every // 2)})


def time_steps(
    recipe: Recipe,
    *,
    data: str | Path,
    validation_data: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    skip: int = 0,
) -> tuple[float, float]:
    """Measure the time of a step and of a validation in a short run, which is then thrown away.

    Args:
        recipe: settings of the run, with a few steps and one validation at the end.
        data: folder to train on, as `train` takes it.
        validation_data: folder to score on, as `train` takes it.
        weights: weights to start from, as `train` takes them.
        device: device to train on, as `train` takes it.
        skip: number of steps after the first one that are not timed. The first step is never timed.

    Returns:
        Time of a step in seconds, and time of a validation in seconds.

    Raises:
        SystemExit: if a signal stops the run.
        ValueError: if the device does not exist, or `training.train` raises it.
    """
    ends: list[float] = []
    join(pick_device(device))
    with TemporaryDirectory() as folder:
        progress = train(
            recipe,
            from_first(Path(folder) / "run"),
            data=data,
            validation_data=validation_data,
            weights=weights,
            device=device,
            report=lambda _: ends.append(time.monotonic()),
        )
        done = time.monotonic()
        progress.exit_if_signaled()
    # steps are reported in the first process
    return from_first(((ends[-1] - ends[skip]) / (len(ends) - 1 - skip), done - ends[-1]) if ends else (0.0, 0.0))
