"""What differs between the jobs a network is trained for: data, loss, scores."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from passband.checkpoint import CheckpointError, load_config
from passband.data.preprocessing import Preprocessing
from passband.models import MODELS
from passband.tasks.classification import Classification
from passband.tasks.detection import Detection
from passband.tasks.restoration import Restoration
from passband.tasks.segmentation import Segmentation
from passband.tasks.task import Task

TASKS: dict[str, Callable[[Any], Task]] = {
    "classification": Classification,
    "detection": Detection,
    "restoration": Restoration,
    "segmentation": Segmentation,
}

__all__ = ["TASKS", "Classification", "Detection", "Restoration", "Segmentation", "Task", "input_shape_of", "task_of"]


def task_of(weights: str | Path) -> str:
    """What weights are for, as far as their config says; no weights are read.

    Args:
        weights: as in `models.load_model`.

    Returns:
        A key of `TASKS`: restoration for what cannot be found or has no config, because loading it says why.
    """
    try:
        builder = MODELS.get(load_config(weights).get("model", ""))
    except CheckpointError:
        return "restoration"
    built = inspect.signature(builder).return_annotation if builder is not None else None
    return getattr(built, "task", "restoration")


def input_shape_of(weights: str | Path) -> tuple[int, int, int] | None:
    """Channels, height and width of what a network was trained on, as far as its config says; no weights are read.

    Args:
        weights: as in `models.load_model`.

    Returns:
        None where the config says nothing of it, as for restoration, which takes any size.

    Raises:
        CheckpointError: where nothing is found.
    """
    stored = load_config(weights).get("preprocessing")
    if not isinstance(stored, dict):
        return None
    if "input" in stored:
        return Preprocessing.from_config(stored).input_shape
    size = stored.get("size")
    return (3, size, size) if isinstance(size, int) else None
