"""Shares code between the parts of `gpu.py`: rows, timing on a device, peak memory, agreement and numeric modes."""

import platform
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MEASURED_SECONDS = 0.6
"""Time in seconds for which a function is repeated, after the warm-up."""


@dataclass(frozen=True)
class Bench:
    """Settings of one run of the benchmark.

    Attributes:
        device: device that is measured.
        small: whether images and networks are tiny, to try the script on a CPU.
        photos: images of the benchmark, N 3 H W in [0, 1].
        folder: folder for temporary files.
    """

    device: torch.device
    small: bool
    photos: Tensor
    folder: Path

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a CUDA GPU."""
        return self.device.type == "cuda"

    def synchronize(self) -> None:
        """Wait until the device has done its work."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)


class NotHereError(Exception):
    """Raised by a row that the device cannot run. The message says why."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        part: name of the part, such as `speed`.
        name: name of the row.
        seconds: estimated time of the measurement on a recent GPU, in seconds.
        measure: function that measures and returns figures by name.
    """

    part: str
    name: str
    seconds: float
    measure: Callable[[Bench], dict[str, Any]]


def median_seconds(bench: Bench, run: Callable[[], Any], warmup: int = 3, most: int = 50) -> float:
    """Return the median time of a function in seconds, measured by CUDA events on a GPU.

    Args:
        bench: settings with the device.
        run: function that starts work on the device.
        warmup: largest number of runs before the measurement.
        most: largest number of measured runs.
    """
    started = time.perf_counter()
    for _ in range(1 if bench.small else warmup):
        run()
        bench.synchronize()
        if time.perf_counter() - started > 2 * MEASURED_SECONDS:
            break
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - started < MEASURED_SECONDS and len(times) < most):
        if bench.is_cuda:
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            first.record()
            run()
            last.record()
            last.synchronize()
            times.append(first.elapsed_time(last) / 1000)
        else:
            begun = time.perf_counter()
            run()
            times.append(time.perf_counter() - begun)
            if bench.small:
                break
    return statistics.median(times)


@contextmanager
def peak_memory(bench: Bench) -> Iterator[dict[str, float]]:
    """Measure the peak of torch's memory on the GPU within the block.

    Yields:
        A dictionary that holds `peak_gb`, in GB, after the block; it stays empty on a CPU.
    """
    figures: dict[str, float] = {}
    if bench.is_cuda:
        torch.cuda.synchronize(bench.device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(bench.device)
    yield figures
    if bench.is_cuda:
        torch.cuda.synchronize(bench.device)
        figures["peak_gb"] = torch.cuda.max_memory_allocated(bench.device) / 1e9


def set_tf32(is_on: bool) -> None:
    """Allow or forbid TF32 in convolutions and matrix products of float32. torch allows it in convolutions only."""
    torch.backends.cudnn.allow_tf32 = is_on
    torch.backends.cuda.matmul.allow_tf32 = is_on


@contextmanager
def tf32(is_on: bool) -> Iterator[None]:
    """Allow or forbid TF32 within the block."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    set_tf32(is_on)
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise a TimeoutError within the block after a time in seconds, on systems that have the alarm signal."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def over(number: int, frame: Any) -> None:
        raise TimeoutError(f"it took more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def agreement(output: Tensor, reference: Tensor) -> dict[str, float]:
    """Return the largest difference of two outputs, and their PSNR in dB for a signal with the range of the reference.

    Images in [0, 1] have the range 1.
    """
    output, reference = output.detach().double().cpu(), reference.detach().double().cpu()
    assert output.shape == reference.shape, f"shapes {tuple(output.shape)} and {tuple(reference.shape)} differ"
    difference = output - reference
    spread = float(reference.max() - reference.min())
    error = float(difference.square().mean())
    decibels = 10 * torch.log10(torch.tensor(spread**2 / error)).item() if error else 999.0
    return {"difference": float(difference.abs().max()), "db": decibels}


def machine(bench: Bench) -> dict[str, Any]:
    """Return the names and versions that decide the figures."""
    facts: dict[str, Any] = {
        "device": torch.cuda.get_device_name(bench.device) if bench.is_cuda else f"CPU, {platform.machine()}",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    if bench.is_cuda:
        facts["cudnn"] = torch.backends.cudnn.version()
        facts["memory_gb"] = torch.cuda.get_device_properties(bench.device).total_memory / 1e9
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            facts["driver"] = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.split("\n")[0]
        except (OSError, subprocess.TimeoutExpired):
            facts["driver"] = "unknown"
    return facts
