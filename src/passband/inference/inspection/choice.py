"""Chooses the network that restores an image or a video by inspecting it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from passband.inference.inspection.inspector import Inspector, mean_of
from passband.inference.inspection.last_file import LastFile
from passband.inference.network_choice import Decision, Scene, VideoDecision
from passband.inference.video.scenes import find_scenes
from passband.io.files import file_checksum
from passband.io.image import DEFAULT_MAX_PIXELS
from passband.provenance import weights_checksum
from passband.weights_io import CheckpointError, shipped_weights

LISTED_SCENES = 6
"""Largest number of scenes whose choice is printed."""


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
        self._last_video: LastFile[VideoDecision] = LastFile()
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

    def of_video(self, path: Path, *, as_one: bool = False) -> VideoDecision:
        """Inspect a few frames of each scene of a video and choose once for the scene.

        Args:
            path: path of the video.
            as_one: whether all frames get the same network, by the mean of the diagnoses of all inspected frames.

        Raises:
            VideoError: if the file is not a video.
            OSError: if the file cannot be read.
        """
        return self._last_video.get(Path(path), lambda: self._scenes(path, as_one), as_one)

    def _scenes(self, path: Path, as_one: bool) -> VideoDecision:
        """Inspect the scenes of a video and choose."""
        found = [
            (scene.start, [self.inspector(image).among(self.names) for image in scene.images])
            for scene in find_scenes(path)
        ]
        if as_one:
            found = [(0, [diagnosis for _, diagnoses in found for diagnosis in diagnoses])]
        means = [(start, mean_of(diagnoses)) for start, diagnoses in found]
        scenes = tuple(Scene(start, Decision(mean.choice, mean.line)) for start, mean in means)
        return VideoDecision(scenes, _line(scenes, sum(len(diagnoses) for _, diagnoses in found)))

    def checksum(self) -> str | None:
        """Return the SHA-256 of the inspector and of all networks that may be chosen."""
        digest = hashlib.sha256(weights_checksum(self.inspector.model).encode())
        for name in self.names:
            digest.update(f"{name} {file_checksum(shipped_weights()[name] / 'model.safetensors')}".encode())
        return digest.hexdigest()


def _line(scenes: Sequence[Scene], frames: int) -> str:
    """Return a sentence about the scenes of a video and their choices.

    Args:
        scenes: the scenes.
        frames: number of frames that were inspected.
    """
    inspected = f"{frames} frame{'' if frames == 1 else 's'} inspected"
    if len(scenes) == 1:
        return f"{inspected}: {scenes[0].decision.line}"
    lines = [f"from frame {scene.start} {scene.decision.line}" for scene in scenes[:LISTED_SCENES]]
    if len(scenes) > LISTED_SCENES:
        lines.append(f"and {len(scenes) - LISTED_SCENES} more")
    return f"{inspected}, {len(scenes)} scenes: {'; '.join(lines)}"
