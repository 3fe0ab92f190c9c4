"""Measures the time of detectors from files to masks: reading, network, and masks of the size of the image.

    python benchmarks/detection/detection_speed.py WEIGHTS [WEIGHTS ...] --data FOLDER [--files 64] [--rounds 3]
        [--device cpu] [--threads 1] [-o detection_speed.json]

WEIGHTS are runs or folders of weights, such as those of `benchmarks/detection/detection_rows.py`. FOLDER is in COCO's
format, or holds images. Each round lets every detector process all files once, one after the other, in a rotating
order. The table shows medians over the rounds, in milliseconds for each file. "reading" ends with the input of the
network, "network" with boxes and the grids of masks, and "masks" with run-length codes in the size of the image.
--score is the smallest score of an instance whose mask is made.
"""

import argparse
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from passband.data.cubes.native_size import read_native_cube
from passband.data.images import find_images
from passband.inference import InstanceFinder
from passband.io.image import read_image
from passband.io.json_files import write_json
from passband.provenance import environment
from passband.tasks.instances import cube_form

PARTS = ("reading", "network", "masks")


def timed(finder: InstanceFinder, path: Path, score: float) -> tuple[list[float], int]:
    """Process a file, and return the seconds of each part and the number of instances."""
    form, marks = cube_form(finder.model), [time.perf_counter()]
    if form is None:
        image = read_image(path)
        size = (image.shape[-2], image.shape[-1])
    else:
        cube = read_native_cube(path, form)
        image, size = cube.values, (cube.height, cube.width)
    marks.append(time.perf_counter())
    found = finder.find_prepared(image, size).above(score)  # ends on the CPU, so that a GPU has finished
    marks.append(time.perf_counter())
    count = len(found.masks or ())
    marks.append(time.perf_counter())
    return [end - start for start, end in pairwise(marks)], count


def measure(finders: dict[str, InstanceFinder], paths: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    """Return milliseconds for each file by detector and part."""
    for finder in finders.values():
        for path in paths[:4]:
            timed(finder, path, options.score)
    rounds: dict[str, list[list[float]]] = {name: [] for name in finders}
    instances = dict.fromkeys(finders, 0)
    for turn in range(options.rounds):
        names = [*finders]
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            results = [timed(finders[name], path, options.score) for path in paths]
            parts = zip(*(seconds for seconds, _ in results), strict=True)
            rounds[name].append([1000 * sum(part) / len(paths) for part in parts])
            instances[name] = sum(count for _, count in results)
    return {
        name: {
            **{part: statistics.median(values) for part, values in zip(PARTS, zip(*ones, strict=True), strict=True)},
            "whole": statistics.median(sum(one) for one in ones),
            "rounds": ones,
            "instances": instances[name] / len(paths),
        }
        for name, ones in rounds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--score", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    paths = find_images(options.data, (".jpg", ".jpeg"))[: options.files]
    if not paths:
        raise SystemExit(f"{options.data} holds no JPEG files")
    finders = {name: InstanceFinder(name, options.device) for name in options.weights}
    found = measure(finders, paths, options)
    print("| weights | reading | network | masks | ms/file | files/s | instances/file |")
    print("|---|---|---|---|---|---|---|")
    for name, row in found.items():
        parts = " | ".join(f"{row[part]:.1f}" for part in (*PARTS, "whole"))
        print(f"| {name} | {parts} | {1000 / row['whole']:.1f} | {row['instances']:.1f} |")
    if options.output:
        content = {"files": len(paths), "threads": options.threads, "rows": found, **environment()}
        write_json(options.output, content)


if __name__ == "__main__":
    main()
