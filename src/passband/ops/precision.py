"""The precision in which functions of images compute."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def computing_dtype(image: Tensor) -> torch.dtype:
    """Return float64 for tensors of float64, so that gradients can be checked with differences, and else float32.

    Args:
        image: tensor of floating-point values.
    """
    return torch.float64 if image.dtype == torch.float64 else torch.float32


def widened(image: Tensor) -> Tensor:
    """Return a tensor in float32, or in float64 if it has that type, because sums in half precision are coarse.

    Args:
        image: tensor of floating-point values, of any shape.
    """
    return image.to(computing_dtype(image))


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which autocast has no effect on the operations of a device.

    Args:
        device: device of the tensors.
    """
    kind = device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
