"""Measures the time of a sweep for the best frequency ratio, compared with its passes through the network.

    python benchmarks/speed/ratio.py [--size 160] [--pictures 16] [--radii 32] [--width 16] [--rounds 3] [-o ratio.json]

A sweep takes two forward and backward passes of all images at each radius, one for low and one for high frequencies.
The bare passes are the same number of passes through the same network (a U-Net) with the same images and score, and
nothing else: no Fourier transform, no saliency, no second term. Each round times both once, in a rotating order, so
that a drifting machine affects both equally. A ratio is that of the medians over the rounds. The images are photos that
come with scikit-image.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from figures import photographs, write_figures
from torch import Tensor, nn

from passband.curriculum import RatioSearch
from passband.curriculum.objective import TERMS, BandTerms, output_score
from passband.models.segmentation.unet import unet
from passband.provenance import environment


def bare_passes(model: nn.Module, images: Tensor, count: int) -> None:
    """Run a number of forward and backward passes to the images."""
    for _ in range(count):
        inputs = images.detach().requires_grad_()
        torch.autograd.grad(output_score(model(inputs)).sum(), inputs)


def sweep(model: nn.Module, images: Tensor, term: str, radii: tuple[float, ...]) -> None:
    """Compute both terms at every radius, including the spectrum of the images."""
    terms = BandTerms(model, images, term)
    for radius in radii:
        terms.at(radius, torch.ones(len(images)))


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that a call takes."""
    wait = torch.cuda.synchronize if device.type == "cuda" else int
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=160, help="side of the images in pixels, a multiple of 16")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--radii", type=int, default=32)
    parser.add_argument("--width", type=int, default=16, help="width of the U-Net")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    model = unet(width=options.width).to(device).eval()
    images = photographs(options.pictures, options.size).to(device)
    bare_passes(model, images, 1)  # what is made once
    radii = RatioSearch("area", radii=options.radii)(model, images[:1]).radii
    works: dict[str, Callable[[], object]] = {
        "bare passes": partial(bare_passes, model, images, 2 * len(radii)),
        **{f"sweep, {term}": partial(sweep, model, images, term, radii) for term in TERMS},
        "whole search, variance": partial(RatioSearch("area", "variance", radii=options.radii), model, images),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(options.rounds):
        names = [*works]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            taken[name].append(seconds(works[name], device))
    figures = {name: statistics.median(times) for name, times in taken.items()}
    bare = figures["bare passes"]
    print(f"{2 * len(radii)} passes of {len(images)} pictures of {options.size} pixels on {device}\n")
    print("| | seconds | of the bare passes |")
    print("|---|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.2f} | {value / bare:.2f}x |")
    print("\nThe whole search is the sweep with its refinement, which takes passes of its own.")
    about = {**vars(options), "output": None, "radii": len(radii), "passes": 2 * len(radii)}
    write_figures(options.output, {**about, "seconds": figures, "rounds_s": taken, **environment()})


if __name__ == "__main__":
    main()
