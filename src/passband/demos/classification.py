"""Demonstrates classification from JPEG coefficients: trains a small network on drawn textures, and names new ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from passband.data.datasets.classification import find_classes
from passband.data.selection import evenly
from passband.demos.small_training import ShowStep, new_folders, no_display, train_small
from passband.demos.textures import write_textures
from passband.drawing.charts.confusion import confusion_picture
from passband.drawing.comparison import comparison_rows
from passband.inference.classifier import Classifier
from passband.io.image import read_image, write_image
from passband.metrics import confusion_matrix

SIDE = 64
"""Side of the images, in pixels."""
COUNTS = (1800, 120)
"""Numbers of images to train on and to score on."""
DRAWN = 5
"""Largest number of images in a row of the picture."""
RECIPE: dict[str, Any] = {
    "name": "classify",
    "task": "classification",
    "model": {"name": "dct-resnet18", "arguments": {"width": 16}},
    "data": {
        "input": "coefficients",
        "channels": "24S",
        "size": SIDE,
        "stride": 4,
        "scale": [1.0, 1.0],
        "batch": 16,
        "workers": 0,
    },
    "optim": {
        "optimizer": "adamw",
        "learning_rate": 2e-3,
        "final_learning_rate": 2e-5,
        "weight_decay": 0.05,
        "clip_norm": 1.0,
        "steps": 100,
        "warmup_steps": 10,
        "ema": 0.95,
    },
    "loss": {"label_smoothing": 0.1},
    "validation": {"batch": 16},
}
"""Settings of the training; its length is the time that is given."""


@dataclass(frozen=True)
class Answers:
    """The answers of a network for new images."""

    right: int
    """Number of images whose class was found."""
    count: int
    """Number of images."""


def demonstrate_classification(
    output: Path,
    *,
    seed: int = 0,
    minutes: float = 1.0,
    steps: int | None = None,
    device: str = "auto",
    report: ShowStep = no_display,
) -> Answers:
    """Make images of textures, train a classifier on their JPEG coefficients, and draw its answers for new images.

    Writes set/ (images in folders of their classes), run/ (the training with its weights), classify.png (images with
    right and with wrong answers) and confusion.png.

    Args:
        output: new folder for the files.
        seed: seed of the set and of the training.
        minutes: time of the training, in minutes.
        steps: number of steps instead of the time; None for the time.
        device: device to train on, see `models.pick_device`.
        report: function that is called after every step.

    Returns:
        The numbers of right answers and of images.

    Raises:
        FileExistsError: if the folder holds a set.
    """
    data, run = output / "set", output / "run"
    with new_folders(data, run):
        write_textures(data, COUNTS, SIDE, seed)
        train_small({**RECIPE, "seed": seed}, data, run, minutes=minutes, steps=steps, device=device, report=report)
        classifier = Classifier(run / "weights" / "last", device)
        images = find_classes(data / "validation", classifier.classes)
        guesses = [result.guesses[0] for result in classifier.classify(images.paths, top=1)]
        rows: dict[bool, tuple[list[torch.Tensor], list[str]]] = {True: ([], []), False: ([], [])}
        for path, label, guess in zip(images.paths, images.labels, guesses, strict=True):
            shown, captions = rows[guess.number == label]
            shown.append(read_image(path))
            truth = "" if guess.number == label else f" (it is {images.classes[label]})"
            captions.append(f"{guess.name} {100 * guess.probability:.0f} %{truth}")
        titles = {True: "Right answers", False: "Wrong answers"}
        spread = {right: evenly(range(len(rows[right][0])), DRAWN) for right in rows if rows[right][0]}
        picture = comparison_rows(
            [[rows[right][0][place] for place in places] for right, places in spread.items()],
            [[rows[right][1][place] for place in places] for right, places in spread.items()],
            [f"{titles[right]}: {len(rows[right][0])} of {len(images)} new images" for right in spread],
        )
        write_image(output / "classify.png", picture)
        numbers = torch.tensor([guess.number for guess in guesses])
        confusion = confusion_matrix(numbers, torch.tensor(images.labels), len(images.classes))
        write_image(output / "confusion.png", confusion_picture(confusion, list(images.classes)))
        return Answers(len(rows[True][0]), len(images))
