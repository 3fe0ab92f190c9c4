"""Starts a command in several processes, and decides which of them prints."""

import os


def is_first() -> bool:
    """Tell whether this is the only process of a run, or the first one, which prints."""
    return os.environ.get("RANK", "0") == "0"


def is_launched() -> bool:
    """Tell whether a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def started(processes: int | None, batch: int, arguments: list[str]) -> int | None:
    """Start the command in several processes, and wait for them, if there are to be several.

    Args:
        processes: number of processes, or None for one.
        batch: samples of a step, which the processes share.
        arguments: arguments of the command line.

    Returns:
        The exit status of the processes, or None if this process does the work itself.

    Raises:
        ProcessError: if the processes cannot share the batch, or a launcher started another number of processes.
        LaunchError: if a process fails.
    """
    import sys

    if is_launched():
        from passband.processes.launch import watch_launcher
        from passband.processes.start import ProcessError

        world = int(os.environ["WORLD_SIZE"])
        if processes is not None and processes != world:
            raise ProcessError(f"a launcher started {world} processes: leave out --processes {processes}")
        watch_launcher()
        _keep_quiet()
        return None
    if processes is None or processes == 1:
        return None
    from passband.processes.launch import launch
    from passband.processes.start import check_shares

    check_shares(batch, processes)
    return launch([sys.executable, "-m", "passband", *arguments], processes)


def left_to_launcher(error: BaseException) -> bool:
    """Leave an error to the launching process, and tell whether there is one.

    Args:
        error: error that ends this process.
    """
    if "PASSBAND_ERROR_FILE" not in os.environ:
        return False
    from passband.processes import lost_process
    from passband.processes.launch import report_error

    causes = [error, error.__cause__] if error.__cause__ else [error]
    return report_error(" ".join(str(error).split()), any(lost_process(cause) for cause in causes))


def _keep_quiet() -> None:
    """Let the first process alone print warnings, except those about files, which the processes share."""
    import logging

    class OwnFiles(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return record.name == "passband.tasks.problems" or record.levelno >= logging.ERROR

    if not is_first():
        for handler in (logging.lastResort, *logging.getLogger().handlers):
            if handler is not None:
                handler.addFilter(OwnFiles())
