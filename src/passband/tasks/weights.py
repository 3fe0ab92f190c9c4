"""Weights of any task: what they are for, what they take, and the network that they hold."""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn

from passband.data.preprocessing import Preprocessing
from passband.models import MODELS, load_model, pick_device
from passband.weights_io import CheckpointError, load_config

NETWORKS = {
    "classification": "classifier",
    "detection": "detector",
    "inspection": "inspector",
    "restoration": "restoration network",
    "segmentation": "segmentation network",
}
"""A task to what its networks are called."""
DOES = {
    "classification": ("classifies images", "classify"),
    "detection": ("finds instances", "find instances"),
    "inspection": ("says what is wrong with images", "inspect"),
    "restoration": ("restores images", "restore"),
    "segmentation": ("segments images", "segment"),
}
"""A task to what its networks do, as `it does` and as `it can do`."""
RECIPES = {
    "classification": "dct-small",
    "detection": "detection-small",
    "inspection": "inspector",
    "segmentation": "segment-small",
}
"""A task to the recipe to begin with."""


def task_of(weights: str | Path) -> str:
    """What weights are for, as far as their config says; no weights are read.

    Args:
        weights: as in `models.load_model`.

    Returns:
        A key of `TASKS`: restoration for what cannot be found or has no config, because loading it says why.
    """
    try:
        builder = MODELS.get(load_config(weights).get("model", ""))
    except CheckpointError:
        return "restoration"
    built = inspect.signature(builder).return_annotation if builder is not None else None
    return getattr(built, "task", "restoration")


def input_shape_of(weights: str | Path) -> tuple[int, int, int] | None:
    """Channels, height and width of what a network was trained on, as far as its config says; no weights are read.

    Args:
        weights: as in `models.load_model`.

    Returns:
        None where the config says nothing of it, as for restoration, which takes any size.

    Raises:
        CheckpointError: where nothing is found.
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
        weights: as in `models.load_model`.
        task: a key of `NETWORKS`.
        device: see `models.pick_device`; the network is not moved there yet.

    Returns:
        The network, its whole config, and the device.

    Raises:
        CheckpointError: for weights that cannot be used, or are for another task.
        ValueError: for a device that is not here.
    """
    chosen_device = pick_device(device)
    config, model = load_config(weights), load_model(weights)
    recipe = f"passband train {RECIPES[task]} --data FOLDER -o RUN" if task in RECIPES else "passband recipe"
    article = "an" if task == "inspection" else "a"
    check_task(model, task, weights, f"train {article} {NETWORKS[task]} first: {recipe}")
    return model, config, chosen_device


def check_task(model: nn.Module, task: str, weights: str | Path, advice: str) -> None:
    """Refuse a network, called `weights`, that is for another task, and say what to do."""
    own = getattr(model, "task", "restoration")
    if own != task:
        name = getattr(model, "name", type(model).__name__)
        raise CheckpointError(
            f"{str(weights)!r} {DOES[own][0]} ({name}); it cannot {DOES[task][1]}. {advice[:1].upper()}{advice[1:]}."
        )
