"""Choices of the network that restores an image or a video: always the same one, or one by inspection."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from passband.inference.inspector import Inspector, mean_of
from passband.io.image import DEFAULT_MAX_PIXELS
from passband.io.video import VideoReader
from passband.provenance import weights_checksum
from passband.weights_io import CheckpointError, shipped_weights

FRAMES = 5
"""Number of frames of a video that are inspected."""
FIRST_FRAMES = 240
"""Number of frames at the beginning of a video among which the inspected frames are spread evenly."""


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


class InspectedChoice:
    """The choice of the shipped network that an inspector expects to help an image most.

    An image is left as it is if it is clean, if no network is expected to gain more than `inspector.LEAST_GAIN`, or if
    it differs from all images that the inspector learned from.

    Args:
        inspector: the inspector; None for the shipped one.

    Raises:
        CheckpointError: if the inspector knows none of the shipped networks.
    """

    def __init__(self, inspector: Inspector | None = None):
        self.inspector = inspector or Inspector()
        self.fixed: str | None = None
        self.names: Sequence[str] = [name for name in self.inspector.networks if name in shipped_weights()]
        if not self.names:
            raise CheckpointError(
                f"{self.inspector.weights} knows none of the networks that ship ({', '.join(shipped_weights())}), so "
                f"that it cannot choose: name a network, such as general"
            )

    def of_image(self, image: Float[Tensor, "3 H W"]) -> Decision:
        """Inspect an image and choose.

        Args:
            image: RGB in [0, 1].
        """
        diagnosis = self.inspector(image).among(self.names)
        return Decision(diagnosis.choice, diagnosis.line)

    def of_file(self, path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Decision:
        """Inspect an image file and choose.

        Args:
            path: path of the image.
            max_pixels: number of pixels above which the file is refused.

        Raises:
            ImageError: if the file is not an image, damaged or too large.
            OSError: if the file cannot be read.
        """
        diagnosis = self.inspector.inspect_file(path, max_pixels=max_pixels).among(self.names)
        return Decision(diagnosis.choice, diagnosis.line)

    def of_video(self, path: Path) -> Decision:
        """Inspect a few frames at the beginning of a video and choose once for all of its frames.

        Args:
            path: path of the video.

        Raises:
            VideoError: if the file is not a video.
            OSError: if the file cannot be read.
        """
        diagnoses = []
        with VideoReader(path) as reader:
            length = min(reader.expected or FIRST_FRAMES, FIRST_FRAMES)
            numbers = {(2 * number + 1) * length // (2 * FRAMES) for number in range(FRAMES)}
            for number, frame in enumerate(reader.frames()):
                if number in numbers:
                    diagnoses.append(self.inspector(frame.image).among(self.names))
                if number >= max(numbers) and diagnoses:
                    break
        diagnosis = mean_of(diagnoses)
        return Decision(diagnosis.choice, f"{len(diagnoses)} frames were inspected: {diagnosis.line}")

    def checksum(self) -> str | None:
        """Return the SHA-256 of the inspector and of all networks that may be chosen."""
        digest = hashlib.sha256(weights_checksum(self.inspector.model).encode())
        for name in self.names:
            stored = (shipped_weights()[name] / "model.safetensors").read_bytes()
            digest.update(f"{name} {hashlib.sha256(stored).hexdigest()}".encode())
        return digest.hexdigest()
