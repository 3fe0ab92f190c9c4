"""Ends commands that signals interrupt, after they have removed their unfinished files."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer

from passband.cli.shared.console import say
from passband.cli.shared.parallel import is_first

INTERRUPTED = "Interrupted. Finished files are kept."
"""Sentence that an interrupted command prints."""
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a command as Ctrl-C does: the end of a service or a job, and the end of a terminal."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals end a block by a `KeyboardInterrupt`, so that it removes its temporary files, and print a sentence.

    The second signal ends the process at once. Signals that are ignored, as by `nohup`, stay ignored. An error after a
    signal counts as the interruption, because other packages may turn a `KeyboardInterrupt` into errors of their own.

    Raises:
        typer.Exit: with the status 128 + number of the signal, if the block was interrupted.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_DFL)
        received.append(number)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # other threads cannot set handlers
        found = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
        before = {number: one for number, one in found.items() if one in (signal.SIG_DFL, signal.default_int_handler)}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    except typer.Exit:  # the command has printed a sentence of its own
        if received:
            raise typer.Exit(128 + received[-1]) from None
        raise
    except (KeyboardInterrupt, Exception) as error:
        if not (received or isinstance(error, KeyboardInterrupt)):
            raise
        if is_first():
            say(INTERRUPTED, err=True)
        raise typer.Exit(128 + (received or [signal.SIGINT])[-1]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
