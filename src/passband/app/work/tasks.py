"""The work of the tabs Classify and Segment, and of spectra before and after, in a worker process."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from passband.analysis.images.change import analyze_changed_spectrum
from passband.app.files.checks import UploadError, check_image, shown
from passband.app.work.requests import Predictors, Request, command_line
from passband.inference.classifier import Classifier, Guess
from passband.inference.detector import FindWork, InstanceFinder
from passband.inference.files.instances import INSTANCES_FILE, InstancesFile
from passband.inference.files.naming import Job
from passband.inference.segmenter import Segmenter, SegmentWork
from passband.io.image import read_image
from passband.layers.gate import ChannelGate
from passband.metrics.spectral_error import BLOCK, spectral_errors
from passband.reports.spectrum import findings, write_spectrum

if TYPE_CHECKING:
    from passband.app.server import Server


@dataclass(frozen=True)
class Picture:
    """A picture and sentences about it.

    Attributes:
        path: path of a PNG file; None if there is none.
        sentences: sentences, the most important one first.
        table: path of a CSV file with the numbers; None if there is none.
    """

    path: Path | None
    sentences: tuple[str, ...] = ()
    table: Path | None = None


@dataclass(frozen=True)
class ChangeRequest(Request):
    """The spectrum before and after a restoration.

    Attributes:
        restored: path of the restored image.
        folder: folder for the picture and the table.
        clean: path of the clean image; None if there is none.
        image_pixels: largest number of pixels of the clean image.
    """

    restored: Path
    folder: Path
    clean: Path | None = None
    image_pixels: int = 50_000_000

    def do(self, predictors: Predictors) -> Picture:
        """Measure, and draw.

        Raises:
            UploadError: if the clean image does not fit to the others.
            ImageError: if a file is damaged.
        """
        if self.clean is None:
            sentences = analyze_changed_spectrum(self.source, self.restored, self.folder)
            return Picture(self.folder / "spectrum.png", sentences, self.folder / "spectrum.csv")
        check_image(self.clean, self.image_pixels, "The clean version must be an image.")
        degraded, restored, clean = (read_image(path)[None] for path in (self.source, self.restored, self.clean))
        sizes = [f"{image.shape[-1]} x {image.shape[-2]}" for image in (degraded, clean)]
        if sizes[0] != sizes[1]:
            raise UploadError(f"The clean image has {sizes[1]} pixels, and the photo {sizes[0]}. They must be equal.")
        if min(clean.shape[-2:]) < BLOCK:
            raise UploadError(f"The image has {sizes[0]} pixels. The spectrum needs at least {BLOCK} x {BLOCK}.")
        errors = spectral_errors(restored, clean, degraded)
        write_spectrum(self.folder, [self.name], errors, is_short=True)
        return Picture(self.folder / "spectrum.png", tuple(findings(errors)), self.folder / "spectrum.csv")


@dataclass(frozen=True)
class Classes:
    """The result of a classification.

    Attributes:
        guesses: guesses, the most probable one first.
        channels: numbers of the frequency channels that the network used, 64 component + 8 v + u; empty if it takes
            pixels.
        is_gated: whether a gate opened these channels for this image; otherwise the network always takes them.
        command: command line that does the same.
    """

    guesses: tuple[Guess, ...]
    channels: tuple[int, ...] = ()
    is_gated: bool = False
    command: str = ""


@dataclass(frozen=True)
class ClassifyRequest(Request):
    """The classification of an image.

    Attributes:
        weights: weights of a classifier.
        image_pixels: largest number of pixels.
    """

    weights: str
    image_pixels: int = 50_000_000

    def do(self, predictors: Predictors) -> Classes:
        """Check and classify the image.

        Raises:
            UploadError: if the file is not an image, or too large.
            ImageError, JpegError: if the file is damaged.
        """
        check_image(self.source, self.image_pixels, "Classification needs an image.")
        classifier: Classifier = predictors.get(Classifier, self.weights)
        gate, taken = getattr(classifier.model, "gate", None), classifier.preprocessing.channels
        if isinstance(gate, ChannelGate):
            gate.reset()
        guesses = classifier(self.source)
        if isinstance(gate, ChannelGate):
            taken = tuple(taken[place] for place in gate.opened.nonzero().flatten().tolist())
        command = command_line("classify", self.source, "--weights", self.weights)
        return Classes(guesses, taken, isinstance(gate, ChannelGate), command)


@dataclass(frozen=True)
class Mask:
    """The result of a segmentation.

    Attributes:
        before: path of the image as browsers show it.
        overlay: path of the image with its mask.
        file: path of the mask file.
        shares: share of the image that each class covers, by its name.
        command: command line that does the same.
    """

    before: Path
    overlay: Path
    file: Path
    shares: dict[str, float]
    command: str


@dataclass(frozen=True)
class SegmentRequest(Request):
    """The segmentation of an image.

    Attributes:
        weights: weights of a segmentation network.
        folder: folder for the mask and the overlay.
        image_pixels: largest number of pixels.
    """

    weights: str
    folder: Path
    image_pixels: int = 50_000_000

    def do(self, predictors: Predictors) -> Mask:
        """Check and segment the image.

        Raises:
            UploadError: if the file is not an image, or too large.
            ImageError: if the file is damaged.
        """
        check_image(self.source, self.image_pixels, "Segmentation needs an image.")
        segmenter: Segmenter = predictors.get(Segmenter, self.weights)
        mask = self.folder / f"{self.source.stem}_mask.png"
        overlay = self.folder / f"{self.source.stem}_overlay.png"
        with torch.inference_mode():
            _, shares = SegmentWork(segmenter, overlays=True).do(Job(self.source, mask), overlay)
        before = shown(self.source, self.folder / "before", is_video=False)
        command = command_line("segment", self.source, "--weights", self.weights, "--overlay")
        return Mask(before, overlay, mask, dict(zip(segmenter.classes, shares, strict=True)), command)


@dataclass(frozen=True)
class Found:
    """The instances in an image.

    Attributes:
        before: path of the image as browsers show it.
        overlay: path of the image with its instances.
        file: path of the instances in COCO's format.
        counts: number of instances of each class, the most frequent class first.
        command: command line that does the same.
    """

    before: Path
    overlay: Path
    file: Path
    counts: dict[str, int]
    command: str


@dataclass(frozen=True)
class FindRequest(Request):
    """The search for instances in an image.

    Attributes:
        weights: weights of a detector.
        folder: folder for the instances and the overlay.
        image_pixels: largest number of pixels.
        score: smallest score of an instance, 0 to 1.
    """

    weights: str
    folder: Path
    image_pixels: int = 50_000_000
    score: float = 0.5

    def do(self, predictors: Predictors) -> Found:
        """Check the image, and find its instances.

        Raises:
            UploadError: if the file is not an image, or too large.
            ImageError, JpegError: if the file is damaged.
        """
        check_image(self.source, self.image_pixels, "Detection needs an image.")
        finder: InstanceFinder = predictors.get(InstanceFinder, self.weights)
        overlay = self.folder / f"{self.source.stem}_overlay.png"
        answer = FindWork(finder, self.score).ask(self.source, overlay)
        instances = InstancesFile(finder.category_ids, finder.classes)
        instances.add(self.source.name, answer)
        instances.write(self.folder / INSTANCES_FILE)
        names = dict(zip(finder.category_ids, finder.classes, strict=True))
        counts = Counter(names[one["category_id"]] for one in answer["annotations"])
        before = shown(self.source, self.folder / "before", is_video=False)
        score = [] if self.score == FindRequest.score else ["--score", f"{self.score:g}"]
        command = command_line("segment", self.source, "--weights", self.weights, "--overlay", *score)
        return Found(before, overlay, self.folder / INSTANCES_FILE, dict(counts.most_common()), command)


def segment_request(
    server: "Server", label: str, source: Path, folder: Path, score: float
) -> SegmentRequest | FindRequest:
    """Return the request for a mask or for instances, whichever the network gives.

    Args:
        server: the running page.
        label: name of weights on the page.
        source: path of the image.
        folder: folder for the results.
        score: smallest score of an instance, 0 to 1.

    Raises:
        UploadError: if the page has no such weights.
    """
    task, path = server.own_weights(label, "segmentation", "detection")
    pixels = server.settings.limits.image_pixels
    if task == "detection":
        return FindRequest(source, path, folder, pixels, score)
    return SegmentRequest(source, path, folder, pixels)
