"""What differs between the jobs a network is trained for: data, loss, scores."""

from collections.abc import Callable
from typing import Any

from passband.tasks.classification import Classification
from passband.tasks.restoration import Restoration
from passband.tasks.task import Task

TASKS: dict[str, Callable[[Any], Task]] = {"classification": Classification, "restoration": Restoration}

__all__ = ["TASKS", "Classification", "Restoration", "Task"]
