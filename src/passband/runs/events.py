"""Writes the TensorBoard events of a run, if the package tensorboard is installed."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from passband.io.failures import WriteError, naming_file

_log = logging.getLogger(__name__)


class Events:
    """TensorBoard events of a run.

    They are written by the calling thread, because the thread of torch's `SummaryWriter` would print a traceback on a
    full disk. log.csv and validation.csv hold the same numbers. A failure therefore ends the events and not the run.

    Args:
        folder: folder of the events.
        step: last step that counts. TensorBoard drops events of later steps, from an earlier session.
    """

    def __init__(self, folder: Path, step: int):
        self.folder = folder
        self._write: Callable[..., None] | None = None
        self._stack = ExitStack()
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[attr-defined]
            from tensorboard.summary.writer.record_writer import RecordWriter
            from torch.utils.tensorboard import summary
        except ImportError:
            _warn_without_tensorboard()
            return
        self._summary = summary
        # TensorBoard reads the files in the order of their names
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        with self._ended_by_failure():
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._stack.enter_context((folder / name).open("wb"))
            records = RecordWriter(self._file)

            def write(**content: Any) -> None:
                records.write(Event(wall_time=time.time(), **content).SerializeToString())

            self._write = write
            write(file_version="brain.Event:2")
            write(step=step + 1, session_log=SessionLog(status=SessionLog.START))
            self._file.flush()

    def add(self, group: str, step: int, figures: Mapping[str, float], picture: Tensor | None = None) -> None:
        """Write numbers and an image.

        Args:
            group: first part of the names, such as train.
            step: number of steps done.
            figures: numbers by name.
            picture: RGB image in [0, 1], shape 3 H W; None for no image.
        """
        if self._write is None:
            return
        with self._ended_by_failure():
            for name, value in figures.items():
                self._write(step=step, summary=self._summary.scalar(f"{group}/{name}", value))
            if picture is not None:
                self._write(step=step, summary=self._summary.image(group, picture.cpu(), dataformats="CHW"))
            self._file.flush()

    def close(self) -> None:
        """Close the file of the events."""
        self._write = None
        with suppress(OSError):  # what the last step wrote is in the file, unless a warning said otherwise
            self._stack.close()

    @contextmanager
    def _ended_by_failure(self) -> Iterator[None]:
        """End the events with a warning if they cannot be written in the block."""
        try:
            with naming_file(self.folder):
                yield
        except WriteError as error:
            self.close()
            _log.warning(
                "TensorBoard events are no longer written: %s. log.csv and validation.csv hold the same numbers.", error
            )


@cache
def _warn_without_tensorboard() -> None:
    """Log that tensorboard is missing, once per process."""
    _log.warning(
        "TensorBoard is not installed, so no TensorBoard events are written. log.csv and validation.csv hold the same "
        "numbers. To write events as well, run: pip install 'passband[tensorboard]'"
    )
