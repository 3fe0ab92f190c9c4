"""Kills trainings at random moments, resumes them, and compares the result with a training that nothing disturbed.

    python benchmarks/scale/training_kills.py [--kills 50] [--steps 10] [--tasks restoration,classification] [--seed 0]

Each task trains a small network on drawn shapes, with a checkpoint after each step. A child process that trains gets
SIGKILL after a random time, and the next one resumes. When a run is complete, its losses, its scores and its last and
best weights must equal those of the undisturbed run bit by bit, and a new run begins, until there were enough kills.
After each kill, all checkpoints are compared with their checksums.
"""

import argparse
import json
import logging
import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from small_runs import RECIPES, small_recipe, write_data

from passband.checkpoints import damage, latest_checkpoint
from passband.runs import read_curves
from passband.training import train
from passband.weights_io import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="number of kills of each task")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--tasks", default=",".join(RECIPES), help="tasks, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("training_kills.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("passband").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", DeprecationWarning)
    rows = []
    print("| task | kills | runs | resumes | runs equal bit by bit | damaged checkpoints |")
    print("|---|---|---|---|---|---|")
    for task in options.tasks.split(","):
        with TemporaryDirectory() as folder:
            row = killed(Path(folder), task, options.kills, options.steps, random.Random(f"{options.seed} {task}"))
        rows.append(row)
        print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)
    options.output.write_text(json.dumps({"steps": options.steps, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def killed(folder: Path, task: str, kills: int, steps: int, rng: random.Random) -> dict[str, int | str]:
    """Train a task, kill it until there were enough kills, and count what happened."""
    data = write_data(folder, task)
    recipe = small_recipe(task, steps, every=max(1, steps // 2), checkpoint_every=1)

    def run(output: Path, resume: bool) -> Callable[[], None]:
        return lambda: train(recipe, output, data=data, resume=resume, device="cpu") and None

    whole = folder / "whole"
    started = time.monotonic()
    assert _ended(_child(run(whole, False)), None), "the undisturbed run failed"
    seconds = time.monotonic() - started
    counts = {"kills": 0, "runs": 0, "resumes": 0, "equal": 0, "damaged": 0}
    while counts["kills"] < kills:
        output = folder / f"run-{counts['runs']}"
        counts["runs"] += 1
        while True:
            resume = latest_checkpoint(output) is not None
            if not resume:
                shutil.rmtree(output, ignore_errors=True)  # killed before the first checkpoint
            counts["resumes"] += resume
            limit = rng.uniform(0, seconds) if counts["kills"] < kills else None
            if _ended(_child(run(output, resume)), limit):
                break
            counts["kills"] += 1
            counts["damaged"] += sum(bool(damage(one)) for one in (output / "checkpoints").glob("step-*"))
        counts["equal"] += _are_equal(whole, output)
        shutil.rmtree(output)
    return {"task": task, **counts}


def _child(work: Callable[[], None]) -> int:
    """Start a process that does some work, and return its id. It shares what this process has imported."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
        work()
        status = 0
    finally:
        os._exit(status)


def _ended(child: int, limit: float | None) -> bool:
    """Wait for a process, and kill it after some seconds. Return whether it finished before."""
    deadline = None if limit is None else time.monotonic() + limit
    while True:
        done, status = os.waitpid(child, 0 if deadline is None else os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return False
            assert os.WEXITSTATUS(status) == 0, f"a training failed with the status {os.WEXITSTATUS(status)}"
            return True
        if deadline is not None and time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            deadline = None
        time.sleep(0.005)


def _are_equal(one: Path, two: Path) -> bool:
    """Tell whether two runs have the same losses, scores and weights."""
    for name in ("log.csv", "validation.csv"):
        if read_curves(one / name) != read_curves(two / name):
            return False
    for name in ("best", "last"):
        states = [load_weights(run / "weights" / name) for run in (one, two)]
        if not all(torch.equal(value, states[1][key]) for key, value in states[0].items()):
            return False
    return True


if __name__ == "__main__":
    main()
