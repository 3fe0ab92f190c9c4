"""Chooses the network that restores an image or a video by inspecting it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from passband.inference.inspector import Inspector, mean_of
from passband.inference.network_choice import Decision
from passband.io.image import DEFAULT_MAX_PIXELS
from passband.io.video import VideoReader
from passband.provenance import weights_checksum
from passband.weights_io import CheckpointError, shipped_weights

FRAMES = 5
"""Number of frames of a video that are inspected."""
FIRST_FRAMES = 240
"""Number of frames at the beginning of a video among which the inspected frames are spread evenly."""


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
