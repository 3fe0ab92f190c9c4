"""The precision in which functions of images compute."""

import torch
from torch import Tensor


def computing_dtype(image: Tensor) -> torch.dtype:
    """Return float64 for tensors of float64, so that gradients can be checked with differences, and else float32."""
    return torch.float64 if image.dtype == torch.float64 else torch.float32


def widened(image: Tensor) -> Tensor:
    """Return a tensor in float32, or in float64 if it has that type, because sums in half precision are coarse."""
    return image.to(computing_dtype(image))
