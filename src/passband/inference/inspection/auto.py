"""Chooses the network that restores an image or a video by inspecting it, as the weights `auto` do."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from passband.inference.inspection.inspector import Diagnosis, Inspector, mean_of
from passband.inference.inspection.last_file import LastFile
from passband.inference.restoration.choice import Decision, Scene, VideoDecision
from passband.inference.video.scenes import find_scenes
from passband.io.files import file_checksum
from passband.io.image import DEFAULT_MAX_PIXELS, read_image
from passband.naming import counted
from passband.state_dicts import CheckpointError
from passband.weights_finding import CONFIG_FILE, JOINT, WEIGHTS_FILE, shipped_weights

SECOND_GAIN = 1.0
"""Expected gain in dB from which a second network restores what the first has restored. Below, the first one has mostly
left a rest that the second one would only sharpen or smooth."""
SECOND_SIDE = 512
"""Side in pixels of the middle of an image that is restored and inspected again to choose the second network."""
LISTED_SCENES = 6
"""Largest number of scenes whose choice is printed."""


class InspectedChoice:
    """The choice of the shipped network that an inspector prefers for an image, and of a second one.

    An image is left as it is if it is clean, if no network is expected to gain enough (see `inspector.LEAST_GAIN`), or
    if it differs from all images that the inspector learned from.

    Images often have two degradations, such as rain and haze. The middle of the image is therefore restored by the
    first network and inspected again. If another network is then expected to gain most, and `SECOND_GAIN` or more,
    both restore the image, one after the other. Without trials of the networks, only one is chosen.

    Args:
        inspector: the inspector; None for the shipped one.

    Raises:
        CheckpointError: if the inspector knows none of the shipped networks.
    """

    def __init__(self, inspector: Inspector | None = None):
        self.inspector = inspector or Inspector()
        self.fixed: str | None = None
        self._last_image: LastFile[Decision] = LastFile()
        self._last_video: LastFile[VideoDecision] = LastFile()
        self.names: Sequence[str] = [name for name in self.inspector.networks if name in shipped_weights()]
        if not self.names:
            raise CheckpointError(
                f"{self.inspector.weights} knows none of the networks that ship ({', '.join(shipped_weights())}), so "
                "it cannot choose: name a network, such as general"
            )

    def of_image(self, image: Float[Tensor, "3 H W"]) -> Decision:
        """Inspect an image and choose.

        Args:
            image: RGB in [0, 1].
        """
        return self._decide([self.inspector(image)], lambda: [image])

    def of_file(self, file: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Decision:
        """Inspect an image file and choose.

        Args:
            file: path of the file, or its content.
            max_pixels: number of pixels above which the file is refused.

        Raises:
            ImageError: if the file is not an image, damaged or too large.
            OSError: if the file cannot be read.
        """

        def decide() -> Decision:
            diagnosis = self.inspector.inspect_file(file, max_pixels=max_pixels)
            return self._decide([diagnosis], lambda: [read_image(file, max_pixels=max_pixels)])

        return self._last_image.get(file, decide, max_pixels)

    def of_video(self, path: Path, *, as_one: bool = False) -> VideoDecision:
        """Inspect a few frames of each scene of a video and choose once for the scene.

        Args:
            path: path of the video.
            as_one: whether all frames get one network, by the mean of the diagnoses of all inspected frames.

        Raises:
            VideoError: if the file is not a video.
            OSError: if the file cannot be read.
        """
        return self._last_video.get(Path(path), lambda: self._scenes(path, as_one), as_one)

    def _scenes(self, path: Path, as_one: bool) -> VideoDecision:
        """Inspect the scenes of a video and choose."""
        if as_one:
            found = [self.inspector(image) for scene in find_scenes(path) for image in scene.images]
            decided, frames = [Scene(0, self._decide(found))], len(found)
        else:
            decided, frames = [], 0
            for scene in find_scenes(path):
                found = [self.inspector(image) for image in scene.images]
                decided.append(Scene(scene.start, self._decide(found, lambda images=scene.images: images)))
                frames += len(found)
        return VideoDecision(tuple(decided), _line(decided, frames))

    def _decide(
        self,
        diagnoses: Sequence[Diagnosis],
        images: Callable[[], Sequence[Float[Tensor, "3 H W"]]] | None = None,
    ) -> Decision:
        """Choose by the mean of diagnoses, and choose a second network for what the first has restored.

        Args:
            diagnoses: diagnoses of an image, or of frames of a video.
            images: function that returns these images, RGB in [0, 1]; None to choose one network only.
        """
        first = mean_of(diagnoses).among(self.names)
        if first.choice is None or images is None or self.inspector.trials is None:
            return Decision(first.choice, first.line, (first,))
        restored = [self.inspector.trials.restored(first.choice, _middle(image)) for image in images()]
        second = mean_of([self.inspector(image) for image in restored]).among(self.names)
        # where the first network would go on, another one makes images worse
        goes_on = second.choice in (None, first.choice) or not second.tried
        if goes_on or second.best is None or second.best[1] < SECOND_GAIN:
            return Decision(first.choice, first.line, (first,))
        chosen, line = f"{first.choice}{JOINT}{second.choice}", f"{first.line}; then {second.line}"
        return Decision(chosen, line, (first, second))

    def checksum(self) -> str | None:
        """Return the SHA-256 of the inspector, of all networks that may be chosen, and of the rule for a second one."""
        digest = hashlib.sha256(f"{self.inspector.checksum()} {SECOND_GAIN} {SECOND_SIDE}".encode())
        for name in self.names:
            for file in (WEIGHTS_FILE, CONFIG_FILE):
                digest.update(f"{name} {file_checksum(shipped_weights()[name] / file)}".encode())
        return digest.hexdigest()


def _middle(image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 h w"]:
    """Return the middle of an image, `SECOND_SIDE` pixels a side or less."""
    height, width = image.shape[-2:]
    top, left = max(0, height - SECOND_SIDE) // 2, max(0, width - SECOND_SIDE) // 2
    return image[:, top : top + SECOND_SIDE, left : left + SECOND_SIDE]


def _line(scenes: Sequence[Scene], frames: int) -> str:
    """Return a sentence about the scenes of a video and their choices.

    Args:
        scenes: the scenes.
        frames: number of frames that were inspected.
    """
    inspected = f"{counted(frames, 'frame')} inspected"
    if len(scenes) == 1:
        return f"{inspected}: {scenes[0].decision.line}"
    lines = [f"from frame {scene.start} {scene.decision.line}" for scene in scenes[:LISTED_SCENES]]
    if len(scenes) > LISTED_SCENES:
        lines.append(f"and {len(scenes) - LISTED_SCENES} more")
    return f"{inspected}, {len(scenes)} scenes: {'; '.join(lines)}"
