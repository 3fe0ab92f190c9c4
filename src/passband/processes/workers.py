"""Starts the processes of loaders, which prepare samples."""

import sys
from multiprocessing.context import BaseContext

PRELOADED = ("passband.data.", "passband.inference.", "passband.tasks.")
"""Beginnings of the names of modules whose objects are sent to processes of a loader."""


def worker_context(workers: int) -> BaseContext | None:
    """Return the context that starts the processes of a loader, which is that of `torch.multiprocessing`.

    On Linux, Python before 3.14 forks this process. Newer versions have a server without other threads, from which
    processes are forked safely. The server imports the modules of data sets that this process has imported. Otherwise
    each process of a loader would import them again, which takes seconds and 300 MB for each.

    Args:
        workers: number of processes.

    Returns:
        Argument `multiprocessing_context` of a loader: None without processes.
    """
    from torch import multiprocessing

    if not workers:
        return None
    context = multiprocessing.get_context()
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([name for name in list(sys.modules) if name.startswith(PRELOADED)])
    return context
