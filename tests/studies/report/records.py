"""Made records of studies, with runs on disk, for the tests of the report."""

import csv
import itertools

import numpy as np

from passband.studies.settings import StudySettings
from passband.studies.trials import Cell, StudyRecord, Trial

NUISANCE = {"optim.learning_rate": {"log": [1e-4, 1e-2]}, "optim.weight_decay": {"linear": [0, 0.1]}}
DIRECTIONS = {"psnr": "maximize", "gain/rain": "maximize", "loss": "minimize"}


def made_record(
    folder,
    scientific=None,
    *,
    effects=None,
    points=8,
    seeds=(1, 2),
    noise=0.05,
    diverging=1e-1,
    nuisance=None,
    states=None,
    retrain=0,
    curves=True,
    figure="psnr",
    random=0,
    length=10,
):
    """A study whose truth is known: the figure has an optimum in the nuisance values, and each cell adds its effect.

    Trials with a learning rate above `diverging` diverge. `states` overrides the states of trials by number.
    """
    scientific = {"loss.spectral_weight": [0, 0.1, 1]} if scientific is None else scientific
    nuisance = NUISANCE if nuisance is None else nuisance
    settings = StudySettings(
        recipe="sfnet-small",
        question="Does a spectral loss help?",
        figure=figure,
        direction=DIRECTIONS[figure],
        scientific=scientific,
        nuisance=nuisance,
        trials=points,
        seeds=seeds,
        fixed={"optim.steps": 300},
        retrain=retrain,
    )
    rng = np.random.default_rng(random)
    combinations = list(itertools.product(*([*values] for values in scientific.values())))
    cells = [dict(zip(scientific, values, strict=True)) for values in combinations]
    cells = tuple(
        Cell(index, ", ".join(f"{key} = {value}" for key, value in values.items()), values, dict(values))
        for index, values in enumerate(cells)
    )
    effects = [0.0] * len(cells) if effects is None else effects
    unit = rng.random((points, 2))
    nuisance_points = tuple(
        {"optim.learning_rate": float(10 ** (-4 + 2 * one[0])), "optim.weight_decay": float(0.1 * one[1])} if nuisance
        else {}
        for one in unit
    )  # fmt: skip
    trials = []
    for point, cell, seed in itertools.product(range(points), range(len(cells)), seeds):
        trials.append(
            _trial(folder, cells[cell], point, seed, nuisance_points[point], effects[cell], noise, diverging, rng,
                   len(trials), (states or {}).get(len(trials)), length)
        )  # fmt: skip
    retrained = []
    if retrain:
        best = max((trial for trial in trials if trial.figures), key=lambda trial: trial.figures["psnr"])
        second = sorted(range(len(cells)), key=lambda cell: -effects[cell])[1]
        for seed, cell in itertools.product(range(100, 100 + retrain), (best.cell, second)):
            retrained.append(
                _trial(folder, cells[cell], best.point, seed, nuisance_points[best.point], effects[cell], noise, 1, rng,
                       len(trials) + len(retrained), None, length)
            )  # fmt: skip
    if curves:
        for trial in (*trials, *retrained):
            write_run(trial, rng, length)
    return StudyRecord(
        settings, folder, cells, nuisance_points, tuple(trials), tuple(retrained), DIRECTIONS, "/data/photos", None,
        {"versions": {"python": "3.11.9", "torch": "2.9.0"}, "machine": "x86_64", "commit": "0123abcd"},
    )  # fmt: skip


def _trial(folder, cell, point, seed, values, effect, noise, diverging, rng, number, state, length):
    rate = np.log10(values.get("optim.learning_rate", 1e-3))
    decay = values.get("optim.weight_decay", 0.03)
    psnr = 29 - 1.2 * (rate + 2.8) ** 2 - 40 * (decay - 0.03) ** 2 + effect + noise * rng.normal()
    if state is None:
        state = "diverged" if 10**rate > diverging else "finished"
    figures = {"psnr": psnr, "gain/rain": psnr - 24 + noise * rng.normal(), "loss": 10 ** (-psnr / 20)}
    best = {"psnr": psnr + 0.02, "gain/rain": psnr - 23.9, "loss": 10 ** (-psnr / 20) - 1e-4}
    reasons = {"diverged": "the loss was nan at step 12", "failed": "out of memory", "pruned": "below the median"}
    is_known = state == "finished"
    return Trial(
        number, cell.index, point, seed, {**cell.changes, **values, "seed": seed}, state, reasons.get(state, ""),
        figures if is_known else {}, best if is_known else {}, 0.0 if state == "waiting" else 41.5,
        folder / "trials" / f"{number:04d}",
    )  # fmt: skip


def write_run(trial, rng, length=10):
    """Write the curves of a trial, as a run does."""
    trial.run.mkdir(parents=True, exist_ok=True)
    steps = np.arange(1, 30 * length + 1)
    losses = 0.05 + 0.2 * np.exp(-steps / (8 * length)) + 0.01 * rng.normal(size=len(steps))
    with (trial.run / "log.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["step", "loss"], *zip(steps.tolist(), losses.tolist(), strict=True)])
    if not trial.figures:
        return
    shares = np.arange(1, length + 1) / length
    psnr = trial.figures["psnr"] - 3 * (np.exp(-5 * shares) - np.exp(-5.0)) + 0.02 * rng.normal(size=length)
    psnr[-1] = trial.figures["psnr"]
    rows = [[int(30 * length * share), value, value - 24] for share, value in zip(shares, psnr.tolist(), strict=True)]
    with (trial.run / "validation.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["step", "psnr", "gain/rain"], *rows])
