"""Shape of the images that a network was trained on."""

from pathlib import Path

from passband.data.classifier_input import Preprocessing
from passband.weights_io import load_config


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
