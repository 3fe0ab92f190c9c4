"""Metrics for torchmetrics, which add up over batches and processes.

    from passband.integrations.torchmetrics import PSNRHVSM

    metric = PSNRHVSM()
    for restored, clean in batches:
        metric.update(restored, clean)
    print(metric.compute())

Each is the mean over all images of one value for each image, as the tables of papers are.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.metrics.psnr_hvs import psnr_hvs, psnr_hvs_m
from passband.ops.frequency_distance import frequency_distances, frequency_weights

try:
    from torchmetrics import Metric
except ImportError as missing:
    raise ImportError(
        "passband.integrations.torchmetrics needs torchmetrics: pip install 'passband[torchmetrics]'"
    ) from missing


class _ImageMean(Metric):
    """Adds up one value for each image, and returns the mean."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _values(self, image: Tensor, reference: Tensor) -> Tensor:
        """Compute one value for each image."""
        raise NotImplementedError

    def update(self, image: Float[Tensor, "B C H W"], reference: Float[Tensor, "B C H W"]) -> None:
        """Add a batch.

        Args:
            image: RGB or gray images in [0, 1].
            reference: images to compare them to.
        """
        values = self._values(image, reference)
        self.total = self.total + values.double().sum()
        self.count = self.count + len(values)

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over all images that were added; NaN without any."""
        return self.total / self.count


class PSNRHVS(_ImageMean):
    """Mean of `metrics.psnr_hvs` in dB."""

    higher_is_better = True

    def _values(self, image: Tensor, reference: Tensor) -> Tensor:
        return psnr_hvs(image, reference)


class PSNRHVSM(_ImageMean):
    """Mean of `metrics.psnr_hvs_m` in dB."""

    higher_is_better = True

    def _values(self, image: Tensor, reference: Tensor) -> Tensor:
        return psnr_hvs_m(image, reference)


class FrequencyDistance(_ImageMean):
    """Mean of `ops.frequency_distance.frequency_distances`.

    Args:
        weights: a name such as `"csf"`, or a table of shape 3 x block x block.
        power: exponent of the differences, at least 1.
        stride: distance of the blocks in pixels; None for blocks that do not overlap.
        masking: whether texture hides differences.
        options: options of torchmetrics, such as `dist_sync_on_step`.
    """

    higher_is_better = False

    def __init__(
        self,
        weights: str | Float[Tensor, "3 V U"] = "csf",
        *,
        power: float = 2.0,
        stride: int | None = None,
        masking: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        table = frequency_weights(weights) if isinstance(weights, str) else weights
        self.register_buffer("weights", table, persistent=False)
        self.power, self.stride, self.masking = power, stride, masking

    def _values(self, image: Tensor, reference: Tensor) -> Tensor:
        weights: Any = self.weights
        return frequency_distances(
            image, reference, weights, power=self.power, stride=self.stride, masking=self.masking
        )
