"""What a figure was made with: versions, machine, commit."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch


def environment() -> dict[str, object]:
    """Versions of what decides a figure, the processor's kind, and the commit of a source checkout (else None)."""
    packages = ("passband", "numpy", "Pillow", "accelerate")
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,  # with the build, which the package's own version may leave out
            **{name: version(name) for name in packages},
        },
        "machine": platform.machine(),
        "commit": _commit(),
    }


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
