"""The folder of a run: written while it trains, read afterwards, and drawn as curves."""

from passband.runs.curves import CURVES_FILE, draw_curves
from passband.runs.folder import DivergedError, RunError, check_free, read_run, trained_on, weights_of
from passband.runs.log import Progress, RunLog, keep_run
from passband.runs.tables import read_curves, read_tables

__all__ = [
    "CURVES_FILE",
    "DivergedError",
    "Progress",
    "RunError",
    "RunLog",
    "check_free",
    "draw_curves",
    "keep_run",
    "read_curves",
    "read_run",
    "read_tables",
    "trained_on",
    "weights_of",
]
