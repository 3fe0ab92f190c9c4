"""A trained detector as its weights hold it: the network, and what its labels are called."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from passband.data.coco import CocoImages
from passband.data.cubes.fixed_size import read_pixels
from passband.data.cubes.native_size import NativeFormat, read_native_cube
from passband.drawing.instances import draw_instances
from passband.io.rle import Rle, compress
from passband.layers.channels import channel_subset
from passband.metrics.instance_scores import paste_masks
from passband.models import FrequencyRCNN
from passband.tasks.weights import load_of_task
from passband.weights_io import CheckpointError

TASK = "detection"
"""What a network of this kind has as its attribute `task`."""


@dataclass(frozen=True)
class Instances:
    """What was found in a picture, the surest first."""

    boxes: Float[Tensor, "N 4"]
    """x1, y1, x2, y2 in pixels."""
    scores: Float[Tensor, " N"]
    """In [0, 1]."""
    labels: Int64[Tensor, " N"]
    """From 1."""
    size: tuple[int, int]
    """Height and width of the picture, in pixels."""
    grids: Float[Tensor, "N 1 m m"] | None = None
    """Probabilities of each mask on a grid over its box; None where boxes alone are found."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self.boxes)

    @cached_property
    def masks(self) -> tuple[Rle, ...] | None:
        """The code of each mask in the picture, one of which is pixels at a time; None without masks."""
        return None if self.grids is None else tuple(paste_masks(self.grids, self.boxes, self.size))

    def above(self, score: float) -> "Instances":
        """Those of at least a score.

        Args:
            score: the least, in [0, 1].
        """
        kept = self.scores >= score
        grids = None if self.grids is None else self.grids[kept]
        return replace(self, boxes=self.boxes[kept], scores=self.scores[kept], labels=self.labels[kept], grids=grids)

    def titles(self, classes: Sequence[str]) -> list[str]:
        """Name and score of each.

        Args:
            classes: names, the first of which is that of label 1.
        """
        return [
            f"{classes[label - 1]} {score:.2f}"
            for label, score in zip(self.labels.tolist(), self.scores.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class TrainedDetector:
    """All that is needed to find instances in a picture."""

    model: FrequencyRCNN
    """On its device, ready for evaluation."""
    classes: tuple[str, ...]
    """Names of the labels, the first of which is 1."""
    category_ids: tuple[int, ...]
    """The number of each in the annotations that were learned from."""
    device: torch.device

    def find(self, image: Float[Tensor, "3 H W"]) -> Instances:
        """The instances in a picture.

        Args:
            image: RGB in [0, 1].

        Raises:
            ValueError: where the network takes coefficients.
        """
        return find_instances(self.model, [image.to(self.device)], [(image.shape[-2], image.shape[-1])])[0]

    def find_in(self, path: Path) -> Instances:
        """The instances in a file: of its pixels or of its coefficients, whichever the network takes.

        Args:
            path: of a picture.

        Raises:
            ImageError: where it is damaged or no picture.
            OSError: where it cannot be read.
        """
        form = cube_form(self.model)
        if form is None:
            return self.find(read_pixels(path))
        cube = read_native_cube(path, form)
        return find_instances(self.model, [cube.values.to(self.device)], [(cube.height, cube.width)])[0]


@torch.no_grad()
def find_instances(
    model: FrequencyRCNN, images: list[Float[Tensor, "_ _ _"]], sizes: list[tuple[int, int]]
) -> list[Instances]:
    """The instances in pictures, on the CPU.

    Args:
        model: in evaluation mode.
        images: images or cubes, whichever the network takes, on its device.
        sizes: height and width of each picture, in pixels.
    """
    found = model(images, sizes=sizes) if model.input == "coefficients" else model(images)
    return [
        Instances(
            one["boxes"].float().cpu(),
            one["scores"].float().cpu(),
            one["labels"].cpu(),
            (size[0], size[1]),
            one["mask_probs"].float().cpu() if model.masks else None,
        )
        for one, size in zip(found, sizes, strict=True)
    ]


def cube_form(model: FrequencyRCNN) -> NativeFormat | None:
    """What cubes a network takes, not normalized; None where it takes pictures."""
    if model.input == "pixels":
        return None
    return NativeFormat(
        tuple(channel_subset(model.arguments["channels"]).indices()), chroma_ratio=model.arguments["chroma_ratio"]
    )


def load_detector(weights: str | Path, device: str = "auto") -> TrainedDetector:
    """Load a detector with the names of what it finds.

    Args:
        weights: a folder that training made, such as RUN/weights/best, or a hub id.
        device: see `models.pick_device`.

    Raises:
        CheckpointError: for weights that cannot be used, or that are of no detector.
        ValueError: for a device that is not here.
    """
    model, config, chosen_device = load_of_task(weights, TASK, device)
    if not isinstance(model, FrequencyRCNN):  # the one network of this task
        raise TypeError(f"{type(model).__name__} is for {TASK}, but finds no instances as FrequencyRCNN does")
    numbered = [str(number + 1) for number in range(model.classes)]
    classes = tuple(str(name) for name in config.get("classes_named", numbered))
    about = config.get("preprocessing")
    listed = about.get("category_ids") if isinstance(about, dict) else None
    ids = tuple(int(number) for number in listed or range(1, model.classes + 1))
    if not len(classes) == len(ids) == model.classes:
        raise CheckpointError(
            f"{weights} tells {model.classes} categories apart, but its config.json names {len(classes)} "
            f"(classes_named) and numbers {len(ids)} (preprocessing.category_ids)"
        )
    return TrainedDetector(model.to(chosen_device), classes, ids, chosen_device)


COLUMNS = ("ground truth", "prediction")
"""Captions of what `beside_truth` draws."""


def beside_truth(
    pictures: CocoImages, number: int, found: Instances, score: float, height: int
) -> list[Float[Tensor, "3 _ _"]]:
    """A picture with its true instances, and with those that were found.

    Args:
        pictures: of the data set.
        number: of the picture, COCO's `image_id`.
        found: in it.
        score: the least of an instance that is drawn.
        height: of the drawn pictures in pixels, at most.
    """
    image = next(image for image in pictures.images if image.number == number)
    pixels = read_pixels(image.path)
    truth = [one for one in image.instances if not one.skip]
    boxes = torch.tensor([one.box for one in truth], dtype=torch.float32).reshape(-1, 4)
    masks = [compress(one.segmentation, image.height, image.width) for one in truth if one.segmentation is not None]
    kept = found.above(score)
    drawn = [
        draw_instances(
            pixels,
            boxes,
            [pictures.categories[one.category] for one in truth],
            masks if pictures.has_masks else None,
            nothing="nothing to find",
        ),
        draw_instances(pixels, kept.boxes, kept.titles(pictures.classes), kept.masks),
    ]
    ratio = min(1.0, height / image.height)
    size = [max(1, round(side * ratio)) for side in (image.height, image.width)]
    return [F.interpolate(one[None], size, mode="area")[0] for one in drawn]
