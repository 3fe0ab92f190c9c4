"""Pieces of work on files, and executors that run them: this process, or the processes of the room `scale`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


class Piece(ABC):
    """The work on one file, which can be sent to another process."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The path of the file, for messages."""

    @property
    def is_long(self) -> bool:
        """Whether the work may take hours, so that no time limit is set unless the user sets one."""
        return False

    @abstractmethod
    def failed(self, reason: str) -> Any:
        """Return the result of this piece if it failed.

        Args:
            reason: sentence that says why.
        """


@runtime_checkable
class Executor(Protocol):
    """A way to run pieces of work."""

    def __call__(self, run: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        """Run a function on pieces of work.

        Args:
            run: function from a piece to its result, which raises no error. It can be pickled.
            pieces: pieces of work, and results that are known already, which need no work. The executor takes the next
                one only when it can run it, so that any number of pieces needs little memory.

        Yields:
            The result of each piece.
        """
        ...


def in_this_process(run: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
    """Run pieces of work one by one in this process.

    Args:
        run: function from a piece to its result, as for `Executor`.
        pieces: pieces of work, and results that are known already.

    Yields:
        The result of each piece, in the order of the pieces.
    """
    for piece in pieces:
        yield run(piece) if isinstance(piece, Piece) else piece


_ON_PROGRESS: list[Callable[[object], None]] = []


def on_progress(function: Callable[[object], None]) -> None:
    """Set the function that this process calls when a file makes progress.

    Args:
        function: function of the progress, such as one that tells another process that this one does not hang.
    """
    _ON_PROGRESS[:] = [function]


def report_progress(progress: object) -> None:
    """Report progress within a file to the function of `on_progress`, if there is one.

    Args:
        progress: progress in any form.
    """
    for function in _ON_PROGRESS:
        function(progress)
