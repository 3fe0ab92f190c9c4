"""Restoring pictures and videos: in memory with `Restorer`, from files to files with `restore_files`."""

from passband.inference.demo import demonstrate
from passband.inference.files import Job, Outcome, VideoOptions, plan_jobs, restore_files
from passband.inference.restorer import Restorer
from passband.inference.video import VideoProgress, VideoSummary, restore_video

__all__ = [
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
