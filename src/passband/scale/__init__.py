"""Work on many files: several processes of this machine, or Ray's actors on several machines."""

from passband.scale.local import LocalProcesses
from passband.scale.options import EXECUTORS, choose_executor
from passband.scale.ray_actors import RayActors

__all__ = ["EXECUTORS", "LocalProcesses", "RayActors", "choose_executor"]
