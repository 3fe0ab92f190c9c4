"""The restoration and the inspection of one file, in a worker process."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.app.files.checks import check_file, check_image, shown
from passband.app.work.requests import Predictors, Request, command_line, without_folders
from passband.inference.files.naming import Job
from passband.inference.files.pieces import report_progress
from passband.inference.files.restoring import RestoreWork, VideoOptions, plan_jobs
from passband.inference.inspection.inspector import Inspected, Inspector
from passband.inference.restoration.choice import Decision, NetworkChoice, Scene, VideoDecision
from passband.inference.restorer import Restorer
from passband.io.image.size import upright_size
from passband.io.paths import fitted_name

QUALITY = 95
"""Quality of restored JPEG and lossy WebP files, as on the command line."""


@dataclass(frozen=True)
class Restored:
    """A restored file.

    Attributes:
        target: path of the restored file.
        before: path of an image that browsers show, of the degraded file.
        after: path of an image that browsers show, of the restored file.
        is_video: whether it is a video.
        weights: name of the network that restored it, or the names of several; None if the file was left alone.
        scenes: findings and networks of the scenes of a video; an image is one scene.
        notes: sentences about losses, damage and unexpected changes.
        size: width and height in pixels.
        seconds: time that it took in seconds.
        command: shortest command line that does the same.
    """

    target: Path
    before: Path
    after: Path
    is_video: bool
    weights: str | None
    scenes: tuple[Scene, ...]
    notes: tuple[str, ...]
    size: tuple[int, int]
    seconds: float
    command: str = ""

    def network_of(self, scene: Scene) -> str | None:
        """Return the name of the network of a scene, or the names of several; None if the scene was left alone.

        Args:
            scene: one of the scenes.
        """
        return self.weights if len(self.scenes) == 1 else scene.decision.weights


@dataclass(frozen=True)
class RestoreRequest(Request):
    """The restoration of an image or a video.

    Attributes:
        folder: folder of the result.
        weights: weights to use, or `auto`.
        strength: strength of the restoration, 0 to 1.
        is_named: whether the name of the result has the name of the network.
        is_named_inside: whether the metadata of the result name the network.
        label: name of the weights for the name of the result.
        image_pixels: largest number of pixels of an image.
        video_pixels: largest number of pixels of a video, over all frames.
    """

    folder: Path
    weights: str = "auto"
    strength: float = 1.0
    is_named: bool = False
    is_named_inside: bool = False
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
        restorer: Restorer = predictors.get(Restorer, self.weights, strength=self.strength)
        if is_video or restorer.choice.fixed is None:
            decision = decided(restorer.choice, self.source, is_video, self.image_pixels)
        else:  # the findings are only shown
            found = predictors.get(Inspector, trial=False).inspect_file(self.source, max_pixels=self.image_pixels)
            decision = VideoDecision((Scene(0, Decision(restorer.choice.fixed, diagnoses=(found,))),))
        chosen = joined_weights(decision)
        usual = restored_target(self.source, self.folder, None)
        target = restored_target(self.source, self.folder, self.label or chosen) if self.is_named else usual
        work = RestoreWork(
            restorer,
            compare=False,
            compare_pixels=None,
            overwrite=True,
            quality=QUALITY,
            max_pixels=self.image_pixels,
            name_weights=self.is_named_inside,
            video=VideoOptions(),
            report=report_progress,
        )
        notes, _ = work.do(Job(self.source, target), None)
        before = shown(self.source, self.folder / "before", is_video)
        after = shown(target, self.folder / "after", is_video)
        size = upright_size(before) or (0, 0)
        name = None if chosen is None else self.label or chosen
        notes = tuple(note.replace(str(chosen), name or "") for note in notes if note != decision.line)
        notes = tuple(without_folders(note, self) for note in notes)
        seconds = time.monotonic() - started
        command = self._command(target if target != usual else None)
        return Restored(target, before, after, is_video, name, decision.scenes, notes, size, seconds, command)

    def _command(self, target: Path | None) -> str:
        """Return the command line that writes a target; None for the one that the command chooses."""
        options = [] if target is None else ["-o", target]
        options += [] if self.weights == "auto" else ["--weights", self.weights]
        options += [] if self.strength == 1 else ["--strength", f"{self.strength:g}"]
        options += ["--name-weights"] if self.is_named_inside else []
        return command_line("restore", self.source, *options)


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
        return Inspected(Path(self.source.name), diagnosis).as_dict()


def decided(choice: NetworkChoice, source: Path, is_video: bool, image_pixels: int) -> VideoDecision:
    """Return the networks that are chosen for a file; an image is one scene.

    Args:
        choice: the choice, which remembers the last file.
        source: path of the file.
        is_video: whether it is a video.
        image_pixels: largest number of pixels of an image.
    """
    if is_video:
        return choice.of_video(source)
    decision: Decision = choice.of_file(source, image_pixels)
    return VideoDecision((Scene(0, decision),), decision.line)


def joined_weights(decision: VideoDecision) -> str | None:
    """Return the names of the networks of all scenes, or None if the file is left alone.

    Args:
        decision: the networks. Their names are joined by `and`, because `+` joins networks that run one after the
            other.
    """
    return " and ".join(name for name in decision.weights if name is not None) or None


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
