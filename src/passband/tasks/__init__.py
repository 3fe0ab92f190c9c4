"""Tasks that networks are trained for: each has its data, its loss and its validation."""

from collections.abc import Callable
from typing import Any

from passband.tasks.classification import Classification
from passband.tasks.detection import Detection
from passband.tasks.input_shape import input_shape_of
from passband.tasks.inspection import Inspection
from passband.tasks.restoration import Restoration
from passband.tasks.segmentation import Segmentation
from passband.tasks.task import Task

TASKS: dict[str, Callable[[Any], Task]] = {
    "classification": Classification,
    "detection": Detection,
    "inspection": Inspection,
    "restoration": Restoration,
    "segmentation": Segmentation,
}

__all__ = [
    "TASKS",
    "Classification",
    "Detection",
    "Inspection",
    "Restoration",
    "Segmentation",
    "Task",
    "input_shape_of",
]
