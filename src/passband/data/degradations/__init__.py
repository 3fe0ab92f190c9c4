"""Degradations of clean photographs: what each kind draws, and pairs made with it."""

from passband.data.degradations.files import degrade_files
from passband.data.degradations.kinds import KINDS, degrade

__all__ = ["KINDS", "degrade", "degrade_files"]
