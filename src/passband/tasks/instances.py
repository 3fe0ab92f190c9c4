"""Instances that a detector finds in images, and images of them beside the true instances."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from passband.data.coco import CocoImages
from passband.data.cubes.native_size import NativeFormat
from passband.drawing.instances import draw_instances
from passband.io.image import read_image
from passband.io.rle import Rle, compress
from passband.layers.channels import channel_subset
from passband.metrics.instance_scores import paste_masks
from passband.models import FrequencyRCNN

INSTANCE_CAPTIONS = ("ground truth", "prediction")
"""Captions of the two images that `beside_truth` draws."""


@dataclass(frozen=True)
class Instances:
    """Instances in an image, in falling order of their scores."""

    boxes: Float[Tensor, "N 4"]
    """Corners x1, y1, x2, y2 in pixels."""
    scores: Float[Tensor, " N"]
    """Scores in [0, 1]."""
    labels: Int64[Tensor, " N"]
    """Labels from 1."""
    size: tuple[int, int]
    """Height and width of the image, in pixels."""
    grids: Float[Tensor, "N 1 m m"] | None = None
    """Probabilities of each mask on a grid over its box; None if the network finds boxes only."""

    def __len__(self) -> int:
        """Return the number of instances."""
        return len(self.boxes)

    @cached_property
    def masks(self) -> tuple[Rle, ...] | None:
        """The run lengths of each mask; only one mask at a time is held as pixels. None without masks."""
        return None if self.grids is None else tuple(paste_masks(self.grids, self.boxes, self.size))

    def above(self, score: float) -> "Instances":
        """Return the instances of at least a score.

        Args:
            score: smallest score, in [0, 1].
        """
        high = self.scores >= score
        grids = None if self.grids is None else self.grids[high]
        return replace(self, boxes=self.boxes[high], scores=self.scores[high], labels=self.labels[high], grids=grids)

    def titles(self, classes: Sequence[str]) -> list[str]:
        """Return the name and the score of each instance.

        Args:
            classes: names of the labels, beginning with label 1.
        """
        return [
            f"{classes[label - 1]} {score:.2f}"
            for label, score in zip(self.labels.tolist(), self.scores.tolist(), strict=True)
        ]


@torch.no_grad()
def find_instances(
    model: FrequencyRCNN, images: list[Float[Tensor, "_ _ _"]], sizes: list[tuple[int, int]]
) -> list[Instances]:
    """Return the instances in images, on the CPU.

    Args:
        model: network in evaluation mode.
        images: RGB in [0, 1], or cubes that are not normalized, whichever the network takes, on its device.
        sizes: height and width of each image, in pixels.
    """
    outputs = model(images, sizes=sizes) if model.input == "coefficients" else model(images)
    return [
        Instances(
            one["boxes"].float().cpu(),
            one["scores"].float().cpu(),
            one["labels"].cpu(),
            (size[0], size[1]),
            one["mask_probs"].float().cpu() if model.masks else None,
        )
        for one, size in zip(outputs, sizes, strict=True)
    ]


def cube_form(model: FrequencyRCNN) -> NativeFormat | None:
    """Return the format of the cubes that a network takes, not normalized; None if it takes pixels.

    Args:
        model: the network.
    """
    if model.input == "pixels":
        return None
    return NativeFormat(
        tuple(channel_subset(model.arguments["channels"]).indices()), chroma_ratio=model.arguments["chroma_ratio"]
    )


def beside_truth(
    images: CocoImages, number: int, predicted: Instances, score: float, height: int
) -> list[Float[Tensor, "3 _ _"]]:
    """Draw an image with its true instances, and again with the predicted ones.

    Args:
        images: the data set.
        number: number of the image, COCO's `image_id`.
        predicted: instances that were found in the image.
        score: smallest score of a predicted instance that is drawn.
        height: largest height of the drawn images, in pixels.

    Returns:
        Both images, RGB in [0, 1] and of the same size.
    """
    image = next(image for image in images if image.number == number)
    pixels = read_image(image.path)
    truth = [one for one in image.instances if not one.skip]
    boxes = torch.tensor([one.box for one in truth], dtype=torch.float32).reshape(-1, 4)
    masks = [compress(one.segmentation, image.height, image.width) for one in truth if one.segmentation is not None]
    sure = predicted.above(score)
    drawn = [
        draw_instances(
            pixels,
            boxes,
            [images.categories[one.category] for one in truth],
            masks if images.has_masks else None,
            nothing="nothing to find",
        ),
        draw_instances(pixels, sure.boxes, sure.titles(images.classes), sure.masks),
    ]
    ratio = min(1.0, height / image.height)
    size = [max(1, round(side * ratio)) for side in (image.height, image.width)]
    return [F.interpolate(one[None], size, mode="area")[0] for one in drawn]
