"""Videos without flicker: pooled statistics smoothed over frames, scene cuts, and a figure for flicker.

The network weighs frequencies by averages over the whole frame. Noise moves these averages from frame to frame, and
with them the brightness and the sharpness of everything. `smoothed_statistics` replaces each average by an exponential
moving average over the frames of a scene; the attention computed from it is smoothed likewise. Where the light or the
haze itself jumps, the averages of the frames before are wrong: there they begin anew. A frame too large for the memory
there is goes by bands, which have local averages from `SmoothedStatistics`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers import LocalAvgPool2d, WindowModulation
from passband.layers.pooled import Local, Pooled
from passband.models.sfnet.bands import BAND_VALUES, LEAST_ROWS, Map, MapWindow, OwnStatistics

STRENGTH = 0.8
"""Part of an average that comes from the frames before: it remembers about 5 frames."""
CUT_SIMILARITY = 0.4
"""Frames less alike than this are of two scenes; see `similarity`."""
JUMP = 2.0
"""A frame whose mean luma is so many 8-bit levels from the one before has averages of its own."""
_CELLS = 16
_FLOOR = (2 / 255) ** 2


class Smoother:
    """The averages of a network's pooling layers, remembered from frame to frame; see `smoothed_statistics`.

    Args:
        strength: part of an average that comes from the frames before, in [0, 1).

    Raises:
        ValueError: for another strength.
    """

    def __init__(self, strength: float = STRENGTH):
        if not 0 <= strength < 1:
            raise ValueError(f"the strength of temporal smoothing is at least 0 and below 1; got {strength}")
        self.strength = strength
        self.averages: dict[str, Tensor] = {}
        self.before: dict[str, Tensor] = {}
        self.cuts: Sequence[bool] = ()
        self.used = False
        """Whether the announced frames came by a pooling layer."""

    def begin(self, cuts: Sequence[bool]) -> None:
        """Announce a batch of consecutive frames.

        Args:
            cuts: of each frame, whether the averages start anew, because it begins a scene or its brightness jumps.
        """
        self.cuts, self.before, self.used = cuts, dict(self.averages), False

    def smooth(self, name: str, pooled: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Smooth what a layer has pooled.

        Of an average per position (test-time local pooling), only the mean over positions is smoothed: how a place
        differs from the mean moves with the scene.

        Args:
            name: of the layer.
            pooled: averages of the announced frames, the first axis.
        """
        means = pooled.float().mean((-2, -1), keepdim=True)
        return (pooled + self.shift(name, means)).to(pooled.dtype)

    def shift(self, name: str, means: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """How far smoothing moves the means of a layer.

        Args:
            name: of the layer.
            means: of the announced frames, the first axis. Frames that are restored again, because memory ran out the
                first time, go on from the averages before them, too.
        """
        average, smoothed = self.before.get(name), []
        for mean, cut in zip(means, self.cuts, strict=True):
            average = mean if average is None or cut else average * self.strength + mean * (1 - self.strength)
            smoothed.append(average)
        assert average is not None
        self.averages[name], self.used = average, True
        return torch.stack(smoothed) - means


class SmoothedStatistics(OwnStatistics):
    """The averages of a frame's own maps, smoothed where it is computed by bands and its pooling is local.

    Global averages come from the pooling layers themselves, which `smoothed_statistics` smooths. Local ones are never
    made as a whole: their mean is taken band by band before any of their rows is used.

    Args:
        smoother: of `smoothed_statistics`.
        model: the network that it smooths.
    """

    def __init__(self, smoother: Smoother, model: nn.Module):
        self.smoother = smoother
        self.names = {module: name for name, module in model.named_modules() if isinstance(module, LocalAvgPool2d)}

    def average(self, pool: LocalAvgPool2d, x: Map) -> Pooled:
        """The pooled map, by the layer's own rule."""
        pooled = super().average(pool, x)
        if not isinstance(pooled, Local):
            return pooled
        return _Shifted(pooled, self.smoother.shift(self.names[pool], _mean(pooled)))

    def windows(self, modulation: WindowModulation, x: Map) -> list[MapWindow]:
        """Windows of equal size, each pooled by itself."""
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
    """A pooled map moved by one value per channel."""

    is_global = False

    def __init__(self, pooled: Local, shift: Float[Tensor, "1 C 1 1"]):
        self.pooled, self.shift = pooled, shift

    def rows(self, start: int, end: int) -> Float[Tensor, "1 C _ W"]:
        """Its rows, in the dtype of the map."""
        rows = self.pooled.rows(start, end)
        return (rows + self.shift).to(rows.dtype)


@contextmanager
def smoothed_statistics(model: nn.Module, strength: float = STRENGTH) -> Iterator[Smoother]:
    """Smooth the averages of all `LocalAvgPool2d` layers of a network over frames, within the block.

    Call `begin` of the smoother before each batch of consecutive frames. Copy its `averages` to go on later where
    this run ended.

    Args:
        model: a network that has such layers.
        strength: part of an average that comes from the frames before, in [0, 1); 0 changes nothing.

    Yields:
        The smoother.

    Raises:
        ValueError: for a network without such layers, or a strength outside [0, 1).
    """
    smoother = Smoother(strength)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LocalAvgPool2d)}
    if not layers:
        raise ValueError(
            f"temporal smoothing needs a network with pooled statistics (SFNet); {type(model).__name__} has none"
        )
    hooks = [layer.register_forward_hook(partial(_smooth_output, smoother, name)) for name, layer in layers.items()]
    try:
        yield smoother
    finally:
        for hook in hooks:
            hook.remove()


def luma_cells(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 16 16"]:
    """The low frequencies of luma: its mean over 16 x 16 cells.

    Args:
        images: in [0, 1].

    Returns:
        Means in [0, 1], of BT.601's luma.
    """
    luma = (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    return F.adaptive_avg_pool2d(luma, _CELLS)[:, 0].float()


def similarity(first: Float[Tensor, "16 16"], second: Float[Tensor, "16 16"]) -> float:
    """How alike the structure of two frames is, whatever their brightness.

    The contrast and structure term of SSIM over whole frames, 2 cov(a, b) / (var a + var b). Haze that comes or goes
    scales a frame's contrast and shifts its brightness, which leaves this high (.4 at a fifth of the contrast);
    another scene, or black, makes it fall to 0.

    Args:
        first: `luma_cells` of a frame.
        second: of another.

    Returns:
        -1 to 1.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 6 to 10.
    """
    a, b = (first - first.mean()).double(), (second - second.mean()).double()
    return ((2 * (a * b).mean() + _FLOOR) / (a.square().mean() + b.square().mean() + _FLOOR)).item()


class Flicker:
    """Watches a video go by: finds its scene cuts, and measures flicker before and after restoration.

    The flicker of a video is the mean, over 16 x 16 cells of the frame and over successive frames of the same scene,
    of the absolute difference of a cell's mean luma, in 8-bit levels. Motion is in the flicker of the source as
    in that of the restored video; what restoration adds is their difference.

    Attributes:
        state: `cells` (2 x 16 x 16: the last frame's, degraded and restored) and `sums` (degraded, restored, and
            the number of pairs); copy it to go on later.
    """

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {"sums": torch.zeros(3, dtype=torch.float64)}

    def cuts(self, degraded: Float[Tensor, "B 3 H W"]) -> list[bool]:
        """Whether each frame of a batch begins a scene, by its similarity to the frame before."""
        return [before is None or similarity(before, after) < CUT_SIMILARITY for before, after in self._steps(degraded)]

    def jumps(self, degraded: Float[Tensor, "B 3 H W"]) -> list[bool]:
        """Whether the mean luma of each frame of a batch is more than `JUMP` levels from that of the frame before."""
        return [
            before is not None and 255 * abs((after - before).mean().item()) > JUMP
            for before, after in self._steps(degraded)
        ]

    def add(self, degraded: Float[Tensor, "B 3 H W"], restored: Float[Tensor, "B 3 H W"], cuts: Sequence[bool]) -> None:
        """Measure the next frames."""
        for pair, cut in zip(
            torch.stack([luma_cells(degraded).cpu(), luma_cells(restored).cpu()], 1), cuts, strict=True
        ):
            if not cut:
                difference = (pair - self.state["cells"]).abs().double().mean((-2, -1)) * 255
                self.state["sums"] += torch.cat([difference, torch.ones(1, dtype=torch.float64)])
            self.state["cells"] = pair

    def _steps(self, degraded: Float[Tensor, "B 3 H W"]) -> list[tuple[Tensor | None, Tensor]]:
        """The cells of the frame before, None for the first of all, and of each frame of a batch."""
        cells = luma_cells(degraded).cpu()
        return list(zip([self.state["cells"][0] if "cells" in self.state else None, *cells[:-1]], cells, strict=True))

    @property
    def figures(self) -> tuple[float, float]:
        """The flicker of the degraded and of the restored video, in 8-bit levels; 0 where there is but one frame."""
        degraded, restored, pairs = self.state["sums"].tolist()
        return degraded / max(pairs, 1), restored / max(pairs, 1)


def _mean(pooled: Local) -> Float[Tensor, "1 C 1 1"]:
    """The mean of a pooled map, a band of its rows at a time."""
    channels, height, width = pooled.x.shape[1:]
    step = max(LEAST_ROWS, BAND_VALUES // (width * channels))
    total = pooled.x.new_zeros(1, channels, 1, 1, dtype=torch.float32)
    for start in range(0, height, step):
        total += pooled.rows(start, min(start + step, height)).float().sum((-2, -1), keepdim=True)
    return total / (height * width)


def _smooth_output(
    smoother: Smoother, name: str, layer: nn.Module, inputs: tuple[Tensor, ...], pooled: Tensor
) -> Tensor:
    return smoother.smooth(name, pooled)
