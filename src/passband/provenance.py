"""What a figure was made with: versions, machine, JPEG decoder, commit, weights, memory."""

import hashlib
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from PIL import features
from torch import nn


def environment() -> dict[str, object]:
    """Versions of what decides a figure, the processor's kind, and the commit of a source checkout (else None).

    The JPEG decoder is one of them: decoders differ by a few values in 255, which costs a good network tenths of a dB
    on inputs that are JPEG files.
    """
    packages = ("passband", "numpy", "Pillow", "accelerate")
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,  # with the build, which the package's own version may leave out
            **{name: version(name) for name in packages},
        },
        "jpeg_decoder": jpeg_decoder(),
        "machine": platform.machine(),
        "commit": _commit(),
    }


def jpeg_decoder() -> str:
    """Name and version of the library by which Pillow decodes JPEG."""
    turbo = features.version_feature("libjpeg_turbo") if features.check_feature("libjpeg_turbo") else None
    return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version_codec('jpg')}"


def weights_checksum(model: nn.Module) -> str:
    """SHA-256 of a network's parameters and buffers, the same whatever file they came from.

    A published pickle and the folder it is converted to have one checksum; a folder of half precision has another.

    Args:
        model: with its weights.

    Returns:
        64 hexadecimal digits: of the entries in the order of their names, each as name, shape and little-endian
        float32 values. BatchNorm's counters, which some files lack and nothing uses, are left out.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name} {list(value.shape)}\n".encode())
            digest.update(value.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def peak_memory(device: torch.device) -> int | None:
    """The most memory, in bytes, that this process has held since it began: on a CUDA device, or in RAM.

    None where the system does not tell (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, kilobytes elsewhere


def _commit() -> str | None:
    """The commit of the checkout that this file lies in."""
    folder = Path(__file__).resolve().parent
    if not (folder.parents[1] / ".git").exists():
        return None  # installed: an outer repository would not be ours
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
