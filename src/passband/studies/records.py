"""Keeps the record of a study in its folder: settings.json holds the plan, and the database study.db the trials.

The database belongs to Optuna, so that its own tools and plots can read it as well.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from passband.config import Recipe, parse_recipe
from passband.io.files import write_whole
from passband.studies.points import study_cells
from passband.studies.settings import StudyError, StudySettings, parse_study
from passband.studies.trials import Cell, StudyRecord, Trial
from passband.tasks.task import Direction

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

PLAN_FILE = "settings.json"
"""Name of the file in the folder of a study that holds its plan."""
DATABASE = "study.db"
"""Name of the database in the folder of a study."""
PATIENCE = 120.0
"""Time in seconds that a process waits for the database while another process writes to it."""

Group = Literal["trials", "retrained"]
"""Name of a group of trials: those of the grid, or the trainings of the best points with new seeds."""
Identity = tuple[int, int, int]
"""Cell, point and seed of a trial."""


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first trial."""

    settings: StudySettings
    """Settings of the study; `figure` and `direction` are never None here."""
    recipe: Recipe
    """Recipe of the study on the device that it trains on."""
    points: tuple[dict[str, Any], ...]
    """Nuisance values of each point."""
    directions: dict[str, Direction]
    """Whether higher or lower is better, for each figure that the task reports."""
    data: str
    """Folder to train on."""
    validation_data: str | None
    """Folder to score on, or None."""
    environment: dict[str, Any]
    """Versions and machine, see `provenance.environment`."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Combinations of the scientific values."""
        return study_cells(self.settings)

    def changes(self, cell: int, point: int, seed: int) -> dict[str, Any]:
        """Return the new values of all recipe keys that a trial sets.

        Args:
            cell: index of the cell.
            point: index of the nuisance point.
            seed: seed of the training.
        """
        return {**self.settings.fixed, **self.cells[cell].changes, **self.points[point], "seed": seed}


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan of a study into its folder.

    Args:
        folder: folder of the study.
        plan: the plan.
    """
    content = {
        "settings": plan.settings.model_dump(mode="json"),
        "recipe": plan.recipe.model_dump(mode="json"),
        "points": plan.points,
        "directions": plan.directions,
        "data": plan.data,
        "validation_data": plan.validation_data,
        "environment": plan.environment,
    }
    with write_whole(folder / PLAN_FILE) as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_plan(folder: Path) -> Plan:
    """Read the plan of a study.

    Args:
        folder: folder of the study.

    Raises:
        StudyError: if the folder holds no study, or its plan is damaged.
        RecipeError: if this version cannot use the recipe.
    """
    path = folder / PLAN_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings = {name: value for name, value in content["settings"].items() if name != "nuisance"}
        nuisance = {
            key: {kind: values for kind, values in spread.items() if values is not None}
            for key, spread in content["settings"]["nuisance"].items()
        }
        return Plan(
            parse_study({**settings, "nuisance": nuisance}, path),
            parse_recipe(content["recipe"], path),
            tuple(content["points"]),
            content["directions"],
            content["data"],
            content["validation_data"],
            content["environment"],
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudyError(f"{folder} holds no study: there is no {PLAN_FILE} in it") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{path} is damaged: {error}") from error


def read_study(folder: str | Path) -> StudyRecord:
    """Read everything that is known about a study, which may still be running.

    Args:
        folder: folder of the study.

    Raises:
        StudyError: if the folder holds no study, or its plan is damaged.
        ImportError: if Optuna is not installed.
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


def study_lock(folder: Path) -> FileLock:
    """Return the lock that a process holds while it plans trials, or removes files of several trials.

    Args:
        folder: folder of the study.
    """
    return FileLock(_lock_folder(folder) / "study.lock", timeout=PATIENCE)


def trial_lock(folder: Path, group: Group, number: int) -> FileLock:
    """Return the lock that a process holds while it trains a trial. The system releases it if the process dies.

    Args:
        folder: folder of the study.
        group: group of the trial.
        number: number of the trial.
    """
    return FileLock(_lock_folder(folder) / f"{group}-{number:04d}.lock", timeout=0)


def run_folder(folder: Path, group: Group, number: int) -> Path:
    """Return the folder of the run of a trial.

    Args:
        folder: folder of the study.
        group: group of the trial.
        number: number of the trial.
    """
    return folder / group / f"{number:04d}"


class Database:
    """The trials of a study, in Optuna's database.

    Args:
        folder: folder of the study.
        plan: plan of the study.
    """

    def __init__(self, folder: Path, plan: Plan):
        optuna = import_optuna()
        url = f"sqlite:///{(folder / DATABASE).resolve().as_posix()}"
        self.folder, self.plan = folder, plan
        self._storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": PATIENCE}})
        self._studies: dict[Group, Study] = {}

    def close(self) -> None:
        """Close all connections to the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def study(self, group: Group) -> "Study":
        """Return Optuna's study of a group of trials, and create it if it is missing.

        Args:
            group: group of the trials.
        """
        optuna = import_optuna()
        if group not in self._studies:
            self._studies[group] = optuna.create_study(
                storage=self._storage,
                study_name=group,
                direction=self.plan.settings.direction,
                load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(seed=0),  # all trials are planned, so nothing is sampled
                pruner=optuna.pruners.MedianPruner(),
            )
        return self._studies[group]

    def frozen(self, group: Group) -> list["FrozenTrial"]:
        """Return the trials of a group as Optuna keeps them, by number.

        Args:
            group: group of the trials.
        """
        return self.study(group).get_trials(deepcopy=False)

    def add(self, group: Group, identities: Iterable[Identity]) -> None:
        """Add the trials of a group that are missing, in the given order. The caller holds `study_lock`.

        Args:
            group: group of the trials.
            identities: cell, point and seed of each trial of the group.
        """
        optuna, plan = import_optuna(), self.plan
        study = self.study(group)
        present = {identity(trial) for trial in self.frozen(group)}
        labels = optuna.distributions.CategoricalDistribution([cell.label for cell in plan.cells])
        for cell, point, seed in identities:
            if (cell, point, seed) in present:
                continue
            values = plan.points[point]
            spreads = {key: _distribution(plan.settings.nuisance[key], value) for key, value in values.items()}
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.WAITING,
                    params={"cell": plan.cells[cell].label, **{key: _plain(value) for key, value in values.items()}},
                    distributions={"cell": labels, **spreads},
                    user_attrs={"cell": cell, "point": point, "seed": seed},
                )
            )

    def begin(self, trial: "FrozenTrial") -> None:
        """Record that a trial is running.

        Args:
            trial: trial that waits or, if its process died, is running already.
        """
        states = import_optuna().trial.TrialState
        if trial.state == states.WAITING:
            self._storage.set_trial_state_values(trial._trial_id, states.RUNNING)

    def note(self, trial: "FrozenTrial", facts: Mapping[str, Any]) -> None:
        """Record facts about a trial that has not ended.

        Args:
            trial: the trial.
            facts: facts by name, which JSON can hold.
        """
        for name, value in facts.items():
            self._storage.set_trial_user_attr(trial._trial_id, name, value)

    def validated(self, group: Group, trial: "FrozenTrial", step: int, value: float) -> bool:
        """Record a validation, and return whether the trial should end because it is worse than the median.

        Args:
            group: group of the trial.
            trial: the trial.
            step: number of steps of its run.
            value: figure of the validation.
        """
        study = self.study(group)
        self._storage.set_trial_intermediate_value(trial._trial_id, step, value)
        return bool(study.pruner.prune(study, self._storage.get_trial(trial._trial_id)))

    def end(self, trial: "FrozenTrial", state: str, reason: str, value: float | None, facts: Mapping[str, Any]) -> None:
        """Record the end of a trial. The state is written last, so that a trial is never half recorded.

        Args:
            trial: the trial.
            state: finished, diverged, failed or pruned.
            reason: reason why it did not finish, or an empty text.
            value: figure that is compared, for a finished trial.
            facts: further facts by name, which JSON can hold.
        """
        states = import_optuna().trial.TrialState
        self.note(trial, {**facts, "reason": reason, "state": state})
        final = {"finished": states.COMPLETE, "pruned": states.PRUNED}.get(state, states.FAIL)
        self._storage.set_trial_state_values(trial._trial_id, final, None if value is None else [value])

    def trials(self, group: Group) -> tuple[Trial, ...]:
        """Return the trials of a group by number.

        Args:
            group: group of the trials.
        """
        return tuple(self._trial(group, trial) for trial in self.frozen(group))

    def _trial(self, group: Group, trial: "FrozenTrial") -> Trial:
        """Return the record of one trial."""
        known = trial.user_attrs
        waiting = "waiting" if trial.state.name == "WAITING" else "running"
        state = known["state"] if trial.state.is_finished() else waiting
        finished = state == "finished"
        cell, point, seed = identity(trial)
        return Trial(
            number=trial.number,
            cell=cell,
            point=point,
            seed=seed,
            changes=self.plan.changes(cell, point, seed),
            state=state,
            reason=known["reason"] if trial.state.is_finished() else "",
            figures=known["figures"] if finished else {},
            best_figures=known["best_figures"] if finished else {},
            seconds=known.get("seconds", 0.0) if trial.state.is_finished() else 0.0,
            run=run_folder(self.folder, group, trial.number),
        )


@contextmanager
def opened(folder: Path, plan: Plan) -> Iterator[Database]:
    """Open the database of a study, and close it at the end of the block.

    Args:
        folder: folder of the study.
        plan: plan of the study.
    """
    database = Database(folder, plan)
    try:
        yield database
    finally:
        database.close()


def identity(trial: "FrozenTrial") -> Identity:
    """Return the cell, the point and the seed of a trial."""
    return trial.user_attrs["cell"], trial.user_attrs["point"], trial.user_attrs["seed"]


def import_optuna() -> Any:
    """Import Optuna, which is optional, and silence its messages.

    Raises:
        ImportError: if it is not installed. The message says how to install it.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("studies need the package optuna: pip install 'passband[studies]'") from error
    optuna.logging.set_verbosity(logging.ERROR)
    return optuna


def _lock_folder(folder: Path) -> Path:
    """Return the folder of the locks of a study, and create it if it is missing."""
    locks = folder / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return locks


def _distribution(spread: Any, value: Any) -> Any:
    """Return the range of a nuisance value as Optuna describes it."""
    distributions = import_optuna().distributions
    if spread.choice is not None:
        return distributions.CategoricalDistribution([_plain(one) for one in spread.choice])
    low, high = spread.bounds
    if isinstance(value, int):
        return distributions.IntDistribution(-(-low // 1), high // 1, log=spread.log is not None)
    return distributions.FloatDistribution(low, high, log=spread.log is not None)


def _plain(value: Any) -> Any:
    """Return a value that Optuna can hold: lists and tables become text."""
    return value if isinstance(value, bool | int | float | str | None) else json.dumps(value)
