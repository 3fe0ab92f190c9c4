"""Compares the speed of training samples from shards with that from the same folder, on one thread.

    python benchmarks/loading/shards.py FOLDER [--files 256] [--size 2MB] [--rounds 7] [-o shards.json]

FOLDER holds JPEG files. They are packed into a temporary folder. Each round reads one epoch of every kind of sample
from the folder and from the shards, each in the order in which a training reads it, and in a turn that alternates. The
table shows medians over the rounds, and the median of the ratios within each round. The last column is the ratio of the
least processor times of this process, which other programs on the machine change least. A first pass brings all files
into the page cache, where reading is fastest and the work of finding and checking members counts most.

- `coefficients`: 24 frequency channels of a random view, from the coefficients of the file.
- `images`: the pixels of the whole file.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from passband.data.cubes.fitting import of_imagenet, unnormalized
from passband.data.cubes.views import Augmentation
from passband.data.datasets.shard_order import order_of
from passband.data.images import find_images
from passband.data.shards import pack_folder
from passband.io.files import copy_whole, write_whole
from passband.io.image import read_image
from passband.layers.channels import channel_subset
from passband.provenance import environment

BATCH = 32


def kinds() -> dict[str, Callable[[Path, int], Any]]:
    """Return the function that makes each kind of sample from a file and a number."""
    numbers = tuple(channel_subset("24S").indices())
    preprocessing = of_imagenet(unnormalized("coefficients", numbers, 448, 8))

    def coefficients(path: Path, number: int) -> Any:
        return preprocessing.prepare(path, Augmentation(np.random.default_rng(number), (0.08, 1.0)))

    return {
        "coefficients": coefficients,
        "images": lambda path, number: read_image(path),
    }


def seconds(make: Callable[[Path, int], Any], paths: Sequence[Path], epoch: int) -> tuple[float, float]:
    """Return the time and the processor time of an epoch in seconds."""
    order = order_of(paths, 0, BATCH)
    order(epoch * len(paths))  # the order itself is computed once per epoch
    start, processor_start = time.perf_counter(), time.process_time()
    for number in range(epoch * len(paths), (epoch + 1) * len(paths)):
        make(paths[order(number)], number)
    return time.perf_counter() - start, time.process_time() - processor_start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=256, help="number of files")
    parser.add_argument("--size", default="2MB", help="size of a shard")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="passband-") as temporary:
        folder, shards = Path(temporary, "folder"), Path(temporary, "shards")
        for number, path in enumerate(find_images(options.folder, (".jpg", ".jpeg"))[: options.files]):
            copy_whole(path, folder / f"{number:06d}.jpg")
        packed = pack_folder(folder, shards, size=options.size, content="images")
        places = {"folder": find_images(folder), "shards": find_images(shards)}
        print(f"{packed.files} files, {packed.bytes / 1e6:.1f} MB, {len(packed.written)} shards\n")
        print("| samples | folder, images/s | shards, images/s | shards / folder | by processor time |")
        print("|---|---|---|---|---|")
        for kind, make in kinds().items():
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in places}
            for epoch in range(options.rounds + 1):
                for name in list(places)[:: 1 if epoch % 2 else -1]:
                    times[name].append(seconds(make, places[name], epoch))
            rounds = list(zip(*(times[name][1:] for name in places), strict=True))  # the first round warms up
            speeds = [packed.files / statistics.median(one[place][0] for one in rounds) for place in range(2)]
            least = [min(one[place][1] for one in rounds) for place in range(2)]
            ratios = statistics.median(one[0] / other[0] for one, other in rounds), least[0] / least[1]
            row = dict(zip(("folder", "shards", "ratio", "processor_ratio"), (*speeds, *ratios), strict=True))
            rows.append({"samples": kind, **row})
            print(f"| {kind} | {speeds[0]:.0f} | {speeds[1]:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    if options.output is not None:
        content = {**environment(), "files": packed.files, "bytes": packed.bytes, "rows": rows}
        with write_whole(options.output) as path:
            path.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
