"""Finds the scenes of a video, and gives some frames of each for a decision about the whole scene."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from passband.inference.video.cuts import CUT_SIMILARITY, cells_of_luma, similarity
from passband.io.video import VideoReader

INSPECTED = (2, 8, 24, 72, 216)
"""Numbers within a scene of the frames that are inspected."""
SHORTEST = 12
"""Number of frames below which a scene belongs to the scene before it, so that a flash does not change the network."""


@dataclass(frozen=True)
class SceneFrames:
    """Some frames of a scene.

    Attributes:
        start: number of the first frame of the scene, from 0.
        images: RGB images of the frames in [0, 1]; at least one.
    """

    start: int
    images: list[Float[Tensor, "3 H W"]]


def find_scenes(path: Path) -> Iterator[SceneFrames]:
    """Decode a video and find its scenes. Memory does not grow with the length of the video.

    A scene begins where two consecutive frames differ strongly, see `cuts.similarity`.

    Args:
        path: path of the video.

    Yields:
        Each scene when it has ended. A scene of fewer than `SHORTEST` frames is left out, unless it is the first one.

    Raises:
        VideoError: if the file is not a video.
        OSError: if the file cannot be read.
    """
    start, length = 0, 0
    images: list[Tensor] = []
    before: Tensor | None = None
    with VideoReader(path) as reader:
        last = None
        for number, (luma, frame) in enumerate(reader.previews()):
            cells = cells_of_luma(luma[None])[0]
            if before is not None and last is not None and similarity(before, cells) < CUT_SIMILARITY:
                if start == 0 or length >= SHORTEST:
                    yield SceneFrames(start, images or [last().image])
                start, length, images = number, 0, []
            if length in INSPECTED:
                images.append(frame().image)
            before, last, length = cells, frame, length + 1
        if last is not None and (start == 0 or length >= SHORTEST):
            yield SceneFrames(start, images or [last().image])
