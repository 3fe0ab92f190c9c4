"""Settings of the page, and its start."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passband.app.files.room import PARTS

if TYPE_CHECKING:
    from passband.app.server import Server

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that close the page: Ctrl-C, the end of a service, and the end of a terminal."""


def on_stop(handler: Callable[[int, Any], Any]) -> None:
    """Set the handler of the signals that close the page, except those that are ignored, as `nohup` does.

    Args:
        handler: function of the number of a signal and of a frame.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


class AppError(RuntimeError):
    """The page cannot start. The message says why, and what to do."""


@dataclass(frozen=True)
class Limits:
    """Limits of one page. The page states them.

    Attributes:
        upload_bytes: largest size of an uploaded file in bytes.
        total_bytes: largest size of all uploads and results of all people together, in bytes. If there is no room for a
            new file, the oldest finished files are removed; if this is not enough, the new file is refused.
        image_pixels: largest number of pixels of an image.
        video_pixels: largest number of pixels of a video, over all its frames.
        files: largest number of files that one person restores at once.
        seconds: longest time of the work on one file, in seconds.
        keep_seconds: time after which uploads and results are removed, in seconds.
        waiting: largest number of files of all people that wait for a worker.
    """

    upload_bytes: int = 100_000_000
    total_bytes: int = 10_000_000_000
    image_pixels: int = 50_000_000
    video_pixels: int = 1_000_000_000
    files: int = 100
    seconds: float = 900.0
    keep_seconds: float = 3600.0
    waiting: int = 2000


@dataclass(frozen=True)
class AppSettings:
    """Settings of the page.

    Args:
        host: address to listen on. The default is for this computer alone; `0.0.0.0` is for the whole network.
        port: port to listen on; 0 for any free port.
        weights: further weights that the page offers, as `Restorer`, `Classifier` or `Segmenter` takes them.
        runs: folder of runs and studies for the tab Runs; None to leave the tab empty.
        share: whether to open a public address through Gradio's servers.
        workers: number of processes that work on files.
        limits: limits of uploads and of work.

    Raises:
        ValueError: if a number is out of range, or the folder of runs does not exist.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    weights: tuple[str, ...] = ()
    runs: Path | None = None
    share: bool = False
    workers: int = field(default_factory=lambda: max(1, min(4, (os.cpu_count() or 2) // 2 + 1)))
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self):
        if not 0 <= self.port <= 65535:
            raise ValueError(f"the port of the page must be between 0 and 65535, got {self.port}")
        if self.workers < 1:
            raise ValueError(f"the page needs 1 worker or more, got {self.workers}")
        if self.limits.total_bytes < PARTS * self.limits.upload_bytes:
            need, given = PARTS * self.limits.upload_bytes / 1e9, self.limits.total_bytes / 1e9
            raise ValueError(
                f"The largest upload and its results need {need:g} GB, and the page may use {given:g} GB: use a larger "
                "--max-gigabytes, or a smaller --max-megabytes."
            )
        if self.runs is not None and not Path(self.runs).is_dir():
            raise ValueError(f"--runs needs a folder with runs or studies, but {self.runs} is not a folder.")


def launch(settings: AppSettings | None = None, *, block: bool = True, open_browser: bool = False) -> "Server":
    """Start the page.

    Args:
        settings: settings; None for the defaults.
        block: whether to return only after the page was closed, with Ctrl-C.
        open_browser: whether to open the page in the browser of this computer.

    Returns:
        The running page: `url` is its address, and `close()` ends it and removes all its files.

    Raises:
        AppError: if Gradio is not installed, or the port is in use.
        CheckpointError: if further weights cannot be found.
    """
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise AppError("passband app needs the package gradio. Install it with: pip install 'passband[app]'") from error
    from passband.app.server import Server

    server = Server(settings or AppSettings(), open_browser=open_browser)
    if block:
        server.wait()
    return server
