"""Measures the speed and the agreement of every engine against a literal SFNet in float32, all in one process.

    python benchmarks/speed/engines.py [--weights sfnet] [--sizes 256 720p] [--threads 1 2] [--rounds 5]
        [-o engines.json]

The reference is the network as research code writes it: each dynamic filter unfolds k^2 copies of its map. `--weights
sfnet` is the published network with weights that are the same everywhere; a shipped name or a folder also works. The
engines take turns image by image, so that the load of other programs affects all of them. Times are the least over the
rounds, after one image that is not timed, in seconds of the wall clock and of the processor. On a busy machine only the
ratios of processor time say something, and with one thread only. Agreement is against torch in float32, on a rainy
photo. Networks run on the whole image. Quantizing to int8 takes minutes the first time; `--engines` leaves engines out.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from figures import write_figures
from restore import picture
from sfnet import build, unfold_forward
from torch import Tensor, nn

from passband.export import restoration_graph
from passband.export.ncnn.graph import ncnn_graph
from passband.export.ncnn.runtime import NcnnRuntime
from passband.export.quantize import quantized
from passband.export.runtimes import OnnxRuntime, OpenVINORuntime, Precision, of_one_size, openvino_model
from passband.layers import DynamicFilter
from passband.models import load_model

REFERENCE = "unfold"
SIZES = {"64": (64, 64), "256": (256, 256), "512": (512, 512), "720p": (720, 1280), "1080p": (1088, 1920)}
Restore = Callable[[Tensor], Tensor]


def torch_engine(model: nn.Module) -> Restore:
    @torch.inference_mode()
    def restore(image: Tensor) -> Tensor:
        return model(image)[-1]

    return restore


def unfold_engine(model: nn.Module) -> Restore:
    restore, fast = torch_engine(model), DynamicFilter.forward

    def unfolded(image: Tensor) -> Tensor:
        DynamicFilter.forward = unfold_forward  # type: ignore[method-assign]
        try:
            return restore(image)
        finally:
            DynamicFilter.forward = fast  # type: ignore[method-assign]

    return unfolded


def one_size(model: Any, size: tuple[int, int], precision: Precision = "float32") -> Restore:
    return OpenVINORuntime(of_one_size(model, *size), precision)


ENGINES: dict[str, Callable[[nn.Module, tuple[int, int]], Restore]] = {
    REFERENCE: lambda model, size: unfold_engine(model),
    "torch": lambda model, size: torch_engine(model),
    "onnxruntime": lambda model, size: OnnxRuntime(restoration_graph(model)),
    "onnxruntime one size": lambda model, size: OnnxRuntime(restoration_graph(model, size=size)),
    "openvino": lambda model, size: OpenVINORuntime(openvino_model(model)),
    "openvino one size": lambda model, size: one_size(openvino_model(model), size),
    "ncnn": lambda model, size: NcnnRuntime(ncnn_graph(model)),
    "openvino bfloat16": lambda model, size: OpenVINORuntime(openvino_model(model), "bfloat16"),
    "openvino bfloat16 one size": lambda model, size: one_size(openvino_model(model), size, "bfloat16"),
    "openvino int8": lambda model, size: OpenVINORuntime(quantized(model), "int8"),
    "openvino int8 one size": lambda model, size: one_size(quantized(model), size, "int8"),
}
"""Functions that load a network into each engine, for images of a height and width in pixels. Those of one size take no
other images, as files of `passband export --size` do."""


def measure(engines: dict[str, Restore], image: Tensor, exact: Tensor, rounds: int) -> dict[str, dict[str, float]]:
    """Restore an image with all engines in turns."""
    figures: dict[str, dict[str, float]] = {}
    for name, engine in engines.items():
        difference = (engine(image) - exact).double()
        error = difference.square().mean()
        figures[name] = {
            "seconds": float("inf"),
            "processor_seconds": float("inf"),
            "agreement": float("inf") if error == 0 else -10 * torch.log10(error).item(),
            "difference": difference.abs().max().item(),
        }
    for _ in range(rounds):
        for name, engine in engines.items():
            wall, processor = time.perf_counter(), time.process_time()
            engine(image)
            spent = {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}
            figures[name] |= {key: min(figures[name][key], value) for key, value in spent.items()}
    for figure in figures.values():
        figure["faster"] = figures[REFERENCE]["seconds"] / figure["seconds"]
        figure["faster_by_processor"] = figures[REFERENCE]["processor_seconds"] / figure["processor_seconds"]
    return figures


def show(title: str, figures: dict[str, dict[str, float]]) -> None:
    """Print a table for docs/benchmarks.md."""
    print(f"\n| {title} | seconds | faster | by processor time | dB | largest difference |")
    print("|---|---|---|---|---|---|")
    for name, figure in figures.items():
        print(
            f"| {name} | {figure['seconds']:.3f} | {figure['faster']:.2f}x | {figure['faster_by_processor']:.2f}x | "
            f"{figure['agreement']:.1f} | {figure['difference']:.1e} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="sfnet", help="sfnet, sfnet-small, a shipped name or a folder")
    parser.add_argument("--sizes", nargs="+", default=["256", "720p"], choices=SIZES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", default=",".join(ENGINES), help="engines, separated by commas")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    names = [REFERENCE, *(name.strip() for name in options.engines.split(",") if name.strip() != REFERENCE)]
    for name in names:
        if name not in ENGINES:
            parser.error(f"--engines takes {', '.join(ENGINES)}; got {name!r}")
    model = build(options.weights) if options.weights.startswith("sfnet") else load_model(options.weights).eval()
    print(f"{options.weights}, torch {torch.__version__}, {os.cpu_count()} cores, {options.rounds} rounds")
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        for size in options.sizes:
            engines = {name: ENGINES[name](model, SIZES[size]) for name in names}
            image = picture(*SIZES[size])
            title = f"{size}, {threads} thread{'s' if threads > 1 else ''}"
            figures[title] = measure(engines, image, torch_engine(model)(image), options.rounds)
            show(title, figures[title])
    write_figures(options.output, figures)


if __name__ == "__main__":
    main()
