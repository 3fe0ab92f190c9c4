"""Chooses the executor of a command by its options."""

from passband.inference.files.pieces import Executor, in_this_process
from passband.naming import suggestion
from passband.scale.local import LocalProcesses
from passband.scale.ray_actors import RayActors
from passband.scale.schedule import TIMEOUT

EXECUTORS = ("local", "ray")
"""Names of executors."""


def choose_executor(
    workers: int = 0, executor: str = "local", timeout: float | None = None, *, in_order: bool = False
) -> Executor:
    """Return the executor of a command.

    Args:
        workers: number of processes; 0 stands for this process alone, and with Ray for a process for each CPU or GPU.
        executor: name of the executor, one of `EXECUTORS`.
        timeout: seconds without progress after which a file counts as failed; 0 for no limit; None for
            `schedule.TIMEOUT`, and for no limit for videos.
        in_order: whether results keep the order of the files.

    Raises:
        ValueError: if the executor is unknown, or a time limit is set without another process that can be ended.
        ScaleError: if Ray is not installed.
    """
    if executor not in EXECUTORS:
        near = suggestion(executor, EXECUTORS)
        raise ValueError(f"executor is one of {', '.join(EXECUTORS)}; got {executor!r}.{near}")
    limits = (TIMEOUT, None) if timeout is None else (timeout or None, timeout or None)
    if executor == "ray":
        return RayActors(workers, in_order, *limits)
    if workers:
        return LocalProcesses(workers, in_order, *limits)
    if timeout is not None:
        raise ValueError("a time limit needs a process that can be ended: use --timeout together with --workers")
    return in_this_process
