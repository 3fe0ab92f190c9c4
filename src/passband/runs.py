"""A run's folder: what it records, the checkpoints it goes on from, and how both are read again."""

import csv
import json
import logging
import math
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from accelerate import Accelerator
from torch import Tensor, nn

from passband.config import Recipe, parse_recipe
from passband.drawing.charts import save_charts
from passband.drawing.training_curves import Curves, training_curves
from passband.io.files import write_whole
from passband.io.image import write_image
from passband.provenance import environment
from passband.weights_io import RUN_FILE, run_weights, save_weights, with_current_names

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_log = logging.getLogger(__name__)


CURVES_FILE = "curves.png"
"""In a run's folder: its figures over the steps. curves.svg lies beside it."""


class RunError(RuntimeError):
    """A run that cannot start or go on, with the reason and what to do."""


@dataclass
class Progress:
    """Where a run is; saved with every checkpoint."""

    step: int = 0
    best_score: float = -math.inf
    seconds: float = 0.0
    """Time spent in the loop, over all sessions."""
    stale: int = 0
    """Validations since the one with the best score."""
    figures: dict[str, float] = field(default_factory=dict)
    """Of the last validation."""
    remark: str = ""
    """What is wrong with the network of the last validation, such as that it finds nothing; empty where nothing is."""
    steps: int = 0
    """Of the whole run."""
    reason: str | None = None
    """Why the last session ended before the run's length; None where it did not."""
    is_stopped: bool = False
    """It ended because its time was over, so that it goes on where it is resumed."""

    def state_dict(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        for name, value in state.items():
            setattr(self, name, value)


class RunLog:
    """The record of a run in its folder.

    Args:
        output: the folder.
        active: whether this process writes; the others of a parallel run do not.
        step: where the run stands; what an earlier session logged after it is dropped.
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
        """Log a step's figures, exactly."""
        self._row("log.csv", step, figures)
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(f"train/{name}", value, step)

    def validation(self, step: int, figures: dict[str, float], picture: Tensor) -> None:
        """Log a validation's figures and picture."""
        self._row("validation.csv", step, figures)
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(f"validation/{name}", value, step)
            self.board.add_image("validation", picture.cpu(), step)
        if self.active:
            write_image(self.output / "validation" / f"step-{step:09d}.png", picture.cpu())

    def weights(self, name: str, model: nn.Module, network: dict[str, Any]) -> None:
        """Save a network under weights/`name`."""
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
        """Write run.json: `status` is running, finished, stopped, interrupted or failed, `reason` says why it ended."""
        if not self.active:
            return
        content = {
            "status": status,
            "reason": reason,
            "recipe": recipe.model_dump(),
            "network": network,
            "data": str(Path(data).resolve()),
            "validation_data": str(Path(validation_data).resolve()) if validation_data else None,
            "weights": str(weights) if weights else None,
            "seed": recipe.seed,
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
        """Flush what is buffered."""
        if self.board is not None:
            self.board.close()

    def _row(self, name: str, step: int, figures: dict[str, float]) -> None:
        """Append a row to a CSV file, with a header where it is new."""
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
    """The weights of a run's folder, preferred ones or else the others; anything else names weights itself."""
    return run_weights(Path(source), prefer) if (Path(source) / RUN_FILE).exists() else source


def trained_on(weights: str | Path) -> Path | None:
    """The folder that the weights of a run, or within its folder (RUN/weights/best), were trained on, where known."""
    folder = Path(weights).resolve()
    for run in (folder, folder.parent, folder.parent.parent):
        if (run / RUN_FILE).exists():
            try:
                # the data alone: a recipe of another version is no reason to keep them back
                return Path(_content(run)["data"])
            except (RunError, KeyError, TypeError):
                return None
    return None


def check_free(output: Path) -> None:
    """Refuse a folder that holds a run.

    Raises:
        RunError: where it does, with what to do.
    """
    if (output / RUN_FILE).exists():
        raise RunError(f"{output} holds a run already: go on with --resume, or choose another folder")


def latest_checkpoint(output: Path) -> Path | None:
    """The newest checkpoint of a run; half-written ones have another name and do not count."""
    return max((output / "checkpoints").glob("step-*"), default=None)


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Write the whole state under a temporary name, rename it, then remove the older ones."""
    final, temporary = folder / f"step-{step:09d}", folder / ".partial"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if final.exists():
            shutil.rmtree(temporary)
        else:
            temporary.rename(final)
        for older in folder.glob("step-*"):
            if older != final:
                shutil.rmtree(older)


def read_run(output: Path) -> dict[str, Any]:
    """What run.json says, with `recipe` parsed.

    Raises:
        RunError: if the folder holds no run.
    """
    run = _content(output)
    if not isinstance(run.get("recipe"), dict):
        raise RunError(f"{output / RUN_FILE} is damaged: it needs the recipe of the run")
    if isinstance(run.get("network"), dict):
        run["network"] = with_current_names(run["network"])
    return {**run, "recipe": parse_recipe(run["recipe"], output / RUN_FILE)}


def _event_writer(folder: Path, step: int) -> "SummaryWriter | None":
    """Open TensorBoard's record of a run, where the package tensorboard is installed.

    Args:
        folder: folder of the events.
        step: last step that counts; events of later steps are dropped.

    Returns:
        The writer, or None if tensorboard cannot be imported.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _say_that_tensorboard_is_missing()
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


@cache
def _say_that_tensorboard_is_missing() -> None:
    """Log the message once in a process, however many runs it trains."""
    _log.warning(
        "TensorBoard is not installed, so no TensorBoard events are written. log.csv and validation.csv hold the same "
        "figures. To write events as well, run: pip install 'passband[tensorboard]'"
    )


def draw_curves(output: Path | str, target: Path | str | None = None) -> Path:
    """Draw the figures of a run over its steps, as PNG and SVG; also of a run that is not done.

    Args:
        output: the run's folder.
        target: the PNG file, beside which the SVG file lies; None for `CURVES_FILE` in the run's folder.

    Returns:
        The PNG file.

    Raises:
        RunError: if the folder holds no run, or one without steps.
        ValueError: for a target that does not end in .png.
        OSError: for a file that cannot be read or written.
    """
    output = Path(output)
    target = Path(target) if target is not None else output / CURVES_FILE
    if target.suffix.lower() != ".png":
        raise ValueError(f"curves are drawn as a PNG and an SVG file: name the first, which ends in .png, not {target}")
    run = _content(output)
    trained, validated = (_curves(output / name) for name in ("log.csv", "validation.csv"))
    if not (trained or validated):
        raise RunError(f"{output} holds a run without steps, so it has no curves yet: train it first")
    recipe = run.get("recipe")
    name = recipe.get("name") if isinstance(recipe, dict) else None
    save_charts(training_curves(trained, validated, f"Training of {name or output.resolve().name}"), target)
    return target


def _curves(path: Path) -> Curves:
    """Figures of a CSV file by their names; rows that are not whole, as a crash leaves them, are left out."""
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
    """What run.json says, as it is."""
    path = output / RUN_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"{output} holds no run: there is no {path.name} in it") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: an object is needed, it holds a {type(content).__name__}")
    return content


def _drop_rows_after(path: Path, step: int) -> None:
    """Keep the header and the rows up to a step."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = rows[:1] + [row for row in rows[1:] if row and row[0].isdigit() and int(row[0]) <= step]
    with write_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(kept)
