"""Trains and scores small networks of all tasks. The tests start this module in one process and in several.

python -m tests.parallel_runs OUTPUT DATA [train]
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from benchmarks.small_runs import RECIPES, small_recipe, write_data
from passband.data.datasets.order import scored_batches
from passband.models import build_from
from passband.processes import count, rank, summed_counts
from passband.processes.start import join
from passband.tasks import TASKS
from passband.training import train

STEPS = 4


def write_all(folder: Path) -> Path:
    """Write the data of all tasks, and return their folder."""
    for task in RECIPES:
        write_data(folder, task, 7)
    return folder


def trained(output: Path, data: Path) -> None:
    """Train each task without a stop."""
    for task in RECIPES:
        train(small_recipe(task, STEPS), output / task, data=data / task, device="cpu")


def stopped_and_resumed(output: Path, data: Path) -> None:
    """Train each task, stop it by a signal to the first process after the third step, and resume it."""

    def stop(step):
        if step.step == STEPS - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    for task in RECIPES:
        recipe, places = small_recipe(task, STEPS), {"data": data / task, "device": "cpu"}
        progress = train(recipe, output / task, report=stop, **places)
        assert (progress.step, progress.signal, progress.is_stopped) == (STEPS - 1, signal.SIGTERM, True)
        assert not train(recipe, output / task, resume=True, **places).is_stopped


def scores(data: Path) -> dict[str, dict[str, str]]:
    """Score an untrained network of each task on 7 samples, and return all figures to the last digit."""
    figures = {}
    for name in RECIPES:
        recipe = small_recipe(name, STEPS)
        task, folder = TASKS[name](recipe), data / name
        network = task.network_config(folder, None)
        torch.manual_seed(0)
        model = build_from(network)
        samples = task.validation_data(folder, None, network)
        shares = scored_batches(len(samples), 2, rank(), count())
        batches = [task.collate([samples[number] for number in batch]) for batch in shares]
        with summed_counts(model):
            result = task.validate(model, batches, samples)
        seen = {key: value.sum().item() for key, value in model.state_dict().items() if key.startswith("gate.seen")}
        figures[name] = {key: repr(value) for key, value in {**result.figures, "score": result.score, **seen}.items()}
        figures[name]["picture"] = repr(result.picture.double().sum().item())
    return figures


if __name__ == "__main__":
    torch.set_num_threads(1)
    output, data = map(Path, sys.argv[1:3])
    if "train" in sys.argv[3:]:
        trained(output / "whole", data)
        stopped_and_resumed(output / "parts", data)
    else:
        join(torch.device("cpu"))
        (output / f"scores-{rank()}.json").write_text(json.dumps(scores(data)))
