"""Reduces flicker in videos: smooths pooled statistics over the frames of a scene.

The network weighs frequencies by averages over the whole frame. Noise changes these averages from frame to frame, and
with them brightness and sharpness of the whole frame. `smoothed_statistics` replaces each average by an exponential
moving average over the frames of a scene, and so also smooths the attention that is computed from it. If the light or
the haze itself changes suddenly, the averages of the frames before are wrong, so they start anew. A frame that is too
large for the memory is restored in bands, which get local averages from `SmoothedStatistics`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import LocalAvgPool2d, WindowModulation
from passband.layers.pooled import Local, Pooled
from passband.models.network_task import network_name
from passband.models.restoration.bands.statistics import Map, MapWindow, OwnStatistics
from passband.models.restoration.bands.walk import BAND_VALUES, LEAST_ROWS

STRENGTH = 0.8
"""Weight of the frames before in an average, which then remembers about 5 frames."""


class Smoother:
    """The averages of a network's pooling layers, remembered from frame to frame; see `smoothed_statistics`.

    Args:
        strength: weight of the frames before in an average, in [0, 1).

    Raises:
        ValueError: if the strength is out of range.
    """

    def __init__(self, strength: float = STRENGTH):
        if not 0 <= strength < 1:
            raise ValueError(f"the strength of temporal smoothing is at least 0 and below 1; got {strength}")
        self.strength = strength
        self.averages: dict[str, Tensor] = {}
        self.before: dict[str, Tensor] = {}
        self.cuts: Sequence[bool] = ()
        self.used = False
        """Whether the announced frames passed through a pooling layer."""

    def begin(self, cuts: Sequence[bool]) -> None:
        """Announce a batch of consecutive frames.

        Args:
            cuts: flag for each frame whether the averages start anew, because a scene begins or the brightness jumps.
        """
        self.cuts, self.before, self.used = cuts, dict(self.averages), False

    def smooth(self, name: str, pooled: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Smooth the output of a pooling layer.

        If a layer has an average for each position (test-time local pooling), only their mean is smoothed, because the
        differences from the mean move with the scene.

        Args:
            name: name of the layer.
            pooled: averages of the announced frames, along the first axis.

        Returns:
            Averages of the same shape and dtype.
        """
        means = pooled.float().mean((-2, -1), keepdim=True)
        return (pooled + self.shift(name, means)).to(pooled.dtype)

    def shift(self, name: str, means: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Return the change of the means of a layer by smoothing.

        Args:
            name: name of the layer.
            means: means of the announced frames, along the first axis. Frames that are restored again because memory
                ran out start from the averages before them also.

        Returns:
            Smoothed means minus the means, of the same shape.
        """
        average, smoothed = self.before.get(name), []
        for mean, cut in zip(means, self.cuts, strict=True):
            average = mean if average is None or cut else average * self.strength + mean * (1 - self.strength)
            smoothed.append(average)
        assert average is not None
        self.averages[name], self.used = average, True
        return torch.stack(smoothed) - means


class SmoothedStatistics(OwnStatistics):
    """The averages of a frame's own maps, smoothed for frames in bands with local pooling.

    Global averages come from the pooling layers themselves, which `smoothed_statistics` smooths. Local averages never
    exist as a whole map: their mean is computed band by band before any of their rows is used.

    Args:
        smoother: smoother of `smoothed_statistics`.
        model: the network that it smooths.
    """

    def __init__(self, smoother: Smoother, model: nn.Module):
        self.smoother = smoother
        self.names = {module: name for name, module in model.named_modules() if isinstance(module, LocalAvgPool2d)}

    def average(self, pool: LocalAvgPool2d, x: Map) -> Pooled:
        """Return the pooled map, by the rule of the layer.

        Args:
            pool: the pooling layer.
            x: its input.
        """
        pooled = super().average(pool, x)
        if not isinstance(pooled, Local):
            return pooled
        return _Shifted(pooled, self.smoother.shift(self.names[pool], _mean(pooled)))

    def windows(self, modulation: WindowModulation, x: Map) -> list[MapWindow]:
        """Return windows of equal size, each of which is pooled by itself.

        Args:
            modulation: the layer.
            x: its input.
        """
        windows, count = super().windows(modulation, x), modulation.windows
        local = [window.pooled for window in windows if isinstance(window.pooled, Local)]
        if not local:
            return windows
        means = torch.stack([_mean(pooled) for pooled in local], dim=2).unflatten(2, (count, count))
        shift = self.smoother.shift(self.names[cast(LocalAvgPool2d, modulation.pool)], means)
        return [
            MapWindow(window.rows, window.columns, window.place, _Shifted(pooled, shift[:, :, *window.place]))
            for window, pooled in zip(windows, local, strict=True)
        ]


class _Shifted:
    """A pooled map plus one value for each channel."""

    is_global = False

    def __init__(self, pooled: Local, shift: Float[Tensor, "1 C 1 1"]):
        self.pooled, self.shift = pooled, shift

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C _ W"]:
        """Return rows of the map, in its dtype."""
        rows = self.pooled.rows(start, end)
        return (rows + self.shift).to(rows.dtype)


@contextmanager
def smoothed_statistics(model: nn.Module, strength: float = STRENGTH) -> Iterator[Smoother]:
    """Smooth the averages of all `LocalAvgPool2d` layers of a network over frames, within the block.

    Call `begin` of the smoother before each batch of consecutive frames. Copy its `averages` to resume later at the
    same frame.

    Args:
        model: network with such layers.
        strength: weight of the frames before in an average, in [0, 1); 0 changes nothing.

    Yields:
        The smoother.

    Raises:
        ValueError: if the network has no such layers, or the strength is out of range.
    """
    smoother = Smoother(strength)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LocalAvgPool2d)}
    if not layers:
        raise ValueError(
            f"temporal smoothing needs a network with pooled statistics, such as general, and {network_name(model)} "
            "has none: choose other weights, or leave out the smoothing"
        )
    hooks = [layer.register_forward_hook(partial(_smooth_output, smoother, name)) for name, layer in layers.items()]
    try:
        yield smoother
    finally:
        for hook in hooks:
            hook.remove()


def _mean(pooled: Local) -> Float[Tensor, "1 C 1 1"]:
    """Return the mean of a pooled map, which is computed band by band."""
    channels, height, width = pooled.x.shape[1:]
    step = max(LEAST_ROWS, BAND_VALUES // (width * channels))
    total = pooled.x.new_zeros(1, channels, 1, 1, dtype=torch.float32)
    for start in range(0, height, step):
        total += pooled.rows(start, min(start + step, height)).float().sum((-2, -1), keepdim=True)
    return total / (height * width)


def _smooth_output(
    smoother: Smoother, name: str, layer: nn.Module, inputs: tuple[Tensor, ...], pooled: Tensor
) -> Tensor:
    """Smooth the output of a layer, as a hook of torch."""
    return smoother.smooth(name, pooled)
