"""Compares networks, or folders of finished images, on the same pairs, and runs of any task."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passband.comparison.contestants import is_folder_of_images
from passband.comparison.groups import holds_several_runs
from passband.comparison.labels import ContestantError, named_sources
from passband.comparison.restoration import compare_images
from passband.comparison.runs import compare_runs
from passband.models import task_of

__all__ = ["ContestantError", "compare", "compare_images", "compare_runs"]


def compare(
    contestants: Sequence[str | Path] | Mapping[str, str | Path],
    data: str | Path | None,
    output: str | Path,
    *,
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
    **options: Any,
) -> dict[str, Any]:
    """Compare networks, folders of finished images, or runs of any task on the same images, and write a report.

    Args:
        contestants: two or more sources, each of which may be written as LABEL=SOURCE, or a mapping from labels to
            sources.
        data: folder of the test data. None compares runs on the images that they were validated on.
        output: folder for the report.
        report: function that is called with the row of each image and contestant, and with the number of such rows.
        options: options of `compare_images` for restoration with data, or of `compare_runs` for everything else.

    Returns:
        The content of comparison.json, see these functions.

    Raises:
        ContestantError: if an option is only for images and runs are compared, or see these functions.
        ValueError, OSError: if the contestants or the data cannot be used, see these functions.
    """
    if data is not None and _are_images(contestants):
        return compare_images(contestants, data, output, report=report, **options)
    for name in ("metrics", "memory", "precision"):
        if options.get(name):
            raise ContestantError(
                f"{name} is for restoration networks that are compared on the pairs of --data: leave it out"
            )
    return compare_runs(contestants, output, data=data, report=report, **options)


def _are_images(contestants: Sequence[str | Path] | Mapping[str, str | Path]) -> bool:
    """Tell whether sources are restoration networks and finished images, rather than runs of another task."""
    sources = [source for _, source in named_sources(contestants)]
    if any(holds_several_runs(source) for source in sources):
        return False
    return any(is_folder_of_images(source) or task_of(source) == "restoration" for source in sources)
