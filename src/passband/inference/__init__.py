"""Using trained networks: to restore (`Restorer`, or by files), to classify, to segment, to find instances."""

from passband.inference.choice import InspectedChoice, NetworkChoice
from passband.inference.classifier import Classifier
from passband.inference.demo import demonstrate
from passband.inference.detector import FoundIn, InstanceFinder
from passband.inference.files.jobs import Outcome
from passband.inference.files.plan import Job
from passband.inference.files.restoring import PictureProgress, VideoOptions, plan_jobs, restore_files
from passband.inference.inspector import Diagnosis, Inspected, Inspector
from passband.inference.restorer import Restorer
from passband.inference.segmenter import Segmenter
from passband.inference.video.streaming import VideoProgress, VideoSummary, restore_video

__all__ = [
    "Classifier",
    "Diagnosis",
    "FoundIn",
    "Inspected",
    "InspectedChoice",
    "Inspector",
    "InstanceFinder",
    "Job",
    "NetworkChoice",
    "Outcome",
    "PictureProgress",
    "Restorer",
    "Segmenter",
    "VideoOptions",
    "VideoProgress",
    "VideoSummary",
    "demonstrate",
    "plan_jobs",
    "restore_files",
    "restore_video",
]
