"""Trains and scores small networks of all tasks. The tests start this module in one process and in several.

python -m tests.parallel_runs OUTPUT DATA
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "scale"))
from small_runs import RECIPES, scores, small_recipe, write_data

from passband.data.shards import pack_folder
from passband.processes import rank
from passband.training import train

STEPS = 4


def write_all(folder: Path) -> Path:
    """Write the data of all tasks, those of segmentation as shards, and return their folder."""
    for task in RECIPES:
        write_data(folder, task, 7)
    plain = (folder / "segmentation").rename(folder / "plain")
    pack_folder(plain, folder / "segmentation", count=1, seed=1)
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


def scored(data: Path) -> dict[str, list[dict[str, str]]]:
    """Score an untrained network of each task on all samples, and on so few that a second process may have none."""
    return {task: [scores(task, data / task), scores(task, data / task, count=2)] for task in RECIPES}


if __name__ == "__main__":
    torch.set_num_threads(1)
    output, data = map(Path, sys.argv[1:])
    trained(output / "whole", data)
    stopped_and_resumed(output / "parts", data)
    (output / f"scores-{rank()}.json").write_text(json.dumps(scored(data)))
