"""Choices of the network that restores an image or a video: always the same network, or one for each scene."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from passband.weights_finding import AUTO

if TYPE_CHECKING:
    from passband.inference.inspection.inspector import Diagnosis


@dataclass(frozen=True)
class Decision:
    """The network for one image or video.

    Attributes:
        weights: the weights of the network; None leaves the image as it is.
        line: sentence about what was found and chosen; empty if nothing had to be chosen.
        diagnoses: diagnosis of the image, and that of the image after the first network if there is a second one;
            empty if nothing was inspected.
    """

    weights: str | None
    line: str = ""
    diagnoses: tuple["Diagnosis", ...] = ()


@dataclass(frozen=True)
class Scene:
    """A scene of a video with its network.

    Attributes:
        start: number of its first frame, from 0.
        decision: the network for all of its frames.
    """

    start: int
    decision: Decision


@dataclass(frozen=True)
class VideoDecision:
    """The networks for the scenes of a video.

    Attributes:
        scenes: the scenes in order; the first one starts at frame 0.
        line: sentence about what was found and chosen; empty if nothing had to be chosen.
    """

    scenes: tuple[Scene, ...]
    line: str = ""

    @property
    def weights(self) -> tuple[str | None, ...]:
        """The different weights of the scenes in order of their first use; None for scenes that are left alone."""
        return tuple(dict.fromkeys(scene.decision.weights for scene in self.scenes))

    def spans(self, first: int, count: int) -> list[tuple[str | None, slice]]:
        """Divide consecutive frames by their weights.

        Args:
            first: number of the first frame in the video, from 0.
            count: number of frames.

        Returns:
            The weights, None to leave frames as they are, and the positions among these frames that they are for.
        """
        ends = [scene.start for scene in self.scenes[1:]]
        spans = []
        for scene, end in zip(self.scenes, [*ends, first + count], strict=True):
            start, stop = max(scene.start, first) - first, min(end, first + count) - first
            if start < stop:
                spans.append((scene.decision.weights, slice(start, stop)))
        return spans

    def checksum(self, of_weights: Callable[[str], str]) -> str:
        """Return the SHA-256 of the scenes and of their networks.

        Args:
            of_weights: function that returns the checksum of a network by the name of its weights.
        """
        used = {name: of_weights(name) for name in self.weights if name is not None}
        scenes = [(scene.start, scene.decision.weights) for scene in self.scenes]
        return hashlib.sha256(json.dumps([scenes, used]).encode()).hexdigest()


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

    def of_file(self, file: Path | bytes, max_pixels: int) -> Decision:
        """Choose for an image file.

        Args:
            file: path of the file, or its content.
            max_pixels: number of pixels above which the file is refused.
        """
        ...

    def of_video(self, path: Path, *, as_one: bool = False) -> VideoDecision:
        """Choose once for each scene of a video.

        Args:
            path: path of the video.
            as_one: whether all frames get the same network.
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

    def of_file(self, file: Path | bytes, max_pixels: int) -> Decision:
        """Return the network."""
        return Decision(self.fixed)

    def of_video(self, path: Path, *, as_one: bool = False) -> VideoDecision:
        """Return the network as that of one scene."""
        return VideoDecision((Scene(0, Decision(self.fixed)),))

    def checksum(self) -> str | None:
        """Return None: the network alone decides the result."""
        return None


def choice_of(weights: str) -> NetworkChoice:
    """Return the choice that the name of weights stands for.

    Args:
        weights: `AUTO`, or weights that always restore.
    """
    if weights != AUTO:
        return FixedChoice(weights)
    from passband.inference.inspection.auto import InspectedChoice  # needs the data of training, which load slowly

    return InspectedChoice()
