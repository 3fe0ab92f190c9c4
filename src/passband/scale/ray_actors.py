"""Runs pieces of work in actors of Ray, on this machine or on a cluster."""

import os
import pickle
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.inference.files.pieces import Piece
from passband.io.storage import ScaleError
from passband.scale.local import Share
from passband.scale.schedule import Event, WorkersExecutor


@dataclass(frozen=True)
class RayActors(WorkersExecutor):
    """Runs pieces of work in actors of Ray, see `inference.files.pieces.Executor`.

    Each actor loads the network once. Paths must mean the same files on all machines. If Ray is not running and
    `RAY_ADDRESS` is not set, Ray is started on this machine.

    Args:
        workers: number of actors; 0 for one for each CPU of the cluster, or each GPU if it has some.
        in_order: whether results keep the order of the files; otherwise they come as they are finished.
        timeout: seconds after which an image counts as failed, and its actor is ended; None for no limit.
        video_timeout: the same for videos.

    Raises:
        ScaleError: if Ray is not installed.
        ValueError: if the number of workers is below 0, or a time limit is not above 0.
    """

    workers: int = 0

    def __post_init__(self):
        if self.workers < 0:
            raise ValueError(f"RayActors needs 0 workers or more, got {self.workers}")
        super().__post_init__()
        _ray()

    def _crew(self) -> "_RayCrew":
        return _RayCrew(self.workers)


def _ray() -> Any:
    """Import Ray.

    Raises:
        ScaleError: if it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ScaleError(
            "the executor ray needs the package ray, which is not installed: pip install 'passband[ray]'"
        ) from error
    return ray


class Actor:
    """An actor: it holds the function that runs a piece.

    Args:
        payload: pickle of the function.
        share: share of the actor in its machine.
        folder: folder in which the command was started, for relative paths.
    """

    def __init__(self, payload: bytes, share: Share, folder: str):
        if Path(folder).is_dir():
            os.chdir(folder)
        share.take()
        self._run = pickle.loads(payload)

    def ready(self) -> None:
        """Return as soon as the actor is ready."""

    def run(self, piece: Piece) -> Any:
        """Run a piece.

        Args:
            piece: piece of work.
        """
        return self._run(piece)


class _RayWorker:
    """An actor, and the results that it owes: first that it is ready, then those of pieces."""

    def __init__(self, actor: Any):
        self.actor = actor
        self.owed = deque([(True, actor.ready.remote())])

    def send(self, piece: Piece) -> None:
        """Give it a piece."""
        self.owed.append((False, self.actor.run.remote(piece)))

    def kill(self) -> None:
        """End it."""
        with suppress(Exception):  # whatever is wrong with an actor that has died already
            _ray().kill(self.actor, no_restart=True)

    def event(self) -> Event:
        """Return the message that is there."""
        ray = _ray()
        is_start, reference = self.owed.popleft()
        try:
            return Event("ready" if is_start else "result", ray.get(reference))
        except ray.exceptions.RayActorError as error:
            if is_start and "creation task" in str(error):
                return Event("broken", f"an actor cannot start: {str(error).strip().splitlines()[-1]}")
            return Event("died", "an actor of Ray ended, probably for lack of memory or because a machine was lost")


class _RayCrew:
    """Actors that have the payload."""

    def __init__(self, workers: int):
        ray = _ray()
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        resources = ray.cluster_resources()
        self._on_gpus = resources.get("GPU", 0) >= 1
        self.size = workers or max(1, int(resources.get("GPU" if self._on_gpus else "CPU", 1)))
        self._machines = max(1, sum(node["Alive"] for node in ray.nodes()))
        self._cpus = 1 if self.size <= resources.get("CPU", 1) else resources.get("CPU", 1) / self.size
        self._gpus = min(1.0, resources["GPU"] / self.size) if self._on_gpus else 0
        self._workers: list[_RayWorker] = []

    def start(self, payload: bytes) -> _RayWorker:
        """Start an actor."""
        # Ray sets the number of threads and the visible GPUs of an actor itself
        share = Share(0, -(-self.size // self._machines), None)
        made = _ray().remote(Actor).options(num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=0)
        worker = _RayWorker(made.remote(payload, share, str(Path.cwd())))
        self._workers.append(worker)
        return worker

    def wait(self, workers: Sequence[_RayWorker], seconds: float | None) -> list[tuple[_RayWorker, Event]]:
        """Wait for messages of some actors."""
        first = {worker.owed[0][1]: worker for worker in workers}
        ready, _ = _ray().wait(list(first), num_returns=1, timeout=seconds)
        return [(first[reference], first[reference].event()) for reference in ready]

    def close(self) -> None:
        """End all actors."""
        for worker in self._workers:
            worker.kill()
