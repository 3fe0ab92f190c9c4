"""Reads the record of a study from its folder: its plan, and its trials."""

from dataclasses import replace
from pathlib import Path

from passband.studies.database import opened
from passband.studies.folders import study_lock
from passband.studies.plan import read_plan
from passband.studies.trials import StudyRecord


def read_study(folder: str | Path) -> StudyRecord:
    """Read everything that is known about a study, which may still be running.

    Args:
        folder: folder of the study.

    Raises:
        StudyError: if the folder holds no study, its plan is damaged, or another process plans trials in it for longer
            than two minutes.
        ImportError: if Optuna is not installed.
        RecipeError: if this version cannot use the recipe of the study.
    """
    folder = Path(folder)
    plan = read_plan(folder)
    with study_lock(folder), opened(folder, plan) as database:
        trials = {group: database.trials(group) for group in ("trials", "retrained")}
    record = StudyRecord(
        settings=plan.settings,
        folder=folder,
        cells=plan.cells,
        points=plan.points,
        trials=trials["trials"],
        retrained=(),
        directions=plan.directions,
        data=plan.data,
        validation_data=plan.validation_data,
        environment=plan.environment,
    )
    # a longer study may have another winner, and the earlier winner's new trainings then no longer count
    best = {(cell, point) for cell, point, _ in record.best_points()[:2]}
    retrained = tuple(trial for trial in trials["retrained"] if (trial.cell, trial.point) in best)
    return replace(record, retrained=retrained)
