"""A trained segmentation network as its weights hold it: how it gets a picture, and what its classes are called."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.tasks.weights import load_of_task
from passband.weights_io import CheckpointError

TASK = "segmentation"
"""What a network of this kind has as its attribute `task`."""
BINARY_NAMES = ("background", "foreground")
"""What the classes of binary masks are called where nobody says."""


@dataclass(frozen=True)
class TrainedSegmenter:
    """All that is needed to tell what is where in a picture."""

    model: nn.Module
    """On its device, ready for evaluation."""
    size: int
    """Side of the square that pictures are resized to, in pixels."""
    classes: int
    """Maps of logits: 1 for foreground or not, else one for each class with the background."""
    class_names: tuple[str, ...]
    """The background's first; two for binary masks."""
    preprocessing: dict[str, Any]
    """What the config says of the pictures that the network was trained on."""
    device: torch.device

    def prepare(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 S S"]:
        """What the network takes of a picture: a square in 255 levels, as in training.

        Args:
            image: RGB in [0, 1], of any size.
        """
        if image.shape[-2:] != (self.size, self.size):
            size = (self.size, self.size)
            image = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
        return image.mul(255).round().clamp(0, 255).div(255)

    @torch.inference_mode()
    def logits(self, images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B K S S"]:
        """Score prepared pictures, on any device; the scores stay on the network's."""
        return self.model(images.to(self.device)).float()


def load_segmenter(weights: str | Path, device: str = "auto") -> TrainedSegmenter:
    """Load a segmentation network with all that its weights say.

    Args:
        weights: a folder that training made, such as RUN/weights/best, a shipped name, or a hub id.
        device: see `models.pick_device`.

    Raises:
        CheckpointError: for weights that cannot be used, are of another kind of network, or do not say how pictures
            are prepared.
        ValueError: for a device that is not here.
    """
    model, config, chosen_device = load_of_task(weights, TASK, device)
    stored = config.get("preprocessing")
    preprocessing = stored if isinstance(stored, dict) else {}
    size = preprocessing.get("size")
    multiple = int(model.multiple)  # type: ignore[arg-type]
    if not isinstance(size, int) or size < 1 or size % multiple:
        raise CheckpointError(
            f"{weights} does not say how pictures become its input: its config.json needs `preprocessing` with `size`, "
            f"a multiple of {multiple} pixels, which `passband train` writes; got {size!r}"
        )
    classes = int(model.classes)  # type: ignore[arg-type]
    names = tuple(str(name) for name in config.get("classes_named") or class_names(classes))
    if len(names) != max(2, classes):
        raise CheckpointError(
            f"{weights} tells {max(2, classes)} classes apart, but its config.json names {len(names)} (classes_named)"
        )
    return TrainedSegmenter(model.to(chosen_device), size, classes, names, preprocessing, chosen_device)


def class_names(classes: int) -> tuple[str, ...]:
    """What classes are called where nobody says.

    Args:
        classes: 1 for foreground or not, else how many there are with the background.
    """
    return BINARY_NAMES if classes == 1 else tuple(str(number) for number in range(classes))
