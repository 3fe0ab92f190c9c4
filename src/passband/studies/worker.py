"""Trains the trials of a study: a process claims a trial, trains it, and records how it ended.

A trial is claimed by a lock that the system releases when its process ends, however it ends. Another process then takes
the trial over and continues its run from the last checkpoint. A study therefore ends with the same trials and figures,
whether it was interrupted or not.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from passband.checkpoints import sound_checkpoint
from passband.io.image import ImageError
from passband.runs import DivergedError, read_curves
from passband.runs.folder import run_content
from passband.runs.tables import VALIDATION_FILE
from passband.studies.database import Database, Identity, identity, opened
from passband.studies.folders import Group, run_folder, study_lock, trial_lock
from passband.studies.plan import Plan
from passband.studies.planning import trial_recipe
from passband.studies.records import read_study
from passband.tasks.task import Direction
from passband.training import StepReport, train
from passband.weights_finding import RUN_FILE

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PAUSE = 0.5
"""Time in seconds between two looks for trials whose process has died, while other processes train the last trials."""


@dataclass(frozen=True)
class StudyReport:
    """Progress of a study after a training step, for displays."""

    trial: str
    """Name of the trial, such as `trial 3 of 48`."""
    label: str
    """Label of the cell of the trial."""
    ended: int
    """Number of trials that have ended."""
    total: int
    """Number of all trials."""
    seconds_left: float | None
    """Estimated time to the end of the study in seconds; None before a trial has ended."""
    step: StepReport
    """Report of the step."""


class Worker:
    """Trains the trials of a study, one after the other.

    Args:
        folder: folder of the study.
        plan: plan of the study.
        device: device to train on.
        deadline: time at which the work stops, by `time.monotonic`; None for no limit.
        report: function that is called after every step.
        workers: number of processes, for the estimate of the time that is left.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        device: str,
        deadline: float | None,
        report: Callable[[StudyReport], None] = lambda report: None,
        workers: int = 1,
    ):
        self.folder, self.plan, self.device, self.deadline = folder, plan, device, deadline
        self.report, self.workers = report, workers

    def run(self) -> None:
        """Train the trials of the grid and, if the study asks for it, those of the best points with new seeds."""
        with opened(self.folder, self.plan) as database:
            if self._run_group(database, "trials") and self.plan.settings.retrain:
                winners = list(self._winners())
                with study_lock(self.folder):
                    database.add("retrained", winners)
                self._run_group(database, "retrained")

    def _winners(self) -> Iterator[Identity]:
        """Yield the best points of the best two cells with each of the new seeds."""
        settings = self.plan.settings
        best = read_study(self.folder).best_points()[:2]
        first = max(settings.seeds) + 1
        for seed in range(first, first + settings.retrain):
            for cell, point, _ in best:
                yield cell, point, seed

    def _run_group(self, database: Database, group: Group) -> bool:
        """Train the trials of a group until all have ended; return False if the time was over."""
        while True:
            waiting = [trial for trial in database.frozen(group) if not trial.state.is_finished()]
            if not waiting:
                return True
            has_claimed = False
            for trial in waiting:
                if self.deadline is not None and time.monotonic() >= self.deadline:
                    return False
                with trial_lock(self.folder, group, trial.number) as is_held:
                    if not is_held:
                        continue
                    has_claimed = True
                    # another process may have ended the trial since the list was read
                    current = database.frozen(group)[trial.number]
                    if not current.state.is_finished():
                        self._run_trial(database, group, current)
            if not has_claimed:  # other processes train all of them
                time.sleep(PAUSE)

    def _run_trial(self, database: Database, group: Group, trial: "FrozenTrial") -> None:
        """Train a trial, or continue its training, and record how it ended. The caller holds its lock."""
        run = run_folder(self.folder, group, trial.number)
        database.begin(trial)
        try:
            state, reason = self._train(database, group, trial, run)
        except DivergedError as error:
            state, reason = "diverged", _line(error)
        except (OSError, ImageError):
            raise  # a full disk or a damaged file would end all other trials as well
        except Exception as error:
            state, reason = "failed", _line(error)
        if state == "running":
            return
        figure, facts, value = self.plan.settings.figure or "", {}, None
        if state == "finished":
            facts = figures_of(run, self.plan.directions)
            value = facts["figures"].get(figure, math.nan)
            if not math.isfinite(value):
                state, reason, value = "diverged", f"{figure} is {value} in the last validation", None
        database.end(trial, state, reason, value, {**facts, "seconds": _seconds(run)})
        tidy(self.folder, group, self.plan, run, database)

    def _train(self, database: Database, group: Group, trial: "FrozenTrial", run: Path) -> tuple[str, str]:
        """Train a trial to its end, or until the time is over.

        Returns:
            The state of the trial, `running` if the time is over, and the reason if it was pruned.
        """
        if "pruned" in trial.user_attrs:  # the process ended after it decided this
            return "pruned", trial.user_attrs["pruned"]
        cell, point, seed = identity(trial)
        resume = sound_checkpoint(run) is not None
        if not resume:
            shutil.rmtree(run, ignore_errors=True)  # a run that ended before its first checkpoint, or lost all of them
        pruned: list[str] = []

        def validated(step: int, figures: dict[str, float]) -> str | None:
            if not self.plan.settings.prune or group != "trials":
                return None
            figure = self.plan.settings.figure or ""
            value = figures.get(figure, math.nan)
            if not database.validated(group, trial, step, value):
                return None
            pruned.append(f"{figure} = {value:.4g} at step {step} is worse than the median of the other trials")
            database.note(trial, {"pruned": pruned[-1]})
            return pruned[-1]

        progress = train(
            trial_recipe(self.plan, cell, point, seed),
            run,
            data=self.plan.data,
            validation_data=self.plan.validation_data,
            resume=resume,
            max_minutes=None if self.deadline is None else max(0.0, (self.deadline - time.monotonic()) / 60),
            device=self.device,
            report=self._step_report(database, group, trial),
            validated=validated,
        )
        progress.exit_if_signaled()
        if progress.is_stopped:
            return "running", ""
        return ("pruned", pruned[-1]) if pruned else ("finished", "")

    def _step_report(self, database: Database, group: Group, trial: "FrozenTrial") -> Callable[[StepReport], None]:
        """Return the function that reports the steps of a trial."""
        trials = database.frozen("trials") + database.frozen("retrained")
        ended = [one for one in trials if one.state.is_finished()]
        settings = self.plan.settings
        total = len(self.plan.cells) * len(self.plan.points) * len(settings.seeds) + 2 * settings.retrain
        seconds = [one.user_attrs.get("seconds", 0.0) for one in ended]
        count = len(database.frozen(group))
        name = f"{'trial' if group == 'trials' else 'retraining'} {trial.number + 1} of {count}"
        label = self.plan.cells[identity(trial)[0]].label

        def show(step: StepReport) -> None:
            left = total - len(ended) - step.step / step.steps
            time_left = left * sum(seconds) / len(seconds) / self.workers if seconds else None
            self.report(StudyReport(name, label, len(ended), total, time_left, step))

        return show


def figures_of(run: Path, directions: Mapping[str, Direction]) -> dict[str, dict[str, float]]:
    """Return the figures of the last validation of a run, and the best value of each figure over all validations.

    Args:
        run: folder of the run.
        directions: direction of each figure; higher is better for others.

    Returns:
        `figures` and `best_figures`, each by name. Values that are not finite are not the best.
    """
    columns = {name: list(values) for name, (_, values) in read_curves(run / VALIDATION_FILE).items()}
    best: dict[str, float] = {}
    for name, values in columns.items():
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            best[name] = min(finite) if directions.get(name) == "minimize" else max(finite)
    return {"figures": {name: values[-1] for name, values in columns.items()}, "best_figures": best}


def tidy(folder: Path, group: Group, plan: Plan, run: Path, database: Database) -> None:
    """Remove the checkpoints of a trial that has ended, and the weights that the study does not keep.

    Args:
        folder: folder of the study.
        group: group of the trial.
        plan: plan of the study.
        run: folder of the run.
        database: database of the study.
    """
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    if plan.settings.keep_weights == "none":
        shutil.rmtree(run / "weights", ignore_errors=True)
    if plan.settings.keep_weights != "best" or group != "trials":
        return
    sign = -1 if plan.settings.direction == "minimize" else 1
    with study_lock(folder):  # other processes remove weights as well
        best: dict[int, tuple[float, int]] = {}
        ended = [trial for trial in database.frozen("trials") if trial.state.is_finished()]
        for trial in ended:
            if trial.state.name == "COMPLETE" and trial.value is not None:
                cell = identity(trial)[0]
                best[cell] = max(best.get(cell, (-math.inf, 0)), (sign * trial.value, -trial.number))
        kept = {-number for _, number in best.values()}
        for trial in ended:
            if trial.number not in kept:
                shutil.rmtree(run_folder(folder, "trials", trial.number) / "weights", ignore_errors=True)


def _seconds(run: Path) -> float:
    """Return the training time of a run in seconds; 0 if it ended before its first step."""
    return run_content(run)["seconds"] if (run / RUN_FILE).exists() else 0.0


def _line(error: Exception) -> str:
    """Return the kind and the message of an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
