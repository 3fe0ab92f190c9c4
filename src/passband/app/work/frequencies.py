"""The work of the tab Frequencies on one image, which runs in a worker process."""

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.analysis.filters import described_filters, filters_chart, image_filters
from passband.analysis.images import ImageChannels, ImageParts, ImageSpectrum, radial_curve, visible_high
from passband.analysis.images.channels import described_channels, subset_name
from passband.analysis.images.spectrum import described_spectrum
from passband.app.files.checks import UploadError, check_file, shown_name
from passband.app.work.requests import Predictors, Request
from passband.curriculum.ratio import DEFINITIONS
from passband.drawing.charts.style import png_bytes
from passband.drawing.frequencies.mosaic import channel_mosaic
from passband.drawing.frequencies.spectrum import amplitude_figure, radial_curve_figure, shrunk
from passband.io.image import read_image, to_pil
from passband.io.image.size import stored_size
from passband.layers.channels import channel_subset

PIXELS = 1_000_000
"""Number of pixels to which a larger image is shrunk, so that the ratio slider answers at once."""
CHANNEL_PIXELS = 4_000_000
"""Number of pixels up to which the channels are those of the file itself."""
SMALL = 360
"""Longest side of the images that are shown side by side, in pixels."""
QUALITY = 90
"""JPEG quality of the images on the page."""


class StudiedImage:
    """An image that a worker keeps, with what was computed for it.

    Args:
        source: path of the file, which was checked.
    """

    def __init__(self, source: Path):
        self.source = source
        image = read_image(source)
        self.size = (image.shape[-1], image.shape[-2])
        pixels = self.size[0] * self.size[1]
        self.image = shrunk(image, int(max(self.size) * min(1.0, PIXELS / pixels) ** 0.5))
        self.is_shrunk = self.image.shape != image.shape
        self._of_file = pixels <= CHANNEL_PIXELS

    @cached_property
    def spectrum(self) -> ImageSpectrum:
        """The spectrum of the image."""
        return ImageSpectrum(self.image)

    @cached_property
    def channels(self) -> ImageChannels:
        """The channels of the file, or of the shrunk image if the file is large."""
        return ImageChannels.of_file(self.source) if self._of_file else ImageChannels.of_image(self.image)


@dataclass(frozen=True)
class FrequencyRequest(Request):
    """Work on the frequencies of one image.

    Attributes:
        image_pixels: largest number of pixels of an image.
    """

    image_pixels: int = 50_000_000

    def studied(self, predictors: Predictors) -> StudiedImage:
        """Return the image, which is checked and read if this worker does not have it.

        Args:
            predictors: predictors of the worker.

        Raises:
            UploadError: if the file is not an image, or too large.
            ImageError: if the file is damaged.
        """
        return predictors.get(_checked_image, self.source, self.image_pixels)


@dataclass(frozen=True)
class SpectrumView:
    """The spectrum of an image, with its pictures as the contents of files."""

    title: str
    text: str
    size: tuple[int, int]
    is_shrunk: bool
    image: bytes
    amplitude: bytes
    curve: bytes
    columns: dict[str, list[float]]
    """Columns of the curve, see `RadialCurve.columns`."""


@dataclass(frozen=True)
class SpectrumRequest(FrequencyRequest):
    """The spectrum of an image."""

    def do(self, predictors: Predictors) -> SpectrumView:
        """Measure and draw the spectrum."""
        studied = self.studied(predictors)
        curve = radial_curve(studied.image)
        columns, (title, text) = curve.columns(), described_spectrum(curve)
        image, amplitude = jpeg(studied.image), png_bytes(amplitude_figure(studied.image))
        drawn = png_bytes(radial_curve_figure(columns))
        return SpectrumView(title, text, studied.size, studied.is_shrunk, image, amplitude, drawn, columns)


@dataclass(frozen=True)
class PartsView:
    """The low and the high part of an image, with their figures."""

    definition: str
    figures: dict[str, Any]
    low: bytes
    high: bytes = b""
    gain: int = 1


@dataclass(frozen=True)
class PartsRequest(FrequencyRequest):
    """The low and the high part of an image for a ratio.

    Attributes:
        ratio: share of the spectrum to keep, 0 to 1.
        definition: definition of the ratio.
    """

    ratio: float = 0.25
    definition: str = "magnitude"

    def do(self, predictors: Predictors) -> PartsView:
        """Compute the parts."""
        parts = self.studied(predictors).spectrum.parts(self.ratio, self.definition)
        high, gain = visible_high(parts.high)
        return PartsView(self.definition, _figures(parts), jpeg(parts.low), jpeg(high), gain)


@dataclass(frozen=True)
class DefinitionsRequest(FrequencyRequest):
    """The low part of an image for a ratio by each definition, reduced.

    Attributes:
        ratio: share of the spectrum to keep, 0 to 1.
    """

    ratio: float = 0.25

    def do(self, predictors: Predictors) -> tuple[PartsView, ...]:
        """Compute the low parts."""
        spectrum = self.studied(predictors).spectrum
        every = (spectrum.parts(self.ratio, definition) for definition in DEFINITIONS)
        return tuple(
            PartsView(parts.definition, _figures(parts), jpeg(shrunk(parts.low.clamp(0, 1), SMALL))) for parts in every
        )


@dataclass(frozen=True)
class MosaicView:
    """All channels of an image."""

    mosaics: tuple[bytes, bytes, bytes]
    rows: tuple[dict[str, Any], ...]
    """A row for each channel, see `ImageChannels.table`."""
    is_stored: bool
    """Whether the source is a JPEG file, whose own coefficients are shown."""


@dataclass(frozen=True)
class MosaicRequest(FrequencyRequest):
    """All channels of an image."""

    def do(self, predictors: Predictors) -> MosaicView:
        """Draw the channels, and measure them."""
        channels = self.studied(predictors).channels
        y, cb, cr = (png(channel_mosaic(channels.cube[first : first + 64], None)) for first in (0, 64, 128))
        return MosaicView((y, cb, cr), tuple(channels.table()), channels.from_jpeg)


@dataclass(frozen=True)
class ChannelsView:
    """The image that some channels still show."""

    title: str
    text: str
    chosen: tuple[int, ...]
    whole: bytes
    rebuilt: bytes
    fidelity: dict[str, float]


@dataclass(frozen=True)
class ChannelsRequest(FrequencyRequest):
    """The image that some channels still show.

    Attributes:
        subset: name of a subset, or numbers of channels.
    """

    subset: str | tuple[int, ...] = "24S"

    def do(self, predictors: Predictors) -> ChannelsView:
        """Rebuild the image from the subset."""
        channels = self.studied(predictors).channels
        chosen, fidelity = tuple(channel_subset(self.subset).indices()), channels.fidelity(self.subset)
        title, text = described_channels(subset_name(self.subset), fidelity)
        whole, rebuilt = jpeg(channels.image), jpeg(channels.rebuilt(self.subset))
        return ChannelsView(title, text, chosen, whole, rebuilt, fidelity)


@dataclass(frozen=True)
class FiltersView:
    """The filters that a network chose for an image."""

    title: str
    text: str
    figure: bytes
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class FiltersRequest(FrequencyRequest):
    """The filters that a network chooses for an image.

    Attributes:
        weights: weights of a network with dynamic filters.
    """

    weights: str = "general"

    def do(self, predictors: Predictors) -> FiltersView:
        """Run the network, and draw its filters."""
        analysis = image_filters(self.studied(predictors).image, self.weights)
        title, text = described_filters(analysis)
        rows = tuple(choice.as_dict() for choice in analysis.choices)
        return FiltersView(title, text, png_bytes(filters_chart(analysis)), rows)


def parsed_subset(name: str, numbers: str) -> str | tuple[int, ...]:
    """Return the channels that a person chose.

    Args:
        name: name of a subset.
        numbers: numbers of channels with commas; empty for the named subset.

    Raises:
        UploadError: if the numbers are not numbers.
    """
    parts = [part.strip() for part in numbers.replace(";", ",").split(",") if part.strip()]
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        raise UploadError(
            f"Channels are numbers from 0 to 191 with commas, such as 0, 1, 8, 64, 128; got {numbers[:80]!r}."
        )
    return tuple(map(int, parts)) if parts else name


def jpeg(image: Float[Tensor, "3 H W"]) -> bytes:
    """Return an image as the content of a JPEG file, for a browser.

    Args:
        image: RGB image; values outside [0, 1] are clamped.
    """
    content = io.BytesIO()
    to_pil(image).save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


def png(image: Float[Tensor, "3 H W"]) -> bytes:
    """Return an image as the content of a PNG file.

    Args:
        image: RGB image in [0, 1].
    """
    content = io.BytesIO()
    to_pil(image).save(content, "PNG")
    return content.getvalue()


def _checked_image(source: Path, image_pixels: int) -> StudiedImage:
    """Check the type and the size of a file, and read it."""
    if check_file(source, image_pixels, 0) or stored_size(source) is None:
        raise UploadError(f"{shown_name(source)} is a video. Frequencies are shown for images.")
    return StudiedImage(source)


def _figures(parts: ImageParts) -> dict[str, Any]:
    """Return the figures of parts without those that take time."""
    return {name: getattr(parts, name) for name in ("ratio", "radius", "share_of_nyquist", "coefficients", "energy")}
