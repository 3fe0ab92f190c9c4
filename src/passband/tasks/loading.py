"""Weights of any task: the task that they are for, the input that they take, and the network that they hold."""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn

from passband.data.classifier_input import Preprocessing
from passband.models import MODELS, load_with_config, pick_device
from passband.state_dicts import PICKLE_SUFFIXES, CheckpointError
from passband.weights_finding import checked_name
from passband.weights_io import load_config

NETWORKS = {
    "classification": "classifier",
    "detection": "detector",
    "inspection": "inspector",
    "restoration": "restoration network",
    "segmentation": "segmentation network",
}
"""Name of a network of each task."""
DOES = {
    "classification": ("classifies images", "classify"),
    "detection": ("finds instances", "find instances"),
    "inspection": ("says what is wrong with images", "inspect"),
    "restoration": ("restores images", "restore"),
    "segmentation": ("segments images", "segment"),
}
"""Work of a network of each task, as in `it ...` and as in `it can ...`."""
RECIPES = {
    "classification": "dct-small",
    "detection": "detection-small",
    "inspection": "inspector",
    "segmentation": "segment-small",
}
"""Recipe to begin with for each task."""


def task_of(weights: str | Path) -> str:
    """Return the task that weights are for, by their config alone; the weights are not read.

    Args:
        weights: weights as `models.load_model` takes them.

    Returns:
        A key of `TASKS`. Weights that cannot be found or have no config count as restoration, because loading them
        then says what is wrong. Pickles are published restoration networks.
    """
    try:
        if Path(checked_name(weights)).suffix in PICKLE_SUFFIXES and Path(weights).is_file():
            return "restoration"
        name = load_config(weights)["model"]
    except CheckpointError:
        return "restoration"
    builder = MODELS.get(name)
    built = inspect.signature(builder).return_annotation if builder is not None else None
    return getattr(built, "task", "restoration")


def input_shape_of(weights: str | Path) -> tuple[int, int, int] | None:
    """Return the shape of the images that a network was trained on, by its config alone; no weights are read.

    Args:
        weights: weights as `models.load_model` takes them.

    Returns:
        Channels, height and width; None if the config does not give them, as for restoration, which takes any size.

    Raises:
        CheckpointError: if no weights are found.
    """
    stored = load_config(weights).get("preprocessing")
    if not isinstance(stored, dict):
        return None
    if "input" in stored:
        return Preprocessing.from_config(stored).input_shape
    size = stored.get("size")
    return (3, size, size) if isinstance(size, int) else None


def load_of_task(
    weights: str | Path, task: str, device: str = "auto"
) -> tuple[nn.Module, dict[str, Any], torch.device]:
    """Load a network that must be for a task.

    Args:
        weights: weights to load, as `models.load_model` takes them.
        task: task that the network must be for, a key of `NETWORKS`.
        device: name of a device, see `models.pick_device`; the network is not moved there yet.

    Returns:
        The network, its whole config, and the device.

    Raises:
        CheckpointError: if the weights cannot be used, or are for another task.
        ValueError: if this machine does not have the device.
    """
    chosen_device = pick_device(device)
    model, config = load_with_config(weights)
    recipe = f"passband train {RECIPES[task]} --data FOLDER -o RUN" if task in RECIPES else "passband recipe"
    article = "an" if task == "inspection" else "a"
    check_task(model, task, weights, f"train {article} {NETWORKS[task]} first: {recipe}")
    return model, config, chosen_device


def check_task(model: nn.Module, task: str, weights: str | Path, advice: str) -> None:
    """Refuse a network that is for another task.

    Args:
        model: the network.
        task: task that the network must be for, a key of `NETWORKS`.
        weights: name of the weights for the error.
        advice: sentence that says what to do, without its full stop.

    Raises:
        CheckpointError: if the network is for another task.
    """
    own = getattr(model, "task", "restoration")
    if own != task:
        raise _other_task(weights, getattr(model, "name", type(model).__name__), own, task, advice)


def check_task_of(weights: str | Path, task: str, advice: str) -> None:
    """Refuse weights whose config names a network for another task. The weights are not read.

    Args:
        weights: weights as `models.load_model` takes them.
        task: task that the network must be for, a key of `NETWORKS`.
        advice: sentence that says what to do, without its full stop.

    Raises:
        CheckpointError: if the network is for another task.
    """
    own = task_of(weights)
    if own != task:
        raise _other_task(weights, load_config(weights)["model"], own, task, advice)


def _other_task(weights: str | Path, name: str, own: str, task: str, advice: str) -> CheckpointError:
    """Return the error for weights of another task."""
    return CheckpointError(
        f"{str(weights)!r} {DOES[own][0]} ({name}); it cannot {DOES[task][1]}. {advice[:1].upper()}{advice[1:]}."
    )
