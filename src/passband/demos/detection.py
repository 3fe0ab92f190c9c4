"""Demonstrates detection: trains a small Mask R-CNN on frequency channels of drawn shapes, and finds new shapes."""

from pathlib import Path
from typing import Any

from passband.data.coco import find_coco
from passband.data.pasting import DrawnShapes, PasteSettings, SetPlan, paste_set
from passband.demos.small_training import ShowStep, new_folders, no_display, train_small
from passband.drawing.comparison import paired_rows
from passband.inference.detector import InstanceFinder
from passband.io.image import write_image
from passband.tasks.instances import INSTANCE_CAPTIONS, beside_truth

SHAPES = ("disc", "star", "cross")
SIDE, SHOWN = 192, 64
"""Side of the images, and side to which the network resizes them, in pixels."""
COUNTS = (400, 24)
"""Numbers of images to train on and to score on."""
SETTINGS = PasteSettings((SIDE, SIDE), count=(1, 2), scale=(0.35, 0.6), visible=0.85)
"""Random choices for each image."""
DRAWN = 8
"""Number of images in the picture."""
SCORE = 0.5
"""Smallest score of an instance that is drawn."""
RECIPE: dict[str, Any] = {
    "name": "detect",
    "task": "detection",
    "model": {
        "name": "dct-mask-rcnn-resnet18",
        "arguments": {
            "width": 16,
            "features": 32,
            "box_features": 128,
            "smallest_anchor": 12,
            "box_batch_size_per_image": 32,
            "rpn_batch_size_per_image": 64,
            "rpn_pre_nms_top_n_train": 100,
            "rpn_pre_nms_top_n_test": 100,
            "rpn_post_nms_top_n_train": 60,
            "rpn_post_nms_top_n_test": 60,
        },
    },
    "data": {"channels": "24S", "min_size": [SHOWN], "max_size": SHOWN, "batch": 8, "workers": 0},
    "optim": {
        "optimizer": "adamw",
        "learning_rate": 4e-3,
        "final_learning_rate": 4e-5,
        "milestones": [],
        "steps": 100,
        "warmup_steps": 10,
        "clip_norm": 5.0,
        "ema": 0.95,
    },
    "validation": {"batch": 8},
}
"""Settings of the training; its length is the time that is given."""


def demonstrate_detection(
    output: Path,
    *,
    seed: int = 0,
    minutes: float = 1.0,
    steps: int | None = None,
    device: str = "auto",
    report: ShowStep = no_display,
) -> dict[str, float]:
    """Make a detection set, train on it, and draw the instances that are found in new images.

    Writes set/ (images and annotations in COCO's format), run/ (the training with its weights) and detect.png (true
    instances beside those that are found).

    Args:
        output: new folder for the files.
        seed: seed of the set and of the training.
        minutes: time of the training, in minutes.
        steps: number of steps instead of the time; None for the time.
        device: device to train on, see `models.pick_device`.
        report: function that is called after every step.

    Returns:
        Scores of the new images, such as `mask_AP50`, in [0, 1].

    Raises:
        FileExistsError: if the folder holds a set.
        ImportError: if the package faster-coco-eval is not installed.
    """
    data, run = output / "set", output / "run"
    with new_folders(data, run):
        paste_set("detection", DrawnShapes(SHAPES, tinted=True), data, SetPlan(COUNTS, SETTINGS, seed))
        progress = train_small(
            {**RECIPE, "seed": seed}, data, run, minutes=minutes, steps=steps, device=device, report=report
        )
        finder = InstanceFinder(run / "weights" / "last", device)
        validation = find_coco(data / "validation")
        pairs = [
            beside_truth(validation, image.number, finder.find_in(image.path), SCORE, SIDE)
            for image in validation.images[:DRAWN]
        ]
        write_image(output / "detect.png", paired_rows(pairs, INSTANCE_CAPTIONS))
        return progress.figures
