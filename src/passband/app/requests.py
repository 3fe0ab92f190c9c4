"""The work of the page on one file, which runs in a worker process."""

import re
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.inference.files.naming import Job
from passband.inference.files.pieces import report_progress
from passband.inference.files.restoring import RestoreWork, VideoOptions, plan_jobs
from passband.inference.inspector import Diagnosis, Inspected, Inspector
from passband.inference.restorer import Restorer
from passband.io.files import failure, fitted_name
from passband.io.image import ImageError, read_stored_image, write_image
from passband.io.image.kinds import NAMES, kind_of_file
from passband.io.image.size import stored_size
from passband.io.signatures import suffix_by_content
from passband.io.video import VIDEO_SUFFIXES, VideoReader
from passband.naming import printable

SHOWN = frozenset(("PNG", "JPEG", "WEBP", "AVIF"))
"""Types of images that browsers show."""
KEPT = 3
"""Number of predictors that a worker keeps."""
QUALITY = 95
"""Quality of restored JPEG and lossy WebP files, as on the command line."""


class UploadError(ValueError):
    """An uploaded file cannot be used. The message says why, and what to do."""


@dataclass(frozen=True)
class Failure:
    """The result of work that failed.

    Attributes:
        sentence: reason, without paths of the server.
    """

    sentence: str


class Predictors:
    """Predictors of a worker. The last few stay loaded."""

    def __init__(self):
        self._loaded: OrderedDict[Any, Any] = OrderedDict()

    def get(self, build: Callable[..., Any], *settings: Any, **more: Any) -> Any:
        """Return a predictor, which is built if it is not loaded.

        Args:
            build: class of the predictor.
            settings: arguments of the class.
            more: keywords of the class.
        """
        key = (build, settings, tuple(more.items()))
        if key not in self._loaded:
            self._loaded[key] = build(*settings, **more)
        self._loaded.move_to_end(key)
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return self._loaded[key]


@dataclass(frozen=True)
class Request(ABC):
    """Work on one file.

    Attributes:
        source: path of the uploaded file.
    """

    source: Path

    @property
    def name(self) -> str:
        """The name of the file, for messages."""
        return printable(self.source.name)

    @property
    def size(self) -> float:
        """The amount of work, in millions of bytes, which serves to estimate the time."""
        return self.source.stat().st_size / 1e6 if self.source.exists() else 1.0

    @abstractmethod
    def do(self, predictors: Predictors) -> Any:
        """Do the work, and return a result that can be pickled.

        Args:
            predictors: predictors of the worker.
        """


_PREDICTORS = Predictors()


def answer(request: Request) -> Any:
    """Do the work of a request in a worker, and turn each error into a sentence.

    Args:
        request: the work.
    """
    try:
        return request.do(_PREDICTORS)
    except UploadError as error:
        return Failure(str(error))
    except Exception as error:  # any kind: a bad file may break its reader in any way
        return Failure(_without_folders(failure(error, request.source), request))


def _without_folders(sentence: str, request: Request) -> str:
    """Replace paths by the names of their files, because folders of the server say nothing to a person."""
    folder = re.escape(str(request.source.parent.parent.parent))
    return printable(" ".join(re.sub(rf"{folder}(/[^/\s]+)*/", "", sentence).split()))


@dataclass(frozen=True)
class Restored:
    """A restored file.

    Attributes:
        target: path of the restored file.
        before: path of an image that browsers show, of the degraded file.
        after: path of an image that browsers show, of the restored file.
        weights: name of the network that restored it; None if the file was left alone.
        diagnosis: findings about an image; None for a video.
        notes: sentences about losses, damage and unexpected changes.
        size: width and height in pixels.
        seconds: time that it took in seconds.
    """

    target: Path
    before: Path
    after: Path
    weights: str | None
    diagnosis: Diagnosis | None
    notes: tuple[str, ...]
    size: tuple[int, int]
    seconds: float


@dataclass(frozen=True)
class RestoreRequest(Request):
    """The restoration of an image or a video.

    Attributes:
        folder: folder of the result.
        weights: weights to use, or `auto`.
        strength: strength of the restoration, 0 to 1.
        is_named: whether the name of the result has the name of the network.
        label: name of the weights for the name of the result.
        image_pixels: largest number of pixels of an image.
        video_pixels: largest number of pixels of a video, over all frames.
    """

    folder: Path
    weights: str = "auto"
    strength: float = 1.0
    is_named: bool = False
    label: str = ""
    image_pixels: int = 50_000_000
    video_pixels: int = 1_000_000_000

    def do(self, predictors: Predictors) -> Restored:
        """Check and restore the file.

        Raises:
            UploadError: if the file is neither an image nor a video, or too large.
            ImageError, VideoError: if the file is damaged.
        """
        started = time.monotonic()
        is_video = check_file(self.source, self.image_pixels, self.video_pixels)
        diagnosis = None if is_video else predictors.get(Inspector).inspect_file(self.source)
        restorer: Restorer = predictors.get(Restorer, self.weights, strength=self.strength)
        chosen = restorer.choice.fixed
        if chosen is None:
            chosen = (
                restorer.choice.of_video(self.source)
                if is_video
                else restorer.choice.of_file(self.source, self.image_pixels)
            ).weights
        target = restored_target(self.source, self.folder, (self.label or chosen) if self.is_named else None)
        work = RestoreWork(
            restorer,
            compare=False,
            compare_pixels=None,
            overwrite=True,
            quality=QUALITY,
            max_pixels=self.image_pixels,
            video=VideoOptions(),
            report=report_progress,
        )
        notes, _ = work.do(Job(self.source, target), None)
        before = shown(self.source, self.folder / "before", is_video)
        after = shown(target, self.folder / "after", is_video)
        size = stored_size(before) or (0, 0)
        line = diagnosis.line if diagnosis is not None else ""
        name = None if chosen is None else self.label or chosen
        notes = tuple(_without_folders(note.replace(str(chosen), name or ""), self) for note in notes if note != line)
        return Restored(target, before, after, name, diagnosis, notes, size, time.monotonic() - started)


@dataclass(frozen=True)
class InspectRequest(Request):
    """The inspection of an image.

    Attributes:
        image_pixels: largest number of pixels of an image.
    """

    image_pixels: int = 50_000_000

    def do(self, predictors: Predictors) -> dict[str, Any]:
        """Check and inspect the file.

        Raises:
            UploadError: if the file is not an image, or too large.
            ImageError: if the file is damaged.
        """
        check_image(self.source, self.image_pixels, "Inspection needs an image.")
        diagnosis = predictors.get(Inspector).inspect_file(self.source, max_pixels=self.image_pixels)
        return {**Inspected(self.source, diagnosis).as_dict(), "file": self.name}


def restored_target(source: Path, folder: Path, weights: str | None) -> Path:
    """Return the path of a restored file: `photo_restored.jpg`, or `photo_general.jpg` with the name of a network.

    Args:
        source: path of the degraded file.
        folder: folder of the restored file.
        weights: name of the network for the file name; None to leave it out.
    """
    planned = plan_jobs([source])[0].target
    if weights is None:
        return folder / planned.name
    return folder / fitted_name(source.stem, f"_{Path(weights).name}{planned.suffix}")


def check_image(source: Path, image_pixels: int, need: str) -> None:
    """Check that an uploaded file is an image of an allowed size, see `check_file`.

    Args:
        source: path of the file.
        image_pixels: largest number of pixels.
        need: sentence that tells a person who gave a video what is needed.

    Raises:
        UploadError: if the file is not an image, or too large.
    """
    if check_file(source, image_pixels, 0):
        raise UploadError(f"{printable(source.name)} is a video. {need}")


def check_file(source: Path, image_pixels: int, video_pixels: int) -> bool:
    """Check the type and size of an uploaded file by its header, before anything is decoded.

    Args:
        source: path of the file.
        image_pixels: largest number of pixels of an image.
        video_pixels: largest number of pixels of a video, over all frames.

    Returns:
        Whether the file is a video.

    Raises:
        UploadError: if the file is neither an image nor a video, or too large.
        VideoError: if the file is a damaged video.
    """
    name, suffix = printable(source.name), suffix_by_content(source)
    if not suffix:
        raise UploadError(
            f"{name} is neither an image nor a video that passband reads. Give a {NAMES} image, or a video."
        )
    if suffix not in VIDEO_SUFFIXES:
        size = stored_size(source)
        if size is not None and size[0] * size[1] > image_pixels:
            raise UploadError(
                f"{name} has {size[0]} x {size[1]} pixels, which is {size[0] * size[1] / 1e6:.3g} megapixels. This "
                f"page takes images of at most {image_pixels / 1e6:.3g} megapixels. Reduce the image, or use passband "
                "restore on the command line."
            )
        return False
    with VideoReader(source) as reader:
        frame, count = reader.format.width * reader.format.height, reader.expected or 1
    if frame * count > video_pixels:
        raise UploadError(
            f"{name} has {count} frames of {frame / 1e6:.2f} megapixels. This page takes at most "
            f"{video_pixels // frame} frames of this size. Cut the video, or use passband restore on the command line."
        )
    return True


def shown(path: Path, target: Path, is_video: bool) -> Path:
    """Return an image that browsers show: the file itself, or a copy in another type.

    Args:
        path: path of an image or a video.
        target: path of the copy, without a suffix.
        is_video: whether the file is a video, whose first frame is then shown.

    Raises:
        ImageError: if the video has no frames.
    """
    if not is_video and kind_of_file(path) in SHOWN:
        return path
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_video:
        with VideoReader(path) as reader:
            image = next((frame.image for frame in reader.frames()), None)
        if image is None:
            raise ImageError(f"{path} has no frames")
        write_image(target.with_suffix(".png"), image)
        return target.with_suffix(".png")
    write_image(target.with_suffix(".jpg"), read_stored_image(path).image)
    return target.with_suffix(".jpg")
