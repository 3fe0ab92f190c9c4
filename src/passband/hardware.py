"""Tells what this machine computes fast; processors are measured."""

import platform
import time
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F

from passband.io.remembered import remembered

FAST_ENOUGH = 0.8
"""Share of float32's time below which a precision is chosen."""
ROOM_FOR_FLOAT32 = 16_000_000_000
"""Memory of a GPU in bytes from which restoration is in float32: images of 3840 x 2160 pixels then fit as a whole, and
bands take ten times as long."""


@cache
def fast_precision(device: torch.device, threads: int) -> Literal["float32", "bfloat16", "float16"]:
    """Return the precision below float32 in which a device computes convolutions fast, or float32 if none is faster.

    On a CPU some 3x3 convolutions like those of the networks are timed in float32 and bfloat16, for a fifth of a
    second. The result is kept in the user's cache folder for the same CPU, torch and number of threads. The abilities
    of a GPU are known to torch.

    Args:
        device: device that the network will run on.
        threads: number of threads that torch uses.
    """
    if device.type == "cuda":
        # including_emulation: an older GPU would say yes and be slow
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16"
        return "float16" if torch.cuda.get_device_capability(device) >= (7, 0) else "float32"
    if device.type != "cpu":
        return "float32"

    def measure() -> str:
        return "bfloat16" if bfloat16_time_ratio() < FAST_ENOUGH else "float32"

    key = f"{processor()}, torch {torch.__version__}, {threads} threads"
    fast = remembered("precision.json", key, ("float32", "bfloat16").__contains__, measure)
    return "bfloat16" if fast == "bfloat16" else "float32"


def restoration_precision(
    device: torch.device, threads: int, memory: int | None = None
) -> Literal["float32", "bfloat16", "float16"]:
    """Return the precision in which a device runs SFNet, FSNet and ConvIR fast.

    On a GPU whose convolutions round float32 to TF32, this is float32: bfloat16 took 0.8 to 1.2 times as long on an
    H100 (`docs/benchmarks.md`). It needs two thirds of the memory, so a GPU with little memory uses bfloat16. Other
    devices use their `fast_precision`.

    Args:
        device: device that the network will run on.
        threads: number of threads that torch uses.
        memory: cap on the memory in bytes; None for all memory of the device.
    """
    if device.type == "cuda" and convolves_in_tf32(device):
        whole = torch.cuda.get_device_properties(device).total_memory
        if min(whole, whole if memory is None else memory) >= ROOM_FOR_FLOAT32:
            return "float32"
    return fast_precision(device, threads)


def convolves_in_tf32(device: torch.device) -> bool:
    """Tell whether a CUDA device has TF32, and torch's settings allow it for convolutions.

    Args:
        device: CUDA device.
    """
    if torch.version.hip is not None or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    return tf32_settings()[0] in (True, "tf32")


def tf32_settings() -> tuple[Any, Any]:
    """Return torch's settings of TF32 for convolutions and for matrix products: `True` or `"tf32"` allows it."""
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    if not hasattr(cudnn, "conv"):  # torch before 2.9; later ones warn of `allow_tf32`
        return cudnn.allow_tf32, matmul.allow_tf32
    return cudnn.conv.fp32_precision, matmul.fp32_precision


def training_precision(device: torch.device, task: str = "restoration") -> Literal["float32", "bfloat16"]:
    """Return the precision to train in: bfloat16 if a device is fast in it, otherwise float32.

    Args:
        device: device that trains.
        task: name of the task. Restoration is trained in its `restoration_precision`.
    """
    choose = restoration_precision if task == "restoration" else fast_precision
    return "bfloat16" if choose(device, torch.get_num_threads()) == "bfloat16" else "float32"


def resolved_precision(precision: str, device: torch.device, task: str) -> str:
    """Return the precision of a recipe, with that of the device for "auto".

    Args:
        precision: precision as a recipe names it.
        device: device that trains.
        task: name of the recipe's task.
    """
    return training_precision(device, task) if precision == "auto" else precision


def bfloat16_time_ratio(seconds: float = 0.2) -> float:
    """Return the time of bfloat16 convolutions on this CPU as a share of float32's.

    Args:
        seconds: approximate time of the measurement, in seconds. If bfloat16 is emulated, and tens of times slower, the
            measurement ends after one small convolution of each kind.

    Returns:
        The ratio; below 1 if bfloat16 is faster.
    """
    small = (_conv_seconds(torch.float32, 16), _conv_seconds(torch.bfloat16, 16))
    if small[1] > 8 * small[0] and small[1] > seconds / 40:
        return small[1] / small[0]
    least = [float("inf"), float("inf")]
    ends = time.perf_counter() + seconds
    rounds = 0
    # alternating, so that the load of other programs affects both
    while rounds < 3 or time.perf_counter() < ends:
        for number, dtype in enumerate((torch.float32, torch.bfloat16)):
            least[number] = min(least[number], _conv_seconds(dtype, 96))
        rounds += 1
        if least[1] > seconds:
            break
    return least[1] / least[0]


def processor() -> str:
    """Return the model of the CPU, as far as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    entries = (line.split(":", 1) for line in lines if ":" in line)  # the last core's replace those before
    fields = {name.strip(): value.strip() for name, value in entries}
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [
        f"{field} {fields[field]}" for field in ("cpu family", "model", "stepping", "CPU part") if field in fields
    ]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _conv_seconds(dtype: torch.dtype, side: int) -> float:
    """Return the time of one convolution of 32 channels, in seconds."""
    image, weight = torch.full((1, 32, side, side), 0.5, dtype=dtype), torch.full((32, 32, 3, 3), 0.01, dtype=dtype)
    with torch.inference_mode():
        started = time.perf_counter()
        F.conv2d(image, weight, padding=1)
    return time.perf_counter() - started
