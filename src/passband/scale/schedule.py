"""Gives pieces of work to workers, and replaces workers that die or hang; one such worker costs at most one file."""

import pickle
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from passband.inference.files.pieces import Piece

ATTEMPTS = 2
"""Number of times that a piece is given to a worker: once more if the first worker dies."""
STARTS = 3
"""Number of workers in a row that may die while they start, before the work ends with an error."""
AHEAD = 16
"""Number of pieces for each worker that may be finished before an earlier one, if the order is kept."""
TIMEOUT = 600.0
"""Seconds without progress after which a file that is not a video counts as hanging."""


class WorkersError(RuntimeError):
    """No worker can start. The message says why, and what to do."""


@dataclass(frozen=True)
class Event:
    """A message of a worker.

    Attributes:
        kind: `ready` after its start; `alive` if its piece makes progress, with the progress; `result`; `broken` if it
            cannot start, with an error; `died`.
        value: the progress, the result, or the reason in words.
    """

    kind: Literal["ready", "alive", "result", "broken", "died"]
    value: Any = None


@runtime_checkable
class Worker(Protocol):
    """A process that runs pieces, one at a time."""

    def send(self, piece: Piece) -> None:
        """Give it a piece.

        Args:
            piece: piece of work, which can be pickled.
        """
        ...

    def kill(self) -> None:
        """End it at once, whatever it does."""
        ...


@runtime_checkable
class Crew(Protocol):
    """The workers of one command."""

    @property
    def size(self) -> int:
        """The largest number of workers."""
        ...

    def start(self, payload: bytes) -> Any:
        """Start a worker.

        Args:
            payload: pickle of the function that runs a piece.
        """
        ...

    def wait(self, workers: Sequence[Any], seconds: float | None) -> Iterable[tuple[Any, Event]]:
        """Wait for messages of some workers.

        Args:
            workers: workers from `start`.
            seconds: time after which an empty list is returned; None for no limit.

        Returns:
            Each worker that has a message, with the message.
        """
        ...

    def close(self) -> None:
        """End all workers."""
        ...


@dataclass(frozen=True)
class WorkersExecutor(ABC):
    """Runs pieces of work on workers, see `inference.files.pieces.Executor`.

    Args:
        workers: number of workers.
        in_order: whether results keep the order of the files; otherwise they come as they are finished.
        timeout: seconds without progress after which an image counts as failed, and its worker is ended; None for no
            limit.
        video_timeout: the same for videos.

    Raises:
        ValueError: if a time limit is not above 0.
    """

    workers: int
    in_order: bool = False
    timeout: float | None = TIMEOUT
    video_timeout: float | None = None

    def __post_init__(self):
        for limit in (self.timeout, self.video_timeout):
            if limit is not None and limit <= 0:
                raise ValueError(f"a time limit is a number of seconds above 0, or None; got {limit}")

    def __call__(self, run: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        """Run a function on pieces of work.

        Args:
            run: function from a piece to its result, which can be pickled and raises no error.
            pieces: pieces of work, and results that are known already.

        Yields:
            The result of each piece.
        """
        return run_pieces(
            self._crew(), run, pieces, in_order=self.in_order, timeout=self.timeout, long_timeout=self.video_timeout
        )

    @abstractmethod
    def _crew(self) -> Crew:
        """Return new workers, none of which is started yet."""


@dataclass
class _Assignment:
    """A piece that a worker has.

    Attributes:
        number: position of the piece in the order.
        attempt: number of workers that had it, with this one.
        limit: seconds that it may take without progress; None for no limit.
        deadline: time by `time.monotonic` at which the worker counts as hanging.
    """

    number: int
    piece: Piece
    attempt: int
    limit: float | None
    deadline: float | None = None

    def renew(self) -> None:
        """Begin the time limit anew."""
        self.deadline = None if self.limit is None else time.monotonic() + self.limit


@dataclass
class _Results:
    """Results that wait to be yielded, in order or as they come."""

    in_order: bool
    ready: deque[Any] = field(default_factory=deque)
    early: dict[int, Any] = field(default_factory=dict)
    following: int = 0

    def add(self, number: int, result: Any) -> None:
        """Add the result of a piece."""
        if not self.in_order:
            self.ready.append(result)
            return
        self.early[number] = result
        while self.following in self.early:
            self.ready.append(self.early.pop(self.following))
            self.following += 1

    def drain(self) -> Iterator[Any]:
        """Yield the results that are ready."""
        while self.ready:
            yield self.ready.popleft()


def run_pieces(
    crew: Crew,
    run: Callable[[Any], Any],
    pieces: Iterable[Any],
    *,
    in_order: bool = False,
    timeout: float | None = TIMEOUT,
    long_timeout: float | None = None,
) -> Iterator[Any]:
    """Run pieces on workers. A worker is started only when there is a piece for it.

    Args:
        crew: workers to use. They are ended with this generator.
        run: function from a piece to its result, which can be pickled and raises no error.
        pieces: pieces, and results that are known already. The next one is taken only when a worker is free. An
            iterator may end and go on later, when results of its pieces have been yielded.
        in_order: whether the results keep the order of the pieces.
        timeout: seconds without progress after which a worker counts as hanging and its piece as failed; None for no
            limit.
        long_timeout: the same for pieces whose `is_long` is true; None for no limit.

    Yields:
        The result of each piece.

    Raises:
        WorkersError: if workers cannot start.
    """
    schedule = _Schedule(crew, pickle.dumps(run), iter(pieces), _Results(in_order), timeout, long_timeout)
    try:
        while True:
            yield from schedule.hand_out()
            yield from schedule.results.drain()
            if not schedule.busy:
                yield from schedule.hand_out()  # results that were just yielded may have made more pieces
                if not schedule.busy:
                    return
            schedule.listen()
    finally:
        crew.close()


class _Schedule:
    """The state of `run_pieces`."""

    def __init__(
        self,
        crew: Crew,
        payload: bytes,
        pieces: Iterator[Any],
        results: _Results,
        timeout: float | None,
        long_timeout: float | None,
    ):
        self.crew, self.payload, self.pieces, self.results = crew, payload, pieces, results
        self.timeout, self.long_timeout = timeout, long_timeout
        self.busy: dict[Any, _Assignment] = {}
        self.idle: list[Any] = []
        self.starting: set[Any] = set()
        self.again: deque[_Assignment] = deque()
        self.taken = self.failed_starts = 0

    def hand_out(self) -> Iterator[Any]:
        """Give pieces to all free workers, and yield results that need no work."""
        while len(self.busy) < self.crew.size:
            if self.again:
                self._give(self.again.popleft())
                continue
            if self.results.in_order and self.taken - self.results.following >= AHEAD * self.crew.size:
                return
            try:
                piece = next(self.pieces)
            except StopIteration:
                return
            number, self.taken = self.taken, self.taken + 1
            if isinstance(piece, Piece):
                limit = self.long_timeout if piece.is_long else self.timeout
                self._give(_Assignment(number, piece, 1, limit))
            else:
                self.results.add(number, piece)
                yield from self.results.drain()

    def listen(self) -> None:
        """Wait until a worker reports something or hangs, and react."""
        deadlines = [one.deadline for one in self.busy.values() if one.deadline is not None]
        seconds = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        for worker, event in self.crew.wait(list(self.busy), seconds):
            self._react(worker, event)
        now = time.monotonic()
        for worker, one in list(self.busy.items()):
            if one.deadline is not None and one.deadline <= now:
                worker.kill()
                del self.busy[worker]
                reason = (
                    f"{one.piece.path}: no progress for {one.limit:g} s, the time limit for a file. If the file only "
                    "needs longer, raise the limit with --timeout"
                )
                self.results.add(one.number, one.piece.failed(reason))

    def _give(self, assignment: _Assignment) -> None:
        """Give a piece to a free worker or a new one."""
        if self.idle:
            worker = self.idle.pop()
            assignment.renew()
        else:
            worker = self.crew.start(self.payload)
            assignment.deadline = None  # the limit begins when the worker is ready
            self.starting.add(worker)
        self.busy[worker] = assignment
        worker.send(assignment.piece)

    def _react(self, worker: Any, event: Event) -> None:
        """React to a message of a worker."""
        assignment = self.busy[worker]
        if event.kind in ("ready", "alive"):
            self.failed_starts = 0
            self.starting.discard(worker)
            assignment.renew()
        elif event.kind == "result":
            del self.busy[worker]
            self.idle.append(worker)
            self.results.add(assignment.number, event.value)
        elif event.kind == "broken":
            raise WorkersError(event.value)
        else:
            del self.busy[worker]
            self._replace(worker, assignment, event.value)

    def _replace(self, worker: Any, assignment: _Assignment, reason: str) -> None:
        """Give the piece of a worker that died to another one, or let it fail."""
        if worker in self.starting:  # the piece is not to blame
            self.starting.discard(worker)
            self.failed_starts += 1
            if self.failed_starts >= STARTS:
                raise WorkersError(f"{STARTS} workers died while they started ({reason}). Use fewer --workers.")
        elif assignment.attempt < ATTEMPTS:
            assignment.attempt += 1
        else:
            failed = assignment.piece.failed(f"{assignment.piece.path}: the worker died {ATTEMPTS} times ({reason})")
            self.results.add(assignment.number, failed)
            return
        self.again.append(assignment)
