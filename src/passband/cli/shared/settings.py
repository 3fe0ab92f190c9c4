"""Collects the options of a command that change settings of a recipe."""

from collections.abc import Sequence
from typing import Any

SHORTCUTS = {
    "steps": "optim.steps",
    "epochs": "optim.epochs",
    "crop": "data.crop",
    "learning_rate": "optim.learning_rate",
    "seed": "seed",
}
"""Options that change a setting, and the keys of these settings."""


def collected_changes(texts: Sequence[str] | None, **options: float | None) -> dict[str, Any]:
    """Return the changes to a recipe that options of a command name.

    Args:
        texts: values of `--set`, each as KEY=VALUE.
        options: values of the options of `SHORTCUTS`; None for an option that is not given.

    Returns:
        New values by the full names of their keys, such as `optim.steps`.

    Raises:
        RecipeError: if a text is not KEY=VALUE, or if a setting is given twice.
    """
    from passband.config import RecipeError, parse_changes

    changes = parse_changes(texts or ())
    if options.get("steps") is not None and options.get("epochs") is not None:
        raise RecipeError("give the length as --steps or as --epochs, not both")
    for name, value in options.items():
        key = SHORTCUTS[name]
        if value is not None and key in changes:
            raise RecipeError(f"give {key} once: with {option(name)} or with --set")
        if value is not None:
            changes[key] = value
    return changes


def option(name: str) -> str:
    """Return the option of a command that fills an argument, such as `--learning-rate`."""
    return f"--{name.replace('_', '-')}"
