"""Measures time and memory of SFNet against the same network with an unfold filter, at the same precision.

    python benchmarks/speed/sfnet.py [--size 512] [--rounds 3] [-o sfnet.json]

Each variant runs in its own process, with its own peak memory. The processes take turns, so that a drifting machine
affects all of them equally. The time is the smallest over the rounds of the mean of two forward passes, after a warm-up
pass. The memory is the peak of the process above its memory before the first forward pass.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from figures import run_child, write_figures

from passband.layers import DynamicFilter
from passband.models import MODELS
from passband.provenance import peak_memory, reset_peak_memory

VARIANTS = ("unfold float32", "float32", "bfloat16")


def unfold_forward(self: DynamicFilter, x: torch.Tensor) -> torch.Tensor:
    """Apply a dynamic filter with k^2 shifted copies of the map, as research code writes it."""
    batch, channels, height, width = x.shape
    kernels = self.kernels(x).flatten(2)
    padded = F.pad(x, (self.kernel_size // 2,) * 4, mode="reflect")
    patches = F.unfold(padded, self.kernel_size)
    patches = patches.view(batch, self.groups, channels // self.groups, self.kernel_size**2, height * width)
    low = (patches * kernels[:, :, None, :, None]).sum(3).view(x.shape)
    return self.modulator(low, x - low)


def build(name: str) -> torch.nn.Module:
    """Return the network with weights that make every branch matter and are the same in every process."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def child(variant: str, name: str, size: int, output: Path) -> None:
    """Run one variant, and print its results as JSON."""
    if variant.startswith("unfold"):
        DynamicFilter.forward = unfold_forward  # type: ignore[method-assign]
    model = build(name)
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    reset_peak_memory(image.device)
    before = peak_memory(image.device)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=variant == "bfloat16"):
        restored = model(image)[-1]
        most = peak_memory(image.device)
        started = time.perf_counter()
        for _ in range(2):
            model(image)
    seconds = (time.perf_counter() - started) / 2
    torch.save(restored.float(), output)
    print(json.dumps({"seconds": seconds, "bytes": most - before}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sfnet", choices=MODELS)
    parser.add_argument("--size", type=int, default=512, help="side of the image in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], options.model, options.size, Path(options.child[1]))
        return

    figures = {variant: {"seconds": float("inf"), "bytes": 0} for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for variant in VARIANTS:
                choices = ("--model", options.model, "--size", str(options.size))
                done = run_child(__file__, *choices, "--child", variant, str(Path(folder) / variant))
                figures[variant]["seconds"] = min(figures[variant]["seconds"], done["seconds"])
                figures[variant]["bytes"] = max(figures[variant]["bytes"], done["bytes"])
        outputs = {variant: torch.load(Path(folder) / variant) for variant in VARIANTS}

    reference = figures["unfold float32"]
    size, threads = f"3x{options.size}x{options.size}", torch.get_num_threads()
    print(f"{options.model}, {size}, {threads} threads, torch {torch.__version__}")
    print(f"{'':<16}{'seconds':>9}{'of unfold':>11}{'peak MB':>9}{'of unfold':>11}{'largest difference':>21}")
    for variant, figure in figures.items():
        figure["time_ratio"] = figure["seconds"] / reference["seconds"]
        figure["memory_ratio"] = figure["bytes"] / reference["bytes"]
        figure["difference"] = (outputs[variant] - outputs["unfold float32"]).abs().max().item()
        print(
            f"{variant:<16}{figure['seconds']:>9.3f}{figure['time_ratio']:>11.2f}{figure['bytes'] / 1e6:>9.0f}"
            f"{figure['memory_ratio']:>11.2f}{figure['difference']:>21.1e}"
        )
    write_figures(options.output, figures)


if __name__ == "__main__":
    main()
