"""Recipes: validated settings of a training run, read from TOML, a kind of them for each task in `RECIPES`."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

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
from passband.config.restoration import RestorationRecipe
from passband.config.segmentation import SegmentationRecipe
from passband.naming import entry, nearest

RECIPES: dict[str, type[Recipe]] = {
    "classification": ClassificationRecipe,
    "detection": DetectionRecipe,
    "restoration": RestorationRecipe,
    "segmentation": SegmentationRecipe,
}
DEFAULT_TASK = "restoration"
"""The task of a recipe that names none."""

__all__ = [
    "RECIPES",
    "ClassificationData",
    "ClassificationRecipe",
    "DataConfig",
    "DetectionRecipe",
    "GateConfig",
    "ModelConfig",
    "OptimConfig",
    "Recipe",
    "RecipeError",
    "RestorationRecipe",
    "Section",
    "SegmentationRecipe",
    "ValidationConfig",
    "load_recipe",
    "parse_recipe",
    "shipped_recipes",
]


def shipped_recipes() -> dict[str, Path]:
    """Name to file of the recipes inside the package."""
    return {path.stem: path for path in sorted((Path(str(files("passband"))) / "recipes").glob("*.toml"))}


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        source: the name of a shipped recipe, or a TOML file.

    Raises:
        RecipeError: where it is missing, not TOML, or has a key or value that does not fit; a wrong key's nearest
            is named.
    """
    path = shipped_recipes().get(str(source), Path(source))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        near = nearest(Path(source).stem, shipped_recipes())
        raise RecipeError(
            f"no recipe {source}: neither a file nor a shipped one; did you mean {near}? (`passband recipe` lists all "
            f"{len(shipped_recipes())})"
        ) from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from error
    return parse_recipe(content, path)


def parse_recipe(content: dict[str, Any], source: str | Path) -> Recipe:
    """Validate the tables of a recipe.

    Args:
        content: nested tables, as TOML or JSON give them.
        source: what to call the recipe in an error.

    Raises:
        RecipeError: as `load_recipe`.
    """
    try:
        kind = entry(str(content.get("task", DEFAULT_TASK)), RECIPES, "task")
    except ValueError as error:
        raise RecipeError(f"recipe {source}: {error}") from error
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"recipe {source}: {'; '.join(_sentences(error, kind))}") from error


def _sentences(error: ValidationError, recipe: type[Recipe]) -> Iterator[str]:
    """What is wrong, one clause per problem."""
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _keys_at(recipe, problem["loc"][:-1])
            near = nearest(str(problem["loc"][-1]), known)
            yield f"unknown key {where}; did you mean {'.'.join([*map(str, problem['loc'][:-1]), str(near)])}?"
        elif problem["type"] == "value_error":
            yield f"{where + ': ' if where else ''}{problem['msg'].removeprefix('Value error, ')}"
        else:
            got = "" if problem["type"] == "missing" else f", got {problem['input']!r}"
            yield f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}{got}"


def _keys_at(recipe: type[Recipe], location: Iterable[int | str]) -> list[str]:
    """The keys that the table at this place of a recipe may have."""
    section: Any = recipe
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        section = annotation if isinstance(annotation, type) else next(a for a in get_args(annotation) if a)
    return list(section.model_fields)
