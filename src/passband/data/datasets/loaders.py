"""Loads batches of samples in processes of their own, and moves them to the device that trains."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch.utils.data import DataLoader

from passband.io.image import ImageError
from passband.processes import outlive_signals, worker_context


class LostWorkerError(RuntimeError):
    """Raised if a process that prepares samples has ended unexpectedly."""


def batch_loader(
    dataset: Any,
    batches: Iterable[list[int]],
    collate: Callable[[list[Any]], Any],
    *,
    workers: int = 0,
    device: torch.device | None = None,
) -> DataLoader[Any]:
    """Return a loader of batches of samples, which are given by their numbers.

    The workers live as long as the batches last: a training has one iteration over all its steps. They are started as
    `processes.worker_context` describes, and pass batches on in shared memory.

    Args:
        dataset: data set, with `__getitem__`; the number of a sample decides everything about it.
        batches: numbers of the samples of each batch.
        collate: function that makes a batch of samples.
        workers: number of processes that prepare samples; 0 prepares them in this process.
        device: device that the batches are for. Batches for a GPU are put into pinned memory, from which they are
            copied while the GPU computes. None for the CPU.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=collate,
        pin_memory=device is not None and device.type == "cuda",
        worker_init_fn=outlive_signals if workers else None,
        multiprocessing_context=worker_context(workers),
    )


def on_device(batches: Iterable[Any], device: torch.device) -> Iterator[Any]:
    """Yield batches with their tensors on a device.

    Args:
        batches: batches of tensors in any dictionaries and lists.
        device: device to move them to. Copies from pinned memory do not wait.

    Raises:
        LostWorkerError: if a process that prepares samples has ended.
        ImageError: if no image of a data set can be used.
    """
    with _worker_errors_named():
        for batch in batches:
            yield send_to_device(batch, device, non_blocking=device.type == "cuda")


@contextmanager
def _worker_errors_named() -> Iterator[None]:
    """Say what to do if a process that prepares samples has ended, and repeat its messages without its traceback."""
    try:
        yield
    except ImageError as error:
        begin, found, message = str(error).rpartition("ImageError: ")
        if not (found and begin.startswith("Caught ")):  # raised in this process
            raise
        raise ImageError(message.strip()) from error
    except RuntimeError as error:
        if not re.search(r"DataLoader worker .*exited unexpectedly|DataLoader worker .*is killed", str(error)):
            raise
        guard = ""
        if torch.multiprocessing.get_start_method() != "fork":
            guard = " A script that starts a training needs `if __name__ == '__main__':` around it."
        raise LostWorkerError(
            f"a process that prepares samples ended, see its message above.{guard} If the memory was full, set fewer "
            "data.workers; with 0, samples are prepared in this process"
        ) from error
