"""Ends commands that signals interrupt, after they have removed their unfinished files."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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

    The second signal ends the process at once. Signals that are ignored, as by `nohup`, stay ignored.

    Raises:
        typer.Exit: with the status 128 + number of the signal, if the block was interrupted.
    """
    received: list[int] = [signal.SIGINT]

    def interrupt(number: int, frame: FrameType | None) -> None:
        for one in handled:
            signal.signal(one, signal.SIG_DFL)
        received.append(number)
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()  # other threads cannot set handlers
    handled = [number for number in ENDING if is_main and signal.getsignal(number) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if is_first():
            say(INTERRUPTED, err=True)
        raise typer.Exit(128 + received[-1]) from None
    except typer.Exit as ended:
        if received[-1] != signal.SIGINT:  # the command has printed a sentence of its own
            raise typer.Exit(128 + received[-1]) from None
        raise ended
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
