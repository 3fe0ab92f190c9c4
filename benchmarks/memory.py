"""Peak memory of the process that restores a large picture, and how far bands and tiles are from the whole.

    python benchmarks/memory.py [--quick] [-o memory.json]

Each row runs in a process of its own; its peak is the largest resident size of that process, with Python, torch and
both pictures. Rows with a weights' name restore a noisy gradient with them; the others have weights that make every
branch matter. Differences are taken at a size where the whole picture fits, in the unit of the pictures, [0, 1].
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import torch

from passband.inference.memory import Plan, plan, restore_within, room, run
from passband.models import load_model, sfnet
from passband.ops.tiling import lay_tiles

# network, width, height, how (a mode, or a cap in bytes), bar in GB
ROWS = [
    ("sfnet", 1280, 720, "whole", None),
    ("sfnet", 1280, 720, "bands", 2.0),
    ("sfnet", 3840, 2160, "bands", 6.0),
    ("general", 6000, 4000, 2_000_000_000, 2.0),
    ("sfnet", 6000, 4000, 2_000_000_000, 2.0),
]
QUICK = [
    ("general", 640, 480, "whole", None),
    ("general", 640, 480, "bands", 2.0),
    ("general", 1600, 1200, 1_200_000_000, 1.2),
]


def network(name: str) -> torch.nn.Module:
    """A network in evaluation: trained weights by their name, or the published one with random weights."""
    if name != "sfnet":
        return load_model(name)
    torch.manual_seed(0)
    model = sfnet().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def picture(height: int, width: int) -> torch.Tensor:
    """A noisy gradient: its parts have other averages than the whole."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, height, width, generator=generator).mul_(0.3).add_(torch.linspace(0, 0.6, height)[:, None])


@torch.inference_mode()
def peak(name: str, width: int, height: int, how: str | int) -> dict:
    """Restore in this process, and say what it took."""
    model, image = network(name), picture(height, width)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if isinstance(how, int):
        chosen = plan(model, tuple(image.shape), room(image.device, how))
        restored = restore_within(model, image, how)
    else:
        chosen = Plan(how, 0)
        restored = run(model, image, chosen)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1024 if sys.platform == "linux" else 1  # kibibytes on Linux, bytes on macOS
    figures = {"plan": str(chosen), "peak": most * unit, "above": (most - held) * unit}
    if chosen.side:
        figures["seam"] = seam(restored, chosen.side)
    return figures


def seam(restored: torch.Tensor, side: int) -> float:
    """Mean gradient across the borders of tiles over the mean gradient elsewhere."""
    from passband.inference.memory import OVERLAP

    tiles = lay_tiles(*restored.shape[-2:], side, OVERLAP, 8)
    at, elsewhere = [], []
    for dim, spans in ((-2, [tile.rows for tile in tiles]), (-1, [tile.columns for tile in tiles])):
        steps = torch.stack([part.abs().mean() for part in restored.diff(dim=dim).split(1, dim)])
        border = torch.zeros(len(steps), dtype=torch.bool)
        border[[span.own_start - 1 for span in spans if span.own_start]] = True
        at.append(steps[border])
        elsewhere.append(steps[~border].mean().expand(int(border.sum())))
    return (torch.cat(at).mean() / torch.cat(elsewhere).mean()).item()


@torch.inference_mode()
def differences(name: str, height: int, width: int, side: int) -> dict:
    """How far bands and tiles are from the whole, at a size where all fit."""
    from passband.models.sfnet_tiles import restore_in_tiles

    model, image = network(name), picture(height, width)
    whole = run(model, image, Plan("whole", 0))
    figures = {"bands": (run(model, image, Plan("bands", 0)) - whole).abs().max().item()}
    for passes in (0, 1, 2):
        tiled = restore_in_tiles(model, image, side, side // 16 * 8, passes=passes)
        figures[f"tiles, {passes} passes, dB"] = -10 * (tiled - whole).square().mean().log10().item()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small pictures")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(peak(*json.loads(options.child))))
        return

    rows = []
    print(f"{'network':<10}{'picture':>11}{'asked':>8}{'peak GB':>9}{'bar':>6}{'of it above':>13}{'seam':>7}  plan")
    for row in QUICK if options.quick else ROWS:
        name, width, height, how, bar = row
        command = [sys.executable, __file__, "--child", json.dumps(row[:4])]
        done = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        rows.append({"network": name, "width": width, "height": height, "asked": how, "bar": bar, **done})
        asked = how if isinstance(how, str) else f"{how / 1e9:.1f} GB"
        seam_figure = f"{done['seam']:.3f}" if "seam" in done else ""
        print(
            f"{name:<10}{f'{width}x{height}':>11}{asked:>8}{done['peak'] / 1e9:>9.2f}{bar or '':>6}"
            f"{done['above'] / 1e9:>13.2f}{seam_figure:>7}  {done['plan']}",
            flush=True,
        )
    size = (128, 192, 96) if options.quick else (512, 768, 384)
    agreement = {}
    for name in ("general",) if options.quick else ("general", "sfnet"):
        agreement[name] = differences(name, *size)
        print(f"{name} {size[1]}x{size[0]}, tiles of {size[2]}: " + ", ".join(
            f"{key} {value:.2g}" if key == "bands" else f"{key} {value:.1f}" for key, value in agreement[name].items()
        ))  # fmt: skip
    if options.output:
        options.output.write_text(json.dumps({"rows": rows, "agreement": agreement}, indent=2) + "\n")


if __name__ == "__main__":
    main()
