"""Counts the cost of a network: parameters, multiply-accumulates, and numbers of its input."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from passband.models.network_task import network_name

UNIT_INPUT = (3, 224, 224)
"""Shape of the input whose normalized size is 1: that of networks for ImageNet."""


class Cost(NamedTuple):
    """The cost of a network for one input."""

    input_shape: tuple[int, ...]
    """Channels, height and width of the input."""
    parameters: int
    """Number of parameters, without buffers."""
    macs: int
    """Number of multiply-accumulates in convolutions and matrix products."""
    normalized_input_size: float
    """Number of values of the input, relative to 3 x 224 x 224."""


def cost(model: nn.Module, input_shape: Sequence[int]) -> Cost:
    """Count the cost of a network.

    Args:
        model: the network.
        input_shape: channels, height and width of one input.

    Raises:
        ValueError: if the network does not take such an input.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    shape = tuple(input_shape)
    return Cost(shape, parameters, macs(model, shape), normalized_input_size(shape))


def macs(model: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the multiply-accumulates of one forward pass; nothing is computed, and the network stays as it is.

    The count contains convolutions and matrix products, half of torch's count of floating-point operations. It leaves
    out normalizations, activations and pooling, as published figures do.

    Args:
        model: the network.
        input_shape: channels, height and width of one input.

    Raises:
        ValueError: if the network does not take such an input.
    """
    # tensors without values have shapes, and the count needs nothing else; a tensor that layers share comes once
    tensors = (*model.named_parameters(), *model.named_buffers())
    state = {name: torch.empty_like(value, device="meta") for name, value in tensors}
    dtype = next((value.dtype for value in state.values() if value.is_floating_point()), torch.float32)
    counter = FlopCounterMode(display=False)
    training = model.training
    try:
        with torch.no_grad(), counter:
            functional_call(model.eval(), state, (torch.empty(1, *input_shape, dtype=dtype, device="meta"),))
    except RuntimeError as error:
        size = " x ".join(map(str, input_shape))
        raise ValueError(f"{network_name(model)} does not take an input of {size}: {error}") from error
    finally:
        model.train(training)
    return counter.get_total_flops() // 2


def normalized_input_size(input_shape: Sequence[int]) -> float:
    """Return the number of values of an input, relative to 3 x 224 x 224 (Xu et al., CVPR 2020, table 1).

    Args:
        input_shape: channels, height and width.
    """
    return prod(input_shape) / prod(UNIT_INPUT)
