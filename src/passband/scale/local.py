"""Runs pieces of work in processes of this machine."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from passband.inference.files.pieces import on_progress
from passband.scale.schedule import Event, WorkersExecutor

WAITING = "OMP_WAIT_POLICY"
"""Variable of the environment that says whether threads of OpenMP sleep while they wait for others, or spin."""
GRACE = 5.0
"""Seconds that a process gets to end by itself, which removes its temporary files, before it is killed."""


@dataclass(frozen=True)
class LocalProcesses(WorkersExecutor):
    """Runs pieces of work in processes of this machine, see `inference.files.pieces.Executor`.

    Each process loads the network once. The processes share torch's threads, the memory and the GPUs of the machine.
    A process that dies is replaced; its file is tried once more, and fails if that process dies also.

    A script that uses processes needs `if __name__ == "__main__":` around its work, because each process imports it.

    Args:
        workers: number of processes, 1 or more.
        in_order: whether results keep the order of the files; otherwise they come as they are finished.
        timeout: seconds without progress after which an image counts as failed, and its process is ended; None for no
            limit. Bands and tiles of a large image are progress.
        video_timeout: the same for videos, whose progress is a batch of frames.

    Raises:
        ValueError: if a number is out of range.
    """

    def __post_init__(self):
        if self.workers < 1:
            raise ValueError(f"LocalProcesses needs 1 worker or more, got {self.workers}")
        super().__post_init__()

    def _crew(self) -> "LocalCrew":
        return LocalCrew(self.workers)


@dataclass(frozen=True)
class Share:
    """The share of a worker in the machine.

    Attributes:
        number: number of the worker, from 0, which picks its GPU.
        workers: number of workers on the machine.
        threads: number of torch's threads of the worker; None leaves the number as it is.
        others: number of bytes that other processes of the command hold.
        most: number of threads instead if they sleep while they wait, because they then hold up no other worker.
    """

    number: int
    workers: int
    threads: int | None
    others: int = 0
    most: int | None = None

    def take(self) -> None:
        """Limit this process to its share."""
        import torch

        from passband.inference.restoration.memory import share_memory

        is_asleep = os.environ.get(WAITING, "").lower() == "passive"
        threads = self.most if is_asleep and self.most is not None else self.threads
        if threads is not None:
            torch.set_num_threads(threads)
        if torch.cuda.is_available():
            torch.cuda.set_device(self.number % torch.cuda.device_count())
        share_memory(self.workers, self.others)


class LocalWorker:
    """A process, and the pipe to it.

    Args:
        context: context of the module multiprocessing that starts the process.
        payload: pickle of the function that runs a piece.
        share: share of the process in the machine.
    """

    def __init__(self, context: Any, payload: bytes, share: Share):
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, payload, share), daemon=True)
        self.process.start()
        other.close()  # so that the pipe ends when the process does

    def send(self, piece: Any) -> None:
        """Give it work that can be pickled; if it has died, the next message says so.

        Args:
            piece: piece of work.
        """
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(pickle.dumps(piece))

    def event(self) -> Event:
        """Return its next message."""
        try:
            kind, value = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join(GRACE)
            self.end(GRACE)
            return Event("died", _death(self.process.exitcode))
        return Event(kind, value)

    def kill(self, grace: float = GRACE) -> None:
        """End it, even if it hangs.

        Args:
            grace: time in seconds that it gets to end by itself, which removes its temporary files.
        """
        self.process.terminate()
        self.end(grace)

    def end(self, seconds: float) -> None:
        """Wait for its end, and kill it if it does not end in time.

        Args:
            seconds: time in seconds that it gets.
        """
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join(GRACE)  # a process that waits for a broken disk or network cannot be killed
        self.connection.close()


class LocalCrew:
    """Processes that have the payload.

    Args:
        size: number of processes.
        is_idle: whether most processes wait for work most of the time. Each of them then uses all threads of torch.
            Otherwise they divide the threads.

    Raises:
        RuntimeError: if a worker imports a script that starts workers again.
    """

    def __init__(self, size: int, *, is_idle: bool = False):
        import psutil
        import torch

        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise RuntimeError(
                "Each worker imports the script that started it, and this script would start workers again. Put its "
                'work below `if __name__ == "__main__":`.'
            )
        self.size = size
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context = multiprocessing.get_context(method)
        if method == "forkserver":
            # the predictor of the command has imported them already, so the workers need them also
            modules = [name for name in list(sys.modules) if name.startswith("passband.inference.")]
            self._context.set_forkserver_preload(modules)
        self._threads = max(1, torch.get_num_threads() // size)
        self._most = torch.get_num_threads() if is_idle else None
        self._others = psutil.Process().memory_info().rss
        self._workers: list[LocalWorker] = []
        self._started = 0

    def start(self, payload: bytes) -> LocalWorker:
        """Start a process."""
        share = Share(self._started % self.size, self.size, self._threads, self._others, self._most)
        self._started += 1
        with _without_interrupts(), nullcontext() if self._most is None else _with_sleeping_threads():
            worker = LocalWorker(self._context, payload, share)
        self._workers = [one for one in self._workers if one.process.exitcode is None] + [worker]
        return worker

    def wait(self, workers: Sequence[LocalWorker], seconds: float | None) -> list[tuple[LocalWorker, Event]]:
        """Wait for messages of some processes."""
        ready = wait([worker.connection for worker in workers], seconds)
        return [(worker, worker.event()) for worker in workers if worker.connection in ready]

    def close(self) -> None:
        """End all processes. Those that work are stopped, and remove their temporary files."""
        alive = [worker for worker in self._workers if worker.process.exitcode is None]
        for worker in alive:
            worker.process.terminate()
        until = time.monotonic() + GRACE
        for worker in alive:
            worker.end(max(0.0, until - time.monotonic()))


def serve(connection: Connection, payload: bytes, share: Share) -> None:
    """Run the pieces that come through a pipe, until the parent closes it or ends.

    Args:
        connection: the pipe.
        payload: pickle of the function that runs a piece.
        share: share of this process in the machine.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C also, and ends this process
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow_parent, daemon=True).start()

    def tell(kind: str, value: Any = None) -> None:
        connection.send_bytes(pickle.dumps((kind, value)))

    try:
        share.take()
        run = pickle.loads(payload)
    except Exception as error:
        tell("broken", f"a worker cannot start: {' '.join(str(error).split()) or type(error).__name__}")
        return
    on_progress(_at_most_every_second(lambda progress: tell("alive", progress)))
    tell("ready")
    with suppress(EOFError, OSError):
        while True:
            tell("result", run(pickle.loads(connection.recv_bytes())))


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not end: a terminal sends it to all, even while they still import modules."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # started within the block, it would end the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _with_sleeping_threads() -> Iterator[None]:
    """Start processes whose threads sleep while they wait, unless the environment says something else.

    Threads of OpenMP spin otherwise. If all processes then use all cores, each becomes several times slower.
    """
    before = os.environ.get(WAITING)
    os.environ.setdefault(WAITING, "passive")
    try:
        yield
    finally:
        if before is None:
            del os.environ[WAITING]


def _leave(number: int, frame: object) -> None:
    """End this process by an error that runs all `finally` blocks, once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _follow_parent() -> None:
    """End this process soon after its parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        with suppress(OSError):
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)


def _at_most_every_second(function: Callable[[object], None]) -> Callable[[object], None]:
    """Return a function of the progress that calls another one at most once in a second."""
    last = -1.0

    def call(progress: object) -> None:
        nonlocal last
        if time.monotonic() - last >= 1:
            last = time.monotonic()
            function(progress)

    return call


def _death(status: int | None) -> str:
    """Return the reason of the death of a process in words."""
    if status == -9:
        return "killed by the system, probably for lack of memory"
    if status is not None and status < 0:
        return f"ended by signal {-status}"
    return f"ended with status {status}"
