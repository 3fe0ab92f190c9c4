"""The work of the tabs Classify and Segment, and of spectra before and after, in a worker process."""

from dataclasses import dataclass
from pathlib import Path

import torch

from passband.analysis.images.change import analyze_changed_spectrum
from passband.app.files.checks import UploadError, check_image, shown
from passband.app.work.requests import Predictors, Request
from passband.drawing.channel_maps import draw_channels
from passband.inference.classifier import Classifier, Guess
from passband.inference.files.naming import Job
from passband.inference.segmenter import Segmenter, SegmentWork
from passband.io.image import read_image
from passband.layers.gate import ChannelGate
from passband.metrics.spectral_error import BLOCK, spectral_errors
from passband.reports.spectrum import findings, write_spectrum


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
        channels: picture of the channels that the gate opened for this image; None if the network has no gate.
        opened: number of channels that it opened.
    """

    guesses: tuple[Guess, ...]
    channels: Path | None = None
    opened: int = 0


@dataclass(frozen=True)
class ClassifyRequest(Request):
    """The classification of an image.

    Attributes:
        weights: weights of a classifier.
        folder: folder for the picture of channels.
        image_pixels: largest number of pixels.
    """

    weights: str
    folder: Path
    image_pixels: int = 50_000_000

    def do(self, predictors: Predictors) -> Classes:
        """Check and classify the image.

        Raises:
            UploadError: if the file is not an image, or too large.
            ImageError, JpegError: if the file is damaged.
        """
        check_image(self.source, self.image_pixels, "Classification needs an image.")
        classifier: Classifier = predictors.get(Classifier, self.weights)
        gate = getattr(classifier.model, "gate", None)
        if not isinstance(gate, ChannelGate):
            return Classes(classifier(self.source))
        gate.reset()
        guesses = classifier(self.source)
        opened = (gate.opened > 0).cpu()
        if len(opened) != 192:
            return Classes(guesses, None, int(opened.sum()))
        draw_channels(opened.float(), self.folder / "channels.png", kept=opened.nonzero().flatten().tolist())
        return Classes(guesses, self.folder / "channels.png", int(opened.sum()))


@dataclass(frozen=True)
class Mask:
    """The result of a segmentation.

    Attributes:
        before: path of the image as browsers show it.
        overlay: path of the image with its mask.
        mask: path of the mask file.
        shares: share of the image that each class covers, by its name.
    """

    before: Path
    overlay: Path
    mask: Path
    shares: dict[str, float]


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
        return Mask(before, overlay, mask, dict(zip(segmenter.classes, shares, strict=True)))
