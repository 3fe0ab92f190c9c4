"""Predictors: restore, classify, segment and inspect images, and find instances, in memory or in files."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passband.inference.classifier import Classifier
    from passband.inference.detector import FoundIn, InstanceFinder
    from passband.inference.files.jobs import JobResult
    from passband.inference.files.naming import Job
    from passband.inference.files.restoring import ImageProgress, VideoOptions, plan_jobs, restore_files
    from passband.inference.inspection.auto import InspectedChoice
    from passband.inference.inspection.inspector import Diagnosis, Inspected, Inspector
    from passband.inference.restoration.choice import NetworkChoice
    from passband.inference.restorer import Restorer
    from passband.inference.segmenter import Segmenter
    from passband.inference.video.streaming import VideoProgress, VideoSummary, restore_video

_HOMES = {
    "Classifier": "classifier",
    "Diagnosis": "inspection.inspector",
    "FoundIn": "detector",
    "Inspected": "inspection.inspector",
    "InspectedChoice": "inspection.auto",
    "Inspector": "inspection.inspector",
    "InstanceFinder": "detector",
    "Job": "files.naming",
    "JobResult": "files.jobs",
    "NetworkChoice": "restoration.choice",
    "ImageProgress": "files.restoring",
    "Restorer": "restorer",
    "Segmenter": "segmenter",
    "VideoOptions": "files.restoring",
    "VideoProgress": "video.streaming",
    "VideoSummary": "video.streaming",
    "plan_jobs": "files.restoring",
    "restore_files": "files.restoring",
    "restore_video": "video.streaming",
}
"""Modules that define the public names, by name."""

__all__ = [
    "Classifier",
    "Diagnosis",
    "FoundIn",
    "ImageProgress",
    "Inspected",
    "InspectedChoice",
    "Inspector",
    "InstanceFinder",
    "Job",
    "JobResult",
    "NetworkChoice",
    "Restorer",
    "Segmenter",
    "VideoOptions",
    "VideoProgress",
    "VideoSummary",
    "plan_jobs",
    "restore_files",
    "restore_video",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: restoring needs nothing of what detectors load for seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
