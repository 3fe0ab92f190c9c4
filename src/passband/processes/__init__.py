"""Several processes that train one network: agreement on numbers, noise, normalization, signals, loaders and the start.

The processes split each batch: the first process has the first samples of the batch, and so on. In a run of one
process, nothing of this changes any number.
"""

from passband.processes.agreement import (
    all_rows,
    any_of,
    balanced,
    count,
    from_first,
    in_turn,
    largest,
    lost_process,
    means,
    rank,
    summed_counts,
    total,
)
from passband.processes.noise import shared_noise
from passband.processes.normalization import synchronize
from passband.processes.signals import StopSignals, outlive_signals
from passband.processes.workers import worker_context

__all__ = [
    "StopSignals",
    "all_rows",
    "any_of",
    "balanced",
    "count",
    "from_first",
    "in_turn",
    "largest",
    "lost_process",
    "means",
    "outlive_signals",
    "rank",
    "shared_noise",
    "summed_counts",
    "synchronize",
    "total",
    "worker_context",
]
