"""Measures the peak memory of restoring a large image, and the differences of bands and tiles to the whole image.

    python benchmarks/speed/memory.py [--rows "720p bands" ...] [--quick] [--again] [-o memory.json]

Each row runs in its own process. Its peak is the largest resident size of that process, with Python, torch and both
images. With -o the results are written after each row, and rows that the file already holds are skipped unless --again
is set. Rows of the network `sfnet`, the published one, use random weights that make every branch matter. Other rows
name their weights.

The last rows compare bands and tiles with the whole image, at a size for which it fits into memory. For bands the table
shows the largest difference, for values in [0, 1]. For tiles it shows the PSNR in dB and the seam ratio: the mean
gradient across the borders of tiles over that elsewhere, divided by the same ratio of the whole image. A seam ratio of
1 means that there are no seams.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from figures import read_figures, run_child, write_figures
from skimage.data import chelsea

from passband.analysis.seams import seam_figure
from passband.data.degradations import degrade
from passband.inference.restoration.memory import OVERLAP, MemoryPlan
from passband.inference.restoration.planned import restore_planned, restore_within
from passband.io.arrays import from_array
from passband.metrics import psnr
from passband.models import load_model, sfnet
from passband.models.restoration.tiles import PASSES, restore_in_tiles
from passband.ops.tiling import lay_tiles
from passband.provenance import peak_memory


@dataclass(frozen=True)
class Row:
    """A process that restores an image in a mode (`whole` or `bands`) or within a limit in bytes, or compares modes."""

    network: str
    width: int
    height: int
    how: str | int
    bar: float | None = None
    """Peak in GB that it shall stay below."""
    tile: int = 0
    """Side of the tiles of a comparison, in pixels."""
    overlap: int = OVERLAP
    """Pixels that these tiles share."""


COMPARE = "compare"
ROWS = {
    "720p whole": Row("sfnet", 1280, 720, "whole"),
    "720p bands": Row("sfnet", 1280, 720, "bands", 2.0),
    "4K bands": Row("sfnet", 3840, 2160, "bands", 6.0),
    "24 MP general 2GB": Row("general", 6000, 4000, 2_000_000_000, 2.0),
    "24 MP sfnet 2GB": Row("sfnet", 6000, 4000, 2_000_000_000, 2.0),
    "compare general": Row("general", 1536, 1024, COMPARE, tile=768),
    "compare sfnet": Row("sfnet", 1536, 1024, COMPARE, tile=768),
}
QUICK = {
    "quick whole": Row("general", 320, 240, "whole"),
    "quick bands": Row("general", 320, 240, "bands", 2.0),
    "quick tiles": Row("general", 1600, 1200, 1_200_000_000, 1.2),
    "quick compare": Row("general", 192, 128, COMPARE, tile=96, overlap=48),
}


def network(name: str) -> torch.nn.Module:
    """Return a network in evaluation mode: named weights, or the published network with random weights."""
    if name != "sfnet":
        return load_model(name)
    torch.manual_seed(0)
    model = sfnet().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def gradient(height: int, width: int) -> torch.Tensor:
    """Return a noisy gradient, whose parts have other averages than the whole image."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, height, width, generator=generator).mul_(0.3).add_(torch.linspace(0, 0.6, height)[:, None])


def hazy_photograph(height: int, width: int) -> torch.Tensor:
    """Return a hazy photo, in which averages matter most. In noise no seam would be visible."""
    clean = F.interpolate(from_array(chelsea())[0][None], (height, width), mode="bilinear", antialias=True)[0]
    return degrade(clean, "haze", seed=1, index=0, version=1)[None]


@torch.inference_mode()
def restore(row: Row) -> dict[str, Any]:
    """Restore an image in this process, and return the time and the peak memory."""
    model, image = network(row.network), gradient(row.height, row.width)
    held = peak_memory(image.device)
    if isinstance(row.how, int):
        _, chosen = restore_within(model, image, row.how)
    else:
        chosen = MemoryPlan(row.how, 0)  # type: ignore[arg-type]
        restore_planned(model, image, chosen)
    most = peak_memory(image.device)
    return {"plan": chosen.how, "peak": most, "above": most - held}


@torch.inference_mode()
def compare(row: Row) -> dict[str, Any]:
    """Return the differences of bands and tiles to the whole image."""
    model = network(row.network)
    image = hazy_photograph(row.height, row.width)
    whole = restore_planned(model, image, MemoryPlan("whole", 0))
    figures: dict[str, Any] = {
        "bands": (restore_planned(model, image, MemoryPlan("bands", 0)) - whole).abs().max().item()
    }
    tiles = lay_tiles(row.height, row.width, row.tile, row.overlap, 8)
    for name, passes in (("plain", 0), ("shared", PASSES)):
        tiled = restore_in_tiles(model, image, row.tile, row.overlap, passes=passes)  # type: ignore[arg-type]
        figures[name] = {"psnr": psnr(tiled, whole).item(), "seam": seam_figure(tiled, whole, tiles)}
    return figures


def show(name: str, row: Row, figures: dict[str, Any]) -> None:
    """Print a row."""
    size = f"{row.width}x{row.height}"
    if row.how == COMPARE:
        plain, shared = figures["plain"], figures["shared"]
        print(
            f"{name:<20}{size:>11}  against the whole: bands differ by {figures['bands']:.1e}; tiles of {row.tile} "
            f"with the whole's statistics {shared['psnr']:.1f} dB, seam figure {shared['seam']:.4f}; plain tiles "
            f"{plain['psnr']:.1f} dB, {plain['seam']:.4f}",
            flush=True,
        )
        return
    bar = "" if row.bar is None else f"{row.bar:.1f}"
    print(
        f"{name:<20}{size:>11}{figures['peak'] / 1e9:>9.2f}{bar:>6}{figures['above'] / 1e9:>13.2f}  {figures['plan']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", metavar="NAME", help=f"some of: {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="use small images")
    parser.add_argument("--again", action="store_true", help="also run rows that the file already holds")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results, whose rows are skipped")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        row = Row(**json.loads(options.child))
        print(json.dumps(compare(row) if row.how == COMPARE else restore(row)))
        return

    rows = QUICK if options.quick else ROWS
    for name in options.rows or ():
        if name not in rows:
            parser.error(f"--rows takes {', '.join(rows)}; got {name!r}")
    figures = read_figures(options.output)
    print(f"{'row':<20}{'picture':>11}{'peak GB':>9}{'bar':>6}{'of it above':>13}  plan")
    for name in options.rows or rows:
        row = rows[name]
        known = figures.get(name, {})
        if options.again or known.get("row") != asdict(row):
            known = {"row": asdict(row), **run_child(__file__, "--child", json.dumps(asdict(row)))}
            figures[name] = known
            write_figures(options.output, figures)
        show(name, row, known)


if __name__ == "__main__":
    main()
