"""Collects the options of a command that change settings of a recipe."""

from collections.abc import Sequence
from typing import Any


def collected_changes(
    texts: Sequence[str] | None, *, steps: int | None = None, epochs: int | None = None
) -> dict[str, Any]:
    """Return the changes to a recipe that options of a command name.

    Args:
        texts: values of `--set`, each as KEY=VALUE.
        steps: value of `--steps`, or None.
        epochs: value of `--epochs`, or None.

    Returns:
        New values by the full names of their keys, such as `optim.steps`.

    Raises:
        RecipeError: if a text is not KEY=VALUE, or if the length of the run is given twice.
    """
    from passband.config import RecipeError, parse_changes

    changes = parse_changes(texts or ())
    if steps is not None and epochs is not None:
        raise RecipeError("give the length as --steps or as --epochs, not both")
    for name, value in (("steps", steps), ("epochs", epochs)):
        if value is not None:
            if f"optim.{name}" in changes:
                raise RecipeError(f"give optim.{name} once: with --{name} or with --set")
            changes[f"optim.{name}"] = value
    return changes
