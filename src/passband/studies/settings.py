"""Settings of a study, read from a TOML file: the values to compare, and the values that may differ in each training.

The roles of hyperparameters (scientific, nuisance and fixed) follow the Deep Learning Tuning Playbook of Godbole, Dahl,
Gilmer, Shallue and Nado (2023).
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from passband.config import RECIPES, Section, describe_problems
from passband.naming import listed, suggestion
from passband.tasks.task import Direction

TRIALS = 8
"""Number of points in each cell of a study with nuisance ranges, if the file sets none."""


class StudyError(ValueError):
    """Raised if a study cannot start or continue. The message gives the reason and what to do."""


class NuisanceRange(Section, frozen=True):
    """Values that a nuisance hyperparameter may take. Exactly one of the three keys is set."""

    linear: tuple[float | int, float | int] | None = None
    """Lowest and highest value; equal differences are equally likely."""
    log: tuple[float | int, float | int] | None = None
    """Lowest and highest value, both above 0; equal factors are equally likely."""
    choice: tuple[Any, ...] | None = None
    """Values that are equally likely."""

    @model_validator(mode="after")
    def _is_range(self) -> "NuisanceRange":
        kinds = [kind for kind in ("linear", "log", "choice") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(
                "a range needs one of log = [LOWEST, HIGHEST], linear = [LOWEST, HIGHEST] or choice = [VALUES]; got "
                f"{' and '.join(kinds) or 'none of them'}"
            )
        if self.choice is not None:
            if not self.choice:
                raise ValueError("the choice is empty: name at least one value")
            if repeated := _repeated(self.choice):
                raise ValueError(f"the choice names {repeated} twice: name each value once")
            return self
        low, high = self.bounds
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"the bounds of a range must be finite numbers; got [{low}, {high}]")
        if low >= high:
            raise ValueError(
                f"the range is empty: the lowest value must be below the highest value; got [{low}, {high}]. To give "
                "one value, use the table fixed"
            )
        if self.log is not None and low <= 0:
            raise ValueError(f"the bounds of a log range must be above 0; got [{low}, {high}]. Use linear instead")
        return self

    @property
    def bounds(self) -> tuple[float | int, float | int]:
        """Lowest and highest value of a range that is not a choice.

        Raises:
            TypeError: if the range is a choice, which has no bounds.
        """
        bounds = self.linear if self.linear is not None else self.log
        if bounds is None:
            raise TypeError("a choice has no bounds")
        return bounds


class StudySettings(Section, frozen=True):
    """All settings of a study, except the folders that it reads and writes."""

    recipe: str
    """Name of a shipped recipe, or path of a recipe, relative to the file of the study."""
    question: str = ""
    """Question that the study answers, for the report."""
    figure: str | None = None
    """Figure of the validations that is compared. None compares the first figure of the task."""
    direction: Direction | None = None
    """Whether higher or lower values of the figure are better. None uses the direction that the task names."""
    sampler: Literal["sobol", "halton"] = "sobol"
    """Sequence of the nuisance points, scrambled: `sobol` or `halton`."""
    sampling_seed: int = Field(default=0, ge=0)
    """Random seed of the scrambling of the nuisance points."""
    trials: int | None = None
    """Number of nuisance points in each cell, which are the same in every cell. None is 8, or 1 without nuisance
    ranges."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=1 << 32)], ...] = (0,)
    """Training seeds, 0 to 2^32 - 1. Every point is trained once with each of them."""
    retrain: int = Field(default=0, ge=0)
    """Number of trainings with new seeds of the best point of the best cell, and of the best point of the second-best
    cell, after all trials. 0 leaves them out."""
    prune: bool = False
    """Whether trainings end early if a validation is worse than the median of the others at the same step. Their
    figures can then not be paired, so it is off for comparisons."""
    keep_weights: Literal["best", "all", "none"] = "best"
    """Weights that stay on disk after a trial: `best` keeps those of the best trial of each cell, `all` those of every
    trial, `none` those of no trial."""
    scientific: dict[str, Any]
    """Values to compare, by recipe key: a list of values, or a table of named values, each of which sets several recipe
    keys. Every combination is a cell."""
    nuisance: dict[str, NuisanceRange] = Field(default={})
    """Ranges of the values that are tuned in each cell, by recipe key."""
    fixed: dict[str, Any] = Field(default={})
    """Values that are the same in all trials, by recipe key."""

    @property
    def points(self) -> int:
        """Number of nuisance points in each cell."""
        return self.trials or (TRIALS if self.nuisance else 1)

    @model_validator(mode="before")
    @classmethod
    def _has_quoted_keys(cls, values: Any) -> Any:
        """Refuse keys without quotes, which TOML reads as tables."""
        tables = {name for recipe in RECIPES.values() for name in recipe.model_fields if name not in ("cuda", "seed")}
        for role in ("scientific", "nuisance", "fixed"):
            table = values.get(role) if isinstance(values, dict) else None
            for name, value in table.items() if isinstance(table, dict) else ():
                if name in tables and isinstance(value, dict) and not (role == "scientific" and _names_values(value)):
                    key = f"{name}.{next(iter(value), 'KEY')}"
                    raise ValueError(f'{role}: a key with a dot needs quotes: write "{key}" = VALUE instead of {key}')
        return values

    @model_validator(mode="after")
    def _fits(self) -> "StudySettings":
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"trials is the budget of each cell and must be at least 1; got {self.trials}")
        if not self.nuisance and self.points > 1:
            raise ValueError(
                f"trials = {self.trials} would repeat the same training, because the study has no nuisance ranges: "
                "leave out trials, add a range to the table nuisance, or add seeds"
            )
        if not self.seeds:
            raise ValueError("seeds is empty: name at least one training seed, such as seeds = [1, 2]")
        if repeated := _repeated(self.seeds):
            raise ValueError(f"seeds names {repeated} twice, which would repeat trainings: name each seed once")
        self._check_scientific()
        self._check_roles()
        return self

    def _check_scientific(self) -> None:
        """Refuse scientific values that are empty, repeated or not a list or a table of tables."""
        if not self.scientific:
            raise ValueError('scientific is empty: name the values to compare, such as "loss.spectral_weight" = [0, 1]')
        for name, values in self.scientific.items():
            if not isinstance(values, list | dict):
                raise ValueError(
                    f"scientific.{name} must be a list of values, or a table of named values; got {values!r}. To give "
                    "one value, use the table fixed"
                )
            if not values:
                raise ValueError(f"scientific.{name} is empty: name at least one value to compare")
            if isinstance(values, list) and (repeated := _repeated(values)):
                raise ValueError(f"scientific.{name} names {repeated} twice: name each value once")
            for label, changes in values.items() if isinstance(values, dict) else ():
                if not isinstance(changes, dict):
                    raise ValueError(
                        f'scientific.{name}.{label} must be a table of recipe keys, such as {{"optim.steps" = 100}}; '
                        f"got {changes!r}"
                    )
        if math.prod(len(values) for values in self.scientific.values()) < 2:
            raise ValueError("scientific has one combination of values, and a comparison needs at least two")

    def _check_roles(self) -> None:
        """Refuse a recipe key that is set in two places, and the seed, which has a setting of its own."""
        places: dict[str, str] = {}
        for place, keys in self.keys_by_place().items():
            for key in keys:
                if key == "seed":
                    raise ValueError(f"{place} sets seed: give the training seeds as seeds = [1, 2]")
                for other, other_place in places.items():
                    if other_place == place != "scientific":
                        continue
                    if key == other:
                        raise ValueError(f"{key} is in {other_place} and in {place}: give each key one role")
                    if key.startswith(f"{other}.") or other.startswith(f"{key}."):
                        raise ValueError(
                            f"{other} in {other_place} and {key} in {place} set the same value: give it one role"
                        )
                places[key] = place

    def keys_by_place(self) -> dict[str, list[str]]:
        """Return the recipe keys that each part of the file sets.

        Returns:
            Lists of keys by the names of the parts, such as `nuisance` or `scientific.order`. A scientific key with a
            list of values belongs to `scientific`.
        """
        places: dict[str, list[str]] = {"scientific": []}
        for name, values in self.scientific.items():
            if isinstance(values, list):
                places["scientific"].append(name)
            else:
                places[f"scientific.{name}"] = list(
                    dict.fromkeys(key for changes in values.values() for key in changes)
                )
        return {**places, "nuisance": list(self.nuisance), "fixed": list(self.fixed)}


def shipped_studies() -> dict[str, Path]:
    """Return the files of the studies inside the package, by name."""
    return {path.stem: path for path in sorted((Path(str(files("passband"))) / "studies" / "shipped").glob("*.toml"))}


def study_path(source: str | Path) -> Path:
    """Return the file of a study.

    Args:
        source: name of a shipped study, or path of a TOML file.

    Raises:
        StudyError: if there is no such file. The message lists the shipped studies.
    """
    shipped = shipped_studies()
    path = shipped.get(str(source), Path(source))
    if not path.is_file():
        near = suggestion(Path(source).stem, shipped)
        raise StudyError(
            f"no study {str(source)!r}: it is neither a file nor a shipped study.{near} Shipped: {listed(shipped)}."
        )
    return path


def load_study(source: str | Path) -> StudySettings:
    """Read the settings of a study.

    Args:
        source: name of a shipped study, or path of a TOML file.

    Returns:
        The validated settings. A path of a recipe is absolute.

    Raises:
        StudyError: if the file does not exist, is not TOML, or has an unknown key or an unsuitable value.
    """
    path = study_path(source)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"study {path} cannot be read: {error}") from error
    beside = path.parent / str(content.get("recipe", ""))
    if str(content.get("recipe", "")).endswith(".toml") and beside.is_file():
        content["recipe"] = str(beside.resolve())
    return parse_study(content, path)


def parse_study(content: Mapping[str, Any], source: str | Path) -> StudySettings:
    """Validate the tables of a study.

    Args:
        content: nested tables, as TOML or JSON give them.
        source: name of the study for error messages.

    Raises:
        StudyError: if a key is unknown, or a value does not fit.
    """
    try:
        return StudySettings.model_validate(content)
    except ValidationError as error:
        raise StudyError(f"study {source}: {describe_problems(error, StudySettings)}") from error


def _names_values(table: dict[str, Any]) -> bool:
    """Return whether a table holds named values, each of which is a table of recipe keys with dots."""
    return all(isinstance(changes, dict) and all("." in key for key in changes) for changes in table.values())


def _repeated(values: Iterable[Any]) -> str | None:
    """Return the text of the first value that occurs twice, or None. Booleans differ from 0 and 1."""
    seen: list[Any] = []
    for value in values:
        if any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in seen):
            return repr(value)
        seen.append(value)
    return None
