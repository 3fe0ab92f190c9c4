"""Restoring pictures: in memory with `Restorer`, from files to files with `restore_files`."""

from passband.inference.demo import demonstrate
from passband.inference.files import Job, Outcome, plan_jobs, restore_files
from passband.inference.restorer import OVERLAP, TILE, Restorer

__all__ = ["OVERLAP", "TILE", "Job", "Outcome", "Restorer", "demonstrate", "plan_jobs", "restore_files"]
