"""Joins the processes that a launcher started, such as torchrun, accelerate launch or `passband train --processes`."""

import os

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

SPLITTING = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
"""Kinds of parallel training that split the network itself over the processes."""


class ProcessError(RuntimeError):
    """Raised if the processes of a run cannot train together. The message says what to do."""


def join(device: torch.device) -> None:
    """Join the other processes of the run, if a launcher started several and this process has not joined them yet.

    Args:
        device: device of the training.

    Raises:
        ProcessError: if there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda" and local >= torch.cuda.device_count():
        raise ProcessError(
            f"each process needs a GPU of its own, and this machine has {torch.cuda.device_count()}: start fewer "
            "processes, or use --device cpu"
        )
    PartialState(cpu=device.type == "cpu")


def started_accelerator(device: torch.device, mixed_precision: str, batch: int) -> Accelerator:
    """Return the accelerator of a run, after joining its other processes.

    Args:
        device: device of the training.
        mixed_precision: precision as accelerate calls it, `"no"` or `"bf16"`.
        batch: samples of a step over all processes.

    Raises:
        ProcessError: if the processes cannot share a batch, or have to split the network.
    """
    # an earlier run in this process may have set another precision or device
    AcceleratorState._reset_state(reset_partial_state="RANK" not in os.environ)
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    join(device)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed_precision)
    if accelerator.distributed_type in SPLITTING:
        raise ProcessError(
            f"each process trains the whole network (DDP), and the launcher asks for "
            f"{accelerator.distributed_type.value}: start the run with torchrun, or with accelerate launch --multi_gpu"
        )
    check_shares(batch, accelerator.num_processes)
    return accelerator


def check_shares(batch: int, processes: int) -> None:
    """Refuse a batch that cannot be shared equally.

    Args:
        batch: samples of a step over all processes.
        processes: number of processes.

    Raises:
        ProcessError: if the number of processes does not divide the batch.
    """
    if batch % processes:
        divisors = ", ".join(str(number) for number in range(2, batch + 1) if batch % number == 0)
        more = -(-batch // processes) * processes
        raise ProcessError(
            f"data.batch = {batch} samples cannot be shared equally by {processes} processes: "
            + (f"start {divisors} processes, or " if divisors else "")
            + f"set a multiple of {processes}, such as --set data.batch={more}"
        )
