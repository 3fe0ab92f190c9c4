"""Shows the progress of commands that work on many files, a line for each file, and a summary at the end."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from passband.cli.shared.console import progress_bar, say
from passband.naming import by_kind, printable

if TYPE_CHECKING:
    from passband.data.finding import PassedOver

PACE = 10.0
"""Seconds between two lines of progress if standard error is not a terminal, which cannot show a bar."""
NOTES = 3
"""Number of files whose note of the same kind is printed. The summary counts the other files."""
REDRAW = 0.1
"""Seconds between two changes of the bar: thousands of files that are skipped take longer to draw than to find."""
RESUME_HINT = "Run the same command again to continue. Finished files are skipped."
"""Sentence that Ctrl-C prints for commands that skip finished files."""


class FileRun:
    """Counts and prints the files of a command, one after the other.

    Args:
        doing: verb for the progress bar, such as `restoring`.
        done: participle for the files of the summary that succeeded, such as `restored`.
        names: names of all files, in their order; None if their number is not known.
        quiet: whether to print failures only.
        verbose: whether to print the notes of all files. Otherwise, notes that differ in numbers only are printed for
            `NOTES` files, and the summary counts the other files.
    """

    def __init__(
        self, doing: str, done: str, names: Sequence[str] | None, *, quiet: bool = False, verbose: bool = False
    ):
        self.doing, self.done, self.quiet, self.verbose = doing, done, quiet, verbose
        self.names = [printable(name) for name in names or ()]
        self.total = None if names is None else len(self.names)
        self.counts: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self._notes: dict[str, tuple[str, int]] = {}  # of each kind, the first note and the number of its files
        counted = "{task.completed:g}" if names is None else "{task.completed:g}/{task.total:g}"
        self._bar = progress_bar(counted, "{task.fields[text]}", hidden=quiet)
        self._files = self._bar.add_task(doing, total=self.total, text=self.names[0] if self.names else "")
        self._part = self._bar.add_task("", total=1, visible=False, text="")
        self._started = time.monotonic()
        self._due = self._started + PACE
        self._drawn = 0.0

    @contextmanager
    def shown(self, resume_hint: str) -> Iterator[None]:
        """Show progress within a `with` block. Ctrl-C ends the block and prints the number of finished files.

        Args:
            resume_hint: sentence that says how to continue after Ctrl-C.

        Raises:
            typer.Exit: with status 130, if the block was interrupted.
        """
        try:
            with self._bar:
                yield
        except KeyboardInterrupt:
            ended = self.counts.total()
            of_all = "" if self.total is None else f" of {self.total}"
            say(f"Interrupted: {ended}{of_all} files are done ({self._summary()}). {resume_hint}", err=True)
            raise typer.Exit(130) from None

    def part(self, done: float, total: float | None, text: str, seconds_left: float | None) -> None:
        """Show the progress within the current file, with a bar of its own.

        Args:
            done: finished part of `total`, in the same unit.
            total: size of the whole file, such as its number of frames; None if it is not known.
            text: progress in words, such as `42 %`.
            seconds_left: estimated time to the end of the file in seconds; None if it is not known.
        """
        left = "" if seconds_left is None else f", {duration(seconds_left)} left"
        self._bar.update(self._part, completed=done, total=total, text=text + left, visible=True)
        self._print_progress(text + left)

    def finished(
        self, line: str = "", findings: Sequence[str] = (), again: str = "", *, is_alone: bool = False
    ) -> None:
        """Count a file that succeeded.

        Args:
            line: line to print on standard output.
            findings: lines to print on standard error, which belong to the result.
            again: reason why the file was processed again; empty if it was new.
            is_alone: whether the file was left as it was, because this is best.
        """
        if again:
            self.again[again] += 1
        if line and not self.quiet:
            say(line)
        for finding in () if self.quiet else findings:
            say(finding, err=True)
        self._next("alone" if is_alone else "done")

    def note(self, source: object, notes: Sequence[str]) -> None:
        """Print notes about a file, unless enough files had the same note.

        Args:
            source: name of the file.
            notes: sentences. The pages of one file may have the same note with other numbers, which is printed once.
        """
        for kind, (note, *_) in by_kind(notes).items():
            first, count = self._notes.get(kind, (note, 0))
            self._notes[kind] = first, count + 1
            if not self.quiet and (self.verbose or count < NOTES):
                say(f"{source}: {note}", err=True)

    def skipped(self) -> None:
        """Count a file that was finished earlier."""
        self._next("skipped")

    def failed(self, reason: str) -> None:
        """Count a file that failed, and print the reason."""
        say(f"failed: {reason}", err=True)
        self._next("failed")

    def end(self, passed: "Sequence[PassedOver]" = (), *, after: str = "") -> None:
        """Print the summary.

        Args:
            passed: files that were passed over, for example because they are no images.
            after: text at the end of the first line.

        Raises:
            typer.Exit: with status 1, if a file failed.
        """
        from passband.data.finding import kinds_passed_over

        others = kinds_passed_over(passed)
        if not self.quiet:
            for note, count in () if self.verbose else self._notes.values():
                if count > NOTES:
                    more = "file has" if count == NOTES + 1 else "files have"
                    say(f"{count - NOTES} more {more} this note: {note}", err=True)
            say(self._summary() + after, err=True)
            if others:
                say(others, err=True)
        if self.counts["failed"]:
            raise typer.Exit(1)

    def _summary(self) -> str:
        """Return the numbers of files that were finished, left alone, skipped and failed, in words."""
        reasons = ", ".join(
            f"{reason} {count}" if len(self.again) > 1 else reason for reason, count in self.again.items()
        )
        again = f" ({self.again.total()} again: {reasons})" if self.again else ""
        skipped = self.counts["skipped"]
        existing = f", {skipped} skipped (done earlier; use --overwrite to do them again)" if skipped else ""
        left = self.counts["alone"]
        alone = f", {left} left alone (--weights general restores them anyway)" if left else ""
        return f"{self.counts['done']} {self.done}{alone}{again}{existing}, {self.counts['failed']} failed"

    def _next(self, count: str) -> None:
        """Count the current file, and move on to the next one."""
        self.counts[count] += 1
        ended, now = self.counts.total(), time.monotonic()
        if now - self._drawn >= REDRAW or ended == self.total:
            self._drawn = now
            name = self.names[ended] if ended < len(self.names) else ""
            self._bar.update(self._files, completed=ended, text=name)
            self._bar.update(self._part, completed=0, visible=False)
        if self.total is None or ended < self.total:
            self._print_progress("")

    def _print_progress(self, text: str) -> None:
        """Print a line of progress if `PACE` seconds have passed and no bar is shown."""
        if self.quiet or self._bar.console.is_terminal or time.monotonic() < self._due:
            return
        ended = self.counts.total()
        self._due = time.monotonic() + PACE
        if self.total is None:
            say(f"{self.doing}: {ended} finished", err=True)
            return
        if not text and ended:
            left = (time.monotonic() - self._started) / ended * (len(self.names) - ended)
            text = f"about {duration(left)} left"
        name = self.names[ended] if ended < len(self.names) else ""
        say(f"{self.doing} {min(ended + 1, len(self.names))} of {len(self.names)}: {name}, {text}", err=True)


def duration(seconds: float) -> str:
    """Return a time in words, such as `40 s`, `12 min` or `1.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
