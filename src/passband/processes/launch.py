"""Starts the processes of a run on this machine, and watches them."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from passband.processes.signals import STOPPING

ERROR_FILE = "PASSBAND_ERROR_FILE"
"""Environment variable with the path of the file to which a process writes its error, in place of printing it."""
PARENT = "PASSBAND_LAUNCHER"
"""Environment variable with the id of the launching process."""
PATIENCE = 10.0
"""Seconds in which the other processes may end by themselves after one has failed."""
POLL = 0.1
"""Seconds between two looks at the processes."""


class LaunchError(RuntimeError):
    """Raised if a process of a run fails. The message says which one, and why."""


def launch(command: Sequence[str], processes: int, threads: int | None = None) -> int:
    """Run a command in several processes that find each other as those of torchrun do, and wait for them.

    SIGTERM, SIGUSR1 and SIGINT are passed on to all processes.

    Args:
        command: command with its arguments.
        processes: number of processes.
        threads: threads of each process for computations; None takes OMP_NUM_THREADS, or else shares the cores.

    Returns:
        Exit status: 0 if all processes finished, or 128 plus the number of a signal that made all of them stop cleanly.

    Raises:
        LaunchError: if a process fails or is killed. The others are stopped.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "OMP_NUM_THREADS": str(threads or os.environ.get("OMP_NUM_THREADS") or max(1, cores // processes)),
        PARENT: str(os.getpid()),
    }
    with TemporaryDirectory(prefix="passband-") as folder:
        errors = [Path(folder) / str(number) for number in range(processes)]
        started: list[subprocess.Popen[bytes]] = []
        with _passing_on(started):
            try:
                for number, error in enumerate(errors):
                    own = {"RANK": str(number), "LOCAL_RANK": str(number), ERROR_FILE: str(error)}
                    # a session of its own: Ctrl-C in a terminal reaches a process once, through this one
                    started.append(
                        subprocess.Popen(command, env={**os.environ, **shared, **own}, start_new_session=True)
                    )
                return _watched(started, errors)
            finally:
                for process in started:
                    if process.poll() is None:
                        process.kill()
                        process.wait()


def watch_launcher() -> None:
    """End this process at once if the process that launched it ends, so that no process trains unseen."""
    parent = int(os.environ.get(PARENT, "0"))
    if not parent or not hasattr(os, "getppid"):
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(5 * POLL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def report_error(text: str, is_consequence: bool) -> bool:
    """Leave an error to the launching process, which prints one error for all processes.

    Args:
        text: message of the error.
        is_consequence: whether the error only says that another process ended.

    Returns:
        Whether there is a launching process.
    """
    path = os.environ.get(ERROR_FILE)
    if not path:
        return False
    with suppress(OSError):
        Path(path).write_text("" if is_consequence else text, encoding="utf-8")
    return True


def _watched(started: Sequence[subprocess.Popen[bytes]], errors: Sequence[Path]) -> int:
    """Wait for all processes, and return their common exit status."""
    deadline: float | None = None
    ended: list[int] = []  # numbers of processes that failed, in the order of their ends
    while any(process.poll() is None for process in started):
        ended += [number for number, one in enumerate(started) if one.poll() and number not in ended]
        if ended and deadline is None:
            deadline = time.monotonic() + PATIENCE
        if deadline is not None and time.monotonic() >= deadline:
            for process in started:
                process.kill()
        time.sleep(POLL)
    ended += [number for number, one in enumerate(started) if one.returncode and number not in ended]
    codes = {process.returncode for process in started}
    if codes == {0} or (len(codes) == 1 and codes <= {128 + number for number in (*STOPPING, signal.SIGINT)}):
        return codes.pop()
    texts = {number: errors[number].read_text(encoding="utf-8") for number in ended if errors[number].exists()}
    # a process without a file was killed; one with an empty file only lost another process
    first = next((number for number in ended if texts.get(number) != ""), ended[0])
    if texts.get(first):
        raise LaunchError(f"process {first + 1} of {len(started)}: {texts[first]}")
    code = started[first].returncode
    way = f"was ended by the signal {signal.Signals(-code).name}" if code < 0 else f"ended with the status {code}"
    raise LaunchError(
        f"process {first + 1} of {len(started)} {way}, so the others were stopped. If the memory was full, use fewer "
        "processes or a smaller data.batch. If the run has a checkpoint, continue it with --resume"
    )


@contextmanager
def _passing_on(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Pass signals on to processes while the block runs."""

    def send(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, send) for number in (*STOPPING, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    """Return a port of this machine that no process uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
