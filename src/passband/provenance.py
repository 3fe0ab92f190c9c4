"""Records how a result was made: versions, machine, JPEG decoder, commit, weights and memory."""

import hashlib
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from PIL import features
from torch import nn

from passband.naming import package_version


def environment() -> dict[str, object]:
    """Return the versions of packages that influence results, the type of machine, and the commit.

    The JPEG decoder is included because decoders differ by a few values of 255. On JPEG files this changes the PSNR of
    a good network by tenths of a dB.

    Returns:
        Versions by package, the JPEG decoder, the machine, and the commit of a source checkout (else None).
    """
    packages = ("numpy", "Pillow", "accelerate")
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,  # includes the build, which the version in the metadata may leave out
            "passband": package_version(),
            **{name: version(name) for name in packages},
        },
        "jpeg_decoder": jpeg_decoder(),
        "machine": platform.machine(),
        "commit": _commit(),
    }


def jpeg_decoder() -> str:
    """Return the name and version of the library with which Pillow decodes JPEG."""
    turbo = features.version_feature("libjpeg_turbo") if features.check_feature("libjpeg_turbo") else None
    return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version_codec('jpg')}"


def weights_checksum(model: nn.Module) -> str:
    """Return the SHA-256 checksum of the parameters and buffers of a network.

    The checksum does not depend on the file format. A published pickle and the folder that `passband convert` makes
    from it have the same checksum, unless the folder is in half precision.

    Args:
        model: network with its weights, or an exported network, whose checksum is that of its file.

    Returns:
        64 hexadecimal digits. The checksum covers the entries in the order of their names, each as name, shape and
        little-endian float32 values. The counters of BatchNorm are left out, because some files lack them and nothing
        uses them.
    """
    if isinstance(of_file := getattr(model, "file_checksum", None), str):
        return of_file
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name} {list(value.shape)}\n".encode())
            digest.update(value.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def network_precision(model: nn.Module) -> str:
    """Return the precision that a network computes in, such as `float32`.

    Args:
        model: network with its weights, or an exported network.
    """
    return str(getattr(model, "precision", None) or next(model.parameters()).dtype).removeprefix("torch.")


def peak_memory(device: torch.device) -> int | None:
    """Return the peak memory of this process since it started, or since `reset_peak_memory`.

    Args:
        device: device whose memory is meant. All devices except CUDA devices share the main memory.

    Returns:
        Size in bytes, or None if the system does not report it (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if (line := _status_line("VmHWM")) is not None:
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS reports bytes, Linux kilobytes


def reset_peak_memory(device: torch.device) -> bool:
    """Let `peak_memory` count from now on.

    Args:
        device: device whose memory is meant.

    Returns:
        Whether the system can do this: Linux can for the main memory, and torch for CUDA devices.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # 5 resets the peak of the resident memory
    except OSError:
        return False
    return _status_line("VmHWM") is not None


def _status_line(name: str) -> str | None:
    """Return a line of Linux's report on this process, or None on other systems."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((line for line in lines if line.startswith(f"{name}:")), None)


def _commit() -> str | None:
    """Return the commit of the source checkout that holds this file, or None."""
    folder = Path(__file__).resolve().parent
    if not (folder.parents[1] / ".git").exists():
        return None  # an installed package may lie inside a foreign repository
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
