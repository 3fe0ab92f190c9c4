"""Measures the gains of shipped weights on photos that they never saw, degraded by a seed.

    python benchmarks/restoration/shipped.py PHOTOGRAPHS [--weights general] [--seed 2026] [--kinds rain clean]
        [-o shipped.json]

PHOTOGRAPHS is a folder of clean pictures (the published figures are of the 24 of Kodak). Each is degraded in every
way, rounded to 8 bits, restored and compared to the clean one: PSNR in dB and SSIM on float RGB, one value per
picture, then the mean. The last row passes the clean photographs through.
"""

import argparse
from pathlib import Path

import torch

from passband.data.datasets.crops import CLEAN, degraded_as_file
from passband.data.degradations import KINDS, VERSIONS
from passband.data.images import find_images
from passband.inference import Restorer
from passband.io.image import read_image
from passband.io.json_files import write_json
from passband.metrics import psnr, ssim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--weights", default="general")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pool-window", type=int)
    parser.add_argument("--pool-mode")
    parser.add_argument("--every", type=int, default=1, help="score only every Nth photo")
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=[*KINDS, CLEAN],
        help="kinds of degradations; default: those of the version, and clean",
    )
    parser.add_argument("--version", type=int, default=1, choices=VERSIONS, help="version of the simulators")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    overrides = {
        name: getattr(options, name) for name in ("pool_window", "pool_mode") if getattr(options, name) is not None
    }
    restorer = Restorer(options.weights, options.device, precision="float32", **overrides)
    photographs = list(enumerate(find_images(options.photographs)))[:: options.every]
    print(f"{len(photographs)} photographs, seed {options.seed}, weights {options.weights}, mean of each picture's own")
    print(f"{'':<13}{'PSNR in':>9}{'out':>8}{'gain':>8}{'worst':>8}{'SSIM in':>10}{'out':>8}{'worse than input':>19}")
    figures = {}
    for kind in options.kinds or [*VERSIONS[options.version], CLEAN]:
        rows = []
        for index, path in photographs:
            clean = read_image(path)[None]
            degraded = degraded_as_file(clean[0], kind, seed=options.seed, index=index, version=options.version)[None]
            restored = restorer.restore(degraded).cpu()
            rows.append([f(x, clean).item() for f in (psnr, ssim) for x in (degraded, restored)])
        before, after, similar_before, similar_after = torch.tensor(rows, dtype=torch.float64).unbind(1)
        figures[kind] = {
            "psnr_degraded": before.mean().item() if kind != CLEAN else None,
            "psnr": after.mean().item(),
            "gain": (after - before).mean().item() if kind != CLEAN else None,
            "worst": (after - before).min().item() if kind != CLEAN else after.min().item(),
            "ssim_degraded": similar_before.mean().item(),
            "ssim": similar_after.mean().item(),
            "worse": int((after < before).sum()) if kind != CLEAN else None,
        }
        texts = [f"{figures[kind][name]:.2f}" if figures[kind][name] is not None else "" for name in
                 ("psnr_degraded", "psnr", "gain", "worst")]  # fmt: skip
        worse = f"{figures[kind]['worse']} of {len(rows)}" if kind != CLEAN else ""
        print(
            f"{kind:<13}{texts[0]:>9}{texts[1]:>8}{texts[2]:>8}{texts[3]:>8}"
            f"{figures[kind]['ssim_degraded']:>10.4f}{figures[kind]['ssim']:>8.4f}{worse:>19}",
            flush=True,
        )
    if options.output is not None:
        write_json(options.output, figures)


if __name__ == "__main__":
    main()
