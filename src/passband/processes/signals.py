"""Signals by which clusters announce that a process has to end: SIGTERM and SIGUSR1."""

import os
import signal
import threading
from types import FrameType
from typing import Any

STOPPING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Signals that stop a training after its current step, with a checkpoint."""


class StopSignals:
    """Remember a signal to stop, in place of ending the process at once.

    Signals can only be handled in the main thread. In another thread, such as a worker of Ray Train, nothing changes.

    Attributes:
        received: number of the signal that came first, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in STOPPING}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _remember(self, number: int, frame: FrameType | None) -> None:
        """Keep the first signal."""
        self.received = self.received or number


def outlive_signals(worker: int) -> None:
    """Let a worker process of a loader ignore the first signal to stop.

    Clusters send a signal to all processes of a job. The training still needs its loader for the current step, and ends
    the worker itself afterwards. A second SIGTERM ends the worker.

    Args:
        worker: number of the worker, which is not used.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGTERM:
            os._exit(0)
        received.append(number)

    for number in STOPPING:
        signal.signal(number, remember)
