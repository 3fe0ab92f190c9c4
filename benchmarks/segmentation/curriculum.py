"""Measures the time that a frequency-ratio curriculum saves, and its effect on the scores.

    python benchmarks/segmentation/curriculum.py --data TRAIN --validation-data VAL -o DIR [--size 128] [--width 16]
        [--epochs 20] [--seeds 0 1 2] [--rows full crop-up ...] [--repeat-order]

TRAIN and VAL hold images/ and masks/. Every row is the same U-Net, trained by the same recipe for the same number of
epochs on the same files. Only the curriculum differs:

- full: no curriculum.
- crop-up: from coarse to fine on cropped spectra: 1/2 of the side for 30 % of the steps, 3/4 for 30 %, and the whole
  image for 40 %.
- crop-thirds: each of these sizes for a third of the steps.
- mask-up: the ratios of crop-up with masks, at full size. The difference to crop-up is the effect of the cropping.
- down-R: masks whose ratio by magnitude falls linearly from 1 to R, the schedule of "Adaptive Frequency Ratio
  Scheduler" (lab slides, 2023).
- adaptive (not a default row): masks whose ratio by radius is searched four times during the training.

Seconds are those of the training only: the time from the arrival of a batch to the end of the optimizer step, and the
waits for the loader between steps. Validation and checkpoints are left out. A wait that includes one of them is not
measured, and is replaced by the mean of the other waits. The order of the rows rotates with the seed, so that a machine
that slows down affects all rows equally; --repeat-order keeps one order. On a machine with other work, --clock
processor counts the CPU time of all threads of the training process instead of wall time. With --threads 1 both are
equal on an idle machine, except for the processes of the loader.

Scores are those of the weights at the end of each run, on whole images at the size of their masks, so VAL does not
influence any choice. Finished cells (row x seed) are skipped, and a stopped cell is resumed. After each cell the script
writes DIR/table.md, DIR/table.json and DIR/curves.png (Dice over seconds of training).
"""

import argparse
import csv
import json
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from passband.checkpoints import latest_checkpoint
from passband.config import parse_recipe
from passband.data.masks import find_mask_pairs, read_mask
from passband.io.files import write_whole
from passband.metrics.mask_scores import all_background
from passband.provenance import environment
from passband.runs import read_run
from passband.tasks.segmentation import Segmentation
from passband.training import StepReport, train

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""Clocks for the seconds of training, by name."""
UP = {"start": 0.5, "end": 1.0, "shape": "step", "plateaus": 3, "hold": 0.1}


def down(final: float) -> dict[str, Any]:
    """Return the schedule of the slides."""
    return {"mode": "mask", "definition": "magnitude", "start": 1.0, "end": final, "shape": "linear", "hold": 0.0}


ROWS: dict[str, dict[str, Any]] = {
    "full": {"mode": "none"},
    "crop-up": {"mode": "crop", **UP},
    "crop-thirds": {"mode": "crop", **UP, "hold": 0.0},
    "mask-up": {"mode": "mask", **UP},
    "down-0.9": down(0.9),
    "down-0.6": down(0.6),
    "down-0.3": down(0.3),
    "down-0": down(0.0),
    "adaptive": {"mode": "mask", "schedule": "adaptive"},
}
BASE = "full"
SCORES = ("foreground_dice", "foreground_iou", "accuracy", "f1", "precision", "recall", "iou")
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Half width of the 95 % confidence interval in standard errors (Student's t), by number of seeds. About 2 for more."""


class Clock:
    """Measures seconds of training. It is saved with every checkpoint, so a resumed run continues to count."""

    def __init__(self, checkpoint_every: int, clock: Callable[[], float]):
        self.checkpoint_every, self.clock = checkpoint_every, clock
        self.counts = {"steps": 0, "step_seconds": 0.0, "waits": 0, "wait_seconds": 0.0}
        self.curve: list[dict[str, float]] = []
        self.began = 0.0
        self.ended: float | None = None

    def begin(self) -> None:
        """Start the time of a step, whose batch has arrived."""
        self.began = self.clock()
        if self.ended is not None:
            self.counts["waits"] += 1
            self.counts["wait_seconds"] += self.began - self.ended

    def end(self, step: StepReport) -> None:
        """Stop the time of a step, and start the time of the wait for the next one."""
        now = self.clock()
        self.counts["steps"] += 1
        self.counts["step_seconds"] += now - self.began
        self.ended = None if step.step % self.checkpoint_every == 0 else now

    def validated(self, figures: dict[str, float]) -> None:
        """Discard the current wait, because it includes a validation."""
        self.ended = None
        self.curve.append({"step": self.counts["steps"], "seconds": self.seconds, **figures})

    @property
    def waited(self) -> float:
        """Seconds of all waits for the loader. Unmeasured waits count as the mean of the others."""
        measured = max(1, self.counts["waits"])
        return self.counts["wait_seconds"] * max(0, self.counts["steps"] - 1) / measured

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return self.counts["step_seconds"] + self.waited

    def state_dict(self) -> dict[str, Any]:
        """Return all values, for a checkpoint."""
        return {"counts": self.counts, "curve": self.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values of a checkpoint."""
        self.counts, self.curve, self.ended = dict(state["counts"]), list(state["curve"]), None


class Timed(Segmentation):
    """A task that measures the time of its steps."""

    def __init__(self, recipe: Any, clock: Clock):
        super().__init__(recipe)
        self.clock = clock

    def state(self, lesson: Any) -> list[Any]:
        """Return the state of the task, and the clock."""
        return [*super().state(lesson), self.clock]

    def loss(self, model: Any, batch: dict[str, Any], done: float, lesson: Any = None) -> Any:
        """Return the loss of the task, and start the time of a step."""
        self.clock.begin()
        return super().loss(model, batch, done, lesson)

    def validate(self, model: Any, batches: Any, scored: Any = None) -> Any:
        """Validate as the task does, and note the seconds of training beside the scores."""
        result = super().validate(model, batches, scored)
        self.clock.validated(result.figures)
        return result


def settings(row: str, seed: int, steps_per_epoch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe of a cell."""
    curriculum = ROWS[row]
    if curriculum["mode"] == "crop":
        curriculum = {**curriculum, "sizes": [options.size // 2, 3 * options.size // 4]}
    return {
        "name": row,
        "task": "segmentation",
        "seed": seed,
        "checkpoint_every": max(1, 2 * steps_per_epoch),
        "model": {"name": "unet", "arguments": {"width": options.width}},
        "data": {"size": options.size, "batch": options.batch, "workers": options.workers},
        "optim": {
            "optimizer": "adam",
            "learning_rate": options.learning_rate,
            "final_learning_rate": options.learning_rate / 100,
            "epochs": options.epochs,
        },
        "loss": {"name": options.loss},
        "curriculum": curriculum,
        "validation": {"every": max(1, options.validate_every * steps_per_epoch), "batch": 16},
    }


def measured(row: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train or resume a cell of the table, unless it is finished, and return its row."""
    cell = options.output / row / f"seed-{seed}"
    run, done = cell / "run", cell / "cell.json"
    count = len(find_mask_pairs(options.data))
    recipe = parse_recipe(settings(row, seed, max(1, count // options.batch), options), row)
    resume = latest_checkpoint(run) is not None
    if resume and read_run(run)["recipe"] != recipe:
        raise SystemExit(f"{run} was trained by other settings than are asked for now: choose another folder with -o")
    if done.exists():
        return json.loads(done.read_text())
    if not resume:
        shutil.rmtree(run, ignore_errors=True)  # begun, and stopped before its first checkpoint
    clock = Clock(recipe.checkpoint_every, CLOCKS[options.clock])
    progress = train(
        recipe,
        run,
        data=options.data,
        validation_data=options.validation_data,
        resume=resume,
        device=options.device,
        task=Timed(recipe, clock),
        report=clock.end,
    )
    with (run / "log.csv").open(newline="") as file:
        sides = [float(line.get("side") or options.size) for line in csv.DictReader(file)]
    result = {
        **{name: progress.figures[name] for name in SCORES},
        "seconds": clock.seconds,
        "loader_share": clock.waited / clock.seconds,
        "steps": progress.step,
        "pixels": statistics.fmean((side / options.size) ** 2 for side in sides),
        "curve": clock.curve,
        "recipe": recipe.model_dump(),
    }
    with write_whole(done) as path:
        path.write_text(json.dumps(result, indent=2) + "\n")
    return result


Cells = dict[str, dict[int, dict[str, Any]]]


def summary(cells: Cells) -> list[dict[str, Any]]:
    """Return a row of the table for each curriculum."""
    rows = []
    for name in sorted(cells, key=list(ROWS).index):
        seeds = cells[name]
        row: dict[str, Any] = {"row": name, "seeds": sorted(seeds)}
        for score in SCORES:
            values = [100 * cell[score] for cell in seeds.values()]
            row[score] = {"mean": statistics.fmean(values), "spread": spread(values), "values": values}
        seconds = [cell["seconds"] for cell in seeds.values()]
        row["seconds"] = {"mean": statistics.fmean(seconds), "spread": spread(seconds), "values": seconds}
        row["pixels"] = statistics.fmean(cell["pixels"] for cell in seeds.values())
        row["loader_share"] = statistics.fmean(cell["loader_share"] for cell in seeds.values())
        paired = [(cell, cells[BASE][seed]) for seed, cell in seeds.items() if seed in cells.get(BASE, {})]
        if name != BASE and paired:
            gains = [100 * (cell["foreground_dice"] - base["foreground_dice"]) for cell, base in paired]
            error = None if len(gains) < 2 else statistics.stdev(gains) / len(gains) ** 0.5
            row["gain"] = {"mean": statistics.fmean(gains), "error": error, "seeds": len(gains)}
            row["time"] = statistics.fmean(cell["seconds"] / base["seconds"] for cell, base in paired)
        rows.append(row)
    return rows


def spread(values: list[float]) -> float | None:
    """Return the standard deviation over the seeds, if there are several."""
    return statistics.stdev(values) if len(values) > 1 else None


def shown(figure: dict[str, Any], digits: int) -> str:
    """Return a mean with its spread as text."""
    return f"{figure['mean']:.{digits}f}" + ("" if figure["spread"] is None else f" ± {figure['spread']:.{digits}f}")


def gain(row: dict[str, Any]) -> str:
    """Return the difference in Dice to the base, with its standard error."""
    if "gain" not in row:
        return ""
    found = row["gain"]
    if found["error"] is None:
        return f"{found['mean']:+.1f}, one seed"
    is_nil = abs(found["mean"]) < STUDENT.get(found["seeds"], 2.2) * found["error"]
    return f"{found['mean']:+.1f} ± {found['error']:.1f}{', nil within noise' if is_nil else ''}"


def table(rows: list[dict[str, Any]], empty: dict[str, float], options: argparse.Namespace) -> str:
    """Return the Markdown table and its notes."""
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    lines = [
        f"U-Net, width {options.width}, {options.size} x {options.size} pixels, {options.epochs} epochs, batch "
        f"{options.batch}, seeds {', '.join(map(str, seeds))}, {torch.get_num_threads()} threads. Scored at the whole "
        "spectrum, at the size of the masks, by the protocol lab_macro and by Dice and IoU of the foreground, in %. ± "
        "is the standard deviation over seeds; of differences, the standard error of a mean over pairs of runs of one "
        f"seed. Seconds are of training alone, by the {options.clock} clock; time and pixels are shares of those of "
        f"{BASE}.",
        "",
        f"| curriculum | Dice | minus {BASE} | IoU | seconds | time | pixels | waiting for the loader | pixel accuracy "
        "| F1 | precision | recall | macro IoU |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours = [shown(row[name], 1) for name in SCORES]
        time_share = f"{row['time']:.2f}" if "time" in row else "1" if row["row"] == BASE else ""
        lines.append(
            f"| {row['row']} | {ours[0]} | {gain(row)} | {ours[1]} | {shown(row['seconds'], 0)} | {time_share} "
            f"| {row['pixels']:.2f} | {100 * row['loader_share']:.1f} % | {' | '.join(ours[2:])} |"
        )
    nothing = [f"{100 * empty[name]:.1f}" for name in SCORES]
    lines.append(f"| all background | {nothing[0]} | | {nothing[1]} | | | | | {' | '.join(nothing[2:])} |")
    return "\n".join(lines) + "\n"


def draw(cells: Cells, path: Path, clock: str) -> None:
    """Draw Dice over seconds of training: the mean of the seeds, and the range of their values."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((9, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name in sorted(cells, key=list(ROWS).index):
        curves = [cell["curve"] for cell in cells[name].values()]
        points = list(zip(*curves, strict=False))
        seconds = [statistics.fmean(point["seconds"] for point in at) for at in points]
        scores = [[100 * point["foreground_dice"] for point in at] for at in points]
        (line,) = axes.plot(seconds, [statistics.fmean(values) for values in scores], label=name)
        low, high = [min(values) for values in scores], [max(values) for values in scores]
        axes.fill_between(seconds, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel=f"seconds of training ({clock} clock)", ylabel="Dice of the foreground, %", xlim=(0, None))
    axes.grid(alpha=0.3)
    figure.legend(title="mean and range\nof the seeds", loc="outside right upper")
    with write_whole(path) as temporary:
        figure.savefig(temporary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder to train on")
    parser.add_argument("--validation-data", type=Path, required=True, help="folder to score on")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for runs and tables")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=[name for name in ROWS if name != "adaptive"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--size", type=int, default=128, help="side in pixels of whole training images, a multiple of 64"
    )
    parser.add_argument("--width", type=int, default=16, help="channels of the first maps of the U-Net")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--loss", default="cross_entropy", choices=("cross_entropy", "dice", "cross_entropy+dice"))
    parser.add_argument("--validate-every", type=int, default=2, help="epochs between points of the curves")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="clock for the seconds of training")
    parser.add_argument("--repeat-order", action="store_true", help="keep one order of the rows for all seeds")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare samples")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu"))
    parser.add_argument("--threads", type=int, help="threads of torch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    masks = (read_mask(pair.mask, 1) for pair in find_mask_pairs(options.validation_data))
    empty = all_background("lab_macro", masks)

    cells: Cells = {}
    for number, seed in enumerate(options.seeds):  # a whole table of few seeds is worth more than few rows of many
        first = 0 if options.repeat_order else number % len(options.rows)
        for row in [*options.rows[first:], *options.rows[:first]]:
            cell = measured(row, seed, options)
            cells.setdefault(row, {})[seed] = cell
            print(
                f"{row:<10} seed {seed}: Dice {100 * cell['foreground_dice']:.2f} %, IoU {100 * cell['iou']:.2f} % "
                f"(macro), {cell['seconds']:.0f} s, {100 * cell['loader_share']:.1f} % waiting for the loader",
                flush=True,
            )
            rows = summary(cells)
            about = {name: str(value) for name, value in vars(options).items()}
            content = {"options": about, "rows": rows, "all_background": empty, "threads": torch.get_num_threads()}
            (options.output / "table.json").write_text(json.dumps({**content, **environment()}, indent=2) + "\n")
            (options.output / "table.md").write_text(table(rows, empty, options))
            draw(cells, options.output / "curves.png", options.clock)
    print()
    print((options.output / "table.md").read_text())


if __name__ == "__main__":
    main()
