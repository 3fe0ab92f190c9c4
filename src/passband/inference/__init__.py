"""Using trained networks: `Restorer` for pictures in memory, `restore_files` for files, `Classifier` for classes."""

from passband.inference.classifier import Classifier
from passband.inference.demo import demonstrate
from passband.inference.files import Job, Outcome, VideoOptions, plan_jobs, restore_files
from passband.inference.restorer import Restorer
from passband.inference.video import VideoProgress, VideoSummary, restore_video

__all__ = [
    "Classifier",
    "Job",
    "Outcome",
    "Restorer",
    "VideoOptions",
    "VideoProgress",
    "VideoSummary",
    "demonstrate",
    "plan_jobs",
    "restore_files",
    "restore_video",
]
