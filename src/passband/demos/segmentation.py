"""Demonstrates segmentation: trains a small U-Net on drawn shapes, and finds the pixels of shapes in new images."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passband.data.masks import find_mask_pairs, read_mask
from passband.data.pasting import DrawnShapes, PasteSettings, SetPlan, paste_set
from passband.demos.small_training import ShowStep, new_folders, no_display, train_small
from passband.drawing.comparison import paired_rows
from passband.drawing.overlay import overlay
from passband.inference.segmenter import Segmenter
from passband.io.image import read_image, write_image

SIDE, SHOWN = 160, 80
"""Side of the images, and side to which the network resizes them, in pixels."""
COUNTS = (600, 24)
"""Numbers of images to train on and to score on."""
DRAWN = 6
"""Number of images in the picture."""
CAPTIONS = ("image", "ground truth", "prediction")
RECIPE: dict[str, Any] = {
    "name": "segment",
    "task": "segmentation",
    "model": {"name": "unet", "arguments": {"width": 12, "depth": 3}},
    "data": {
        "size": SHOWN,
        "class_names": ["background", "shape"],
        "scale": [0.8, 1.0],
        "batch": 8,
        "workers": 0,
    },
    "optim": {
        "optimizer": "adam",
        "learning_rate": 1e-2,
        "final_learning_rate": 1e-4,
        "steps": 100,
        "warmup_steps": 10,
        "ema": 0.95,
    },
    "loss": {"name": "cross_entropy+dice"},
    "validation": {"batch": 8},
}
"""Settings of the training; its length is the time that is given."""


class AnyShape:
    """Drawn shapes of all kinds as one class."""

    classes = ("shape",)

    def __init__(self):
        self._shapes = DrawnShapes()

    def cutout(self, label: int, part: str, rng: np.random.Generator) -> Image.Image:
        """Draw a random shape, see `ObjectSource`."""
        return self._shapes.cutout(int(rng.integers(len(self._shapes.classes))), part, rng)

    def background(self, part: str, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        """Draw a background, see `ObjectSource`."""
        return self._shapes.background(part, size, rng)


def demonstrate_segmentation(
    output: Path,
    *,
    seed: int = 0,
    minutes: float = 1.0,
    steps: int | None = None,
    device: str = "auto",
    report: ShowStep = no_display,
) -> dict[str, float]:
    """Make a set of images and masks, train on it, and draw the masks that are found in new images.

    Writes set/ (images and masks), run/ (the training with its weights) and segment.png (image, true mask and found
    mask).

    Args:
        output: new folder for the files.
        seed: seed of the set and of the training.
        minutes: time of the training, in minutes.
        steps: number of steps instead of the time; None for the time.
        device: device to train on, see `models.pick_device`.
        report: function that is called after every step.

    Returns:
        Scores of the new images, such as `f1` and `iou`, in [0, 1].

    Raises:
        FileExistsError: if the folder holds a set.
    """
    data, run = output / "set", output / "run"
    with new_folders(data, run):
        settings = PasteSettings((SIDE, SIDE), count=(1, 3), scale=(0.25, 0.6))
        paste_set("segmentation", AnyShape(), data, SetPlan(COUNTS, settings, seed))
        progress = train_small(
            {**RECIPE, "seed": seed}, data, run, minutes=minutes, steps=steps, device=device, report=report
        )
        segmenter = Segmenter(run / "weights" / "last", device)
        drawn = []
        for pair in find_mask_pairs(data / "validation")[:DRAWN]:
            image = read_image(pair.image)
            truth, found = read_mask(pair.mask, 1), segmenter(image)
            drawn.append([image, overlay(image, truth), overlay(image, found)])
        write_image(output / "segment.png", paired_rows(drawn, CAPTIONS))
        return progress.figures
