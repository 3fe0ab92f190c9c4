"""What the commands share of the screen."""

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar(*texts: str) -> Progress:
    """A progress bar on standard error, with these texts after it; it disappears when done.

    What a command prints meanwhile appears above the bar, or goes where standard output is sent.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *[TextColumn(text) for text in texts],
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )


def named(source: Path, error: str) -> str:
    """An error with its file's name, once."""
    return error if str(source) in error else f"{source}: {error}"
