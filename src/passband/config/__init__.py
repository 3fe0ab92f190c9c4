"""Recipes: validated settings of a training run, read from TOML files. `RECIPES` holds one class per task."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from passband.config.changes import changed_content, parse_changes, refuse_changes_of_network
from passband.config.classification import ClassificationData, ClassificationRecipe, GateConfig
from passband.config.common import (
    DataConfig,
    ModelConfig,
    OptimConfig,
    Recipe,
    RecipeError,
    Section,
    ValidationConfig,
)
from passband.config.detection import DetectionRecipe
from passband.config.inspection import InspectionRecipe
from passband.config.restoration import RestorationRecipe
from passband.config.segmentation import SegmentationRecipe
from passband.io.paths import checked_path
from passband.naming import entry, listed, nearest, shortened, suggestion

RECIPES: dict[str, type[Recipe]] = {
    "classification": ClassificationRecipe,
    "detection": DetectionRecipe,
    "inspection": InspectionRecipe,
    "restoration": RestorationRecipe,
    "segmentation": SegmentationRecipe,
}
DEFAULT_TASK = "restoration"
"""Task of a recipe that does not name one."""
_Kind = TypeVar("_Kind", bound=Recipe)
_MOST_PROBLEMS, _LONGEST = 6, 300
"""Largest number of problems that an error about a recipe lists, and largest number of characters of each."""

__all__ = [
    "RECIPES",
    "ClassificationData",
    "ClassificationRecipe",
    "DataConfig",
    "DetectionRecipe",
    "GateConfig",
    "InspectionRecipe",
    "ModelConfig",
    "OptimConfig",
    "Recipe",
    "RecipeError",
    "RestorationRecipe",
    "Section",
    "SegmentationRecipe",
    "ValidationConfig",
    "changed_recipe",
    "describe_problems",
    "load_recipe",
    "parse_changes",
    "parse_recipe",
    "recipe_on",
    "recipe_scored_on",
    "refuse_changes_of_network",
    "shipped_recipes",
]


def shipped_recipes() -> dict[str, Path]:
    """Return the files of the recipes inside the package, by name."""
    return {path.stem: path for path in sorted((Path(str(files("passband"))) / "recipes").glob("*/*.toml"))}


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        source: name of a shipped recipe, or path of a TOML file.

    Returns:
        The validated recipe.

    Raises:
        TypeError, ValueError: as `io.paths.checked_path` raises them.
        RecipeError: if the recipe does not exist, is not TOML, or has an unknown key or an unsuitable value. The
            message suggests the nearest known key.
    """
    path = shipped_recipes().get(str(source)) or Path(checked_path(source, "a recipe"))
    if path.is_dir():
        raise RecipeError(
            f"a recipe is a TOML file or a shipped name, and {path} is a folder. `passband recipe` lists the names."
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise no_recipe(source) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from error
    return parse_recipe(content, path)


def no_recipe(source: str | Path) -> RecipeError:
    """Return the error for a recipe that does not exist.

    Args:
        source: name or path as the user typed it.
    """
    shipped = shipped_recipes()
    near = suggestion(Path(source).stem, shipped)
    return RecipeError(
        f"no recipe {str(source)!r}: it is neither a file nor a shipped recipe.{near} `passband recipe` lists all "
        f"{len(shipped)}."
    )


def changed_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return a copy of a recipe with some settings changed, and validate the whole copy.

    Args:
        recipe: recipe to copy.
        changes: new values by the full names of their keys, such as `{"optim.steps": 100, "data.batch": 2}`. A change
            of `steps` removes `epochs`, and the reverse. The same holds for the warm-up.

    Raises:
        RecipeError: if a key is unknown, or a value does not fit. The message suggests the nearest known key.
    """
    return parse_recipe(changed_content(recipe, changes), recipe.name) if changes else recipe


def recipe_on(recipe: Recipe, device: str) -> Recipe:
    """Return the recipe that a run follows on a kind of device.

    Args:
        recipe: recipe of the run, which is not changed.
        device: type of the device, as `torch.device.type` names it. On `"cuda"` the settings of the recipe's table
            `cuda` replace others.

    Raises:
        RecipeError: if a setting of that table does not fit.
    """
    if device != "cuda" or not recipe.cuda:
        return recipe
    return changed_recipe(recipe, {**recipe.cuda, "cuda": {}})


def recipe_scored_on(recipe: _Kind, folder: str | Path | None) -> _Kind:
    """Return the recipe that a run follows if a folder to score on is given.

    Args:
        recipe: recipe of the run, which is not changed.
        folder: folder to score on. It takes the place of the images that the recipe holds out or lists to score on:
            none of its settings for them remain. None leaves the recipe as it is. Each of `data.sources` keeps its own
            share of pairs, because the folder then takes the place of photographs only.
    """
    choices = {"held_out": 0.0, "sequence": None, "validation_list": None}
    changes = {f"data.{name}": none for name, none in choices.items() if getattr(recipe.data, name, none) != none}
    if folder is None or not changes:
        return recipe
    return type(recipe).model_validate(changed_content(recipe, changes))


def parse_recipe(content: dict[str, Any], source: str | Path) -> Recipe:
    """Validate the tables of a recipe.

    Args:
        content: nested tables, as TOML or JSON give them.
        source: name of the recipe for error messages.

    Raises:
        RecipeError: if a key is unknown, or a value does not fit.
    """
    try:
        kind = entry(str(content.get("task", DEFAULT_TASK)), RECIPES, "task")
    except ValueError as error:
        raise RecipeError(f"recipe {source}: {error}") from error
    try:
        recipe = kind.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"recipe {source}: {describe_problems(error, kind)}") from error
    try:
        recipe_on(recipe, "cuda")
    except RecipeError as error:
        raise RecipeError(f"recipe {source}, in its table cuda: {error}") from error
    return recipe


def describe_problems(error: ValidationError, section: type[Section]) -> str:
    """Return the first few clauses about what is wrong, each of limited length.

    Args:
        error: error that the validation of the tables raised.
        section: class of the outermost table.
    """
    clauses = [shortened(clause, _LONGEST) for clause in _sentences(error, section)]
    rest = f"; and {len(clauses) - _MOST_PROBLEMS} more problems" if len(clauses) > _MOST_PROBLEMS else ""
    return "; ".join(clauses[:_MOST_PROBLEMS]) + rest


def _sentences(error: ValidationError, recipe: type[Section]) -> Iterator[str]:
    """Yield a clause for each problem of a recipe."""
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = _nearest_key(recipe, [str(part) for part in problem["loc"]])
            yield f"unknown key {where}{near}"
        elif problem["type"] == "value_error":
            yield f"{where + ': ' if where else ''}{problem['msg'].removeprefix('Value error, ')}"
        else:
            got = "" if problem["type"] == "missing" else f", got {shortened(repr(problem['input']))}"
            yield f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}{got}"


def _nearest_key(recipe: type[Section], location: list[str]) -> str:
    """Return a question that suggests the nearest known key, or the known keys of the table if none is near."""
    *table, name = location
    elsewhere = [key for key in _keys(recipe) if key.rpartition(".")[2] == name]
    if elsewhere:
        return f"; did you mean {' or '.join(elsewhere)}?"
    section = recipe
    for part in table:
        if not part.isdecimal():  # a number is the index in a list of tables
            section = _section(section, part) or section
    near = nearest(name, section.model_fields)
    if near is None:
        return f" (known: {listed(section.model_fields)})"
    return f"; did you mean {'.'.join([*table, near])}?"


def _keys(section: type[Section], before: str = "") -> Iterator[str]:
    """Yield the full names of all keys of a table and of the tables within it, such as `optim.steps`."""
    for name in section.model_fields:
        yield before + name
        within = _section(section, name)
        if within is not None:
            yield from _keys(within, f"{before}{name}.")


def _section(section: type[Section], name: str) -> type[Section] | None:
    """Return the class of the table that a key holds, or None if the key holds a value."""
    field = section.model_fields.get(name)
    annotation = field.annotation if field is not None else None
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
