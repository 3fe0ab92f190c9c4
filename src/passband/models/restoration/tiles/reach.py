"""Measures how far into a tile a network notices that the image was cut there.

A network sees beyond each pixel. Near the border of a tile, where it misses what lies outside, its result differs from
that of the whole image. The distance over which it does so is measured on the loaded network: a probe is computed whole
and from its middle on, and both results are compared column by column.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.restoration.whole import restore_batch

HEIGHT = 128
"""Height of the probe in pixels, or more if the network needs more."""
WIDTH = 512
"""Width of the probe in pixels, or more if the network needs more. It is cut in its middle."""
TOLERANCE = 0.25 / 255
"""Root mean square difference of a column that is not noticed: a quarter of a level of 8 bits."""
SETTLED = 16
"""Number of columns in a row whose difference must be small, so that the measurement ends before them."""
FLOOR_FACTOR = 1.5
"""Factor above the difference far from the cut up to which a column counts as far."""

_MEASURED: WeakKeyDictionary[nn.Module, dict[Any, "Reach"]] = WeakKeyDictionary()
"""Results by network, and by everything else that decides them."""


@dataclass(frozen=True)
class Reach:
    """Distance from the border of a tile over which the result of a network differs from that of the whole image."""

    pixels: int
    """Distance in pixels. Beyond it, columns differ by no more than `TOLERANCE`, or than far from the border."""
    floor: float
    """Root mean square difference far from the border, for values in [0, 1]. It is about 0 if the network only sees a
    neighborhood of each pixel, and larger if it uses averages over the whole image, which no overlap makes equal."""
    is_settled: bool
    """Whether the differences became small within the probe. If not, the network sees further than half of it."""

    @property
    def is_local(self) -> bool:
        """Whether the network sees only a neighborhood of each pixel, and no averages over the whole image."""
        return self.is_settled and self.floor <= TOLERANCE

    @property
    def words(self) -> str:
        """The reach as text, such as `29 pixels`."""
        return f"{self.pixels} pixels" if self.is_settled else f"more than {self.pixels} pixels"


@torch.no_grad()
def measure_reach(model: nn.Module) -> Reach:
    """Measure the reach of a network, once for each loaded network and precision.

    Args:
        model: restoration network in evaluation mode, whose `multiple` and `minimum` give the sizes that it takes.

    Returns:
        The reach. It depends on the weights, because weights may ignore what the layers could see.
    """
    parameter = next(model.parameters(), torch.zeros(()))
    device = parameter.device
    key = (
        (device.type, parameter.dtype, model.training),
        (torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)),
    )
    known = _MEASURED.setdefault(model, {})
    if key not in known:
        known[key] = _measured(model, parameter)
    return known[key]


def _measured(model: nn.Module, parameter: Tensor) -> Reach:
    """Measure the reach of a network whose parameters have a device and a type."""
    multiple, minimum = (int(getattr(model, name, 1)) for name in ("multiple", "minimum"))
    half = _rounded(max(WIDTH // 2, minimum), max(multiple, 64))  # at a position that halvings keep
    height = _rounded(max(HEIGHT, minimum), multiple)
    probe = _probe(int(getattr(model, "in_channels", 3)), height, 2 * half).to(parameter.device, parameter.dtype)
    whole = restore_batch(model, probe)[..., half:].float()
    part = restore_batch(model, probe[..., half:].contiguous()).float()
    columns = (whole - part).square().mean((0, 1, 2)).sqrt().cpu()
    return _reach_of(columns)


def _reach_of(columns: Float[Tensor, " W"]) -> Reach:
    """Return the reach, given the root mean square difference of each column by its distance from the cut."""
    far = float(columns[-len(columns) // 8 :].median())
    is_far = columns <= max(TOLERANCE, FLOOR_FACTOR * far)
    # the first column from which on a number of columns in a row are far
    settled = is_far.unfold(0, SETTLED, 1).all(1).nonzero()
    if not len(settled):
        return Reach(len(columns), far, is_settled=False)
    return Reach(int(settled[0]), far, is_settled=True)


def _probe(channels: int, height: int, width: int) -> Float[Tensor, "1 C H W"]:
    """Return an image whose spectrum falls as that of photos does, the same at each call."""
    noise = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, x = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.rfftfreq(width, dtype=torch.float64)
    radius = (y[:, None].square() + x.square()).sqrt().clamp(min=1 / max(height, width))
    image = torch.fft.irfft2(torch.fft.rfft2(noise, norm="ortho") / radius, s=(height, width), norm="ortho")
    return (0.5 + 0.2 * image / image.std()).clamp(0, 1).float()


def _rounded(side: int, multiple: int) -> int:
    """Return a side, or the next multiple of a number."""
    return -(-side // multiple) * multiple
