"""Runs the work of the page in processes that can be ended at any time, and shares them fairly among people."""

import asyncio
import itertools
import logging
import pickle
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import Any, Literal

from passband.app.work.requests import Failure, Request, answer
from passband.inference.files.restoring import ImageProgress
from passband.inference.video.streaming import VideoProgress
from passband.naming import counted
from passband.scale.local import LocalCrew, LocalWorker

_log = logging.getLogger(__name__)

GRACE = 0.5
"""Time in seconds that a worker gets to end by itself when its job is canceled."""
UNSEEN = 20.0
"""Time in seconds after which a job is canceled if nobody follows it any longer."""
STEP = 0.1
"""Time in seconds between two looks at a job that is followed."""
SOON = 1.0
"""Time in seconds in which a job is looked at more often, because most work on frequencies ends in it."""
FAILED_STARTS = 3
"""Number of workers in a row that may die while they start, before waiting jobs fail."""
CANCELED = "The work was canceled."

State = Literal["waiting", "running", "done", "failed"]


@dataclass
class Job:
    """One request, from its arrival to its result.

    Attributes:
        person: key of the person who asked.
        request: the work.
        state: state of the work.
        share: share that is done, 0 to 1; None if it is not known.
        seconds_left: estimate of the time left in seconds; None if it is not known.
        limit: limit of the page in words, if the job is expected to take longer; empty otherwise.
        ahead: number of jobs that will start before this one.
        result: result of the work, if it is done.
        error: sentence that says why it failed.
    """

    person: str
    request: Request
    state: State = "waiting"
    share: float | None = None
    seconds_left: float | None = None
    limit: str = ""
    ahead: int = 0
    result: Any = None
    error: str = ""
    is_canceled: bool = False
    reports: bool = False
    started: float = 0.0
    seen: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether the job is done or has failed."""
        return self.state in ("done", "failed")

    def fail(self, error: str) -> None:
        """End the job without a result.

        Args:
            error: reason in words that the person reads.
        """
        self.error, self.state = error, "failed"


class Queue:
    """Waiting jobs. Each person in turn gets one, so nobody waits for all files of somebody else."""

    def __init__(self):
        self._of_person: OrderedDict[str, deque[Job]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._of_person.values()))

    def add(self, job: Job) -> None:
        """Add a job after the others of its person.

        Args:
            job: job that has just been made.
        """
        self._of_person.setdefault(job.person, deque()).append(job)

    def take(self) -> Job | None:
        """Remove and return the next job; None if there is none. Its person is then the last in turn."""
        if not self._of_person:
            return None
        person, jobs = self._of_person.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._of_person[person] = jobs
        return job

    def remove(self, job: Job) -> None:
        """Remove a job, if it still waits.

        Args:
            job: job in any state.
        """
        jobs = self._of_person.get(job.person, deque())
        with suppress(ValueError):
            jobs.remove(job)
        if not jobs:
            self._of_person.pop(job.person, None)

    def in_order(self) -> list[Job]:
        """Return all jobs in the order in which they will start."""
        rounds = itertools.zip_longest(*self._of_person.values())
        return [job for jobs in rounds for job in jobs if job is not None]


class Jobs:
    """Runs jobs in worker processes. A worker that dies, hangs or whose job is canceled is replaced at once.

    Args:
        workers: number of processes.
        seconds: longest time of a job in seconds.
        waiting: largest number of waiting jobs.
    """

    def __init__(self, workers: int, seconds: float, waiting: int):
        self._crew = LocalCrew(workers, is_idle=True)
        self._seconds, self._most = seconds, waiting
        self._limit = counted(seconds, "second") if seconds < 60 else counted(seconds / 60, "minute")
        self._queue = Queue()
        self._busy: dict[LocalWorker, Job] = {}
        self._idle: list[LocalWorker] = []
        self._starting: list[LocalWorker] = []
        self._failed_starts = 0
        self._rates: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self._bell, self._ringing = Pipe(duplex=False)
        self._payload = pickle.dumps(answer)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="passband-jobs", daemon=True)
        self._thread.start()

    def submit(self, person: str, request: Request) -> Job:
        """Add a job to the queue.

        Args:
            person: key of the person who asks.
            request: the work.
        """
        job = Job(person, request)
        with self._lock:
            if self._closing:
                job.fail("The page is being closed.")
            elif len(self._queue) >= self._most:
                job.fail(
                    f"{counted(self._most, 'file is', 'files are')} waiting already. Please try again in a few minutes."
                )
            else:
                self._queue.add(job)
                self._count_ahead()
        self._ring()
        return job

    def cancel(self, *jobs: Job) -> None:
        """Cancel jobs. The workers of those that run are ended, and new ones take their places.

        Args:
            jobs: jobs to cancel; those that are over stay as they are.
        """
        with self._lock:
            for job in jobs:
                if job.state == "waiting":
                    self._queue.remove(job)
                    job.fail(CANCELED)
                job.is_canceled = True
        if jobs:  # the thread of the queue calls this in every round, and must not wake itself
            self._ring()

    async def follow(self, *jobs: Job) -> AsyncIterator[tuple[Job, ...]]:
        """Yield the jobs whenever one of them changes, until all are over. Jobs that nobody follows are canceled.

        Args:
            jobs: jobs of one person.
        """
        last: Any = None
        started = time.monotonic()
        try:
            while True:
                now = time.monotonic()
                for job in jobs:
                    job.seen = now
                    self._estimate(job, now)
                is_over = all(job.is_over for job in jobs)  # jobs go on while a caller handles what is yielded
                facts = [(job.state, job.ahead, _rounded(job)) for job in jobs]
                if facts != last:
                    last = facts
                    yield jobs
                if is_over:
                    return
                await asyncio.sleep(STEP if now - started > SOON else STEP / 5)
        finally:
            self.cancel(*(job for job in jobs if not job.is_over))

    async def finish(self, person: str, request: Request) -> Job:
        """Do a request, and return its job when it is over.

        Args:
            person: key of the person who asks.
            request: the work.
        """
        job = self.submit(person, request)
        async for _ in self.follow(job):
            pass
        return job

    def cancel_person(self, person: str) -> None:
        """Cancel all jobs of a person.

        Args:
            person: key of the person.
        """
        with self._lock:
            jobs = [job for job in (*self._queue.in_order(), *self._busy.values()) if job.person == person]
        self.cancel(*jobs)

    @property
    def work(self) -> list[Request]:
        """The requests that wait or are worked on."""
        with self._lock:
            return [job.request for job in (*self._queue.in_order(), *self._busy.values())]

    @property
    def busy(self) -> int:
        """Number of jobs that run."""
        return len(self._busy)

    @property
    def free(self) -> int:
        """Number of workers that are ready for a job."""
        return len(self._idle)

    def close(self) -> None:
        """End all workers. Jobs that are not over fail."""
        self._closing = True
        self._ring()
        self._thread.join(10)
        self._crew.close()

    def _ring(self) -> None:
        with suppress(OSError, ValueError):
            self._ringing.send_bytes(b"1")

    def _run(self) -> None:
        """Serve until the page is closed. An error of this thread must not stop the page."""
        while not self._closing:
            try:
                self._serve_once()
            except Exception:
                _log.exception("the queue of the page failed, and goes on")
                time.sleep(STEP)
        with self._lock:
            for job in (*self._queue.in_order(), *self._busy.values()):
                job.fail("The page is being closed.")

    def _serve_once(self) -> None:
        if self._failed_starts < FAILED_STARTS or self._queue:  # after many failures, only a job is worth another one
            while len(self._busy) + len(self._idle) + len(self._starting) < self._crew.size:
                self._starting.append(self._crew.start(self._payload))
        self._hand_out()
        workers = {worker.connection: worker for worker in (*self._busy, *self._idle, *self._starting)}
        for connection in wait([self._bell, *workers], 0.5):
            if connection is self._bell:
                self._bell.recv_bytes()
            else:
                self._react(workers[connection])  # type: ignore[index]
        self._end_late_ones()

    def _hand_out(self) -> None:
        """Give waiting jobs to free workers."""
        with self._lock:
            while self._idle and (job := self._queue.take()) is not None:
                worker = self._idle.pop()
                job.state, job.started = "running", time.monotonic()
                self._busy[worker] = job
                worker.send(job.request)
            self._count_ahead()

    def _count_ahead(self) -> None:
        for number, job in enumerate(self._queue.in_order()):
            job.ahead = number

    def _react(self, worker: LocalWorker) -> None:
        """React to a message of a worker."""
        event = worker.event()
        job = self._busy.get(worker)
        if event.kind == "ready":
            self._starting.remove(worker)
            self._idle.append(worker)
            self._failed_starts = 0
        elif event.kind == "alive" and job is not None:
            note_progress(job, event.value)
        elif event.kind == "result" and job is not None:
            del self._busy[worker]
            self._idle.append(worker)
            self._end(job, event.value)
        elif event.kind in ("died", "broken"):
            self._lose(worker, str(event.value))

    def _end(self, job: Job, result: Any) -> None:
        """Keep the result of a job, and learn how long such work takes."""
        seconds, kind = time.monotonic() - job.started, job.request.kind
        if isinstance(result, Failure):
            job.fail(result.sentence)
            return
        rate = seconds / max(job.request.size, 0.01)
        self._rates[kind] = rate if kind not in self._rates else 0.7 * self._rates[kind] + 0.3 * rate
        job.result, job.share, job.seconds_left = result, 1.0, 0.0
        job.state = "done"

    def _lose(self, worker: LocalWorker, reason: str) -> None:
        """Forget a worker that died."""
        job = self._busy.pop(worker, None)
        if worker in self._idle:
            self._idle.remove(worker)
        if worker in self._starting:
            self._starting.remove(worker)
            self._failed_starts += 1
            _log.error("a worker of the page cannot start: %s", reason)
            if self._failed_starts >= FAILED_STARTS:
                self._fail_all(f"No worker can start ({reason}). Please tell the person who runs this page.")
                time.sleep(1)
        if job is not None:
            job.fail(f"{job.request.name} stopped the program that worked on it ({reason}).")

    def _fail_all(self, reason: str) -> None:
        with self._lock:
            while (job := self._queue.take()) is not None:
                job.fail(reason)

    def _end_late_ones(self) -> None:
        """End the workers of jobs that were canceled, take too long, or that nobody follows; drop such waiting jobs."""
        now = time.monotonic()
        for worker, job in list(self._busy.items()):
            is_late = now - job.started > self._seconds
            if job.is_canceled or is_late or now - job.seen > UNSEEN:
                worker.kill(GRACE)
                del self._busy[worker]
                job.fail(
                    f"{job.request.name} took longer than {self._limit}, the limit of this page. Use a smaller image "
                    "or a shorter video, or the command line of passband, which has no limit."
                    if is_late and not job.is_canceled
                    else CANCELED
                )
        self.cancel(*(job for job in self._queue.in_order() if now - job.seen > UNSEEN))

    def _estimate(self, job: Job, now: float) -> None:
        """Estimate the progress of a job that reports none, by the time that such work took before, and its end."""
        rate = self._rates.get(job.request.kind)
        if job.state != "running":
            return
        elapsed = now - job.started
        if rate is not None and not job.reports:
            expected = rate * max(job.request.size, 0.01)
            job.share = min(0.95, elapsed / expected)
            job.seconds_left = max(0.0, expected - elapsed)
        job.limit = self._limit if elapsed + (job.seconds_left or 0.0) > self._seconds else ""


def note_progress(job: Job, progress: object) -> None:
    """Keep the progress that a worker reports.

    Args:
        job: the job.
        progress: progress of an image or a video; anything else says only that the worker is alive.
    """
    job.reports = True
    if isinstance(progress, ImageProgress):
        job.share, job.seconds_left = progress.done, progress.seconds_left
    elif isinstance(progress, VideoProgress):
        job.share = progress.done / progress.total if progress.total else None
        job.seconds_left = progress.seconds_left


def _rounded(job: Job) -> tuple[int | None, int | None]:
    """Return the progress in percent and in seconds."""
    share = None if job.share is None else round(100 * job.share)
    return share, None if job.seconds_left is None else round(job.seconds_left)
