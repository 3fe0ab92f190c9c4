"""Keeps the trials of a study in the database study.db.

The database belongs to Optuna, so that its own tools and plots can read it as well.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from passband.io.sqlite_errors import naming_database
from passband.studies.folders import PATIENCE, Group, run_folder
from passband.studies.plan import Plan
from passband.studies.settings import NuisanceRange
from passband.studies.trials import Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

DATABASE = "study.db"
"""Name of the database in the folder of a study."""

Identity = tuple[int, int, int]
"""Cell, point and seed of a trial."""


P = ParamSpec("P")
T = TypeVar("T")


def _naming(method: "Callable[Concatenate[Database, P], T]") -> "Callable[Concatenate[Database, P], T]":
    """Name the database in errors of a method, which SQLAlchemy and Optuna tell in many lines."""

    @wraps(method)
    def named(self: "Database", *given: P.args, **options: P.kwargs) -> T:
        with naming_database(self.folder / DATABASE, "database"):
            return method(self, *given, **options)

    return named


class Database:
    """The trials of a study, in Optuna's database.

    Args:
        folder: folder of the study.
        plan: plan of the study.

    Raises:
        WriteError: if the database cannot be written, as in all methods.
    """

    def __init__(self, folder: Path, plan: Plan):
        optuna = import_optuna()
        from sqlalchemy.pool import NullPool  # comes with Optuna

        url = f"sqlite:///{(folder / DATABASE).resolve().as_posix()}"
        self.folder, self.plan = folder, plan
        with naming_database(folder / DATABASE, "database"):
            # without a pool, no connection stays open if the storage cannot be made
            settings = {"connect_args": {"timeout": PATIENCE}, "poolclass": NullPool}
            self._storage = optuna.storages.RDBStorage(url, engine_kwargs=settings)
        self._studies: dict[Group, Study] = {}

    def close(self) -> None:
        """Close all connections to the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    @_naming
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

    @_naming
    def frozen(self, group: Group) -> list["FrozenTrial"]:
        """Return the trials of a group as Optuna keeps them, by number.

        Args:
            group: group of the trials.
        """
        return self.study(group).get_trials(deepcopy=False)

    @_naming
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

    @_naming
    def begin(self, trial: "FrozenTrial") -> None:
        """Record that a trial is running.

        Args:
            trial: trial that waits or, if its process died, is running already.
        """
        states = import_optuna().trial.TrialState
        if trial.state == states.WAITING:
            self._storage.set_trial_state_values(trial._trial_id, states.RUNNING)

    @_naming
    def note(self, trial: "FrozenTrial", facts: Mapping[str, Any]) -> None:
        """Record facts about a trial that has not ended.

        Args:
            trial: the trial.
            facts: facts by name, which JSON can hold.
        """
        for name, value in facts.items():
            self._storage.set_trial_user_attr(trial._trial_id, name, value)

    @_naming
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

    @_naming
    def end(self, trial: "FrozenTrial", state: str, reason: str, value: float | None, facts: Mapping[str, Any]) -> None:
        """Record the end of a trial. The state is written last, so that a trial is never half recorded.

        Args:
            trial: the trial.
            state: finished, diverged, failed or pruned.
            reason: reason why it did not finish, or an empty text.
            value: figure that is compared, for a finished trial; otherwise None.
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
    """Return the cell, the point and the seed of a trial.

    Args:
        trial: trial of this study, which has these three as attributes.
    """
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


def _distribution(spread: NuisanceRange, value: Any) -> Any:
    """Return the range of a nuisance value as Optuna describes it."""
    distributions = import_optuna().distributions
    if spread.choice is not None:
        return distributions.CategoricalDistribution([_plain(one) for one in spread.choice])
    low, high = spread.bounds
    if isinstance(value, int):
        return distributions.IntDistribution(math.ceil(low), math.floor(high), log=spread.log is not None)
    return distributions.FloatDistribution(low, high, log=spread.log is not None)


def _plain(value: Any) -> Any:
    """Return a value that Optuna can hold: lists and tables become text."""
    return value if isinstance(value, bool | int | float | str | None) else json.dumps(value)
