"""Scores a segmentation network on noisy and on blurred copies of the validation images."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.metrics.mask_scores import MaskMetrics, SegmentationScores


class RobustnessScores:
    """Scores of a network on degraded copies of images. The noise of an image depends on its number only.

    Args:
        noise: standard deviation of Gaussian noise in [0, 1]; 0 leaves out the noisy copies.
        blur: standard deviation of a Gaussian blur in pixels of the network's input; 0 leaves out the blurred copies.
        protocol: name of the protocol of the scores, a key of `metrics.mask_scores.PROTOCOLS`.
        classes: number of classes, as for `SegmentationScores`.
    """

    def __init__(self, noise: float, blur: float, protocol: str, classes: int):
        self.strengths = {name: value for name, value in (("noise", noise), ("blur", blur)) if value}
        self.scores = {name: SegmentationScores(protocol, classes) for name in self.strengths}
        self.batches: dict[str, list[list[MaskMetrics]]] = {name: [] for name in self.strengths}

    def add(self, model: nn.Module, batch: dict[str, Any]) -> None:
        """Score the copies of a batch.

        Args:
            model: the network, in evaluation mode.
            batch: batch of validation samples.
        """
        for name, strength in self.strengths.items():
            degraded = noisy if name == "noise" else blurred
            logits = model(degraded(batch["image"], strength, list(map(int, batch["number"])))).float()
            self.batches[name].append([])
            for one, mask, problem in zip(logits, batch["mask"], batch["problem"], strict=True):
                if not problem and (figures := self.scores[name].add(one, mask)):
                    self.batches[name][-1].append(figures)

    def figures(self, main: str) -> dict[str, float]:
        """Return the main figure on each kind of copies, such as `foreground_dice_noise`, over all processes of a run.

        Args:
            main: name of the main figure.

        Returns:
            Figures by name, in the unit of the main figure.
        """
        for name, scores in self.scores.items():
            scores.gather(self.batches[name])
        return {f"{main}_{name}": scores.total()[main] for name, scores in self.scores.items()}


def noisy(images: Float[Tensor, "B C H W"], noise: float, numbers: list[int]) -> Float[Tensor, "B C H W"]:
    """Add Gaussian noise to images in [0, 1], and clip the sum to [0, 1].

    Args:
        images: images in [0, 1].
        noise: standard deviation of the noise.
        numbers: number of each image, which seeds its noise.

    Returns:
        The copies, in [0, 1].
    """
    generators = [torch.Generator().manual_seed(number) for number in numbers]
    drawn = [torch.randn(images.shape[1:], generator=generator) for generator in generators]
    return (images + noise * torch.stack(drawn).to(images)).clamp(0, 1)


def blurred(images: Float[Tensor, "B C H W"], blur: float, numbers: list[int]) -> Float[Tensor, "B C H W"]:
    """Blur images by a Gaussian, whose kernel reaches three standard deviations.

    Args:
        images: images of any range.
        blur: standard deviation in pixels.
        numbers: number of each image, which has no effect.

    Returns:
        The copies, in the range of the images.
    """
    from torchvision.transforms.v2.functional import gaussian_blur  # importing torchvision takes seconds

    reach = min(math.ceil(3 * blur), min(images.shape[-2:]) - 1)
    return gaussian_blur(images, [2 * reach + 1] * 2, [blur] * 2)
