"""Shares code between benchmarks: photos, child processes, and JSON files with results."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def run_child(script: str, *arguments: str) -> Any:
    """Run a script in a child process, and return the JSON in the last line that it prints."""
    done = subprocess.run([sys.executable, script, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def read_figures(path: Path | None) -> dict[str, Any]:
    """Return the results that an earlier run wrote, or an empty dict if there are none."""
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else {}


def write_figures(path: Path | None, figures: Any) -> None:
    """Write results to a file, if a path is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def photographs(count: int, size: int) -> "torch.Tensor":
    """Return views of photos, B 3 SIZE SIZE."""
    import skimage.data  # not for benchmarks whose processes are weighed
    import torch
    import torch.nn.functional as F

    names = ("astronaut", "chelsea", "coffee", "rocket")
    images = []
    for number in range(count):
        image = torch.from_numpy(getattr(skimage.data, names[number % 4])()).permute(2, 0, 1)[None] / 255
        shift = 7 * (number // 4)
        images.append(F.interpolate(image[..., shift:, shift:], (size, size), mode="bilinear", antialias=True))
    return torch.cat(images)
