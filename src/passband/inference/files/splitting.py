"""Splits long jobs into parts, which several workers do at the same time before the job itself is run."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from passband.inference.files.naming import Job
from passband.inference.files.pieces import Piece


@dataclass(frozen=True)
class PartPiece(Piece):
    """The work on a part of a job."""

    job: Job
    number: int | None
    """The number of the part, from 0; None to find out which parts are missing."""
    companion: Any = None
    """The path of the companion of the job, or None if it gets none."""

    @property
    def path(self) -> Any:
        """The path of the source."""
        return self.job.source

    @property
    def is_long(self) -> bool:
        """Whether the work may take hours."""
        return True

    def failed(self, reason: str) -> "PartDone":
        """Return the result if the part failed. The job itself then does the rest, and reports the reason."""
        return PartDone(self, is_last=True)


@dataclass(frozen=True)
class PartDone:
    """The result of the work on a part.

    Attributes:
        piece: the piece.
        is_last: whether no part behind this one has to be done.
        finished: numbers of the parts that an earlier run has finished.
        resumed: number of frames of these parts.
        notes: sentences for the user.
    """

    piece: PartPiece
    is_last: bool = False
    finished: frozenset[int] = frozenset()
    resumed: int = 0
    notes: tuple[str, ...] = ()


@dataclass
class _SplitJob:
    """A job whose parts are done by several workers."""

    task: Any
    first: PartPiece
    begun: float
    plan: PartDone | None = None
    is_ended: bool = False
    number: int = 0
    running: int = 0

    def next_part(self) -> PartPiece | None:
        """Return the next part to do; None if there is none at present."""
        if self.is_ended or (self.running and self.plan is None):
            return None
        self.running += 1
        if self.plan is None:
            return self.first
        while self.number in self.plan.finished:
            self.number += 1
        self.number += 1
        return replace(self.first, number=self.number - 1)

    def take(self, result: PartDone) -> None:
        """Take the result of a part."""
        self.running -= 1
        self.is_ended |= result.is_last
        if result.piece.number is None:
            self.plan = result

    @property
    def is_ready(self) -> bool:
        """Whether all parts are done, so that the job itself can be run."""
        return self.is_ended and not self.running


@dataclass
class PartsFeed:
    """An iterator over pieces of work in which some jobs are split into parts.

    It ends when there is nothing to do at present, and goes on after `take` of a result that changes this.

    Args:
        decided: tasks, and results that are known already.
        splits: function from a task to its first part, which plans the others; None if the task is not split.
    """

    decided: Iterator[Any]
    splits: Callable[[Any], PartPiece | None]
    _jobs: dict[Job, _SplitJob] = field(default_factory=dict)
    _running: dict[Job, _SplitJob] = field(default_factory=dict)

    def __iter__(self) -> "PartsFeed":
        return self

    def __next__(self) -> Any:
        for key, job in self._jobs.items():
            if job.is_ready:
                self._running[key] = self._jobs.pop(key)
                return job.task
        for job in self._jobs.values():
            if (piece := job.next_part()) is not None:
                return piece
        item = next(self.decided)
        if not isinstance(item, Piece) or (first := self.splits(item)) is None:
            return item
        job = self._jobs[first.job] = _SplitJob(item, first, time.monotonic())
        piece = job.next_part()
        assert piece is not None, "a new job has a part that plans the others"
        return piece

    def take(self, result: PartDone) -> None:
        """Take the result of a part.

        Args:
            result: the result.
        """
        self._jobs[result.piece.job].take(result)

    def plan_of(self, job: Job) -> tuple[PartDone, float] | None:
        """Return the plan of a split job that is complete now, and the seconds since it began; None for other jobs.

        Args:
            job: the job.
        """
        split = self._running.pop(job, None)
        return None if split is None or split.plan is None else (split.plan, time.monotonic() - split.begun)
