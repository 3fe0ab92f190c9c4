"""Measures the gain of fine-tuning on a kind of rain that the weights never saw.

    python benchmarks/restoration/finetune.py --photographs FOLDER [--from general] [--minutes 10]
        [-o finetune-benchmark]

FOLDER holds at least 40 clean photos. The first 20 (by name) become training pairs, and the next 20 held-out pairs.
Their rain consists of long, dense, vertical streaks in front of a bluish veil, which `degrade` does not draw. The
script prints PSNR and SSIM of each held-out image, degraded, before and after the fine-tuning, and writes them to
finetune.json in the folder of the run.
"""

import argparse
from pathlib import Path

import numpy as np

from passband.data.degradations.version1.weather import Haze, Rain, Streaks, rain
from passband.data.images import find_images
from passband.finetuning import finetune
from passband.io.image import read_image, write_image

SHOWER = Rain(
    angle=0.0,
    layers=(
        Streaks(length=110.0, width=2.2, density=0.0012, opacity=0.75),
        Streaks(length=45.0, width=1.2, density=0.0030, opacity=0.55),
    ),
    veil=Haze(beta=0.35, near=0.5, airlight=(0.50, 0.62, 0.82), gradient=0.6),
)
"""Of `degrade`'s rain no streak is longer than 63 pixels, a fifth of the picture is covered at most (here almost half),
and the veil is gray and a third as thick."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--from", dest="weights", default="general")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--steps", type=int, help="length of the run in steps, instead of --minutes")
    parser.add_argument("--crop", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--pairs", type=int, default=20, help="number of training pairs, and of held-out pairs")
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--output", type=Path, default=Path("finetune-benchmark"), help="new folder for the run")
    options = parser.parse_args()

    photographs = find_images(options.photographs)[: 2 * options.pairs]
    if len(photographs) < 2 * options.pairs:
        parser.error(f"{options.photographs} holds {len(photographs)} photographs; {2 * options.pairs} are needed")
    for index, path in enumerate(photographs):
        side = "learn" if index < options.pairs else "held-out"
        clean = read_image(path)
        degraded = rain(clean, SHOWER, np.random.default_rng([2026, index]))
        write_image(options.output / side / "degraded" / f"{path.stem}.png", degraded)
        write_image(options.output / side / "clean" / f"{path.stem}.png", clean)

    choices = {name: getattr(options, name) for name in ("steps", "crop", "learning_rate") if getattr(options, name)}
    result = finetune(
        options.weights,
        options.output / "learn",
        options.output / "run",
        validation_data=options.output / "held-out",
        minutes=options.minutes,
        device=options.device,
        announce=print,
        **choices,
    )
    for row in (*result["images"], {"name": "mean", **result["mean"]}):
        decibels = " -> ".join(f"{row[f'psnr_{when}']:5.2f}" for when in ("degraded", "before", "after"))
        similar = " -> ".join(f"{row[f'ssim_{when}']:.4f}" for when in ("degraded", "before", "after"))
        print(f"{row['name']:<20} {decibels} dB   {similar}   {row['psnr_after'] - row['psnr_before']:+.2f} dB")
    print(f"{result['steps']} steps; {result['ended']}")


if __name__ == "__main__":
    main()
