"""What the commands share of the screen."""

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class Steps(ProgressColumn):
    """`3/10 steps`, once it is known how many there are."""

    def render(self, task: Task) -> Text:
        """The text of a bar."""
        return Text("" if task.total is None else f"{task.completed:g}/{task.total:g} steps")


def progress_bar(*columns: str | ProgressColumn) -> Progress:
    """A progress bar on standard error, with these texts and columns after it; it disappears when done.

    What a command prints meanwhile appears above the bar, or goes where standard output is sent.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *[TextColumn(column) if isinstance(column, str) else column for column in columns],
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )


def named(source: Path, error: str) -> str:
    """An error with its file's name, once."""
    return error if str(source) in error else f"{source}: {error}"
