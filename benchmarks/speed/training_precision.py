"""Times a training step of several networks on the processor, in float32 and bfloat16 and in both layouts of the maps.

    python benchmarks/speed/training_precision.py [--networks unet resnet18] [--rounds 5] [--threads 1] [-o FILE.json]

A step is the forward and backward pass of a batch of four images. The ways take turns, so that other programs affect
all of them; times are the least processor time over the rounds, after one that is not timed. The last way is that of
`passband train` with the precision bfloat16.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from figures import write_figures
from torch import Tensor

from passband.hardware import processor
from passband.mixed_precision import fast_layers, memory_format
from passband.models import build_model

NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "sfnet-small": (96, {"blend_windows": True}),
    "convir-tiny": (96, {}),
    "unet": (128, {}),
    "smp": (224, {"architecture": "Unet", "encoder": "tu-tf_efficientnet_lite0"}),
    "resnet18": (224, {}),
    "mobilenet-v2": (224, {}),
    "efficientnet-lite0": (224, {}),
}
"""Networks by name, with the side of the images in pixels and the arguments."""
LAYOUTS = {"channel by channel": torch.contiguous_format, "channels-last": torch.channels_last}


def stepper(name: str, precision: str, layout: torch.memory_format, trains: bool) -> Callable[[], None]:
    """Return a function that does one step."""
    side, arguments = NETWORKS[name]
    torch.manual_seed(0)
    model = build_model(name, **arguments).train().to(memory_format=layout)  # type: ignore[call-overload]
    images = torch.rand(4, 3, side, side)
    mixed = precision == "bfloat16"

    def step() -> None:
        layers = fast_layers("cpu", precision) if trains else nullcontext()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed), layers:
            output = largest(model(images))
        model.zero_grad()
        output.float().square().mean().backward()

    return step


def largest(output: Any) -> Tensor:
    """Return the output at full size of a network that has several."""
    return output if isinstance(output, Tensor) else largest(output[-1])


def measure(name: str, rounds: int) -> dict[str, float]:
    """Return the seconds of a step in each way."""
    ways = {
        f"{precision}, {title}": stepper(name, precision, layout, False)
        for precision in ("float32", "bfloat16")
        for title, layout in LAYOUTS.items()
    }
    ways["passband train"] = stepper(name, "bfloat16", memory_format("cpu", "bfloat16"), True)
    seconds = dict.fromkeys(ways, float("inf"))
    for number in range(rounds + 1):
        for way, step in ways.items():
            started = time.process_time()
            step()
            if number:
                seconds[way] = min(seconds[way], time.process_time() - started)
    return seconds


def main() -> None:
    """Measure all networks, and print a table of how many times as fast as float32 each way is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures: dict[str, Any] = {"processor": processor(), "threads": options.threads}
    for name in options.networks:
        figures[name] = seconds = measure(name, options.rounds)
        first = next(iter(seconds.values()))
        if name == options.networks[0]:
            print(f"{processor()}, torch {torch.__version__}, {options.threads} threads\n")
            print("| network | seconds | " + " | ".join(list(seconds)[1:]) + " |\n|---" + "|---" * len(seconds) + "|")
        faster = " | ".join(f"{first / value:.2f}x" for value in list(seconds.values())[1:])
        print(f"| {name} | {first:.2f} | {faster} |", flush=True)
    write_figures(options.output, figures)


if __name__ == "__main__":
    main()
