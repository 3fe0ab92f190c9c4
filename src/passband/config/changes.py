"""Single settings of a recipe, changed for one run."""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from passband.config.common import Recipe, RecipeError

REPLACED = {
    "optim.steps": ("epochs", "least_steps"),
    "optim.epochs": ("steps", "least_steps"),
    "optim.warmup_steps": ("warmup_epochs",),
    "optim.warmup_epochs": ("warmup_steps",),
}
"""Keys that a change of another key replaces, unless they are changed as well: they say the same in another unit."""


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """Read changes as a command line gives them.

    Args:
        texts: each `key=value` with the key's whole name, such as `optim.learning_rate=1e-4`. Values are as in TOML
            (numbers, true, lists in brackets); what is none of those is text, and `none` stands for no value.

    Returns:
        Each key's value.

    Raises:
        RecipeError: for a text without `=`, or a key that is named twice.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise RecipeError(f"a change of a recipe is KEY=VALUE, such as optim.learning_rate=1e-4; got {text!r}")
        if key in changes:
            raise RecipeError(f"{key} is changed twice; give it one value")
        changes[key] = _value(value.strip())
    return changes


def changed_content(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a recipe with some of its settings changed, not checked yet.

    Args:
        recipe: stays as it is.
        changes: whole names of keys, such as `optim.steps`, and their values. Of keys that say the same in two units
            (`steps` and `epochs`), the one that is not named goes.

    Raises:
        RecipeError: for a key of a table that is a single value.
    """
    whole, content = recipe.model_dump(), recipe.model_dump(exclude_unset=True) | {"task": recipe.task}
    for key, value in changes.items():
        *tables, name = key.split(".")
        table, filled = content, whole
        for depth, part in enumerate(tables):
            filled = filled.get(part) if isinstance(filled, dict) else None
            # a table of a recipe keeps which of its keys were given; one within it is a value, taken as it is
            table = table.setdefault(part, {} if depth == 0 or not isinstance(filled, dict) else dict(filled))
            if not isinstance(table, dict):
                raise RecipeError(f"{key} cannot be changed: {'.'.join(tables[: depth + 1])} is a value, not a table")
        table[name] = value
        for other in REPLACED.get(key, ()):
            if f"{tables[0]}.{other}" not in changes:
                table.pop(other, None)
    return content


def _value(text: str) -> Any:
    """A value as TOML has it, or text."""
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
