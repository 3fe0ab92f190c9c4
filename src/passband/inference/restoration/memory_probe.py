"""Measures the largest memory of a network's tensors by following one small run."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from passband.inference.engines.network_parts import network_parts
from passband.layers import LocalAvgPool2d
from passband.models.restoration.whole import restore_batch

PROBE = 128
"""Side of the image of that run, in pixels, unless the network needs a larger one."""

_PROBED: WeakKeyDictionary[type, dict[Any, float]] = WeakKeyDictionary()
"""Bytes per pixel of networks that have `arguments`, by class and by everything else that decides them."""


@torch.no_grad()
def live_bytes_per_pixel(model: nn.Module) -> float:
    """Return the largest number of bytes of tensors alive at once, per pixel of a small image.

    Counts the tensors that the network computes at the present precision, without its weights. Networks of the same
    architecture share one measurement in a process.

    Args:
        model: a restoration network.
    """
    parameter = next(model.parameters(), torch.zeros(()))
    device = parameter.device
    key = (
        _architecture(model),
        (device.type, parameter.dtype, model.training),
        (torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)),
    )
    known = (
        _PROBED.setdefault(type(model), {}) if hasattr(model, "arguments") else model.__dict__.setdefault("_live", {})
    )
    if key not in known:
        channels = getattr(model, "arguments", {}).get("in_channels", 3)
        # an image below the network's least side is padded, so that its own pixels would count for those added to it
        side = max(PROBE, int(getattr(model, "minimum", PROBE)))
        image = torch.zeros(1, channels, side, side, device=device, dtype=torch.float32)
        with _Follow() as followed, _as_before(model):
            restore_batch(model, image)
        known[key] = followed.peak / side**2
    return known[key]


def _architecture(model: nn.Module) -> tuple[Any, ...]:
    """Return all that decides the maps of a network: its arguments and its layers, which may have been replaced."""
    parts = network_parts(model)
    layers = tuple(map(type, parts.modules))
    shapes = tuple(parameter.shape for parameter in parts.parameters)
    return str(getattr(model, "arguments", {})), layers, shapes


@contextmanager
def _as_before(model: nn.Module) -> Iterator[None]:
    """Restore the pooling layers after a run, because some keep the window of the first image that they get."""
    states = [(layer, dict(layer.__dict__)) for layer in model.modules() if isinstance(layer, LocalAvgPool2d)]
    try:
        yield
    finally:
        for layer, state in states:
            layer.__dict__.update(state)


class _Follow(TorchFunctionMode):
    """Follows the storages of the tensors that are made within a `with` block.

    It sees torch's functions, not its operators, for which torch would import 150 MB of compiler.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.alive:
                    self.alive[storage._cdata] = storage.nbytes()
                    self.now += storage.nbytes()
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._gone, storage._cdata)
        return out

    def _gone(self, storage: int) -> None:
        """Forget a storage that was freed."""
        self.now -= self.alive.pop(storage)
