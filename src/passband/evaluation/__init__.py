"""Scoring a network on data that it never saw, with a report that says how."""

from pathlib import Path
from typing import Any

from passband.evaluation.classification import evaluate_classifier
from passband.evaluation.restoration import evaluate_restoration
from passband.tasks.classifier import is_classifier

__all__ = ["evaluate", "evaluate_classifier", "evaluate_restoration"]


def evaluate(weights: str | Path, data: Path, output: Path, **options: Any) -> dict[str, Any]:
    """Score a network by what it is for, and write a report.

    Args:
        weights: a shipped name, a folder, a published pickle, or a hub id.
        data: a folder of pairs for restoration, of a sub-folder for each class for a classifier.
        output: a folder for the report.
        options: of `evaluate_restoration` or `evaluate_classifier`.

    Returns:
        What evaluation.json holds, see the two.

    Raises:
        CheckpointError: for weights that cannot be used.
        ValueError, FileNotFoundError: for data that cannot, see the two.
    """
    return (evaluate_classifier if is_classifier(weights) else evaluate_restoration)(weights, data, output, **options)
