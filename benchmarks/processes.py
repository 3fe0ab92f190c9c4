"""Compares runs of several processes with runs of one: losses of each step, and scores of 61 images.

    python benchmarks/processes.py [--steps 50] [--tasks restoration,classification] [-o processes.json]

Each task trains a small network on drawn shapes, with batches of 4 samples, on 1, 2 and 4 processes of this machine's
CPU. The script prints the largest difference of a loss to that of one process. An untrained network is then scored on
61 images by 1, 2 and 3 processes. Its figures must be equal to the last digit.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from small_runs import RECIPES, scores, small_recipe, write_data

from passband.processes import rank
from passband.processes.launch import launch
from passband.processes.start import join
from passband.runs import read_curves
from passband.training import train

SCORED = 61
TRAINED, SCORING = (1, 2, 4), (1, 2, 3)


def work(folder: Path, tasks: list[str], steps: int) -> None:
    """Train and score all tasks in one of the processes."""
    torch.set_num_threads(1)
    logging.getLogger("passband").setLevel(logging.ERROR)
    number = int(os.environ["WORLD_SIZE"])
    join(torch.device("cpu"))
    for task in tasks:
        if number in TRAINED:
            recipe = small_recipe(task, steps, checkpoint_every=steps)
            train(recipe, folder / f"run-{task}-{number}", data=folder / task, device="cpu")
        if number in SCORING:
            found = scores(task, folder / "scored" / task, SCORED)
            if not rank():
                (folder / f"scores-{task}-{number}.json").write_text(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tasks", default=",".join(RECIPES), help="tasks, separated by commas")
    parser.add_argument("-o", "--output", type=Path, default=Path("processes.json"))
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    tasks = options.tasks.split(",")
    if options.work:
        work(options.work, tasks, options.steps)
        return

    with TemporaryDirectory() as name:
        folder = Path(name)
        for task in tasks:
            write_data(folder, task, 8)
            write_data(folder / "scored", task, SCORED)
        command = [sys.executable, __file__, "--tasks", options.tasks, "--steps", str(options.steps), "--work", name]
        for number in sorted({*TRAINED, *SCORING}):
            launch(command, number, threads=1)
            print(f"{number} processes done", file=sys.stderr, flush=True)
        rows = [_row(folder, task) for task in tasks]
    print("| task | largest difference of a loss, 2 processes | 4 processes | scores of 61 images on 2 and 3 |")
    print("|---|---|---|---|")
    for row in rows:
        same = "equal" if row["scores_equal"] else "DIFFERENT"
        print(f"| {row['task']} | {row['losses'][2]:.1e} | {row['losses'][4]:.1e} | {same}, {row['images']} images |")
    options.output.write_text(json.dumps({"steps": options.steps, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def _row(folder: Path, task: str) -> dict:
    """Compare the runs of a task."""
    losses = {number: read_curves(folder / f"run-{task}-{number}" / "log.csv")["loss"][1] for number in TRAINED}
    found = {number: json.loads((folder / f"scores-{task}-{number}.json").read_text()) for number in SCORING}
    return {
        "task": task,
        "losses": {
            number: max(abs(one - two) for one, two in zip(losses[1], losses[number], strict=True))
            for number in TRAINED[1:]
        },
        "scores_equal": all(found[number] == found[1] for number in SCORING),
        "images": found[1]["images"],
    }


if __name__ == "__main__":
    main()
