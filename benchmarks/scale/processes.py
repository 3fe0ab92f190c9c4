"""Compares runs of several processes with runs of one: losses of each step, and scores of 61 images.

    python benchmarks/scale/processes.py [--steps 50] [--tasks restoration,classification] [-o processes.json]

Each task trains a small network on drawn shapes, with batches of 4 samples, on 1, 2 and 4 processes of this machine's
CPU. The script prints the largest difference of a loss to that of one process. Sums of parts are rounded otherwise than
the sum of the whole, and a network with hard choices, such as a gate or the proposals of a detector, may turn such a
difference into another choice. The last column of losses shows how far this goes by itself: it is of one process whose
initial weights differ by a share of 1e-7. With `--double`, networks compute in float64 and the share is 1e-16: a
difference that shrinks with the rounding comes from the rounding. An untrained network is then scored on 61 images by
1, 2 and 3 processes. Its figures must be equal to the last digit.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from small_runs import RECIPES, scores, small_recipe, write_data

from passband import training
from passband.processes import rank
from passband.processes.launch import launch
from passband.processes.start import join
from passband.runs import read_curves
from passband.training import train

SCORED = 61
TRAINED, SCORING = (1, 2, 4), (1, 2, 3)
CHANGE = 1e-7
"""Share by which initial weights are changed, about the rounding of float32."""


def work(folder: Path, tasks: list[str], steps: int, *, double: bool) -> None:
    """Train and score all tasks in one of the processes."""
    change = CHANGE * 1e-9 if double else CHANGE
    torch.set_num_threads(1)
    logging.getLogger("passband").setLevel(logging.ERROR)
    number = int(os.environ["WORLD_SIZE"])
    join(torch.device("cpu"))
    for task in tasks:
        recipe = small_recipe(task, steps, checkpoint_every=steps)
        if number in TRAINED:
            with _networks(double=double):
                train(recipe, folder / f"run-{task}-{number}", data=folder / task, device="cpu")
        if number == 1:
            with _networks(double=double, change=change):
                train(recipe, folder / f"run-{task}-0", data=folder / task, device="cpu")
        if number in SCORING:
            found = scores(task, folder / "scored" / task, SCORED)
            if not rank():
                (folder / f"scores-{task}-{number}.json").write_text(json.dumps(found))


@contextmanager
def _networks(*, double: bool, change: float = 0.0) -> Iterator[None]:
    """Change new networks.

    Args:
        double: whether they compute in float64.
        change: share by which their initial weights are changed.
    """
    build = training.build_from

    def changed(network: dict) -> torch.nn.Module:
        model, generator = build(network), torch.Generator().manual_seed(1)
        if double:
            model.double().register_forward_pre_hook(_to_double, with_kwargs=True)
        with torch.no_grad():
            for parameter in model.parameters() if change else ():
                noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.mul_(1 + change * noise)
        return model

    training.build_from = changed
    try:
        yield
    finally:
        training.build_from = build


def _to_double(model: torch.nn.Module, inputs: tuple[Any, ...], more: dict[str, Any]) -> Any:
    """Convert the inputs of a network to float64, as a hook of torch."""

    def converted(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.double() if value.is_floating_point() else value
        if isinstance(value, list | tuple):
            return type(value)(map(converted, value))
        return {key: converted(one) for key, one in value.items()} if isinstance(value, dict) else value

    return converted(inputs), converted(more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tasks", default=",".join(RECIPES), help="tasks, separated by commas")
    parser.add_argument("-o", "--output", type=Path, default=Path("processes.json"))
    parser.add_argument("--double", action="store_true", help="compute in float64")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    tasks = options.tasks.split(",")
    if options.work:
        work(options.work, tasks, options.steps, double=options.double)
        return

    with TemporaryDirectory() as name:
        folder = Path(name)
        for task in tasks:
            write_data(folder, task, 8)
            write_data(folder / "scored", task, SCORED)
        command = [sys.executable, __file__, "--tasks", options.tasks, "--steps", str(options.steps), "--work", name]
        command += ["--double"] if options.double else []
        for number in sorted({*TRAINED, *SCORING}):
            launch(command, number, threads=1)
            print(f"{number} processes done", file=sys.stderr, flush=True)
        rows = [_row(folder, task) for task in tasks]
    print("| task | largest difference of a loss, 2 processes | 4 processes | weights changed | scores of 61 images |")
    print("|---|---|---|---|---|")
    for row in rows:
        same = "equal" if row["scores_equal"] else "DIFFERENT"
        differences = " | ".join(f"{row['losses'][number]:.1e}" for number in (2, 4, 0))
        print(f"| {row['task']} | {differences} | {same}, {row['images']} images |")
    options.output.write_text(json.dumps({"steps": options.steps, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def _row(folder: Path, task: str) -> dict:
    """Compare the runs of a task."""
    losses = {number: read_curves(folder / f"run-{task}-{number}" / "log.csv")["loss"][1] for number in (*TRAINED, 0)}
    found = {number: json.loads((folder / f"scores-{task}-{number}.json").read_text()) for number in SCORING}
    return {
        "task": task,
        "losses": {
            number: max(abs(one - two) for one, two in zip(losses[1], losses[number], strict=True))
            for number in (*TRAINED[1:], 0)
        },
        "scores_equal": all(found[number] == found[1] for number in SCORING),
        "images": found[1]["images"],
    }


if __name__ == "__main__":
    main()
