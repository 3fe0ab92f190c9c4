"""Measures work on many small images: memory, speed of two workers, runs that are killed, and the second run.

    python benchmarks/scale/batch.py memory --count 20000      # peak of all processes, and of a tenth of the images
    python benchmarks/scale/batch.py speed --count 2000        # two workers against one; needs two idle cores
    python benchmarks/scale/batch.py killed --count 500        # killed three times at random, then compared
    python benchmarks/scale/batch.py second --count 20000      # the second run of a finished folder

The images have 64 x 64 pixels, and a tiny network with random weights restores them by the real command.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

from passband.io.records import RECORD_FILE
from passband.models import SFNet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=[*MEASURES])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        torch.manual_seed(0)
        SFNet(width=16, depth=1).save_pretrained(Path("weights"))
        MEASURES[arguments.measure](arguments)


def memory(arguments: argparse.Namespace) -> None:
    peaks = []
    for count in (arguments.count // 10, arguments.count):
        make_images(Path(f"in{count}"), count)
        process = start(arguments, f"in{count}", f"out{count}")
        peaks.append(peak_of(process))
        print(f"{count} images: peak of all processes {peaks[-1] / 1e6:.0f} MB, status {process.returncode}")
    print(f"ratio {peaks[1] / peaks[0]:.2f}")


def speed(arguments: argparse.Namespace) -> None:
    make_images(Path("in"), arguments.count)
    make_images(Path("one"), 1)
    seconds = []
    for workers in (1, 2):
        # a start takes as long as hundreds of images, so it is measured with one image and subtracted
        starts = [
            timed(arguments, "one", f"first{workers}", workers),
            timed(arguments, "in", f"out{workers}", workers),
        ]
        seconds.append(starts[1] - starts[0])
        print(f"{workers} workers: {seconds[-1]:.1f} s without the start of {starts[0]:.1f} s")
    print(f"ratio {seconds[0] / seconds[1]:.2f}")


def killed(arguments: argparse.Namespace) -> None:
    make_images(Path("in"), arguments.count)
    undisturbed = timed(arguments, "in", "undisturbed", arguments.workers)
    generator, finished = random.Random(arguments.seed), dict[str, int]()
    for _ in range(3):
        process = start(arguments, "in", "out")
        time.sleep(generator.uniform(0.3, 0.8) * undisturbed)
        tree = [process, *psutil.Process(process.pid).children(recursive=True)]
        for one in generator.sample(tree, len(tree)):  # the parent first, or a worker first
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        process.wait()
        finished |= {name: count for name, count in recorded("out").items() if Path("out", name).exists()}
        print(f"killed; {len(outputs('out'))} of {arguments.count} files are there")
    timed(arguments, "in", "out", arguments.workers)
    right, written = outputs("undisturbed"), outputs("out")
    print(f"{len(written)} of {arguments.count} outputs are there")
    print(f"{sum(written.get(name) != content for name, content in right.items())} differ from an undisturbed run's")
    print(f"{sum(recorded('out')[name] > count for name, count in finished.items())} were restored again when recorded")
    print(f"{len([*Path('out').rglob('.*.partial*')])} temporary files remain")


def second(arguments: argparse.Namespace) -> None:
    make_images(Path("in"), arguments.count)
    print(f"first run: {timed(arguments, 'in', 'out', arguments.workers):.1f} s")
    print(f"second run: {timed(arguments, 'in', 'out', arguments.workers):.1f} s")


def make_images(folder: Path, count: int) -> None:
    """Write different images into folders of 1000."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (8, 8, 3), np.uint8)
    for number in range(count):
        path = folder / f"{number // 1000:02}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = noise + np.uint8(number % 251)
        Image.fromarray(cells).resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=90)


def start(
    arguments: argparse.Namespace, source: str, output: str, workers: int | None = None
) -> subprocess.Popen[bytes]:
    """Start the command."""
    command = [sys.executable, "-m", "passband", "restore", source, "-o", output, "--weights", "weights", "--quiet"]
    count = str(arguments.workers if workers is None else workers)
    return subprocess.Popen([*command, "--device", "cpu", "--workers", count, "--executor", arguments.executor])


def timed(arguments: argparse.Namespace, source: str, output: str, workers: int) -> float:
    """Run the command, and return its time in seconds."""
    begun = time.monotonic()
    process = start(arguments, source, output, workers)
    if process.wait():
        raise SystemExit(f"the command ended with status {process.returncode}")
    return time.monotonic() - begun


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """Return the largest memory of a process and those that it starts, in bytes; shared pages count once."""
    peak, root = 0, psutil.Process(process.pid)
    while process.poll() is None:
        total = 0
        for one in [root, *children(root)]:
            try:
                total += one.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        peak = max(peak, total)
        time.sleep(0.25)
    return peak


def children(root: psutil.Process) -> list[psutil.Process]:
    """Return all processes below a process."""
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def outputs(folder: str) -> dict[str, bytes]:
    """Return the content of all finished files by their path below a folder."""
    root = Path(folder)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.jpg") if path.name[0] != "."}


def recorded(folder: str) -> Counter[str]:
    """Return the number of lines of each file in the records."""
    counts: Counter[str] = Counter()
    for record in Path(folder).rglob(RECORD_FILE):
        for line in record.read_text().splitlines():
            try:
                counts[str(record.parent.relative_to(folder) / json.loads(line)["file"])] += 1
            except ValueError:  # a line that was being written
                continue
    return counts


MEASURES = {"memory": memory, "speed": speed, "killed": killed, "second": second}

if __name__ == "__main__":
    main()
