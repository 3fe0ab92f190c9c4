"""What differs between the jobs a network is trained for: data, loss, scores."""

from passband.tasks.restoration import Restoration

TASKS = {"restoration": Restoration}

__all__ = ["TASKS", "Restoration"]
