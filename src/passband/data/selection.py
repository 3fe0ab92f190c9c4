"""Selects a number of items that are spread evenly over a sequence."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int | None) -> list[Item]:
    """Return items that are spread evenly over a sequence, in their order.

    Args:
        items: the sequence.
        most: largest number of items; None returns all.
    """
    count = len(items) if most is None else min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]
