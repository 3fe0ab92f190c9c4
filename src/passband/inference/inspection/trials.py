"""Tries restoration networks on a few windows of an image, and describes their changes for an inspector."""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from passband.inference.restoration_network import RestorationNetwork
from passband.models.trials import trial_features

WINDOW = 128
"""Side in pixels of the windows that networks are tried on."""
SMALLEST_SIDE = 64
"""Side in pixels below which an image is not tried, because the judge learned from windows of 128 pixels."""
MOST = (2, 3)
"""Number of windows along the short and the long side of an image."""
_ALIGNED = 16  # windows begin at multiples of 16 pixels, where blocks of all components of a JPEG file begin


class Trials:
    """Restores a few windows of an image with each of several networks, which are loaded when they are first needed.

    Args:
        names: names of the networks, in the order of the features.
        device: name of a device, see `models.pick_device`.
    """

    def __init__(self, names: Sequence[str], device: str = "cpu"):
        self.names, self.device = list(names), device

    @cached_property
    def networks(self) -> list[RestorationNetwork]:
        """The networks."""
        return [RestorationNetwork(name, self.device) for name in self.names]

    @torch.no_grad()
    def __call__(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "n N F"] | None:
        """Return the features of the trial in each window, or None for an image that is too small for a trial.

        Args:
            image: RGB in [0, 1].
        """
        if min(image.shape[-2:]) < SMALLEST_SIDE:
            return None
        windows = torch.stack([
            image[:, top : top + height, left : left + width]
            for top, left, height, width in window_places(*image.shape[-2:])
        ])  # fmt: skip
        changes = self.changes(windows)
        return torch.stack([trial_features(windows[n, None], changes[:, n, None]) for n in range(len(windows))])

    @torch.no_grad()
    def changes(self, windows: Float[Tensor, "W 3 h w"]) -> Float[Tensor, "N W 3 h w"]:
        """Return restored minus original windows of each network, on the CPU.

        Args:
            windows: windows in [0, 1].
        """
        return torch.stack([self._restored(network, windows) - windows for network in self.networks])

    @torch.no_grad()
    def restored(self, name: str, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 H W"]:
        """Return an image that a network has restored, rounded to 8 bits as a file holds it, on the CPU.

        Args:
            name: name of the network.
            image: RGB in [0, 1].
        """
        restored = self._restored(self.networks[self.names.index(name)], image[None])[0]
        return (restored * 255).round() / 255

    def checksum(self) -> str:
        """Return the SHA-256 of all networks."""
        return hashlib.sha256(" ".join(network.checksum() for network in self.networks).encode()).hexdigest()

    @staticmethod
    def _restored(network: RestorationNetwork, windows: Float[Tensor, "W 3 h w"]) -> Float[Tensor, "W 3 h w"]:
        """Return the restored windows in [0, 1] on the CPU."""
        return network.predict(windows.to(network.device))[0].float().clamp(0, 1).cpu()


def window_places(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Return the places of the windows, spread evenly over an image.

    Args:
        height: height of the image in pixels.
        width: width of the image in pixels.

    Returns:
        Top, left, height and width of each window in pixels; all have one size.
    """
    rows, columns = MOST if height <= width else MOST[::-1]
    tall, wide = min(WINDOW, height), min(WINDOW, width)
    return [(top, left, tall, wide) for top in _starts(height, rows) for left in _starts(width, columns)]


def _starts(length: int, count: int) -> list[int]:
    """Return the beginnings of windows along one direction; a short direction has fewer windows."""
    count = min(count, max(1, length // WINDOW))
    centers = [(2 * number + 1) * length / (2 * count) for number in range(count)]
    last = max(0, length - WINDOW)
    return [min(max(0, int(center) - WINDOW // 2), last) // _ALIGNED * _ALIGNED for center in centers]
