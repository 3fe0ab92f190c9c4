"""Reads the folder of a run: run.json, and the places of its weights and its data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from passband.checkpoints import latest_checkpoint
from passband.config import parse_recipe
from passband.io.paths import is_openable
from passband.ops.checks import kind_of
from passband.weights_finding import RUN_FILE, run_weights


class RunError(RuntimeError):
    """Raised if a run cannot start or continue. The message gives the reason and what to do."""


class DivergedError(RunError):
    """Raised if the loss of a run is not finite."""


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
                return Path(run_content(run)["data"])
            except (RunError, KeyError, TypeError):
                return None
    return None


def check_free(output: Path, data: Sequence[Path | None] = ()) -> None:
    """Refuse a folder that already holds a run or is a folder of data.

    Args:
        output: folder of the run.
        data: folders to train on and to score on; None for a folder that was not given.

    Raises:
        RunError: if the folder holds a run, or is one of the folders of data, where its images would become data.
    """
    if any(is_openable(folder) and folder.resolve() == output.resolve() for folder in data if folder is not None):
        raise RunError(f"{output} holds the data of this run: choose another folder for the run, such as runs/NAME")
    if (output / RUN_FILE).exists():
        is_begun = latest_checkpoint(output) is not None or any(output.glob(f"*/{RUN_FILE}"))  # or a sweep of runs
        advice = "continue it with --resume, or" if is_begun else "it has no checkpoint to resume from, so"
        raise RunError(f"{output} already holds a run: {advice} choose another folder")


def read_run(output: Path) -> dict[str, Any]:
    """Return the content of run.json, with a validated recipe.

    Args:
        output: folder of the run.

    Raises:
        RunError: if the folder holds no run, or if run.json is damaged.
        RecipeError: if this version cannot use the recipe.
    """
    run = run_content(output)
    if not isinstance(run.get("recipe"), dict):
        raise RunError(f"{output / RUN_FILE} is damaged: it does not hold the recipe of the run")
    return {**run, "recipe": parse_recipe(run["recipe"], output / RUN_FILE)}


def run_content(output: Path) -> dict[str, Any]:
    """Return the content of run.json without checking its entries.

    Args:
        output: folder of the run.

    Raises:
        RunError: if the folder holds no run, or if run.json is damaged.
    """
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
