"""Which precision this machine does fast, and whether a network agrees at it: found out, never assumed."""

import json
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.data.degradations import degrade
from passband.export.runtimes import Precision
from passband.io.arrays import from_array
from passband.io.files import cache_folder, write_whole
from passband.ops.tiling import pad_to_multiple

AGREEMENT = 60.0
"""Least PSNR, in dB, of a faster precision against float32 on a network's own output: an error of a quarter of an 8-bit
step, for a signal of range 1."""
FAST_ENOUGH = 0.8
"""Share of float32's time that a precision has to stay below to be chosen."""


@cache
def fast_precision(device: torch.device, threads: int) -> Precision:
    """The precision below float32 that a device computes convolutions fast in, or float32 where none is faster.

    On a processor some 3x3 convolutions of the network's kind are timed in float32 and bfloat16, for a fifth of a
    second; what came out is kept in the user's cache folder for the same processor, torch and number of threads. A GPU
    is asked what it has.

    Args:
        device: where the network will run.
        threads: that torch uses.
    """
    if device.type == "cuda":
        # including_emulation: an older GPU would say yes and be slow
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16"
        return "float16" if torch.cuda.get_device_capability(device) >= (7, 0) else "float32"
    if device.type != "cpu":
        return "float32"
    path = cache_folder() / "precision.json"
    key = f"{processor()}, torch {torch.__version__}, {threads} threads"
    known = _read(path)
    if known.get(key) not in ("float32", "bfloat16"):
        known[key] = "bfloat16" if bfloat16_time_ratio() < FAST_ENOUGH else "float32"
        try:
            with write_whole(path) as temporary:
                temporary.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        except OSError:
            pass  # a folder that cannot be written costs a probe per process
    return "bfloat16" if known[key] == "bfloat16" else "float32"


def bfloat16_time_ratio(seconds: float = 0.2) -> float:
    """Time of bfloat16 convolutions on this processor, as a share of float32's.

    Args:
        seconds: what the probe may take, about. Where bfloat16 is emulated, tens of times slower, it ends after one
            small convolution of each kind.
    """
    small = (_conv_seconds(torch.float32, 16), _conv_seconds(torch.bfloat16, 16))
    if small[1] > 8 * small[0] and small[1] > seconds / 40:
        return small[1] / small[0]
    least = [float("inf"), float("inf")]
    ends = time.perf_counter() + seconds
    rounds = 0
    # in turns, so that another program's load falls on both
    while rounds < 3 or time.perf_counter() < ends:
        for number, dtype in enumerate((torch.float32, torch.bfloat16)):
            least[number] = min(least[number], _conv_seconds(dtype, 96))
        rounds += 1
        if least[1] > seconds:
            break
    return least[1] / least[0]


def agreement(
    reference: Callable[[Tensor], Tensor],
    candidate: Callable[[Tensor], Tensor],
    multiple: int,
    minimum: int,
    views: int = 1,
) -> float:
    """PSNR of one way to run a network against another, the worse of a hazy and a rainy photograph.

    Haze is the hardest: what is to be seen varies little about a large mean.

    Args:
        reference: takes padded pictures, B C H W, and gives restored ones, B 3 H W.
        candidate: the same, to be compared.
        multiple: what the sides of the pictures shall be divisible by.
        minimum: their least side.
        views: of 3 channels each, in which the picture is repeated.

    Returns:
        dB, for a signal of range 1; infinite where they are equal.
    """
    difference = (reference(pictures := probe_pictures(multiple, minimum, views)) - candidate(pictures)).float()
    worst = difference.double().square().mean((1, 2, 3)).max()
    return float("inf") if worst == 0 else float(-10 * torch.log10(worst)) if worst.isfinite() else float("-inf")


def probe_pictures(multiple: int, minimum: int, views: int = 1) -> Float[Tensor, "2 C H W"]:
    """A photograph that comes with scikit-image, in haze and in rain, 80 x 96 or the next size that fits."""
    from skimage.data import chelsea

    clean = from_array(chelsea())[0][:, 60:140, 140:236]
    degraded = torch.stack([degrade(clean, kind, seed=1, index=0, version=1) for kind in ("haze", "rain")])
    return pad_to_multiple(degraded, multiple, minimum)[0].repeat(1, views, 1, 1)


def processor() -> str:
    """The processor's model, as far as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    said = (line.split(":", 1) for line in lines if ":" in line)  # of the last core
    fields = {name.strip(): value.strip() for name, value in said}
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [
        f"{field} {fields[field]}" for field in ("cpu family", "model", "stepping", "CPU part") if field in fields
    ]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _conv_seconds(dtype: torch.dtype, side: int) -> float:
    """Seconds of one convolution of 32 channels."""
    image, weight = torch.full((1, 32, side, side), 0.5, dtype=dtype), torch.full((32, 32, 3, 3), 0.01, dtype=dtype)
    with torch.inference_mode():
        started = time.perf_counter()
        F.conv2d(image, weight, padding=1)
    return time.perf_counter() - started


def _read(path: Path) -> dict[str, str]:
    """What earlier probes found; nothing where the file is missing or damaged."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
