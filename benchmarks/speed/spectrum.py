"""Measures the speed of the spectral report's measurement, in megapixels per second.

    python benchmarks/speed/spectrum.py [--sizes 768x512 1920x1080 4000x3000] [--threads 2] [--rounds 7]
        [-o spectrum.json]

A megapixel is a million pixels of one image triple: degraded, restored and clean RGB in float32. For comparison, the
same run measures how long it takes to copy the nine planes of such a triple, and to compute their Fourier transforms.
All take turns, and a time is the smallest over the rounds. CPU time is the time of all threads together. On a busy
machine, the CPU time of one thread says more than the elapsed time of two, which wait for each other.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from figures import write_figures

from passband.metrics.spectral_error import spectral_errors


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return the elapsed seconds and the CPU seconds of a call."""
    started, computed = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - started, time.process_time() - computed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["768x512", "1920x1080", "4000x3000"], help="widths x heights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures = []
    print("| size | work | MP/s | MP per CPU second |\n|---|---|---|---|")
    for size in options.sizes:
        width, height = map(int, size.split("x"))
        triple = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(0))
        degraded, restored, clean = triple[:, None]
        copied = torch.empty_like(triple)
        work: dict[str, Callable[[], object]] = {
            "spectral errors": lambda r=restored, c=clean, d=degraded: spectral_errors(r, c, d),
            "spectral errors, blocks of 32": lambda r=restored, c=clean, d=degraded: spectral_errors(r, c, d, block=32),
            "Fourier transforms alone": lambda t=triple: torch.fft.rfft2(t, norm="ortho"),
            "copy": lambda t=triple, o=copied: o.copy_(t),
        }
        best = dict.fromkeys(work, (float("inf"), float("inf")))
        for _ in range(options.rounds + 1):  # the first round also allocates and warms up
            for name, function in work.items():
                best[name] = tuple(map(min, zip(best[name], timed(function), strict=True)))
        megapixels = width * height / 1e6
        for name, (elapsed, computed) in best.items():
            figures.append({"size": size, "work": name, "seconds": elapsed, "cpu_seconds": computed})
            print(f"| {size} | {name} | {megapixels / elapsed:.1f} | {megapixels / computed:.1f} |")
    write_figures(options.output, {"threads": options.threads, "figures": figures})


if __name__ == "__main__":
    main()
