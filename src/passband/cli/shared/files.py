"""What commands that work on many files show: how far they are, a line for each file, and a summary that is true."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from passband.cli.shared.console import progress_bar, say
from passband.naming import printable

if TYPE_CHECKING:
    from passband.data.finding import PassedOver

PACE = 10.0
"""Seconds between two lines of progress where no bar can be seen."""
GOES_ON = "Run the same command again to go on: what is done is skipped."
"""What Ctrl-C says of commands that skip what is done."""


class FileRun:
    """The files of a command, one after the other.

    Args:
        doing: what the command does with them: `restoring`.
        done: what has become of those that ended well, for the summary: `restored`.
        names: of the files, in their order.
        quiet: show failures alone.
    """

    def __init__(self, doing: str, done: str, names: Sequence[str], *, quiet: bool = False):
        self.doing, self.done, self.quiet = doing, done, quiet
        self.names = [printable(name) for name in names]
        self.counts: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self._bar = progress_bar("{task.completed:g}/{task.total:g}", "{task.fields[text]}", hidden=quiet)
        self._files = self._bar.add_task(doing, total=len(names), text=self.names[0] if names else "")
        self._part = self._bar.add_task("", total=1, visible=False, text="")
        self._started = time.monotonic()
        self._due = self._started + PACE

    @contextmanager
    def shown(self, goes_on: str) -> Iterator[None]:
        """Show progress within the block. Ctrl-C ends it with what is done, and how to go on.

        Args:
            goes_on: a sentence that says how.

        Raises:
            typer.Exit: with status 130 where it was interrupted.
        """
        try:
            with self._bar:
                yield
        except KeyboardInterrupt:
            ended = self.counts.total()
            say(f"Interrupted: {ended} of {len(self.names)} files are done ({self._summary()}). {goes_on}", err=True)
            raise typer.Exit(130) from None

    def part(self, done: float, total: float | None, text: str, seconds_left: float | None) -> None:
        """Show how far the present file is.

        Args:
            done: of `total`; a bar of its own shows them.
            total: None where it is not known.
            text: what is done, in words: `42 %`.
            seconds_left: None where that is not known.
        """
        left = "" if seconds_left is None else f", {duration(seconds_left)} left"
        self._bar.update(self._part, completed=done, total=total, text=text + left, visible=True)
        self._tell(text + left)

    def finished(self, line: str = "", notes: Sequence[str] = (), again: str = "") -> None:
        """Count a file that ended well.

        Args:
            line: printed on standard output.
            notes: printed on standard error.
            again: why it was done again.
        """
        if again:
            self.again[again] += 1
        if line and not self.quiet:
            say(line)
        for note in () if self.quiet else notes:
            say(note, err=True)
        self._next("done")

    def skipped(self) -> None:
        """Count a file that was done before."""
        self._next("skipped")

    def failed(self, reason: str) -> None:
        """Count a file that failed, and say why."""
        say(f"failed: {reason}", err=True)
        self._next("failed")

    def end(self, passed: "Sequence[PassedOver]" = (), *, after: str = "") -> None:
        """Print the summary.

        Args:
            passed: files that were passed over.
            after: ends the first line.

        Raises:
            typer.Exit: with status 1 where a file failed.
        """
        from passband.data.finding import kinds_passed_over

        others = kinds_passed_over(passed)
        if not self.quiet:
            say(self._summary() + after, err=True)
            if others:
                say(others, err=True)
        if self.counts["failed"]:
            raise typer.Exit(1)

    def _summary(self) -> str:
        """How many files became what."""
        reasons = ", ".join(
            f"{reason} {count}" if len(self.again) > 1 else reason for reason, count in self.again.items()
        )
        again = f" ({self.again.total()} again: {reasons})" if self.again else ""
        skipped = self.counts["skipped"]
        kept = f", {skipped} skipped (done before; --overwrite does them again)" if skipped else ""
        return f"{self.counts['done']} {self.done}{again}{kept}, {self.counts['failed']} failed"

    def _next(self, count: str) -> None:
        """Go on to the next file."""
        self.counts[count] += 1
        ended = self.counts.total()
        name = self.names[ended] if ended < len(self.names) else ""
        self._bar.update(self._files, completed=ended, text=name)
        self._bar.update(self._part, completed=0, visible=False)
        if ended < len(self.names):
            self._tell("")

    def _tell(self, text: str) -> None:
        """Print a line of progress, if it is time and nobody sees a bar."""
        if self.quiet or self._bar.console.is_terminal or time.monotonic() < self._due:
            return
        ended = self.counts.total()
        self._due = time.monotonic() + PACE
        if not text and ended:
            left = (time.monotonic() - self._started) / ended * (len(self.names) - ended)
            text = f"about {duration(left)} left"
        name = self.names[ended] if ended < len(self.names) else ""
        say(f"{self.doing} {min(ended + 1, len(self.names))} of {len(self.names)}: {name}, {text}", err=True)


def duration(seconds: float) -> str:
    """A time in words: `40 s`, `12 min`, `1.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
