"""Names of the classes that networks tell apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passband.state_dicts import CheckpointError

BINARY_NAMES = ("background", "foreground")
"""Names of the two classes of binary masks, unless recipe or weights have others."""


def class_names(config: dict[str, Any], numbered: Sequence[str], weights: str | Path) -> tuple[str, ...]:
    """Return the names of the classes that a network tells apart.

    Args:
        config: config of the network.
        numbered: one name for each class, used if the config names none.
        weights: name of the weights for the error.

    Raises:
        CheckpointError: if the config names more or fewer classes.
    """
    names = tuple(str(name) for name in config.get("classes_named") or numbered)
    if len(names) != len(numbered):
        raise CheckpointError(
            f"{weights} tells {len(numbered)} classes apart, but its config.json names {len(names)} (classes_named)"
        )
    return names


def mask_names(maps: int) -> tuple[str, ...]:
    """Return the names of the classes of masks for weights or a recipe that name none.

    Args:
        maps: number of maps of logits: 1 for foreground or not, else one for each class with the background.

    Returns:
        Names by the number of the class, that of the background first.
    """
    return BINARY_NAMES if maps == 1 else tuple(str(number) for number in range(maps))
