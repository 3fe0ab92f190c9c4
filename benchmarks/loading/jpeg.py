"""Measures images per second of every method to read JPEG files, as coefficients and as pixels, on one and two threads.

    python benchmarks/loading/jpeg.py FOLDER [--rounds 5] [--files 200] [--seconds 0.5] [-o jpeg.json]

All files are in memory before the time is measured. Only jpeglib reads the files themselves, because it takes paths
only. Each round times every method once over the same files, in a rotating order, so that a drifting machine affects
all of them equally. The table shows medians over the rounds. The bound is a loop in C that calls
`jpeg_read_coefficients` and ignores the result. It is compiled here. No reader of coefficients that uses this library
can be faster.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from passband.io.jpeg import (
    JpegError,
    backend,
    read_channels_batch,
    read_coefficients,
    read_coefficients_batch,
    reader_library,
)

BOUND = "C, jpeg_read_coefficients"
CHANNELS_24 = (
    tuple(8 * v + u for v in range(4) for u in range(4)),
    (0, 1, 8, 9),
    (0, 1, 8, 9),
)
MEAN, STD = torch.zeros(24), torch.full((24,), 50.0)
SUFFIXES = {".jpg", ".jpeg"}
INSTALL = {"simplejpeg": "pip install simplejpeg", "jpeglib": "pip install 'passband[jpeg]'"}


def c_loop(paths: list[Path], folder: Path) -> Callable[[int], float] | str:
    """Return the seconds of passes of the bound, as the C program measures them, or the reason why there are none."""
    program = folder / "jpeg_bound"
    source = Path(__file__).with_name("jpeg_bound.c")
    try:
        built = subprocess.run(
            ["cc", "-O2", source, "-o", program, "-ljpeg"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return f"not compiled: {error}"
    if built.returncode:
        return f"not compiled: {built.stderr.splitlines()[0] if built.stderr else 'cc failed'}"

    def run(passes: int) -> float:
        done = subprocess.run([program, str(passes), *paths], capture_output=True, text=True, check=True)
        return float(done.stdout)

    return run


def ways(paths: list[Path], contents: list[bytes]) -> dict[str, Callable[[], object] | str]:
    """Return each method as a pass over all files, or the reason why it is not available."""

    def coefficients(threads: int) -> Callable[[], object]:
        return lambda: read_coefficients_batch(contents, threads=threads)

    def channels(threads: int) -> Callable[[], object]:
        return lambda: read_channels_batch(contents, CHANNELS_24, mean=MEAN, std=STD, threads=threads)

    found: dict[str, Callable[[], object] | str] = {
        "passband, coefficients": coefficients(1),
        "passband, 24 channels": channels(1),
        "passband, coefficients, 2 threads": coefficients(2),
        "passband, 24 channels, 2 threads": channels(2),
        "Pillow, RGB": lambda: [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in contents],
    }
    if find_spec("torchvision"):
        from torchvision.io import ImageReadMode, decode_jpeg

        tensors = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in contents]
        found["torchvision, RGB"] = lambda: [decode_jpeg(data, ImageReadMode.RGB) for data in tensors]
    else:
        found["torchvision, RGB"] = "not installed: pip install torchvision"
    if find_spec("simplejpeg"):
        import simplejpeg

        found["simplejpeg, RGB"] = lambda: [simplejpeg.decode_jpeg(data) for data in contents]
    else:
        found["simplejpeg, RGB"] = f"not installed: {INSTALL['simplejpeg']}"
    if find_spec("jpeglib"):
        import jpeglib

        found["jpeglib, coefficients"] = lambda: [jpeglib.read_dct(str(path)).load() for path in paths]
    else:
        found["jpeglib, coefficients"] = f"not installed: {INSTALL['jpeglib']}"
    return found


def timed(run: Callable[[], object], seconds: float) -> tuple[float, int]:
    """Return seconds and number of passes, for at least the given time."""
    passes, started = 0, time.perf_counter()
    while passes == 0 or time.perf_counter() - started < seconds:
        run()
        passes += 1
    return time.perf_counter() - started, passes


def measure(options: argparse.Namespace, paths: list[Path], contents: list[bytes]) -> dict[str, object]:
    """Return images per second of every method, or the reason why there are none."""
    count = len(contents)
    with tempfile.TemporaryDirectory() as folder:
        bound = c_loop(paths, Path(folder))
        found = ways(paths, contents)
        rates: dict[str, list[float]] = {BOUND: [], **{name: [] for name in found}}
        runs = {name: run for name, run in [(BOUND, bound), *found.items()] if not isinstance(run, str)}
        for name, run in runs.items():  # warm up, and the pages of the files
            run(1) if name == BOUND else run()
        passes = 1
        for number in range(options.rounds):
            names = [*runs][number % len(runs) :] + [*runs][: number % len(runs)]
            for name in names:
                if name == BOUND:
                    taken = runs[name](passes)
                    rates[name].append(count * passes / taken)
                    passes = max(1, round(passes * options.seconds / taken))
                else:
                    taken, done = timed(runs[name], options.seconds)
                    rates[name].append(count * done / taken)
    reasons = {name: run for name, run in [(BOUND, bound), *found.items()] if isinstance(run, str)}
    return {name: statistics.median(values) if values else reasons[name] for name, values in rates.items()}


def readable(paths: list[Path]) -> tuple[list[Path], list[bytes], int]:
    """Return the files that all methods can read, their contents, and the number of the other files."""
    kept, contents = [], []
    for path in paths:
        try:
            read_coefficients(path)
        except JpegError:
            continue
        kept.append(path)
        contents.append(path.read_bytes())
    return kept, contents, len(paths) - len(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of JPEG files, with subfolders")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=200, help="number of files, chosen evenly")
    parser.add_argument("--seconds", type=float, default=0.5, help="smallest time in seconds for each method and round")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    step = max(1, len(paths) // max(1, options.files))
    paths, contents, left_out = readable(paths[::step][: options.files])
    if not paths:
        parser.error(f"{options.folder} holds no JPEG file that can be read")
    figures = measure(options, paths, contents)
    size = sum(map(len, contents))
    print(
        f"{len(paths)} files of {size / len(paths) / 1000:.0f} KB on average ({left_out} left out), {options.rounds} "
        f"rounds, {backend()} reader, {reader_library()}, Python {sys.version.split()[0]}, torch {torch.__version__}"
    )
    bound, pillow = figures[BOUND], figures["Pillow, RGB"]
    print(f"{'one thread, where not said':<36}{'images/s':>10}{'MB/s':>8}{'of bound':>10}{'of Pillow':>11}")
    for name, rate in figures.items():
        if isinstance(rate, str):
            print(f"{name:<36}  {rate}")
            continue
        share = f"{rate / bound:.2f}" if isinstance(bound, float) else "-"
        print(f"{name:<36}{rate:>10.0f}{rate * size / len(paths) / 1e6:>8.1f}{share:>10}{rate / pillow:>11.2f}")
    for name in ("passband, coefficients", "passband, 24 channels"):
        print(f"{name}: two threads are {figures[f'{name}, 2 threads'] / figures[name]:.2f} of one")
    if options.output:
        about = {"files": len(paths), "bytes": size, "rounds": options.rounds, "reader": reader_library()}
        options.output.write_text(json.dumps({**about, "images per second": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
