"""What differs between the jobs a network is trained for: data, loss, scores."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from passband.checkpoint import CheckpointError, load_config
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

__all__ = ["TASKS", "Classification", "Detection", "Restoration", "Segmentation", "Task", "task_of"]


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
