"""Restores one folder for hours, and tells whether memory and open files stay flat.

    python benchmarks/scale/soak.py --minutes 120 --workers 0 --output soak.json

A folder of hard links to 60 images of different sizes and kinds is restored by the real command, with a tiny network
of random weights, until the time is over. Every ten seconds, the memory (shared pages count once) and the open files
of all processes are noted. The first five minutes, in which caches fill, are left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

import numpy as np
import psutil
import torch
from PIL import Image

from passband.models import SFNet

INTERVAL = 10.0
WARM_UP = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 restores in the command's own process")
    parser.add_argument("--files", type=int, default=400_000, help="more than can be restored in the time")
    parser.add_argument("--output", type=Path, help="JSON file for the samples")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        torch.manual_seed(0)
        SFNet(width=16, depth=1).save_pretrained(Path("weights"))
        make_links(Path("in"), arguments.files)
        command = [sys.executable, "-m", "passband", "restore", "in", "-o", "out", "--weights", "weights", "--quiet"]
        workers = ["--workers", str(arguments.workers)] if arguments.workers else []
        process = subprocess.Popen([*command, "--device", "cpu", *workers])
        samples = watch(process, arguments.minutes * 60)
        process.terminate()
        process.wait()
        restored = sum(1 for path in Path("out").rglob("*.*") if not path.name.startswith("."))
    kept = [sample for sample in samples if sample["seconds"] >= WARM_UP] or samples
    first, last = kept[: len(kept) // 2], kept[len(kept) // 2 :]
    print(f"{restored} files in {samples[-1]['seconds'] / 60:.0f} minutes")
    for name, unit in (("megabytes", " MB"), ("open_files", "")):
        means = [mean(sample[name] for sample in half) for half in (first, last)]
        ratio = f"x {means[1] / means[0]:.4f}"
        print(f"{name}: {means[0]:.1f}{unit} in the first half, {means[1]:.1f}{unit} in the last: {ratio}")
    if arguments.output:
        arguments.output.write_text(json.dumps({"restored": restored, "samples": samples}))


def make_links(folder: Path, count: int) -> None:
    """Write 60 images of different sizes and kinds, and link them under many names in folders of 1000."""
    generator = np.random.default_rng(0)
    originals = []
    folder.mkdir()
    store = Path("originals")
    store.mkdir()
    for number in range(60):
        height, width = generator.integers(48, 320, 2)
        cells = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        path = store / f"{number:02}{('.jpg', '.png', '.webp')[number % 3]}"
        cells.resize((int(width), int(height)), Image.Resampling.BICUBIC).save(path)
        originals.append(path)
    for number in range(count):
        original = originals[number % len(originals)]
        path = folder / f"{number // 1000:03}" / f"{number:06}{original.suffix}"
        if number % 1000 == 0:
            path.parent.mkdir()
        os.link(original, path)


def watch(process: "subprocess.Popen[bytes]", seconds: float) -> list[dict[str, float]]:
    """Note memory and open files of a process and its children until the time is over."""
    root, begun, samples = psutil.Process(process.pid), time.monotonic(), []
    while (elapsed := time.monotonic() - begun) < seconds:
        if process.poll() is not None:
            raise SystemExit(f"the command ended after {elapsed:.0f} s with status {process.returncode}")
        memory = files = 0
        for one in [root, *root.children(recursive=True)]:
            memory += one.memory_full_info().pss
            files += one.num_fds()
        samples.append({"seconds": elapsed, "megabytes": memory / 1e6, "open_files": files})
        time.sleep(INTERVAL)
    return samples


if __name__ == "__main__":
    main()
