"""Jobs, each of which makes one file from another, and the rules by which a command names the files that it writes."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passband.io.video.format import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Job:
    """One file that will be made from another."""

    source: Path
    target: Path
    problem: str = ""
    """The reason why the job will fail, if it is known beforehand, such as a folder that cannot be read."""
    companion: Path | None = field(default=None, compare=False)
    """The file that may be written beside the target: both images, or the source with its mask over it."""

    @property
    def is_video(self) -> bool:
        """Whether the target is a video, by its suffix."""
        return self.target.suffix.lower() in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Naming:
    """The rules by which a command names the files that it writes."""

    tag: str
    """Ending of the stem of a file that is written beside its source, such as `_restored`."""
    folder: str
    """Ending of the name of the folder that gets the targets of a folder's files, such as `_restored`."""
    companion: str
    """Ending of the name of the image beside a target, such as `_compare.png`."""
    becomes: str
    """Name of the target for messages, such as `its restored image`."""
    written: Callable[[str], str]
    """Function from the suffix of a source to the suffix of its target."""
    targets: frozenset[str]
    """Suffixes of targets."""
    sources: frozenset[str]
    """Suffixes of sources."""
    nameless: frozenset[str] = frozenset()
    """Suffixes of types that can be written to a name without a suffix, if the source has none."""
    companion_of_video: str = ""
    """Ending of the name of the video beside a video; empty for the same ending as beside an image."""

    def ending(self, target: Path) -> str:
        """Return the ending of the name of a target's companion.

        Args:
            target: path of the target.
        """
        return self.ending_for(target.suffix)

    def ending_for(self, suffix: str) -> str:
        """Return the ending of the name of the companion of a target that has a suffix.

        Args:
            suffix: suffix of the target, with its dot.
        """
        is_video = suffix.lower() in VIDEO_SUFFIXES
        return self.companion_of_video if is_video and self.companion_of_video else self.companion


class Jobs(Sequence[Job]):
    """Jobs that are kept as texts: their paths, which take far more memory, are made for each use anew.

    Attributes:
        rows: source, target, problem and companion of each job.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str | None]] = []

    def append(self, source: str, target: str, problem: str, companion: str | None) -> None:
        """Add a job.

        Args:
            source: path of the source.
            target: path of the file to write.
            problem: reason why the job cannot be run; empty if there is none.
            companion: path of the companion; None for the usual name.
        """
        self.rows.append((source, target, problem, companion))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [_job(*row) for row in self.rows[number]]
        return _job(*self.rows[number])

    def __iter__(self) -> Iterator[Job]:
        return (_job(*row) for row in self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def names(self) -> list[str]:
        """Return the names of the sources."""
        return [os.path.basename(row[0]) for row in self.rows]  # noqa: PTH119


def _job(source: str, target: str, problem: str, companion: str | None) -> Job:
    """Return a job with paths."""
    return Job(Path(source), Path(target), problem, None if companion is None else Path(companion))
