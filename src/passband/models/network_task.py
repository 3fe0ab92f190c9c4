"""The name and the task of a network: names for each task, and the refusal of a network that is for another one."""

from pathlib import Path

from torch import nn

from passband.naming import with_article
from passband.state_dicts import CheckpointError

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
PREDICTORS = {
    "restoration": "Restorer",
    "classification": "Classifier",
    "segmentation": "Segmenter",
    "detection": "InstanceFinder",
    "inspection": "Inspector",
}
"""The class that takes files, PIL images and arrays, by task."""


def network_name(model: object) -> str:
    """Return the name of a network for messages: its own, such as `Restormer`, or that of its class.

    Args:
        model: network.
    """
    return str(getattr(model, "name", type(model).__name__))


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
        raise other_task_error(weights, network_name(model), own, task, advice)


def other_task_error(weights: str | Path, name: str, own: str, task: str, advice: str | None = None) -> CheckpointError:
    """Return the error for weights of another task.

    Args:
        weights: name of the weights.
        name: name of the network.
        own: task of the network.
        task: task that the network must be for, a key of `NETWORKS`.
        advice: sentence that says what to do, without its full stop; None says where such a network comes from.
    """
    if advice is None and task == "restoration":
        advice = "choose a restoration network, such as general"
    elif advice is None:
        recipe = f"passband train {RECIPES[task]} --data FOLDER -o RUN"
        advice = f"train {with_article(NETWORKS[task])} first: {recipe}"
    return CheckpointError(
        f"{str(weights)!r} {DOES[own][0]} ({name}); it cannot {DOES[task][1]}. {advice[:1].upper()}{advice[1:]}."
    )
