"""Trains small networks of equal cost in turn, on the same crops for the same number of steps.

    python benchmarks/restoration/small_networks.py --photographs FOLDER [--steps 300] [--crop 96] [-o small-networks]

FOLDER holds clean photos, which the shipped simulators degrade with rain and haze. Validation uses --validation-data,
or the same photos with other degradations. The script prints cost, PSNR in dB and training time of each network, and
writes small-networks.json into the output folder. Times are in seconds of the wall clock and, for comparisons on a busy
machine, of the processor, without the loader's process. Each run is a run of `passband train`.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import torch

from passband.analysis.cost import cost
from passband.config import parse_recipe
from passband.models import build_model
from passband.runs import read_run
from passband.training import train

NETWORKS = {"sfnet-small": {"blend_windows": True}, "fsnet-small": {"blend_windows": True}, "convir-tiny": {}}
"""Names and arguments of the networks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder of clean photos to train on")
    parser.add_argument("--validation-data", type=Path, help="folder of clean photos to score on")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--crop", type=int, default=96, help="side of the crops in pixels, a multiple of 32 from 96")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--output", type=Path, default=Path("small-networks"), help="new folder for the runs")
    options = parser.parse_args()

    rows = []
    for name in options.networks:
        recipe = parse_recipe(
            {
                "name": name,
                "task": "restoration",
                "seed": options.seed,
                "precision": options.precision,
                "checkpoint_every": max(1, options.steps // 4),
                "model": {"name": name, "arguments": NETWORKS[name]},
                "data": {
                    "crop": options.crop,
                    "batch": options.batch,
                    "workers": 1,
                    "degradations": {"rain": 1.0, "haze": 1.0},
                },
                "optim": {
                    "optimizer": "adamw",
                    "learning_rate": 1e-3,
                    "final_learning_rate": 0.0,
                    "steps": options.steps,
                    "warmup_steps": options.steps // 10,
                    "clip_norm": 0.1,
                    "ema": 0.0,  # the weights of the last step are scored, not an average over steps
                },
                "validation": {"every": max(1, options.steps // 4), "count": 16, "crop": options.crop},
            },
            "benchmarks/restoration/small_networks.py",
        )
        with torch.device("meta"):
            needed = cost(build_model(name), (3, 256, 256))
        begun, worked = time.monotonic(), time.process_time()
        run = options.output / name
        progress = train(
            recipe, run, data=options.photographs, validation_data=options.validation_data, device=options.device
        )
        progress.exit_if_signaled()
        row = {
            "network": name,
            "parameters": needed.parameters,
            "gmacs_256": needed.macs / 1e9,
            "steps": options.steps,
            "seconds": time.monotonic() - begun,
            "processor_seconds": time.process_time() - worked,
            "status": read_run(run)["status"],
            "validations": list(csv.DictReader((run / "validation.csv").read_text().splitlines())),
        }
        rows.append(row)
        times = f"{row['seconds']:.0f} s, {row['processor_seconds']:.0f} s of the processor"
        print(f"{name}: {row['gmacs_256']:.1f} GMACs at 256 x 256, {times}", flush=True)
        print((run / "validation.csv").read_text())
    (options.output / "small-networks.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
