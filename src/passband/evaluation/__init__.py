"""Scoring a network on data that it never saw, with a report that says how."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from passband.evaluation.classification import evaluate_classifier
from passband.evaluation.detection import evaluate_detector
from passband.evaluation.restoration import evaluate_restoration
from passband.evaluation.segmentation import evaluate_segmenter
from passband.tasks import task_of

__all__ = [
    "EVALUATIONS",
    "evaluate",
    "evaluate_classifier",
    "evaluate_detector",
    "evaluate_restoration",
    "evaluate_segmenter",
]

EVALUATIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "classification": evaluate_classifier,
    "detection": evaluate_detector,
    "restoration": evaluate_restoration,
    "segmentation": evaluate_segmenter,
}
"""Task to what scores its networks."""


def evaluate(weights: str | Path, data: str | Path, output: str | Path, **options: Any) -> dict[str, Any]:
    """Score a network by what it is for, and write a report.

    Args:
        weights: a shipped name, a folder, a run's folder, a published pickle, or a hub id.
        data: a folder of pairs for restoration, of a sub-folder for each class for a classifier, of pictures and
            annotations in COCO's format for a detector, of pictures and masks for a segmentation network.
        output: a folder for the report.
        options: of the function in `EVALUATIONS`.

    Returns:
        What evaluation.json holds, see that function.

    Raises:
        CheckpointError: for weights that cannot be used.
        ValueError, FileNotFoundError: for data that cannot, see that function.
    """
    return EVALUATIONS[task_of(weights)](weights, Path(data), Path(output), **options)
