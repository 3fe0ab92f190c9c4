"""Simulated degradations of clean photographs, and pairs made with them."""

from passband.data.degradations.files import degrade_files
from passband.data.degradations.kinds import KINDS, NEWEST, VERSIONS, degrade, degrade_and_develop, split_kind

__all__ = ["KINDS", "NEWEST", "VERSIONS", "degrade", "degrade_and_develop", "degrade_files", "split_kind"]
