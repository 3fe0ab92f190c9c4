"""Groups of runs that are compared: each contestant is one run, or several runs of one recipe with different seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.comparison.labels import ContestantError, named_sources
from passband.models import task_of
from passband.naming import listed
from passband.runs import read_run, weights_of
from passband.weights_finding import RUN_FILE

NAMED = 5
"""Largest number of settings that an error names."""
OWN = ("seed", "name")
"""Keys of a recipe in which the runs of a contestant may differ."""


@dataclass(frozen=True)
class Run:
    """One run, or weights without a run.

    Attributes:
        source: folder of the run, or weights.
        weights: weights that are scored: the best ones of the run.
        task: task of the network.
        content: content of run.json with a validated recipe; None for weights without a run.
    """

    source: str
    weights: str
    task: str
    content: Mapping[str, Any] | None

    @property
    def seed(self) -> int | None:
        """The seed of the run; None for weights without a run."""
        return None if self.content is None else self.content["recipe"].seed

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the recipe by dotted key."""
        return {} if self.content is None else flat_settings(self.content["recipe"].model_dump())


@dataclass(frozen=True)
class Group:
    """A contestant: runs of one recipe, sorted by seed.

    Attributes:
        label: name in tables and charts.
        source: folder as the user named it.
        runs: one or more runs.
    """

    label: str
    source: str
    runs: tuple[Run, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of all runs by dotted key, apart from seed and name."""
        return {key: value for key, value in self.runs[0].settings.items() if key not in OWN}


def named_groups(sources: Sequence[str | Path] | Mapping[str, str | Path], *, needs_runs: bool = True) -> list[Group]:
    """Read the runs of each contestant.

    Args:
        sources: runs, or folders of several runs; each may be written as LABEL=SOURCE. A mapping gives them by label.
        needs_runs: whether weights without a run are refused, because nothing says which images they are scored on.

    Returns:
        The contestants in their order.

    Raises:
        ContestantError: if there are fewer than two contestants, a source is neither a run nor holds runs, the runs of
            one contestant differ in more than the seed or have the same seed, or the contestants have different tasks.
        RunError, RecipeError: if a run cannot be read.
        CheckpointError: if a run has no weights yet.
    """
    groups = []
    for label, source in named_sources(sources):
        runs = sorted(_runs(source, needs_runs), key=lambda run: -1 if run.seed is None else run.seed)
        _check_one_recipe(source, runs)
        groups.append(Group(label, source, tuple(runs)))
    for group in groups[1:]:
        first, other = groups[0].runs[0], group.runs[0]
        if other.task != first.task:
            raise ContestantError(
                f"runs of one task are needed: {groups[0].source} is for {first.task}, and {group.source} is for "
                f"{other.task}"
            )
    return groups


def holds_several_runs(source: str | Path) -> bool:
    """Tell whether a folder holds the folders of several runs.

    Args:
        source: any source of a contestant.
    """
    return Path(source).is_dir() and len(_run_folders(Path(source))) > 1


def flat_settings(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key, such as `optim.steps`.

    Args:
        content: nested settings.
        before: text before each key.
    """
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= flat_settings(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat


def _run_folders(folder: Path) -> list[Path]:
    """Return the folders of runs in a folder."""
    return sorted(path.parent for path in folder.glob(f"*/{RUN_FILE}"))


def _runs(source: str, needs_runs: bool) -> list[Run]:
    """Return the runs of a source, or one entry for weights without a run."""
    folder = Path(source)
    inside = _run_folders(folder) if folder.is_dir() else []
    if inside:
        return [_read(path) for path in inside]
    if (folder / RUN_FILE).exists():
        return [_read(folder)]
    if needs_runs:
        raise ContestantError(
            f"{source} is not a run, and holds none, so nothing says which images it is scored on: give the folder of "
            "the test data with --data"
        )
    return [Run(source, source, task_of(source), None)]


def _read(folder: Path) -> Run:
    """Read a run, which must have weights."""
    content = read_run(folder)
    return Run(str(folder), str(weights_of(folder)), content["recipe"].task, content)


def _check_one_recipe(source: str, runs: Sequence[Run]) -> None:
    """Refuse runs of a contestant that differ in more than the seed, or have the same seed.

    Raises:
        ContestantError: if they do.
    """
    for run in runs[1:]:
        own, first = run.settings, runs[0].settings
        keys = [key for key in {**first, **own} if key not in OWN and first.get(key) != own.get(key)]
        if keys or run.task != runs[0].task:
            raise ContestantError(
                f"{source} holds runs that differ in more than the seed ({listed(keys or ['task'], NAMED)}): name the "
                f"runs one by one, such as {runs[0].source} and {run.source}"
            )
    seeds = [run.seed for run in runs]
    if repeated := sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1}):
        same = [run.source for run in runs if run.seed == repeated[0]]
        raise ContestantError(f"{' and '.join(same[:2])} have the same seed {repeated[0]}: move one of them elsewhere")
