"""Runs several restoration networks one after the other, for images with several degradations."""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.inference.engines import Engine
from passband.inference.restoration.memory import MemoryPlan
from passband.inference.restoration.network import RestorationNetwork
from passband.inference.video.temporal import Smoother
from passband.naming import package_version
from passband.ops.progress import Report, part_of
from passband.state_dicts import CheckpointError
from passband.weights_finding import AUTO, JOINT


def chained_names(weights: str) -> tuple[str, ...]:
    """Return the names of the networks that some weights stand for, in their order.

    Args:
        weights: weights, or weights joined by `+`, such as `dehaze-small+derain-small`. The path of a file or folder
            that exists is always one network.

    Raises:
        CheckpointError: if a name is missing before or after a `+`, or is `auto`.
    """
    names = tuple(weights.split(JOINT))
    if len(names) == 1 or Path(weights).exists():
        return (weights,)
    if not all(names):
        raise CheckpointError(
            f"No weights named {weights!r}. A {JOINT} joins networks that run one after the other, such as "
            f"dehaze-small{JOINT}derain-small."
        )
    if AUTO in names:
        raise CheckpointError(f"{weights!r} joins {AUTO}, which chooses the networks by itself: use {AUTO} alone")
    return names


class NetworkChain:
    """Several networks, each of which restores what the one before has restored.

    It answers like one `RestorationNetwork`.

    Args:
        parts: the networks in their order.

    Raises:
        ValueError: if a network takes several views of a scene.
    """

    def __init__(self, parts: Sequence[RestorationNetwork]):
        for part in parts:
            if part.views != 1:
                raise ValueError(f"{part.weights} takes {part.views} views of a scene, so it runs alone only")
        self.parts = tuple(parts)
        self.weights = JOINT.join(part.weights for part in parts)
        self.device = parts[0].device
        self.views = 1

    @property
    def engine(self) -> Engine:
        """The engine of the first network."""
        return self.parts[0].engine

    @property
    def model(self) -> nn.Module:
        """The one network in torch, which does not exist.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.weights} are several networks, but one is needed here: name one of them")

    @property
    def shares_statistics(self) -> bool:
        """Whether tiles of a large image share the statistics of the whole image, in all networks."""
        return all(part.shares_statistics for part in self.parts)

    @property
    def description(self) -> dict[str, Any]:
        """The descriptions of the networks."""
        return {"architecture": "chain", "networks": [part.description for part in self.parts]}

    @property
    def license_note(self) -> str:
        """Sentences about the licenses of networks of other projects; empty for networks of passband."""
        return " ".join(dict.fromkeys(part.license_note for part in self.parts if part.license_note))

    def weights_checksum(self) -> str:
        """Return the SHA-256 of the weights of all networks, in their order."""
        return _joined([part.weights_checksum() for part in self.parts])

    def checksum(self) -> str:
        """Return the SHA-256 of the weights and structures of all networks, in their order."""
        return _joined([part.checksum() for part in self.parts])

    def signature(self) -> str:
        """Return passband with its version, and the names of the networks with their checksums, in ASCII."""
        own = f"passband {package_version()}, "
        return own + ", then ".join(part.signature().removeprefix(own) for part in self.parts)

    def measure_memory(self) -> None:
        """Find out now how much memory the networks need per pixel, so that no image waits for it."""
        for part in self.parts:
            part.measure_memory()

    def check_room(self, source: Path, max_pixels: int) -> None:
        """Refuse a file that the free memory is too small for, before it is decoded.

        Args:
            source: path of the image.
            max_pixels: number of pixels above which reading the file refuses it anyway.

        Raises:
            MemoryError: if the image does not fit for one of the networks.
        """
        for part in self.parts:
            part.check_room(source, max_pixels)

    def smoothing(self, strength: float) -> AbstractContextManager[Smoother]:
        """Refuse to smooth averages over frames.

        Args:
            strength: strength of smoothing, which makes no difference.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.weights} are several networks, but frames are smoothed for one: name one of them")

    @torch.no_grad()
    def predict(
        self, degraded: Float[Tensor, "B 3 H W"], report: Report | None = None
    ) -> tuple[Float[Tensor, "B 3 H W"], MemoryPlan]:
        """Restore images by all networks.

        Args:
            degraded: images in [0, 1], on the device of the first network.
            report: function that is called after each band or tile with the share that is done.

        Returns:
            The restored images, not clamped and on the same device, and the plan of the network that needed most
            memory. If networks restored them in tiles, it is the plan of one of these, because only tiles change the
            result.

        Raises:
            MemoryError: if the images do not fit.
        """
        plans, count = [], len(self.parts)
        for number, part in enumerate(self.parts):
            if number:
                degraded = degraded.clamp(0, 1)
            progress = part_of(report, number / count, (number + 1) / count)
            degraded, plan = part.predict(degraded.to(part.device), progress)
            plans.append(plan)
        return degraded.to(self.device), max(plans, key=lambda plan: (plan.mode == "tiles", plan.bytes))


def _joined(checksums: Sequence[str]) -> str:
    """Return the SHA-256 of checksums."""
    return hashlib.sha256(" ".join(checksums).encode()).hexdigest()
