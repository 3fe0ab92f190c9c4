"""What the commands that train share: settings of a recipe given as options."""

from collections.abc import Sequence
from typing import Any


def collected_changes(
    texts: Sequence[str] | None, *, steps: int | None = None, epochs: int | None = None
) -> dict[str, Any]:
    """The changes of a recipe that options ask for.

    Args:
        texts: those of `--set`, each KEY=VALUE.
        steps: that of `--steps`.
        epochs: that of `--epochs`.

    Raises:
        RecipeError: for a text that is no change, or a length that is given twice.
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
