"""Writes and reads the folder of a run: its record, its checkpoints and its curves."""

import csv
import json
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from passband.config import Recipe, parse_recipe
from passband.drawing.charts.style import save_charts
from passband.drawing.charts.training import Curves, training_curves
from passband.io.files import is_openable, write_whole
from passband.io.image import write_image
from passband.io.shards import location
from passband.ops.checks import kind_of
from passband.processes import count
from passband.provenance import environment
from passband.weights_io import RUN_FILE, run_weights, save_weights, with_current_names

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_log = logging.getLogger(__name__)


CURVES_FILE = "curves.png"
"""Name of the chart in the folder of a run. It shows the loss and the scores over the steps. curves.svg lies beside
it."""


SIGNALED = 128
"""Exit status of a process whose run was stopped by a signal, to which the number of the signal is added, as shells
do."""


class RunError(RuntimeError):
    """Raised if a run cannot start or continue. The message gives the reason and what to do."""


class DivergedError(RunError):
    """Raised if the loss of a run is not finite."""


@dataclass
class Progress:
    """Progress of a run, which is saved with every checkpoint."""

    step: int = 0
    """Number of steps done."""
    best_score: float = -math.inf
    """Best score of all validations; higher is better."""
    seconds: float = 0.0
    """Time in the training loop in seconds, over all sessions."""
    stale: int = 0
    """Number of validations since the one with the best score."""
    figures: dict[str, float] = field(default_factory=dict)
    """Scores of the last validation, by name."""
    remark: str = ""
    """Problem of the network in the last validation, such as that it finds no instances; empty if there is none."""
    steps: int = 0
    """Number of steps of the whole run."""
    reason: str | None = None
    """Reason why the last session ended early; None if it reached the end of the run."""
    is_stopped: bool = False
    """Whether the last session ended because its time was over or by a signal. Resuming the run then continues it."""
    signal: int = 0
    """Number of the signal that stopped the last session; 0 if none did."""

    def exit_if_signaled(self) -> None:
        """End this process if a signal stopped the run, as the signal would have done without the checkpoint.

        Raises:
            SystemExit: with the status 128 plus the number of the signal, if a signal stopped the run.
        """
        if self.signal:
            raise SystemExit(SIGNALED + self.signal)

    def state_dict(self) -> dict[str, Any]:
        """Return all values, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values of a checkpoint."""
        for name, value in state.items():
            setattr(self, name, value)


class RunLog:
    """Writes the record of a run into its folder.

    Args:
        output: folder of the run.
        active: whether this process writes. Only one process of a parallel run does.
        step: last step of the run. Entries of later steps, from an earlier session, are removed.
    """

    def __init__(self, output: Path, active: bool, step: int):
        self.output, self.active = output, active
        self.board: SummaryWriter | None = None
        if active:
            output.mkdir(parents=True, exist_ok=True)
            for name in ("log.csv", "validation.csv"):
                _drop_rows_after(output / name, step)
            self.board = _event_writer(output / "tensorboard", step)

    def step(self, step: int, figures: dict[str, float]) -> None:
        """Log the numbers of a step without rounding them."""
        self._row("log.csv", step, figures)
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(f"train/{name}", value, step)

    def validation(self, step: int, figures: dict[str, float], picture: Tensor) -> None:
        """Log the scores and the example image of a validation."""
        self._row("validation.csv", step, figures)
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(f"validation/{name}", value, step)
            self.board.add_image("validation", picture.cpu(), step)
        if self.active:
            write_image(self.output / "validation" / f"step-{step:09d}.png", picture.cpu())

    def weights(self, name: str, model: nn.Module, network: dict[str, Any]) -> None:
        """Save a network in the folder weights/`name`."""
        if self.active:
            save_weights(model, self.output / "weights" / name, network)

    def describe(
        self,
        recipe: Recipe,
        network: dict[str, Any],
        data: Path,
        validation_data: Path | None,
        weights: str | Path | None,
        progress: Progress,
        status: str,
        reason: str | None = None,
    ) -> None:
        """Write run.json.

        Args:
            recipe: recipe of the run.
            network: config of the network.
            data: folder that the run trains on.
            validation_data: folder that the run is scored on, or None.
            weights: weights that the run started from, or None.
            progress: progress of the run.
            status: running, finished, stopped, interrupted or failed.
            reason: reason why the run ended early, or None.
        """
        if not self.active:
            return
        content = {
            "status": status,
            "reason": reason,
            "recipe": recipe.model_dump(),
            "network": network,
            "data": location(data),
            "validation_data": location(validation_data) if validation_data else None,
            "weights": str(weights) if weights else None,
            "seed": recipe.seed,
            "processes": count(),
            "step": progress.step,
            "seconds": round(progress.seconds, 1),
            "best_score": progress.best_score if math.isfinite(progress.best_score) else None,
            "figures": progress.figures,
            "remark": progress.remark,
            **environment(),
        }
        with write_whole(self.output / RUN_FILE) as path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Write buffered events, and close the record."""
        if self.board is not None:
            self.board.close()

    def _row(self, name: str, step: int, figures: dict[str, float]) -> None:
        """Append a row to a CSV file. A new file begins with a header."""
        if not self.active:
            return
        path = self.output / name
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(["step", *figures])
            writer.writerow([step, *(repr(value) for value in figures.values())])


def weights_of(source: str | Path, prefer: Literal["best", "last"] = "best") -> str | Path:
    """Return the folder of the weights of a run.

    Args:
        source: folder of a run, or other weights.
        prefer: weights to choose, best or last. If the run has no such weights, the other ones are chosen.

    Returns:
        The folder of the weights, or `source` itself if it is not a run.
    """
    return run_weights(Path(source), prefer) if (Path(source) / RUN_FILE).exists() else source


def trained_on(weights: str | Path) -> Path | None:
    """Return the folder that weights were trained on.

    Args:
        weights: folder of a run, or of its weights (RUN/weights/best).

    Returns:
        The folder, or None if it is not known.
    """
    folder = Path(weights).resolve()
    for run in (folder, folder.parent, folder.parent.parent):
        if (run / RUN_FILE).exists():
            try:
                # without the recipe, which another version may be unable to read
                return Path(_content(run)["data"])
            except (RunError, KeyError, TypeError):
                return None
    return None


def check_free(output: Path, data: Sequence[Path | None] = ()) -> None:
    """Refuse a folder that already holds a run or is a folder of data.

    Args:
        output: folder of the run.
        data: folders to train on and to score on.

    Raises:
        RunError: if the folder holds a run, or is one of the folders of data, where its pictures would become data.
    """
    if any(is_openable(folder) and folder.resolve() == output.resolve() for folder in data if folder is not None):
        raise RunError(f"{output} holds the data of this run: choose another folder for the run, such as runs/NAME")
    if (output / RUN_FILE).exists():
        raise RunError(f"{output} already holds a run: continue it with --resume, or choose another folder")


def read_run(output: Path) -> dict[str, Any]:
    """Return the content of run.json, with a validated recipe.

    Raises:
        RunError: if the folder holds no run, or if run.json is damaged.
        RecipeError: if this version cannot use the recipe.
    """
    run = _content(output)
    if not isinstance(run.get("recipe"), dict):
        raise RunError(f"{output / RUN_FILE} is damaged: it does not hold the recipe of the run")
    if isinstance(run.get("network"), dict):
        run["network"] = with_current_names(run["network"])
    return {**run, "recipe": parse_recipe(run["recipe"], output / RUN_FILE)}


def _event_writer(folder: Path, step: int) -> "SummaryWriter | None":
    """Open the TensorBoard record of a run, if the package tensorboard is installed.

    Args:
        folder: folder of the events.
        step: last step that counts; events of later steps are dropped.

    Returns:
        The writer, or None if tensorboard cannot be imported.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _warn_without_tensorboard()
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


@cache
def _warn_without_tensorboard() -> None:
    """Log that tensorboard is missing, once per process."""
    _log.warning(
        "TensorBoard is not installed, so no TensorBoard events are written. log.csv and validation.csv hold the same "
        "numbers. To write events as well, run: pip install 'passband[tensorboard]'"
    )


def draw_curves(output: Path | str, target: Path | str | None = None) -> Path:
    """Draw the loss and the scores of a run over its steps, as PNG and SVG. The run may still be training.

    Args:
        output: folder of the run.
        target: PNG file to write, with the SVG file beside it. None writes `CURVES_FILE` into the folder of the run.

    Returns:
        Path of the PNG file.

    Raises:
        RunError: if the folder holds no run, or the run has no steps yet.
        ValueError: if the target does not end in .png.
        OSError: if a file cannot be read or written.
    """
    output = Path(output)
    target = Path(target) if target is not None else output / CURVES_FILE
    if target.suffix.lower() != ".png":
        raise ValueError(f"the output of curves must end in .png; got {target}. An SVG file is written beside it.")
    run = _content(output)
    trained, validated = (read_curves(output / name) for name in ("log.csv", "validation.csv"))
    if not (trained or validated):
        raise RunError(f"the run in {output} has no steps yet, so there are no curves: train it first")
    recipe = run.get("recipe")
    name = recipe.get("name") if isinstance(recipe, dict) else None
    save_charts(training_curves(trained, validated, f"Training of {name or output.resolve().name}"), target)
    return target


def read_curves(path: Path) -> Curves:
    """Return the columns of a CSV file by name, without incomplete rows that a crash may leave.

    Args:
        path: log.csv or validation.csv of a run, which may be missing.

    Returns:
        Steps and values of each column; empty if there are no rows.
    """
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    steps: list[int] = []
    values: list[list[float]] = []
    for row in rows:
        with suppress(ValueError):
            step, *figures = row
            if len(row) == len(header):
                numbers = [float(figure) for figure in figures]
                steps.append(int(step))
                values.append(numbers)
    return {name: (steps, [row[place] for row in values]) for place, name in enumerate(header[1:])} if steps else {}


def _content(output: Path) -> dict[str, Any]:
    """Return the content of run.json without checking it."""
    path = output / RUN_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"{output} holds no run: there is no {path.name} in it") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: it must hold an object, and it holds {kind_of(content)}")
    return content


def _drop_rows_after(path: Path, step: int) -> None:
    """Remove the rows of a CSV file that belong to later steps."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [[value.replace("\0", "") for value in row] for row in csv.reader(file)]
    kept, last = rows[:1], -1
    for row in rows[1:]:
        # a row that a power cut or a full disk left incomplete has too few numbers, or a step that came before
        if len(row) == len(kept[0]) and row[0].isdigit() and last < int(row[0]) <= step:
            kept.append(row)
            last = int(row[0])
    with write_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(kept)
