"""Measures the training loaders of the library with 0, 2, 4 and 8 worker processes.

    python benchmarks/loading/loader_workers.py JPEGS PAIRS [--workers 0 2 4 8] [--seconds 8] [--start fork forkserver]

JPEGS is a folder of JPEG files, at any depth; PAIRS holds degraded and clean images. Four data sets are loaded as
`passband train` loads them: frequency channels of JPEG files, pixels of JPEG files, crops of pairs, and photos that are
degraded while they are loaded. If torchcodec is installed (`pip install torchcodec`), a fifth one decodes the pixels
with TorchCodec, which replaces torchvision's deprecated decoders, and resizes them as bytes with torchvision.
Every loader gets the same time, and images are counted from its third batch on,
so that the start of the workers is left out; it is shown in a column of its own. The rounds take the loaders in turn.
"""

import argparse
import itertools
import multiprocessing
import statistics
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.transforms.v2.functional import resized_crop

from passband.config import load_recipe, parse_recipe
from passband.data.classifier_input import Preprocessing
from passband.data.cubes.fitting import of_imagenet, unnormalized
from passband.data.cubes.views import Augmentation, pixel_window
from passband.data.datasets.classification import ClassificationTrainingSet, LabeledImages
from passband.data.datasets.loaders import batch_loader
from passband.data.datasets.order import NumberedBatches
from passband.io.image import ImageError
from passband.io.json_files import write_json
from passband.layers.channels import channel_subset
from passband.provenance import environment
from passband.tasks import TASKS

BATCH = 16
LEFT_OUT = 3
"""Batches before the count begins."""


@dataclass(frozen=True)
class CodecPreprocessing(Preprocessing):
    """Pixels that TorchCodec decodes, resized as bytes."""

    def prepare(self, source: Path | bytes, augmentation: Augmentation | None = None) -> Float[Tensor, "K h w"]:
        """Make the network's input from a JPEG file."""
        from torchcodec.decoders import decode_jpeg

        try:
            image = decode_jpeg(source)
        except RuntimeError as error:
            raise ImageError(f"{source} cannot be decoded: {error}") from error
        window = pixel_window(*image.shape[-2:], augmentation)
        place = (window.top, window.left, window.height, window.width)
        view = resized_crop(image, *place, [self.size, self.size], antialias=True)
        view = view.flip(-1) if window.mirrored else view
        return (view / 255 - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]


def datasets(jpegs: Path, pairs: Path) -> dict[str, tuple[Any, Any]]:
    """Return each data set with the function that makes its batches."""
    found = sorted(path for path in jpegs.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    labeled = LabeledImages(("a", "b"), tuple(found), tuple(number % 2 for number in range(len(found))))
    classify = TASKS["classification"](load_recipe("dct-small"))

    def views(preprocessing: Preprocessing) -> Any:
        return ClassificationTrainingSet(labeled, of_imagenet(preprocessing), 0, skip_bad=True), classify.collate

    def crops(source: str, folder: Path) -> Any:
        data = {"source": source, "crop": 128, "skip_bad": True, "batch": BATCH}
        content = {"name": source, "task": "restoration", "optim": {"steps": 1, "warmup_steps": 0}, "data": data}
        task = TASKS["restoration"](parse_recipe(content, "benchmarks/loading/loader_workers.py"))
        return task.training_data(folder, {}), task.collate

    channels = tuple(channel_subset("24S").indices())
    pixels = unnormalized("rgb", (), 224, 1)
    codec = {}
    if find_spec("torchcodec") is not None:
        codec["pixels of TorchCodec, 224 px"] = views(CodecPreprocessing(**vars(pixels)))
    return {
        "coefficients, 24 channels of 448 px": views(unnormalized("coefficients", channels, 448, 8)),
        "pixels, 224 px": views(pixels),
        **codec,
        "pairs, crops of 128 px": crops("pairs", pairs),
        "degraded photos, crops of 128 px": crops("photographs", jpegs),
    }


def speed(dataset: Any, collate: Any, workers: int, start: str, seconds: float) -> tuple[float, float]:
    """Return images per second after the first batches, and the seconds until the first batch."""
    begun = time.perf_counter()
    loader = batch_loader(dataset, NumberedBatches(0, 10**6, BATCH), collate, workers=workers)
    if workers:
        loader.multiprocessing_context = multiprocessing.get_context(start)
    batches = iter(loader)
    next(batches)
    first = time.perf_counter() - begun
    for _ in range(LEFT_OUT - 1):
        next(batches)
    counted, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        next(batches)
        counted += BATCH
    return counted / (time.perf_counter() - begun), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jpegs", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 4, 8])
    parser.add_argument("--start", nargs="+", default=["fork"], choices=["fork", "forkserver", "spawn"])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = [
        (workers, start)
        for workers, start in itertools.product(options.workers, options.start)
        if workers or start == options.start[0]
    ]
    results: dict[str, dict[str, Any]] = {}
    for name, (dataset, collate) in datasets(options.jpegs, options.pairs).items():
        measured: dict[tuple[int, str], list[tuple[float, float]]] = {way: [] for way in ways}
        for number in range(options.rounds):
            for workers, start in ways[number % len(ways) :] + ways[: number % len(ways)]:
                measured[workers, start].append(speed(dataset, collate, workers, start, options.seconds))
        alone = statistics.median(rate for rate, _ in measured[ways[0]])
        print(f"\n| {name} | images/s | of {ways[0][0]} workers | first batch |\n|---|---|---|---|")
        for (workers, start), figures in measured.items():
            rate, first = (statistics.median(one[index] for one in figures) for index in (0, 1))
            how = f"{workers} workers, {start}" if workers else "no workers"
            results.setdefault(name, {})[how] = {"images_per_second": rate, "first_batch_seconds": first}
            print(f"| {how} | {rate:.0f} | {rate / alone:.2f}x | {first:.1f} s |", flush=True)
    if options.output:
        write_json(options.output, {"loaders": results, **environment()})


if __name__ == "__main__":
    main()
