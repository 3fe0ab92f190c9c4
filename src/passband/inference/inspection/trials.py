"""Tries restoration networks on a few regions of an image, and describes their changes for an inspector."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from passband.inference.restoration.network import RestorationNetwork
from passband.models.inspection.trials import trial_features

REGION = 256
"""Side in pixels of the regions that networks restore. They average over a region, as they average over an image."""
APART = 768
"""Pixels of the long side of an image for each region."""
MOST_REGIONS = 3
"""Largest number of regions."""
WINDOW = 128
"""Side in pixels of the windows of a region whose changes are described."""
SMALLEST_SIDE = 64
"""Side in pixels below which an image is not tried, because the judge learned from windows of 128 pixels."""
LIMITS = (REGION, APART, MOST_REGIONS, WINDOW, SMALLEST_SIDE)
"""All numbers that decide what is tried."""
_ALIGNED = 16  # regions and windows begin where blocks of all components of a JPEG file begin


class Trials:
    """Restores a few regions of an image with each of several networks, which are loaded when they are first needed.

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
        features = []
        for place in region_places(*image.shape[-2:]):
            region = _part(image, place)
            changes = self.changes(region)
            for window in window_places(*region.shape[-2:]):
                features.append(trial_features(_part(region, window)[None], _part(changes, window)[:, None]))
        return torch.stack(features)

    @torch.no_grad()
    def changes(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "N 3 H W"]:
        """Return the restored image of each network minus the image, on the CPU.

        Args:
            image: RGB in [0, 1].

        Returns:
            Changes of N networks, in the unit of the image.
        """
        return torch.cat([self._restored(network, image[None]) - image for network in self.networks])

    @torch.no_grad()
    def restored(self, name: str, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 H W"]:
        """Return an image that a network has restored, rounded to 8 bits as a file holds it, on the CPU.

        Args:
            name: name of the network.
            image: RGB in [0, 1].

        Returns:
            RGB in [0, 1].
        """
        restored = self._restored(self.networks[self.names.index(name)], image[None])[0]
        return (restored * 255).round() / 255

    def checksum(self) -> str:
        """Return the SHA-256 of all networks."""
        return hashlib.sha256(" ".join(network.checksum() for network in self.networks).encode()).hexdigest()

    @staticmethod
    def _restored(network: RestorationNetwork, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Return restored images in [0, 1] on the CPU."""
        return network.predict(images.to(network.device))[0].float().clamp(0, 1).cpu()


class Place(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def region_places(height: int, width: int) -> list[Place]:
    """Return the regions that are tried, spread evenly along the middle of the long side of an image.

    Args:
        height: height of the image in pixels.
        width: width of the image in pixels.
    """
    count = min(MOST_REGIONS, max(height, width) // APART)
    rows, columns = (1, count) if height <= width else (count, 1)
    return _grid(height, width, rows, columns, REGION)


def window_places(height: int, width: int) -> list[Place]:
    """Return the windows of a region, side by side and spread evenly.

    Args:
        height: height of the region in pixels.
        width: width of the region in pixels.
    """
    return _grid(height, width, height // WINDOW, width // WINDOW, WINDOW)


def _grid(height: int, width: int, rows: int, columns: int, side: int) -> list[Place]:
    """Return places of one size in a grid."""
    tall, wide = min(side, height), min(side, width)
    return [
        Place(top, left, tall, wide) for top in _starts(height, rows, side) for left in _starts(width, columns, side)
    ]


def _starts(length: int, count: int, side: int) -> list[int]:
    """Return the beginnings of places along one direction, of at least one."""
    count = max(1, count)
    centers = [(2 * number + 1) * length / (2 * count) for number in range(count)]
    last = max(0, length - side)
    return [min(max(0, int(center) - side // 2), last) // _ALIGNED * _ALIGNED for center in centers]


def _part(images: Float[Tensor, "*B 3 H W"], place: Place) -> Float[Tensor, "*B 3 h w"]:
    """Return a part of images."""
    return images[..., place.top : place.top + place.height, place.left : place.left + place.width]
