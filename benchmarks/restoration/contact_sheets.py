"""Makes contact sheets of the degradations for the documentation.

    python benchmarks/restoration/contact_sheets.py [-o docs/degradations] [--kinds rain snow] [--seed 1]

The script writes a JPEG file per degradation with twelve samples: crops of photos that come with scikit-image, degraded
with the seed and the indices 0 to 11. Each row begins with the clean crop.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

from passband.data.degradations import KINDS, degrade
from passband.io.arrays import from_array

SIDE, COLUMNS, ROWS = 176, 5, 3
"""Side of a sample in pixels, samples per row (the first one is clean), and number of rows."""


def sheet(kind: str, seed: int) -> Image.Image:
    """Return rows of a clean crop and its degraded forms."""
    photographs = [from_array(picture())[0] for picture in (data.astronaut, data.coffee, data.chelsea)]
    canvas = torch.ones(3, ROWS * SIDE, COLUMNS * SIDE)
    for row, photograph in enumerate(photographs):
        top, left = (photograph.shape[-2] - SIDE) // 2, (photograph.shape[-1] - SIDE) // 2
        clean = photograph[:, top : top + SIDE, left : left + SIDE].contiguous()
        for column in range(COLUMNS):
            number = row * (COLUMNS - 1) + column - 1
            picture = degrade(clean, kind, seed=seed, index=number) if column else clean
            canvas[:, row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = picture
    return Image.fromarray((canvas.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/degradations"))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for kind in options.kinds:
        path = options.output / f"{kind}.jpg"
        sheet(kind, options.seed).save(path, quality=72)
        print(path)


if __name__ == "__main__":
    main()
