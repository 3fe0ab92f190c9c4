"""Lets the processes of a run agree on numbers. With one process, every function returns its input."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")

_LOST = re.compile(r"closed by peer|reset by peer|Broken pipe|Connection refused|Socket closed|remote process exited")


def count() -> int:
    """Return the number of processes of the run."""
    return dist.get_world_size() if _is_parallel() else 1


def rank() -> int:
    """Return the number of this process, from 0. The first process writes the files of a run."""
    return dist.get_rank() if _is_parallel() else 0


def total(values: Tensor) -> Tensor:
    """Return the sum of tensors over all processes, without a gradient.

    Args:
        values: tensor of the same shape in every process.

    Returns:
        The sum, of the same shape; the values themselves with a single process.
    """
    return _reduced(values, dist.ReduceOp.SUM)


def largest(numbers: Sequence[int]) -> list[int]:
    """Return the largest of each of several whole numbers over all processes.

    Args:
        numbers: numbers of this process. Every process gives the same count of numbers.
    """
    return _reduced(torch.tensor(numbers), dist.ReduceOp.MAX).tolist()


def means(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the mean of each of several scalars over all processes.

    Args:
        values: scalars by name, with the same names in every process.

    Returns:
        The means by name, the same in every process.
    """
    if count() == 1:
        return {name: value.item() for name, value in values.items()}
    stacked = torch.tensor([value.item() for value in values.values()], dtype=torch.float64)
    return dict(zip(values, (total(stacked) / count()).tolist(), strict=True))


def any_of(number: int) -> int:
    """Return the largest of the numbers that the processes give, such as 1 if any of them has to stop.

    Args:
        number: number of this process.
    """
    return number if count() == 1 else largest([number])[0]


def balanced(mean: Tensor, number: int | Tensor) -> Tensor:
    """Weight a mean so that the mean over processes is the mean over everything that they counted.

    Args:
        mean: scalar that is a mean over `number` things in this process.
        number: how many things this process counted. The processes may count different numbers.

    Returns:
        The mean, multiplied by the share of this process and by the number of processes.
    """
    if count() == 1:
        return mean
    own = torch.as_tensor(number, dtype=torch.float64)
    everything = total(own.to("cpu"))
    if not everything:
        return mean
    return mean * (own.item() * count() / everything.item())


def all_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of the processes, without a gradient.

    Args:
        rows: tensor of the same shape in every process.

    Returns:
        Rows of all processes along the first axis; the rows themselves with a single process.
    """
    if count() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(count())]
    dist.all_gather(parts, rows.detach().contiguous())
    return torch.cat(parts)


def in_turn(parts: list[T]) -> list[T]:
    """Return the results of all processes in the order of one process.

    Args:
        parts: results of this process for the items number `rank()`, `rank() + count()` and so on.

    Returns:
        The results for all items in order, in every process.
    """
    if count() == 1:
        return parts
    gathered: list[Any] = [None] * count()
    dist.all_gather_object(gathered, parts)
    longest = max(map(len, gathered))
    return [one[place] for place in range(longest) for one in gathered if place < len(one)]


@contextmanager
def summed_counts(model: nn.Module) -> Iterator[None]:
    """Add what the whole-number buffers of a network count in the block over all processes, such as a gate's images.

    Args:
        model: network, with the same buffers in every process.
    """
    if count() == 1:
        yield
        return
    before = {name: buffer.clone() for name, buffer in model.named_buffers() if not buffer.is_floating_point()}
    yield
    for name, buffer in model.named_buffers():
        if name in before:
            buffer.copy_(before[name] + total(buffer - before[name]))


def lost_process(error: BaseException) -> str:
    """Return a sentence if an error only says that another process has ended; else an empty text.

    Args:
        error: error that was raised in this process.
    """
    lost = count() > 1 and isinstance(error, RuntimeError) and _LOST.search(str(error))
    return "another process of this run ended, see its message" if lost else ""


def from_first(value: T) -> T:
    """Return the value of the first process in every process.

    Args:
        value: value of this process, which can be pickled.
    """
    if count() == 1:
        return value
    shared: list[Any] = [value]
    dist.broadcast_object_list(shared, 0)
    return shared[0]


def _is_parallel() -> bool:
    """Tell whether a process group has been started."""
    return dist.is_available() and dist.is_initialized()


def _reduced(values: Tensor, operation: Any) -> Tensor:
    """Return values that are reduced over all processes, on their own device."""
    if count() == 1:
        return values
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else "cpu"
    shared = values.detach().to(device, copy=True)
    dist.all_reduce(shared, operation)
    return shared.to(values.device)
