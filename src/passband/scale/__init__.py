"""Work on many files: processes of this machine, Ray's actors on several machines, and files at addresses of stores."""

from passband.io.storage import ScaleError, is_address
from passband.scale.addresses import AddressJob, AddressResult, run_addresses
from passband.scale.answers import Answer, Question, answer_addresses
from passband.scale.copies import replace_output
from passband.scale.local import LocalProcesses
from passband.scale.manifest import Manifest
from passband.scale.options import EXECUTORS, choose_executor
from passband.scale.ray_actors import RayActors
from passband.scale.schedule import WorkersError

__all__ = [
    "EXECUTORS",
    "AddressJob",
    "AddressResult",
    "Answer",
    "LocalProcesses",
    "Manifest",
    "Question",
    "RayActors",
    "ScaleError",
    "WorkersError",
    "answer_addresses",
    "choose_executor",
    "is_address",
    "replace_output",
    "run_addresses",
]
