"""Trains the small networks of demonstrations, for a time or a number of steps."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from passband.config import Recipe, changed_recipe, parse_recipe
from passband.data.pasting import PARTS
from passband.models import pick_device
from passband.run_length import time_steps
from passband.runs import Progress
from passband.training import StepReport, train

TRIED, SKIPPED = 6, 1
"""Numbers of steps that are made to time a step, and of those after the first one that are not timed."""
SHARE = 0.9
"""Share of the given time that steps take; the rest is for the validation and the picture."""
LEAST_STEPS = 60
"""Smallest number of steps of a training whose length is given as a time. On a busy machine it takes longer."""
ShowStep = Callable[[StepReport], None]


def no_display(step: StepReport) -> None:
    """Show nothing of a step.

    Args:
        step: figures of the step.
    """


@contextmanager
def new_folders(*folders: Path) -> Iterator[None]:
    """Remove folders that a block creates if it is interrupted, so that the same demonstration can be started again.

    Args:
        folders: folders of the demonstration. Those that exist before the block stay.
    """
    new = [folder for folder in folders if not folder.exists()]
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        for folder in new:
            shutil.rmtree(folder, ignore_errors=True)
        raise


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
    threads: int | None = None,
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
        threads: number of threads of torch for a given number of steps; None for the present number.

    Returns:
        Progress of the run.

    Raises:
        SystemExit: if a signal stops the run.
    """
    if steps is None:
        steps, threads = fitting_length(settings, data, minutes=minutes, device=device)
    recipe: Recipe = parse_recipe({"optim": {"steps": steps}, **settings}, settings["name"])
    training, validation = (data / part for part in PARTS)
    changes = {"optim.steps": steps, "optim.warmup_steps": min(10, steps - 1)}
    every = -(-steps // validations)
    recipe = changed_recipe(recipe, {**changes, "validation.every": every, "checkpoint_every": steps})
    with _threads(threads or torch.get_num_threads()):
        progress = train(recipe, run, data=training, validation_data=validation, device=device, report=report)
    progress.exit_if_signaled()
    return progress


def fitting_length(settings: dict[str, Any], data: Path, *, minutes: float, device: str) -> tuple[int, int]:
    """Time a few steps on this machine, and return the length of a training that takes a given time.

    Args:
        settings: content of the recipe.
        data: folder of the set, with its parts.
        minutes: time of the training in minutes.
        device: device to train on, see `models.pick_device`.

    Returns:
        Number of steps, at least `LEAST_STEPS`, and the number of threads of torch with which a step is fastest.
    """
    probe = {"optim.steps": TRIED, "optim.warmup_steps": 0, "validation.every": TRIED, "validation.count": 1}
    recipe = changed_recipe(parse_recipe({"optim": {"steps": TRIED}, **settings}, settings["name"]), probe)
    training, validation = (data / part for part in PARTS)
    threads = torch.get_num_threads()
    seconds: dict[int, float] = {}
    # threads gain little in small networks, and lose much if other programs use the same cores
    for count in {1, threads} if pick_device(device).type == "cpu" else {threads}:
        with _threads(count):
            seconds[count], _ = time_steps(
                recipe, data=training, validation_data=validation, device=device, skip=SKIPPED
            )
    fastest = min(seconds, key=lambda count: seconds[count])
    return max(LEAST_STEPS, int(60 * minutes * SHARE / seconds[fastest])), fastest


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use a number of threads in a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
