"""Keeps the finished segments of an unfinished video in a folder beside its target."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from passband.io.files import PARTS_JOB
from passband.io.json_files import write_json
from passband.io.video import VideoError
from passband.io.video.encoding import Segment, read_segment, write_segment

_SUFFIX = ".safetensors"


class Parts:
    """The folder of finished segments beside a target. Several processes may add segments at the same time.

    Args:
        folder: path of the folder.
        job: everything that decides the segments; segments of another job are removed.

    Attributes:
        notes: sentences about segments that were removed.
    """

    def __init__(self, folder: Path, job: dict[str, object]):
        self.folder = folder
        self.notes: list[str] = []
        self._frames: dict[int, int] = {}
        self._extras: dict[int, Mapping[str, Tensor]] = {}
        description = folder / PARTS_JOB
        if folder.exists() and not _says(description, job):
            shutil.rmtree(folder)
            self.notes.append(f"{folder.name} was of another source, network or setting and has been removed")
        if not folder.exists():
            write_json(description, job)
        for path in folder.glob(f"[0-9]*{_SUFFIX}"):
            try:
                segment = read_segment(path)
            except VideoError:  # a crash of the machine damaged it
                continue
            self._note(int(path.stem), segment)

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of the finished segments, from 0."""
        return frozenset(self._frames)

    @property
    def frames(self) -> int:
        """Number of frames of the finished segments."""
        return sum(self._frames.values())

    @property
    def paths(self) -> list[Path]:
        """Paths of the finished segments, in order."""
        return [self._path(number) for number in sorted(self._frames)]

    @property
    def flickers(self) -> Sequence[dict[str, Tensor]]:
        """The flicker of each finished segment, in order; see `temporal.Flicker.of_segments`."""
        kept = (self._extras[number] for number in sorted(self._frames))
        return [
            {name.removeprefix("flicker."): value for name, value in one.items() if name.startswith("flicker.")}
            for one in kept
        ]

    def keep_first(self) -> Mapping[str, Tensor]:
        """Forget segments behind a gap, which a restoration that depends on the frames before cannot use.

        Returns:
            The tensors that were kept with the last of the others; empty if there is none.
        """
        first = next(number for number in range(len(self._frames) + 1) if number not in self._frames)
        self._frames = {number: frames for number, frames in self._frames.items() if number < first}
        return self._extras[first - 1] if first else {}

    def add(self, number: int, segment: Segment) -> None:
        """Save a segment.

        Args:
            number: number of the segment.
            segment: the segment.

        Raises:
            OSError: if it cannot be written.
        """
        write_segment(self._path(number), segment)
        self._note(number, segment)

    def remove(self) -> None:
        """Remove the folder and its content."""
        shutil.rmtree(self.folder)

    def _note(self, number: int, segment: Segment) -> None:
        """Note a finished segment, without its packets."""
        self._frames[number], self._extras[number] = len(segment.packets), segment.extras

    def _path(self, number: int) -> Path:
        """Return the path of a segment."""
        return self.folder / f"{number:06d}{_SUFFIX}"


def _says(description: Path, job: dict[str, object]) -> bool:
    """Tell whether a description is that of a job."""
    try:
        return json.loads(description.read_text(encoding="utf-8")) == job
    except (OSError, ValueError):
        return False
