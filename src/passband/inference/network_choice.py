"""Choices of the network that restores an image or a video, and the choice that is always the same network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Decision:
    """The network for one image or video.

    Attributes:
        weights: the weights of the network; None leaves the image as it is.
        line: sentence about what was found and chosen; empty if nothing had to be chosen.
    """

    weights: str | None
    line: str = ""


@runtime_checkable
class NetworkChoice(Protocol):
    """A choice of the network that restores an image or a video."""

    names: Sequence[str]
    """The weights that may be chosen."""
    fixed: str | None
    """The weights that are always chosen; None if each image has its own choice."""

    def of_image(self, image: Float[Tensor, "3 H W"]) -> Decision:
        """Choose for an image.

        Args:
            image: RGB in [0, 1].
        """
        ...

    def of_file(self, path: Path, max_pixels: int) -> Decision:
        """Choose for an image file.

        Args:
            path: path of the image.
            max_pixels: number of pixels above which the file is refused.
        """
        ...

    def of_video(self, path: Path) -> Decision:
        """Choose once for all frames of a video.

        Args:
            path: path of the video.
        """
        ...

    def checksum(self) -> str | None:
        """Return the SHA-256 of all that decides; None if the one network alone decides the result."""
        ...


class FixedChoice:
    """The choice that is always the same network.

    Args:
        weights: name of the weights.
    """

    def __init__(self, weights: str):
        self.fixed: str | None = weights
        self.names: Sequence[str] = (weights,)

    def of_image(self, image: Float[Tensor, "3 H W"]) -> Decision:
        """Return the network."""
        return Decision(self.fixed)

    def of_file(self, path: Path, max_pixels: int) -> Decision:
        """Return the network."""
        return Decision(self.fixed)

    def of_video(self, path: Path) -> Decision:
        """Return the network."""
        return Decision(self.fixed)

    def checksum(self) -> str | None:
        """Return None: the network alone decides the result."""
        return None
