"""What the commands share of the screen."""

import sys
import time
from io import TextIOWrapper
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from passband.naming import printable

if TYPE_CHECKING:
    from passband.training import StepReport

PACE = 30.0
"""Seconds between two lines of progress where no bar can be seen."""


def say(text: str, *, err: bool = False) -> None:
    """Print a line, whatever is in it: characters that cannot be printed are shown by their escapes.

    Args:
        text: a line; a name of a file in it may hold any characters.
        err: on standard error.
    """
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


def accept_any_name() -> None:
    """Let standard output and standard error show, by its escape, what their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def progress_bar(*columns: str | ProgressColumn, hidden: bool = False) -> Progress:
    """A progress bar on standard error, with these texts and columns after it; it disappears when done.

    What a command prints meanwhile appears above the bar, or goes where standard output is sent.

    Args:
        columns: texts, with the fields of a task in braces, or columns.
        hidden: show nothing.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        # a name such as [1].png is no markup
        *[TextColumn(column, markup=False) if isinstance(column, str) else column for column in columns],
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=hidden or not console.is_terminal,  # a bar that nobody sees would leave an empty line
    )


class TrainingProgress:
    """The steps of a training on standard error: a bar, or where none can be seen a line every `PACE` seconds.

    Args:
        name: of the run.
    """

    def __init__(self, name: str):
        self.name, self.steps = name, 0
        self._bar = progress_bar(_Steps(), "{task.fields[figures]}")
        self._task = self._bar.add_task(name, total=None, figures="")
        self._due = 0.0

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, step: "StepReport", name: str | None = None) -> None:
        """Show a step, of the run called so where there are several."""
        self.steps = step.steps
        shown = name or self.name
        figures = [f"loss {step.loss:.4g}", *(f"{key} {value:.2f}" for key, value in step.figures.items())]
        text = "  ".join([*figures, f"{step.images_per_second:.1f} images/s"])
        self._bar.update(self._task, description=shown, completed=step.step, total=step.steps, figures=text)
        if not self._bar.console.is_terminal and (time.monotonic() >= self._due or step.step == step.steps):
            print(f"{shown}: step {step.step} of {step.steps}  {text}", file=sys.stderr, flush=True)
            self._due = time.monotonic() + PACE


class _Steps(ProgressColumn):
    """`3/10 steps`, once it is known how many there are."""

    def render(self, task: Task) -> Text:
        """The text of a bar."""
        return Text("" if task.total is None else f"{task.completed:g}/{task.total:g} steps")
