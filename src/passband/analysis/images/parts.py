"""Splits an image into its low and high parts for a frequency ratio, by each definition of the ratio."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.curriculum.ratio import DEFINITIONS, RadialProfile, check_ratio
from passband.drawing.charts.style import save_charts
from passband.drawing.frequencies.parts import parts_figure
from passband.io.image import read_image, write_image
from passband.metrics import psnr
from passband.naming import entry
from passband.ops.checks import check_images
from passband.ops.fourier import column_copies, frequency_distance, from_half_spectrum, half_spectrum
from passband.reports.files import write_csv

GAINS = (1, 2, 4, 8, 16)
"""Factors by which a high part may be amplified to be visible."""
VISIBLE = 0.25
"""Deviation from gray up to which a high part is amplified, in [0, 0.5]."""
NOTHING = 1e-12
"""Energy relative to that of the mean that counts as none."""
COLUMNS = ("definition", "ratio", "radius", "share_of_nyquist", "coefficients", "energy", "low_psnr")
"""Columns of parts.csv."""


@dataclass(frozen=True, eq=False)
class ImageParts:
    """The low and the high part of an image, with low + high == image."""

    definition: str
    """Definition of the ratio, a key of `curriculum.ratio.DEFINITIONS`."""
    ratio: float
    """Share of the spectrum that was asked for, 0 to 1."""
    radius: float
    """Radius of the disc of the low part, in cycles per shorter side."""
    share_of_nyquist: float
    """Radius as a share of the Nyquist frequency, which is above 1 in the corners of the spectrum."""
    coefficients: float
    """Share of the number of frequencies that the low part keeps, 0 to 1."""
    energy: float
    """Share of the energy without the mean that the low part keeps, 0 to 1."""
    low: Float[Tensor, "C H W"]
    high: Float[Tensor, "C H W"]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures without the images. `low_psnr` is the PSNR of the low part in dB."""
        figures = {name: getattr(self, name) for name in COLUMNS if name != "low_psnr"}
        return {**figures, "low_psnr": float(psnr(self.low[None], (self.low + self.high)[None]))}


class ImageSpectrum:
    """The spectrum of one image, which gives the parts of the image for any frequency ratio at once.

    The transform and the shares of all discs are computed once. Each call then costs one inverse transform.

    Args:
        image: image of any range and size.

    Raises:
        TypeError: if the image is not a tensor of floating-point values.
        ValueError: if the shape is not C H W.
    """

    def __init__(self, image: Float[Tensor, "C H W"]):
        check_images(image[None], "ImageSpectrum")
        self.image = image
        height, width = image.shape[-2:]
        self._half = half_spectrum(image)
        self._distance = frequency_distance(height, width, image.device, self._half.real.dtype)
        copies = column_copies(width, image.device)
        energy = torch.view_as_real(self._half).square().sum((0, -1)).double() * copies
        mean = float(energy[0, 0])
        energy[0, 0] = 0
        if float(energy.sum()) <= NOTHING * mean:  # an image without contrast has only rounding errors here
            energy.zero_()
        # the shares of the number and of the energy for any disc, by the rank of its last frequency
        self._sorted, order = self._distance.flatten().sort()
        self._counts = copies.double().expand_as(energy).flatten()[order].cumsum(0)
        self._energy = energy.flatten()[order].cumsum(0)
        self._profiles: dict[str, RadialProfile] = {}

    def radius(self, ratio: float, definition: str = "magnitude") -> float:
        """Return the radius of the disc that keeps a ratio, in cycles per shorter side, as `curriculum.radii_of` does.

        Args:
            ratio: share of the spectrum to keep, 0 to 1.
            definition: definition of the ratio, a key of `curriculum.ratio.DEFINITIONS`.

        Raises:
            ValueError: if the ratio is out of range, the definition is unknown, or values are not finite.
        """
        entry(definition, DEFINITIONS, "definition of the frequency ratio")
        check_ratio(ratio)
        if definition not in self._profiles:
            self._profiles[definition] = RadialProfile.of([self.image[None]], definition)
        return self._profiles[definition].radius(ratio)

    def parts(self, ratio: float, definition: str = "magnitude") -> ImageParts:
        """Return the low and the high part of the image.

        Args:
            ratio: share of the spectrum to keep in the low part, 0 to 1. 1 keeps the whole image, and 0 keeps the mean
                of each channel.
            definition: definition of the ratio, a key of `curriculum.ratio.DEFINITIONS`.

        Raises:
            ValueError: if the ratio is out of range, the definition is unknown, or values are not finite.
        """
        radius = self.radius(ratio, definition)
        image, size = self.image, (self.image.shape[-2], self.image.shape[-1])
        if ratio == 1:
            low, high = image, torch.zeros_like(image)
        else:
            low = from_half_spectrum(self._half * (self._distance <= radius), size).to(image.dtype)
            high = image - low
        coefficients, energy = self.kept(radius) if ratio != 1 else (1.0, 1.0)
        return ImageParts(definition, ratio, radius, radius / (min(size) / 2), coefficients, energy, low, high)

    def kept(self, radius: float) -> tuple[float, float]:
        """Return the shares of the frequencies and of the energy without the mean that lie inside a disc.

        Args:
            radius: radius of the disc in cycles per shorter side; the border belongs to the disc.

        Returns:
            The share of the number of frequencies and the share of the energy, 0 to 1. The energy of an image without
            contrast counts as kept.
        """
        last = int(torch.searchsorted(self._sorted, self._sorted.new_tensor(radius), right=True)) - 1
        whole = float(self._energy[-1])
        share = float(self._energy[last]) / whole if whole > 0 else 1.0
        return float(self._counts[last] / self._counts[-1]), share


def visible_high(high: Float[Tensor, "C H W"]) -> tuple[Float[Tensor, "C H W"], int]:
    """Return a high part as an image around gray, amplified if it is weak.

    Args:
        high: high part, whose values are near zero.

    Returns:
        The image in [0, 1], and the factor of the amplification.
    """
    values = high.abs().flatten()
    strong = float(values[:: max(1, len(values) // 2**16)].quantile(0.99))  # a quantile of all values takes longer
    gain = max((gain for gain in GAINS if gain * strong <= VISIBLE), default=1)
    return (high * gain + 0.5).clamp(0, 1), gain


def analyze_image_parts(source: str | Path, output: str | Path, *, ratio: float = 0.5) -> list[ImageParts]:
    """Write the low and high parts of an image for a frequency ratio, by every definition of the ratio.

    Writes parts.png and parts.svg (all definitions side by side), parts.csv (radius and kept shares), and the parts at
    full size, DEFINITION-low.png and DEFINITION-high.png.

    Args:
        source: path of an image.
        output: folder for these files, which is made if it does not exist.
        ratio: share of the spectrum to keep in the low part, 0 to 1.

    Returns:
        The parts by each definition.

    Raises:
        ImageError: if the image cannot be read.
        ValueError: if the ratio is out of range.
        OSError: if the image cannot be read, or a file cannot be written.
    """
    output = Path(output)
    spectrum = ImageSpectrum(read_image(source))
    every = [spectrum.parts(ratio, definition) for definition in DEFINITIONS]
    columns = []
    for parts in every:
        high, gain = visible_high(parts.high)
        write_image(output / f"{parts.definition}-low.png", parts.low.clamp(0, 1))
        write_image(output / f"{parts.definition}-high.png", high)
        columns.append({**parts.as_dict(), "low": parts.low, "high": high, "gain": gain})
    save_charts(parts_figure(spectrum.image, columns, ratio, DEFINITIONS), output / "parts.png")
    write_csv(output / "parts.csv", COLUMNS, columns)
    return every
