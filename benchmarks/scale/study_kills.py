"""Does a study that is killed again and again end with the same record as one that nobody disturbs?

A study of 3 cells, 8 nuisance points and 2 seeds, 48 tiny trainings of segmentation, runs twice: once undisturbed, and
once in a process that is killed (SIGKILL) five times at random moments and started again. Prints one table.

    python benchmarks/scale/study_kills.py
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from passband.studies.records import read_study

RECIPE = """
name = "tiny"
task = "segmentation"
checkpoint_every = 1
model = {arguments = {width = 4, depth = 2}}
data = {size = 16, batch = 1, workers = 0}
optim = {steps = 2}
validation = {every = 1}
"""
STUDY = """
recipe = "tiny.toml"
figure = "iou"
trials = 8
seeds = [1, 2]
[scientific]
"loss.name" = ["dice", "cross_entropy", "cross_entropy+dice"]
[nuisance]
"optim.learning_rate" = {log = [1e-4, 1e-2]}
"data.brightness" = {linear = [0.0, 0.5]}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments of the kills")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_data(folder)
        whole = run(folder, "whole")
        killed = run(folder, "killed", kills=moments(arguments.kills, arguments.seed))
        print_result(folder, whole, killed, arguments.json)


def write_data(folder):
    """Write a recipe, a study, and two small images with masks."""
    (folder / "tiny.toml").write_text(RECIPE)
    (folder / "study.toml").write_text(STUDY)
    rng = np.random.default_rng(0)
    for name, shape in (("images", (20, 20, 3)), ("masks", (20, 20))):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(2):
            levels = rng.integers(0, 256, shape) if name == "images" else 255 * rng.integers(0, 2, shape)
            Image.fromarray(levels.astype(np.uint8)).save(folder / "data" / name / f"{number}.png")


def moments(count, seed):
    """Return the numbers of log rows, over the whole study of 96 steps, at which a process is killed."""
    return sorted(random.Random(seed).sample(range(3, 93), count))


def run(folder, name, kills=()):
    """Run the study to its end, and return the number of kills and the seconds."""
    command = [sys.executable, "-m", "passband", "study", "study.toml", "--data", "data", "-o", name, "--device", "cpu"]
    started, done, left = time.monotonic(), 0, list(kills)
    while True:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while left and process.poll() is None:
            if steps(folder / name) >= left[0]:
                time.sleep(random.Random(left[0]).uniform(0, 0.3))  # in the middle of a step, a validation, a record
                os.kill(process.pid, signal.SIGKILL)
                left.pop(0)
                done += 1
                break
            time.sleep(0.02)
        _, errors = process.communicate()
        if process.returncode == 0:
            return done, time.monotonic() - started
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(errors.decode())


def steps(study):
    """Return the number of rows in all logs of a study."""
    return sum(max(0, path.read_bytes().count(b"\n") - 1) for path in study.glob("trials/*/log.csv"))


def facts(record):
    """Return everything about the trials of a study that a kill must not change."""
    return [
        (one.number, one.cell, one.point, one.seed, one.changes, one.state, one.figures, one.best_figures)
        for one in record.trials
    ]


def print_result(folder, whole, killed, path):
    """Print the table, and write the figures."""
    records = [read_study(folder / name) for name in ("whole", "killed")]
    logs = [[(trial.run / "log.csv").read_text() for trial in record.trials] for record in records]
    answers = [json.loads((folder / name / "study.json").read_text()) for name in ("whole", "killed")]
    points = [
        {trial.point: trial.changes["optim.learning_rate"] for trial in records[1].trials if trial.cell == cell}
        for cell in range(3)
    ]
    result = {
        "trials": [len(record.trials) for record in records],
        "finished": [sum(trial.state == "finished" for trial in record.trials) for record in records],
        "kills": [whole[0], killed[0]],
        "seconds": [round(whole[1]), round(killed[1])],
        "same_record": facts(records[0]) == facts(records[1]),
        "same_steps": logs[0] == logs[1],
        "same_answer": answers[0] == answers[1],
        "same_points_in_all_cells": points[0] == points[1] == points[2],
    }
    for name, value in result.items():
        print(f"{name:<26} {value}")
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
