"""Keeps the finished segments of an unfinished video in a folder beside its target."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from passband.io.files import FolderLock
from passband.io.json_files import write_json
from passband.io.paths import PARTIAL, PARTS_JOB
from passband.io.video import VideoError
from passband.io.video.encoding import Segment, read_segment, write_segment

_SUFFIX = ".safetensors"


class Parts:
    """The folder of finished segments beside a target, which one run keeps from other runs until it is closed.

    Several processes of the run may add segments at the same time.

    Args:
        folder: path of the folder.
        job: everything that decides the segments; segments of another job are removed.
        run: name of the run, which its processes have in common.

    Attributes:
        notes: sentences about segments that were removed.

    Raises:
        VideoError: if another run uses the folder.
        OSError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, job: dict[str, object], run: str):
        self.folder = folder
        self.notes: list[str] = []
        self._frames: dict[int, int] = {}
        self._extras: dict[int, Mapping[str, Tensor]] = {}
        self._lock = self._begun(job, run)
        try:
            if _content(folder / PARTS_JOB).get("run") != run:
                raise VideoError(
                    f"another process restores this video into {folder}: wait until it ends, or choose another output"
                )
            for path in folder.glob(f"[0-9]*{_SUFFIX}"):
                try:
                    segment = read_segment(path)
                except VideoError:  # a crash of the machine damaged it
                    continue
                self._note(int(path.stem), segment)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other runs use the folder."""
        self._lock.release()

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
        """The flicker of each finished segment, in order; see `flicker.Flicker.of_segments`."""
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
        """Remove the segments, and the folder if it holds nothing else."""
        for path in self._own_files():
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds files of the user
            self.folder.rmdir()

    def _begun(self, job: dict[str, object], run: str) -> FolderLock:
        """Return a shared lock of the folder, after the job and the run were noted unless the folder is in use."""
        while True:
            try:
                lock = FolderLock(self.folder)
            except BlockingIOError:  # other processes of this run, or another run
                with suppress(FileNotFoundError):  # the other run ended
                    return FolderLock(self.folder, shared=True)
                continue
            try:
                self._note_job(job, run)
                lock.share()
            except BaseException:
                lock.release()
                raise
            return lock

    def _note_job(self, job: dict[str, object], run: str) -> None:
        """Write the job and the run into the folder, and remove segments of another job."""
        found = _content(self.folder / PARTS_JOB)
        found.pop("run", None)
        if found != job and (old := self._own_files()):
            for path in old:
                path.unlink()
            self.notes.append(f"{self.folder.name} was of another source, network or setting and has been removed")
        write_json(self.folder / PARTS_JOB, {**job, "run": run})

    def _own_files(self) -> list[Path]:
        """Return the files of this and other jobs, also those that a crash left half written."""
        return [
            path
            for path in self.folder.iterdir()
            if path.name == PARTS_JOB or path.suffix == _SUFFIX or PARTIAL in path.suffixes
        ]

    def _note(self, number: int, segment: Segment) -> None:
        """Note a finished segment, without its packets."""
        self._frames[number], self._extras[number] = len(segment.packets), segment.extras

    def _path(self, number: int) -> Path:
        """Return the path of a segment."""
        return self.folder / f"{number:06d}{_SUFFIX}"


def _content(description: Path) -> dict[str, object]:
    """Return the content of a description; empty if there is none that can be read."""
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
