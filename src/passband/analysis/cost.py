"""What a network costs: parameters, multiply-accumulates, and how many numbers it is fed."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

PICTURE = (3, 224, 224)
"""The input whose size is 1: what ImageNet's networks of pictures take."""


class Cost(NamedTuple):
    """What a network costs for one input."""

    input_shape: tuple[int, ...]
    """Channels, height and width."""
    parameters: int
    """All of them, buffers not counted."""
    macs: int
    """Multiply-accumulates of convolutions and matrix products."""
    normalized_input_size: float
    """Numbers of the input, relative to a picture of 3 x 224 x 224."""


def cost(model: nn.Module, input_shape: Sequence[int]) -> Cost:
    """Count what a network costs.

    Args:
        model: as it evaluates.
        input_shape: channels, height and width of one input.

    Raises:
        ValueError: where the network does not take such an input.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    shape = tuple(input_shape)
    return Cost(shape, parameters, macs(model, shape), normalized_input_size(shape))


def macs(model: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the multiply-accumulates of one forward pass; nothing is computed, and the network stays as it is.

    Counted are convolutions and matrix products, half of torch's count of floating-point operations. Normalizations,
    activations and pooling, which the usual figures leave out, too, are not.

    Args:
        model: as it evaluates.
        input_shape: channels, height and width of one input.

    Raises:
        ValueError: where the network does not take such an input.
    """
    # tensors without values know their shapes, which is all that is counted
    state = {name: torch.empty_like(value, device="meta") for name, value in model.state_dict().items()}
    dtype = next((value.dtype for value in state.values() if value.is_floating_point()), torch.float32)
    counter = FlopCounterMode(display=False)
    training = model.training
    try:
        with torch.no_grad(), counter:
            functional_call(model.eval(), state, (torch.empty(1, *input_shape, dtype=dtype, device="meta"),))
    except RuntimeError as error:
        size = " x ".join(map(str, input_shape))
        raise ValueError(f"{type(model).__name__} does not take an input of {size}: {error}") from error
    finally:
        model.train(training)
    return counter.get_total_flops() // 2


def normalized_input_size(input_shape: Sequence[int]) -> float:
    """How many numbers a network is fed, relative to a picture of 3 x 224 x 224 (Xu et al., CVPR 2020, table 1).

    Args:
        input_shape: channels, height and width.
    """
    return prod(input_shape) / prod(PICTURE)
