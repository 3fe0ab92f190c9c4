"""Random choices of a detector in training, which depend on each image alone.

torchvision draws the sizes of images, and the anchors and proposals to learn from, one after the other for the images
of a batch. Here each image has a seed. Its choices are then the same in any batch, and on any number of processes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from passband.processes import largest

Target = dict[str, Tensor]


class SeededSampler(BalancedPositiveNegativeSampler):
    """Choose anchors or proposals to learn from, by a seed for each image.

    Attributes:
        seeds: seed of each image of the next batch; None draws from the random state of the process.
        positives: number of chosen entries in the last batch that are instances.
        chosen: number of all chosen entries in the last batch.
    """

    seeds: Sequence[int] | None = None
    positives = 0
    chosen = 0

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return masks of the chosen positive and negative entries of each image.

        Args:
            matched_idxs: labels of the entries of each image: 1 or more for instances, 0 for background, -1 to ignore.
        """
        positive: list[Tensor] = []
        negative: list[Tensor] = []
        for place, one in enumerate(matched_idxs):
            if self.seeds is not None:
                torch.manual_seed(self.seeds[place])
            ones, zeros = super().__call__([one])
            positive += ones
            negative += zeros
        self.positives = sum(int(mask.sum()) for mask in positive)
        self.chosen = self.positives + sum(int(mask.sum()) for mask in negative)
        return positive, negative


class SeededTransform(GeneralizedRCNNTransform):
    """Resize images, by a seed for each image, and pad them to one size.

    Attributes:
        seeds: seed of each image of the next batch; None draws from the random state of the process.
        is_synchronized: whether the size is that of the batch of all processes.
    """

    seeds: Sequence[int] | None = None
    is_synchronized = False
    _place = 0

    def forward(self, images: list[Tensor], targets: list[Target] | None = None) -> tuple:
        """Resize and pad a batch, as torchvision does."""
        self._place = 0
        return super().forward(images, targets)

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
        """Resize an image and its target to a random size in training, and to the last size in evaluation.

        Args:
            image: image 3 x H x W.
            target: boxes, labels and masks of the image; None without.

        Returns:
            The resized image, and the target in its pixels.
        """
        if self.training and self.seeds is not None:
            torch.manual_seed(self.seeds[self._place])
            self._place += 1
        return super().resize(image, target)

    def max_by_axis(self, the_list: list[list[int]]) -> list[int]:
        """Return the largest number of channels, height and width of a batch.

        Args:
            the_list: channels, height and width of each image.

        Returns:
            Channels, height and width in pixels, over the images of all processes if the batch is synchronized.
        """
        sides = super().max_by_axis(the_list)
        return largest(sides) if self.training and self.is_synchronized else sides
