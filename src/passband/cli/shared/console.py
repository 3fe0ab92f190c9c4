"""Prints lines safely, and shows progress bars on standard error."""

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
"""Seconds between two lines of progress if standard error is not a terminal, which cannot show a bar."""


def say(text: str, *, err: bool = False) -> None:
    """Print a line. Characters that a terminal cannot show are printed as escapes.

    Args:
        text: line to print, which may contain file names with any characters.
        err: whether to print on standard error.
    """
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


def accept_any_name() -> None:
    """Make standard output and standard error print characters that their encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def progress_bar(*columns: str | ProgressColumn, hidden: bool = False) -> Progress:
    """Return a progress bar on standard error, which disappears when it is done.

    Lines that a command prints meanwhile appear above the bar, or in the file to which standard output is redirected.

    Args:
        columns: columns to the right of the bar: columns of rich, or texts with fields of a task in braces.
        hidden: whether to show nothing.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        # without this a file name such as [1].png would be read as markup
        *[TextColumn(column, markup=False) if isinstance(column, str) else column for column in columns],
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=hidden or not console.is_terminal,  # outside a terminal a bar would leave an empty line
    )


class TrainingProgress:
    """Shows the steps of a training on standard error: as a bar in a terminal, else as a line every `PACE` seconds.

    Args:
        name: name of the run.
    """

    def __init__(self, name: str):
        self.name, self.steps = name, 0
        self._bar = progress_bar(_Steps(), "{task.fields[figures]}")
        self._task = self._bar.add_task(printable(name), total=None, figures="")
        self._due = 0.0

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, step: "StepReport", name: str | None = None) -> None:
        """Show a step.

        Args:
            step: step that was done.
            name: name of its run, if there are several runs; None for the name of this object.
        """
        self.steps = step.steps
        shown = printable(name or self.name)
        figures = [f"loss {step.loss:.4g}", *(f"{key} {value:.2f}" for key, value in step.figures.items())]
        text = "  ".join([*figures, f"{step.images_per_second:.1f} images/s"])
        self._bar.update(self._task, description=shown, completed=step.step, total=step.steps, figures=text)
        if not self._bar.console.is_terminal and (time.monotonic() >= self._due or step.step == step.steps):
            say(f"{shown}: step {step.step} of {step.steps}  {text}", err=True)
            self._due = time.monotonic() + PACE


class _Steps(ProgressColumn):
    """Shows `3/10 steps`, as soon as the number of steps is known."""

    def render(self, task: Task) -> Text:
        """Return the text of this column for a bar."""
        return Text("" if task.total is None else f"{task.completed:g}/{task.total:g} steps")
