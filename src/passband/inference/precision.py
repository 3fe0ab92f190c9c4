"""Measures which precision is fast on this machine, and how closely a network agrees with float32 at it."""

import hashlib
import json
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.export.runtimes import Precision
from passband.inference.remembered import remembered
from passband.io.arrays import from_array
from passband.ops.tiling import pad_to_multiple
from passband.provenance import weights_checksum

AGREEMENT = 60.0
"""Smallest PSNR in dB of a faster precision against float32 on a network's own output: an error of a quarter of an
8-bit step, for a signal of range 1."""
FAST_ENOUGH = 0.8
"""Share of float32's time below which a precision is chosen."""


@cache
def fast_precision(device: torch.device, threads: int) -> Precision:
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


def agrees(model: nn.Module, precision: str, device: torch.device, measure: Callable[[], float]) -> bool:
    """Tell whether a network agrees with float32 at a precision, to `AGREEMENT`.

    The result is kept in the user's cache folder for the same network, device and torch, because measuring it takes as
    long as everything else at the start of a command.

    Args:
        model: the network.
        precision: name of the precision.
        device: device that the network runs on.
        measure: function that returns the `agreement`, in dB.
    """
    arguments = getattr(model, "arguments", None)
    if arguments is None:  # the weights alone do not tell the network
        return measure() >= AGREEMENT
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} of {processor()}"
    network = f"{type(model).__name__} {json.dumps(arguments, sort_keys=True, default=str)} {weights_checksum(model)}"
    digest = hashlib.sha256(f"{network}, {precision}, {machine}, torch {torch.__version__}".encode()).hexdigest()

    def measured() -> str:
        return "yes" if measure() >= AGREEMENT else "no"

    return remembered("agreement.json", digest, ("yes", "no").__contains__, measured) == "yes"


def bfloat16_time_ratio(seconds: float = 0.2) -> float:
    """Return the time of bfloat16 convolutions on this CPU as a share of float32's.

    Args:
        seconds: approximate time of the measurement, in seconds. If bfloat16 is emulated, and tens of times slower, the
            measurement ends after one small convolution of each kind.
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


def agreement(
    reference: Callable[[Tensor], Tensor],
    candidate: Callable[[Tensor], Tensor],
    multiple: int,
    minimum: int,
    views: int = 1,
) -> float:
    """Return the PSNR between two ways to run a network, the smaller one of a hazy and a rainy photo.

    Haze is the hardest case, because its values vary little around a large mean.

    Args:
        reference: function from padded images, B C H W, to restored ones, B 3 H W.
        candidate: function to compare with it.
        multiple: number that the sides of the images must be divisible by.
        minimum: smallest side of the images, in pixels.
        views: number of views of 3 channels in which the photo is repeated.

    Returns:
        PSNR in dB, for a signal of range 1; infinite if the outputs are equal.
    """
    images = probe_images(multiple, minimum, views)
    difference = (reference(images) - candidate(images)).float()
    worst = difference.double().square().mean((1, 2, 3)).max()
    return float("inf") if worst == 0 else float(-10 * torch.log10(worst)) if worst.isfinite() else float("-inf")


def probe_images(multiple: int, minimum: int, views: int = 1) -> Float[Tensor, "2 C H W"]:
    """Return a photo of scikit-image in haze and in rain, 80 x 96 pixels or the next size that fits.

    Args:
        multiple: number that the sides must be divisible by.
        minimum: smallest side, in pixels.
        views: number of views of 3 channels in which the photo is repeated.
    """
    from skimage.data import chelsea

    from passband.data.degradations import degrade

    clean = from_array(chelsea())[0][:, 60:140, 140:236]
    degraded = torch.stack([degrade(clean, kind, seed=1, index=0, version=1) for kind in ("haze", "rain")])
    return pad_to_multiple(degraded, multiple, minimum)[0].repeat(1, views, 1, 1)


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
