"""The plan of a study: the cells of its grid, and the nuisance points that every cell has."""

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from pydantic.fields import FieldInfo
from scipy.stats import qmc

from passband.config import Recipe, RecipeError, Section, changed_recipe
from passband.studies.settings import NuisanceRange, StudyError, StudySettings
from passband.studies.trials import Cell


def study_cells(settings: StudySettings) -> tuple[Cell, ...]:
    """Return the combinations of the scientific values, the last key varying fastest.

    Args:
        settings: settings of the study.
    """
    axes = [
        [(value, {name: value}) for value in values] if isinstance(values, list) else list(values.items())
        for name, values in settings.scientific.items()
    ]
    cells: list[Cell] = []
    for index, combination in enumerate(itertools.product(*axes)):
        values = {name: value for name, (value, _) in zip(settings.scientific, combination, strict=True)}
        changes = {key: value for _, part in combination for key, value in part.items()}
        label = ", ".join(f"{name} = {_text(value, 12)}" for name, value in values.items())
        cells.append(Cell(index, label, values, changes))
    return tuple(cells)


def study_points(settings: StudySettings, recipe: Recipe) -> tuple[dict[str, Any], ...]:
    """Draw the nuisance values of each point from a scrambled sequence of low discrepancy.

    The first points of a longer study are the points of a shorter one.

    Args:
        settings: settings of the study.
        recipe: recipe of the study. Ranges of its integer settings give integers.

    Returns:
        New values by recipe key for each point; one empty dict if the study has no nuisance ranges.
    """
    ranges = settings.nuisance
    if not ranges:
        return ({},)
    kind = qmc.Sobol if settings.sampler == "sobol" else qmc.Halton
    sequence = kind(len(ranges), seed=settings.sampling_seed)  # type: ignore[call-arg]  # newer versions call it rng
    with warnings.catch_warnings():
        # Sobol points are balanced at powers of two; other numbers of points are the user's choice
        warnings.filterwarnings("ignore", message="The balance properties of Sobol", category=UserWarning)
        shares: np.ndarray = sequence.random(settings.points)
    whole = [_is_whole(recipe, key, spread) for key, spread in ranges.items()]
    return tuple(
        {
            key: range_value(spread, float(share), whole=is_whole)
            for (key, spread), share, is_whole in zip(ranges.items(), row, whole, strict=True)
        }
        for row in shares
    )


def range_value(spread: NuisanceRange, share: float, *, whole: bool) -> Any:
    """Return the value at a share of a range.

    Args:
        spread: range of the values.
        share: position in the range, from 0 to below 1.
        whole: whether the value is an integer. All integers of a linear range are then equally likely.
    """
    if spread.choice is not None:
        return spread.choice[min(int(share * len(spread.choice)), len(spread.choice) - 1)]
    low, high = spread.bounds
    if whole:
        low, high = math.ceil(low), math.floor(high)
        if spread.linear is not None:
            return min(low + int(share * (high - low + 1)), high)
        start, end = math.log(low - 0.5), math.log(high + 0.5)
        return min(max(round(math.exp(start + share * (end - start))), low), high)
    if spread.linear is not None:
        return low + share * (high - low)
    return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))


def check_values(
    settings: StudySettings, recipe: Recipe, cells: Sequence[Cell], points: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse values that the recipe refuses, before anything trains: every cell is tried with every point.

    Args:
        settings: settings of the study.
        recipe: recipe of the study.
        cells: cells of the study.
        points: nuisance points of the study.

    Raises:
        StudyError: if a value does not fit. The message names the cell or the point.
    """
    base = _tried(recipe, settings.fixed, "the table fixed")
    for cell in cells:
        changed = _tried(base, cell.changes, f"the scientific values {cell.label}")
        for number, point in enumerate(points):
            values = ", ".join(f"{key} = {_text(value)}" for key, value in point.items())
            where = f"the nuisance values {values} (point {number}) with {cell.label}"
            tried = _tried(changed, point, where)
            if getattr(getattr(tried, "curriculum", None), "final_ratios", ()):
                raise StudyError(
                    "curriculum.final_ratios train several runs: leave them out, and compare curriculum.end as a "
                    "scientific value"
                )


def _tried(recipe: Recipe, changes: Mapping[str, Any], where: str) -> Recipe:
    """Return the changed recipe.

    Raises:
        StudyError: if the recipe refuses the changes. The message says where they come from.
    """
    try:
        return changed_recipe(recipe, changes)
    except RecipeError as error:
        raise StudyError(f"the recipe refuses {where}: {error}") from error


def _is_whole(recipe: Recipe, key: str, spread: NuisanceRange) -> bool:
    """Return whether a setting takes integers only. Arguments of networks do if both bounds are integers.

    Raises:
        StudyError: if the setting takes integers, and the range holds none.
    """
    if spread.choice is not None:
        return False
    low, high = spread.bounds
    field = _field(type(recipe), key)
    kinds = set(_kinds(field.annotation)) if field is not None else set()
    if field is None or not kinds & {int, float, bool, str}:
        whole = isinstance(low, int) and isinstance(high, int)
    else:
        whole = int in kinds and float not in kinds
    if whole and math.ceil(low) > math.floor(high):
        raise StudyError(f"nuisance.{key} needs a range that holds an integer; got [{low}, {high}]")
    return whole


def _field(section: type[Section], key: str) -> FieldInfo | None:
    """Return the field of a recipe that a key names, or None if the key lies inside a value."""
    name, _, rest = key.partition(".")
    field = section.model_fields.get(name)
    if field is None or not rest:
        return field
    sections = (kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, Section))
    inner = next(sections, None)
    return None if inner is None else _field(inner, rest)


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield an annotation and all annotations inside it, such as those of a union."""
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _text(value: Any, digits: int = 4) -> str:
    """Return a value as TOML writes it, with a limited number of significant digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
