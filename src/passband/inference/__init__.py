"""Predictors: restore, classify, segment and inspect images, and find instances, in memory or in files."""

from passband.inference.classifier import Classifier
from passband.inference.demo import demonstrate
from passband.inference.detector import FoundIn, InstanceFinder
from passband.inference.files.jobs import JobResult
from passband.inference.files.plan import Job
from passband.inference.files.restoring import PictureProgress, VideoOptions, plan_jobs, restore_files
from passband.inference.inspector import Diagnosis, Inspected, Inspector
from passband.inference.network_choice import InspectedChoice, NetworkChoice
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
    "JobResult",
    "NetworkChoice",
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
