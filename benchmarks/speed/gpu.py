"""Measures passband on one GPU: correctness of every job, speed and memory of restoration, and training.

    python benchmarks/speed/gpu.py [--minutes 7] [--parts correctness speed training peers] [--data FOLDER]
        [-o gpu.json]
    python benchmarks/speed/gpu.py --device cpu --minutes 2

The rows are in the order of their importance. A row begins only if its estimated time is left of `--minutes`, and the
others are listed as left out. If a row fails, its error takes the place of its figures, and the next row follows. The
file is written anew after each row. The last output is a table in Markdown.

Correctness compares each job on the device with the CPU in float32: the largest difference, and the PSNR in dB for a
signal with the range of the reference. Float32 without TF32 shall reach 60 dB. Other rows of float32 use torch's
default, which allows TF32 in convolutions, unless their name says otherwise.

Speed is measured on the published SFNet with random weights, unless another network is named: the median time of a
batch, by CUDA events, after a warm-up. Memory is the peak of torch's tensors on the GPU. "Unfold" is the network as
research code writes it, with k^2 shifted copies of a map in each dynamic filter.

With --device cpu, all images and networks are tiny, to check that the script works.
"""

import argparse
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import gpu_correctness
import gpu_peers
import gpu_speed
import gpu_training
import torch
from figures import photographs, write_figures
from gpu_rows import Bench, NotHereError, Row, machine

from passband.data.images import find_images
from passband.io.image import read_image

PARTS = ("correctness", "speed", "training", "peers")
PHOTOS, SIDE = 24, 512
"""Number of photos, and their side in pixels."""
TRACE_LINES = 4
"""Last lines of a traceback that are kept."""


def rows_of(parts: list[str]) -> list[Row]:
    """Return the rows of some parts, in the order of their importance."""
    rows = [
        *gpu_correctness.ROWS,
        *gpu_speed.ROWS[: gpu_speed.FIRST],
        *gpu_training.ROWS,
        *gpu_speed.ROWS[gpu_speed.FIRST :],
        *gpu_peers.ROWS,
        gpu_correctness.COMPILED_ROWS[0],
        *gpu_speed.COMPILED_ROWS,
    ]
    return [row for row in rows if row.part in parts]


def load_photos(folder: Path | None, count: int, side: int) -> torch.Tensor:
    """Return square photos of a folder, or of scikit-image."""
    if folder is None:
        return photographs(count, side)
    paths = find_images(folder)[:count]
    images = [
        torch.nn.functional.interpolate(read_image(path)[None], (side, side), mode="bilinear", antialias=True)
        for path in paths
    ]
    return torch.cat(images)


def is_tiny(device: torch.device) -> bool:
    """Tell whether images and networks are tiny, because the device only tries the script."""
    return device.type == "cpu"


def measure(bench: Bench, row: Row) -> dict[str, Any]:
    """Return the figures of a row, or its error."""
    started = time.perf_counter()
    try:
        figures = row.measure(bench)
    except NotHereError as error:
        return {"left_out": str(error)}
    except Exception as error:
        lines = "".join(traceback.format_exception(error)).strip().splitlines()
        figures = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        figures["traceback"] = [line.strip() for line in lines[-2 * TRACE_LINES :]]
    finally:
        gpu_speed.free(bench)
    return figures | {"seconds": round(time.perf_counter() - started, 2)}


def text(value: Any) -> str:
    """Return a figure as text."""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 0.01 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(part)}" for name, part in value.items())
    return str(value)


def short(row: Row, figures: dict[str, Any]) -> str:
    """Return the figures of a row in one line."""
    if "left_out" in figures:
        return f"left out: {figures['left_out']}"
    if "error" in figures:
        return f"FAILED: {figures['error']} ({' / '.join(figures.get('traceback', [])[-3:])})"
    return "; ".join(f"{name}: {text(value)}" for name, value in figures.items() if name != "seconds")


def tables(results: dict[str, Any], part: str) -> list[str]:
    """Return the rows of a part as tables in Markdown, one for all rows with the same columns; then those without."""
    hidden = ("part", "traceback", "seconds")
    groups: dict[tuple[str, ...], list[str]] = {}
    problems = []
    for name, figures in results["rows"].items():
        if figures["part"] != part:
            continue
        title = name.removeprefix(f"{part}: ")
        if "left_out" in figures or "error" in figures:
            problem = f"left out: {figures['left_out']}" if "left_out" in figures else f"failed: {figures['error']}"
            problems.append(f"- {title}: {problem}")
            continue
        columns = tuple(column for column in figures if column not in hidden)
        cells = [title, *(text(figures[column]) for column in columns)]
        groups.setdefault(columns, []).append(f"| {' | '.join(cells)} |")
    lines = [f"\n### {part}"] if groups or problems else []
    for columns, rows in groups.items():
        lines += [f"\n| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}", *rows]
    return [*lines, "", *problems]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="device, such as cuda, cuda:1 or cpu (tiny images)")
    parser.add_argument("--minutes", type=float, default=7.0, help="time for all rows, in minutes")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS, help="parts to measure")
    parser.add_argument("--rows", nargs="+", metavar="TEXT", help="only rows whose names contain one of these texts")
    parser.add_argument("--data", type=Path, help="folder of photos, instead of those of scikit-image")
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"), help="JSON file for the results")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("this machine has no CUDA GPU that torch can use; --device cpu tries the script with tiny images")

    device = torch.device(options.device)
    if device.type == "cuda":
        torch.cuda.init()
    small = is_tiny(device)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        photos = load_photos(options.data, 6 if small else PHOTOS, 96 if small else SIDE)
        bench = Bench(device, small, photos, Path(folder))
        results: dict[str, Any] = {"machine": machine(bench), "rows": {}}
        print("; ".join(f"{name}: {text(value)}" for name, value in results["machine"].items()), flush=True)
        for row in rows_of(options.parts):
            if options.rows and not any(part in row.name for part in options.rows):
                continue
            left = options.minutes * 60 - (time.perf_counter() - started)
            if left < (0 if small else row.seconds):
                figures: dict[str, Any] = {
                    "left_out": f"needs about {row.seconds:g} s, and {max(left, 0):.0f} s are left"
                }
            else:
                figures = measure(bench, row)
            results["rows"][f"{row.part}: {row.name}"] = {"part": row.part, **figures}
            results["minutes"] = (time.perf_counter() - started) / 60
            write_figures(options.output, results)
            clock = f"{time.perf_counter() - started:6.1f} s"
            print(f"{clock}  {row.part}: {row.name}: {short(row, figures)}", flush=True)
    print(
        f"\n{', '.join(text(value) for value in results['machine'].values())}; {results.get('minutes', 0):.1f} minutes"
    )
    for part in PARTS:
        print("\n".join(tables(results, part)))


if __name__ == "__main__":
    main()
