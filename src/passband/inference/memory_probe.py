"""Bytes that a network's tensors take at most, found by following one small run."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from passband.layers import LocalAvgPool2d
from passband.tasks.restoration import restore_batch

PROBE = 128
"""Side, in pixels, of the picture that a network is followed on."""

_PROBED: WeakKeyDictionary[type, dict[Any, float]] = WeakKeyDictionary()
"""Bytes per pixel of networks that have `arguments`: by class, and then by what else they depend on."""


@torch.no_grad()
def live_bytes_per_pixel(model: nn.Module) -> float:
    """Bytes of tensors alive at once, at most, per pixel of a small picture that the network restores.

    Counts what the network makes, at the present precision; not its weights. Networks of the same architecture share
    the answer in a process.
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
        picture = torch.zeros(1, channels, PROBE, PROBE, device=device)
        with _Follow() as followed, _as_before(model):
            restore_batch(model, picture)
        known[key] = followed.peak / PROBE**2
    return known[key]


def _architecture(model: nn.Module) -> tuple[Any, ...]:
    """All that decides the maps of a network: its arguments, and its layers, some of which may have been replaced."""
    layers = tuple(type(layer) for layer in model.modules())
    shapes = tuple(parameter.shape for parameter in model.parameters())
    return str(getattr(model, "arguments", {})), layers, shapes


@contextmanager
def _as_before(model: nn.Module) -> Iterator[None]:
    """Leave no trace of a run in the pooling layers, of which some keep the window of the first picture they see."""
    kept = [(layer, dict(layer.__dict__)) for layer in model.modules() if isinstance(layer, LocalAvgPool2d)]
    try:
        yield
    finally:
        for layer, state in kept:
            layer.__dict__.update(state)


class _Follow(TorchFunctionMode):
    """Follows the storages of the tensors made while it is entered.

    By torch's functions, not its operators: to see those, torch would import 150 MB of compiler.
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
        self.now -= self.alive.pop(storage)
