"""Training in bfloat16: the layout of the maps, and the layers that stay in float32."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MIXED_PRECISION = {"float32": "no", "bfloat16": "bf16"}
"""Precisions of a recipe, as accelerate calls them."""


def memory_format(device_type: str, precision: str) -> torch.memory_format:
    """Return the layout of the maps in a training.

    PyTorch's guide advises channels-last for convolutions in bfloat16. On a CPU with AMX, a step in bfloat16 takes as
    long in this layout as channel by channel for SFNet, 0.85 times as long for ConvIR, 0.8 for a ResNet-18 and 0.7 for
    a U-Net. In float32, SFNet is faster channel by channel. `benchmarks/speed/gpu.py --parts training` measures both
    layouts.

    Args:
        device_type: type of the device, such as "cuda".
        precision: precision of the recipe, a key of `MIXED_PRECISION`.
    """
    return torch.channels_last if device_type == "cuda" or precision == "bfloat16" else torch.contiguous_format


class DepthwiseInFloat32(TorchFunctionMode):
    """Computes depthwise convolutions in float32 inside autocast; their results have the type of autocast.

    On a CPU with AMX, the backward pass of a depthwise convolution takes up to four times as long in bfloat16 as in
    float32, while other convolutions are several times as fast. As a mode of torch it needs no change of the network.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Call a function of torch, depthwise convolutions in float32."""
        kwargs = kwargs or {}
        if func is torch.conv2d and _is_depthwise(args, kwargs) and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                result = func(*map(_in_float32, args), **{name: _in_float32(value) for name, value in kwargs.items()})
            return result.to(torch.get_autocast_dtype("cpu"))
        return func(*args, **kwargs)


def fast_layers(device_type: str, precision: str) -> AbstractContextManager[Any]:
    """Return a context in which each layer of a training computes in the faster one of its possible precisions.

    Args:
        device_type: type of the device, such as "cpu".
        precision: precision of the recipe, a key of `MIXED_PRECISION`.
    """
    return DepthwiseInFloat32() if device_type == "cpu" and precision == "bfloat16" else nullcontext()


def _is_depthwise(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Tell whether the arguments of `torch.conv2d` have a filter of their own for each of several input channels."""
    named = dict(zip(("input", "weight"), args, strict=False)) | kwargs
    return named["weight"].shape[1] == 1 and named["input"].shape[-3] > 1


def _in_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value
