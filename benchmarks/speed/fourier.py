"""Measures the time to find the radius that keeps a share of the spectrum, compared with a linear search.

    python benchmarks/speed/fourier.py [--size 256] [--batch 16] [--rounds 3] [-o fourier.json]

The linear search is that of "Adaptive Frequency Ratio Scheduler" (lab slides, 2023), without its limit of half the
side. For each image it tries radii upward from 0, until the disc holds the given share of the summed magnitude of the
spectrum. It follows the formula and is not optimized. Both methods use float64 and must find the same radii. The images
are photos that come with scikit-image. The two methods take turns, and a time is the smallest over the rounds.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from figures import photographs, write_figures

from passband.curriculum import radii_of

RATIOS = [tenth / 10 for tenth in range(1, 10)]


def searched(images: torch.Tensor, ratio: float) -> list[int]:
    """Return the radii that the linear search finds."""
    height, width = images.shape[-2:]
    v, u = np.ogrid[:height, :width]
    found = []
    for image in images.double().numpy():
        spectrum = np.fft.fftshift(np.fft.fft2(image), axes=(-2, -1))
        wanted = ratio * np.abs(spectrum).sum() * (1 - 1e-14)  # sums in another order differ by as much
        radius = 0
        while np.abs(spectrum * (np.hypot(v - height // 2, u - width // 2) <= radius)).sum() < wanted:
            radius += 1
        found.append(radius)
    return found


def timed(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    images = photographs(options.batch, options.size)
    figures = []
    for ratio in RATIOS:
        radii = [int(radius) for radius in radii_of(images, ratio).tolist()]
        if radii != searched(images, ratio):
            raise SystemExit(f"the radii of a ratio of {ratio} differ")
        searching, ours = [], []
        for _ in range(options.rounds):
            searching.append(timed(lambda ratio=ratio: searched(images, ratio)))
            ours.append(timed(lambda ratio=ratio: radii_of(images, ratio)))
        figures.append({"ratio": ratio, "radii": radii, "search_s": min(searching), "passband_s": min(ours)})
        print(
            f"ratio {ratio}: radii {min(radii)} to {max(radii)}, the same; search {min(searching) * 1e3:.1f} ms, "
            f"passband {min(ours) * 1e3:.1f} ms: {min(searching) / min(ours):.1f} times as fast"
        )
    ratio = sum(row["search_s"] for row in figures) / sum(row["passband_s"] for row in figures)
    print(f"all of them: {ratio:.1f} times as fast")
    about = {"size": options.size, "batch": options.batch, "threads": torch.get_num_threads()}
    write_figures(options.output, {**about, "figures": figures})


if __name__ == "__main__":
    main()
