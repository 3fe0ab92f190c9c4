"""Compares networks, or folders of finished images, on the same pairs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passband.comparison.contestants import ContestantError
from passband.comparison.restoration import compare_images

__all__ = ["ContestantError", "compare", "compare_images"]


def compare(
    contestants: Sequence[str | Path] | Mapping[str, str | Path],
    data: str | Path,
    output: str | Path,
    *,
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
    **options: Any,
) -> dict[str, Any]:
    """Compare restoration networks and folders of finished images on the same pairs, and write a report.

    Args:
        contestants: two or more sources, see `compare_images`.
        data: folder of pairs.
        output: folder for the report.
        report: function that is called with the row of each image and contestant, and with the number of such rows.
        options: options of `compare_images`.

    Returns:
        The content of comparison.json, see `compare_images`.

    Raises:
        ValueError, OSError: if the contestants or the data cannot be used, see `compare_images`.
    """
    return compare_images(contestants, data, output, report=report, **options)
