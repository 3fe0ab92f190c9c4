"""What differs between the jobs a network is trained for: data, loss, scores."""

from collections.abc import Callable
from typing import Any

from passband.tasks.restoration import Restoration
from passband.tasks.task import Task

TASKS: dict[str, Callable[[Any], Task]] = {"restoration": Restoration}

__all__ = ["TASKS", "Restoration", "Task"]
