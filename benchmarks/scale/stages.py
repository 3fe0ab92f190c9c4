"""Measures each stage of restoring and of training: processor time for an image and for a megapixel, and bytes.

    python benchmarks/scale/stages.py [--weights general] [-o stages.json]

One thread works on JPEG photos of 0.25, 0.5 and 1 megapixels. Times are processor times, which other programs on the
machine change little. A line is fitted through the three sizes: seconds for an image plus seconds for a megapixel.
`examples/plan_cluster.py` takes the file that is written, or figures of your own.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from skimage import data

from passband.data.finding import find_sources
from passband.inference import Restorer
from passband.inference.files.plan import plan
from passband.inference.files.restoring import RESTORED
from passband.io.arrays import from_array
from passband.io.image import read_image, write_image
from passband.io.records import OutputSettings, Records, signature
from passband.losses import multiscale_loss
from passband.models import load_model

MEGAPIXELS = (0.25, 0.5, 1.0)
LISTED = 2000
"""Number of files for the stages that do not depend on pixels."""
CROP = 256
"""Side of the crops of training, in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="general")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("-o", "--output", type=Path, default=Path("stages.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        stages = {**listing(folder), **pixels(folder, options.weights, options.precision)}
        stages = {stage: stages[stage] for stage in ("list", "read", "decode", "restore", "encode", "write", "record")}
    training = trained(options.weights)
    print("| stage | seconds for an image | for a megapixel | bytes for a megapixel |")
    print("|---|---|---|---|")
    for stage, row in stages.items():
        print(f"| {stage} | {row['image']:.1e} | {row['megapixel']:.1e} | {row['bytes']:.1e} |")
    size, sample = f"{CROP} x {CROP}", training["sample"]
    print(f"train: {sample:.2f} s for a crop of {size}, {training['bytes']:.1e} bytes of gradients")
    result = {"weights": options.weights, "precision": options.precision, "stages": stages, "training": training}
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Return the processor time of a function, the least of three measurements."""
    least = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for _ in range(times):
            work()
        least = min(least, (time.process_time() - begun) / times)
    return least


def listing(folder: Path) -> dict[str, dict[str, float]]:
    """Measure listing and naming files, and recording them."""
    source, target = folder / "many", folder / "made"
    source.mkdir()
    target.mkdir()
    for number in range(LISTED):
        (source / f"{number:06}.jpg").touch()

    def find() -> None:
        records = Records()
        list(plan(find_sources([source], {".jpg"}, "images", records=records), target, RESTORED, records))

    making, records = OutputSettings("restore", "0" * 64, {"quality": 95}), Records()
    original = source / "000000.jpg"
    seen, numbers = signature(original), iter(range(10**9))

    def record() -> None:
        path = target / f"{next(numbers):06}.jpg"
        path.touch()
        records.add(path, original, seen, making)

    return {
        "list": {"image": seconds(find) / LISTED, "megapixel": 0.0, "bytes": 0.0},
        "record": {"image": seconds(record, 300), "megapixel": 0.0, "bytes": 0.0},
    }


def pixels(folder: Path, weights: str, precision: str) -> dict[str, dict[str, float]]:
    """Measure the stages that depend on the number of pixels."""
    restorer = Restorer(weights, "cpu", precision=precision)
    photo = from_array(data.coffee())[0]
    times: dict[str, list[float]] = {}
    sizes: dict[str, list[int]] = {"read": [], "write": []}
    for count in MEGAPIXELS:
        side = round((count * 1e6) ** 0.5)
        image = torch.nn.functional.interpolate(photo[None], (side, side), mode="bicubic")[0].clamp(0, 1)
        path, out = folder / f"{side}.jpg", folder / f"{side}.out.jpg"
        write_image(path, image, quality=90)
        sizes["read"].append(path.stat().st_size)
        write_image(out, image, quality=95)
        sizes["write"].append(out.stat().st_size)
        content = out.read_bytes()

        def write(path: Path = out, content: bytes = content) -> None:
            with path.open("wb") as file:
                file.write(content)
                os.fsync(file.fileno())

        encoded = seconds(lambda image=image, out=out: write_image(out, image, quality=95))
        read = seconds(path.read_bytes, 20)
        for stage, value in (
            ("read", read),
            ("decode", seconds(lambda path=path: read_image(path)) - read),
            ("restore", seconds(lambda image=image: restorer.restore(image[None]))),
            ("encode", encoded),
            ("write", seconds(write, 5)),
        ):
            times.setdefault(stage, []).append(value)
    rows = {}
    for stage, values in times.items():
        slope, fixed = np.polyfit(MEGAPIXELS, values, 1, w=1 / np.array(MEGAPIXELS))  # relative errors count
        stored = np.polyfit(MEGAPIXELS, sizes[stage], 1)[0] if stage in sizes else 0.0
        rows[stage] = {"image": max(0.0, float(fixed)), "megapixel": max(0.0, float(slope)), "bytes": float(stored)}
    return rows


def trained(weights: str) -> dict[str, float]:
    """Measure one sample of a training step, and the bytes of gradients that processes exchange in each step."""
    model = load_model(weights).train()
    crop = torch.rand(1, 3, CROP, CROP)

    def step() -> None:
        model.zero_grad()
        multiscale_loss(model(crop), crop).backward()

    step()
    return {"sample": seconds(step), "bytes": float(4 * sum(one.numel() for one in model.parameters()))}


if __name__ == "__main__":
    main()
