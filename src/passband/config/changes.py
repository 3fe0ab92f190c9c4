"""Changes single settings of a recipe for one run."""

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
"""Keys that are removed when another key changes, because both set the same quantity in different units."""


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """Parse changes to a recipe that were typed on a command line.

    Args:
        texts: changes of the form `key=value` with the full name of the key, such as `optim.learning_rate=1e-4`.
            Values are written as in TOML (numbers, true, lists in brackets). `none` removes a value. Every other value
            is read as text.

    Returns:
        New values by the full names of their keys.

    Raises:
        RecipeError: if a text has no `=`, or if two texts change the same key.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise RecipeError(f"a change must be KEY=VALUE, such as optim.learning_rate=1e-4; got {text!r}")
        if key in changes:
            raise RecipeError(f"{key} is changed twice; give it one value")
        changes[key] = _value(value.strip())
    return changes


def changed_content(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a recipe with some settings changed, without validating them.

    Args:
        recipe: recipe whose tables are copied.
        changes: new values by the full names of their keys, such as `optim.steps`. Keys that set the same quantity in
            another unit are removed, such as `optim.epochs`; see `REPLACED`.

    Raises:
        RecipeError: if a key lies below a single value instead of a table.
    """
    whole, content = recipe.model_dump(), recipe.model_dump(exclude_unset=True) | {"task": recipe.task}
    for key, value in changes.items():
        *tables, name = key.split(".")
        table, filled = content, whole
        for depth, part in enumerate(tables):
            filled = filled.get(part) if isinstance(filled, dict) else None
            # a table of a recipe starts from the keys that were set explicitly; deeper tables are copied in full
            table = table.setdefault(part, {} if depth == 0 or not isinstance(filled, dict) else dict(filled))
            if not isinstance(table, dict):
                raise RecipeError(f"{key} cannot be changed: {'.'.join(tables[: depth + 1])} is a value, not a table")
        table[name] = value
        for other in REPLACED.get(key, ()):
            if f"{tables[0]}.{other}" not in changes:
                table.pop(other, None)
    return content


def refuse_changes_of_network(changes: Iterable[str]) -> None:
    """Refuse changes of the network for a training that starts from weights, because these decide the network.

    Args:
        changes: full names of the keys.

    Raises:
        RecipeError: if one of the keys is in the table `model`.
    """
    for key in changes:
        if key.split(".")[0] == "model":
            raise RecipeError(
                f"{key} cannot be changed, because the weights to start from decide the network: leave it out, or "
                "start from other weights"
            )


def _value(text: str) -> Any:
    """Return a TOML value, or the text itself if it is not TOML."""
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
