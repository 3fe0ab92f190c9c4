"""Measures the spectrum of one image, and writes it as a picture and a table."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import save_charts
from passband.drawing.frequencies.spectrum import amplitude_image, image_spectrum_figure
from passband.io.image import read_image, write_image
from passband.layers.channels import COMPONENTS
from passband.ops.color import rgb_to_ycbcr
from passband.ops.fourier import column_copies, frequency_distance, radial_spectrum
from passband.reports.files import write_csv

COLUMNS = (
    *("radius", "share_of_nyquist", "pixels_per_period", "frequencies"),
    *(f"amplitude_{name}" for name in COMPONENTS),
    *("energy_inside", "magnitude_inside"),
)
"""Columns of spectrum.csv."""

NOTHING = 1e-24
"""Share of the energy that counts as none in float64."""


@dataclass(frozen=True, eq=False)
class RadialCurve:
    """The spectrum of an image over rings of frequencies. Ring R lies inside the disc of radius R but not of R - 1."""

    nyquist: float
    """Nyquist frequency in cycles per shorter side."""
    counts: Float[Tensor, " rings"]
    """Number of frequencies in each ring."""
    amplitudes: Float[Tensor, "3 rings"]
    """Mean amplitude of Y, Cb and Cr in each ring, of the orthonormal transform of values in [0, 1]."""
    energy_inside: Float[Tensor, " rings"]
    """Share of the energy of R, G and B without their means that the disc of each radius holds, 0 to 1."""
    magnitude_inside: Float[Tensor, " rings"]
    """Share of the summed magnitude of R, G and B with their means that the disc holds, 0 to 1."""

    def radius_holding(self, share: float) -> int:
        """Return the smallest radius whose disc holds a share of the energy without the mean.

        Args:
            share: share of the energy, 0 to 1.
        """
        return int((self.energy_inside >= share - 1e-12).nonzero()[0, 0])

    def columns(self) -> dict[str, list[float]]:
        """Return the columns of spectrum.csv. The mean has no period, so its `pixels_per_period` is infinite."""
        radii = torch.arange(len(self.counts), dtype=torch.float64)
        values = [radii, radii / self.nyquist, 2 * self.nyquist / radii, self.counts, *self.amplitudes]
        values += [self.energy_inside, self.magnitude_inside]
        return {name: column.tolist() for name, column in zip(COLUMNS, values, strict=True)}


def radial_curve(image: Float[Tensor, "3 H W"]) -> RadialCurve:
    """Measure the spectrum of an image over the radius.

    Args:
        image: RGB image in [0, 1].

    Returns:
        The curve in float64.
    """
    image = image.detach().double()
    height, width = image.shape[-2:]
    rings = frequency_distance(height, width, image.device, torch.float64).ceil().long()
    copies = column_copies(width, image.device).double().expand(rings.shape)
    counts = torch.zeros(int(rings.max()) + 1, dtype=torch.float64, device=image.device)
    counts.index_add_(0, rings.flatten(), copies.flatten())
    means = radial_spectrum(rgb_to_ycbcr(image)[None])[0] / (height * width) ** 0.5 / counts.clamp(min=1)
    energy = radial_spectrum((image - image.mean((-2, -1), keepdim=True))[None], power=2)[0].sum(0)
    magnitude = radial_spectrum(image[None])[0].sum(0)
    if not energy.sum() > NOTHING * height * width * image.square().sum():  # only rounding errors
        energy.zero_()
    return RadialCurve(min(height, width) / 2, counts, means, _inside(energy), _inside(magnitude))


def analyze_image_spectrum(source: str | Path, output: str | Path) -> RadialCurve:
    """Write the spectrum of one image as a picture and a table.

    Writes spectrum.png and spectrum.svg (image, amplitudes and radial curve), spectrum.csv (a row for each ring of
    radial frequency), and amplitude.png (one pixel for each frequency).

    Args:
        source: path of an image.
        output: folder for these files, which is made if it does not exist.

    Returns:
        The radial curve.

    Raises:
        ImageError: if the image cannot be read.
        OSError: if the image cannot be read, or a file cannot be written.
    """
    output, image = Path(output), read_image(source)
    curve = radial_curve(image)
    columns = curve.columns()
    title, text = described_spectrum(curve)
    save_charts(image_spectrum_figure(image, columns, title, text), output / "spectrum.png")
    write_image(output / "amplitude.png", amplitude_image(image).expand(3, -1, -1))
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_csv(output / "spectrum.csv", COLUMNS, rows)
    return curve


def described_spectrum(curve: RadialCurve) -> tuple[str, str]:
    """Return a title and a sentence about the spectrum of an image.

    Args:
        curve: radial curve of the image.
    """
    radius = curve.radius_holding(0.9)
    share = radius / curve.nyquist
    if not radius:
        return "This image has no contrast", "All its amplitude is in the mean color."
    frequencies = float(curve.counts[: radius + 1].sum() / curve.counts.sum())
    title = f"90 % of the contrast energy is in {_percent(frequencies)} of the frequencies, the coarsest"
    text = (
        f"They have periods of {2 * curve.nyquist / radius:.3g} pixels or more, which is a radius of {share:.2g} "
        "Nyquist.\nThe Nyquist frequency is the finest pattern that pixels can hold: its period is 2 pixels."
    )
    return title, text


def _inside(rings: Float[Tensor, " rings"]) -> Float[Tensor, " rings"]:
    """Return the share of the total inside the disc of each radius; all of it if the total is 0."""
    discs = rings.cumsum(0)
    return discs / discs[-1] if discs[-1] > 0 else torch.ones_like(discs)


def _percent(share: float) -> str:
    """Return a share in percent."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
