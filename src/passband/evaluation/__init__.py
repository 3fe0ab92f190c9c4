"""Scores networks on data that they did not learn from, and writes reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from passband.evaluation.classification import evaluate_classifier
from passband.evaluation.detection import evaluate_detector
from passband.evaluation.restoration import evaluate_restoration
from passband.evaluation.segmentation import evaluate_segmenter
from passband.models import task_of

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
"""Function that scores the networks of each task."""


def evaluate(weights: str | Path, data: str | Path, output: str | Path, **options: Any) -> dict[str, Any]:
    """Score a network for its task, and write a report.

    Args:
        weights: weights to load: a shipped name, a folder, a run, a published pickle, a hub id, or a file of
            `passband export`.
        data: folder of pairs for restoration; of a sub-folder for each class for a classifier; of images and
            annotations in COCO's format for a detector; of images and masks for a segmentation network.
        output: folder for the report.
        options: options of the task's function in `EVALUATIONS`.

    Returns:
        The content of evaluation.json, see that function.

    Raises:
        CheckpointError: if the weights cannot be used.
        ValueError, FileNotFoundError: if the data cannot be used, see that function.
    """
    return EVALUATIONS[task_of(weights)](weights, data, Path(output), **options)
