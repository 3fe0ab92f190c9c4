"""Compares the spectra of an image before and after a restoration, where no clean version is known."""

from pathlib import Path

import torch

from passband.analysis.images.spectrum import RadialCurve, radial_curve
from passband.drawing.charts.style import save_charts
from passband.drawing.frequencies.spectra import spectra_figure
from passband.io.image import read_image
from passband.reports.files import write_csv

REGIONS = (("coarse", 0.0, 0.25), ("middle", 0.25, 0.5), ("fine", 0.5, 1.0))
"""Names of regions of radial frequency, and the shares of the Nyquist frequency where they begin and end."""
EQUAL = 0.02
"""Change of the mean amplitude below which a region counts as unchanged."""
COLUMNS = ("radius", "share_of_nyquist", "frequencies", "before", "after")
"""Columns of spectrum.csv."""


def analyze_changed_spectrum(before: str | Path, after: str | Path, output: str | Path) -> tuple[str, ...]:
    """Write the spectra of an image before and after a restoration.

    Writes spectrum.png and spectrum.svg (mean amplitudes of the brightness over the radial frequency) and spectrum.csv
    (a row for each ring of radial frequency).

    Args:
        before: path of the image before restoration.
        after: path of the restored image.
        output: folder for these files, which is made if it does not exist.

    Returns:
        Sentences about the change, the most important one first.

    Raises:
        ImageError: if an image cannot be read.
        ValueError: if the images differ in size.
        OSError: if an image cannot be read, or a file cannot be written.
    """
    images = [read_image(path) for path in (before, after)]
    sizes = [f"{image.shape[-1]} x {image.shape[-2]}" for image in images]
    if sizes[0] != sizes[1]:
        raise ValueError(f"{before} has {sizes[0]} pixels, and {after} has {sizes[1]}: they must have one size")
    curves = [radial_curve(image) for image in images]
    radii = torch.arange(len(curves[0].counts), dtype=torch.float64)
    values = [radii, radii / curves[0].nyquist, curves[0].counts, *(curve.amplitudes[0] for curve in curves)]
    columns = dict(zip(COLUMNS, [column.tolist() for column in values], strict=True))
    sentences = change_sentences(*curves)
    output = Path(output)
    figure = spectra_figure(columns["share_of_nyquist"], {name: columns[name] for name in ("before", "after")})
    save_charts(figure, output / "spectrum.png")
    write_csv(
        output / "spectrum.csv",
        COLUMNS,
        [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    )
    return sentences


def change_sentences(before: RadialCurve, after: RadialCurve) -> tuple[str, ...]:
    """Say how the mean amplitude of the brightness changed in each region of frequencies.

    Args:
        before: radial curve before restoration.
        after: radial curve of the restored image, of the same size.

    Returns:
        Sentence for each region of `REGIONS` that has contrast, as one text, and a sentence about its limits.
    """
    share = torch.arange(len(before.counts)) / before.nyquist
    changes: dict[str, float] = {}
    for name, low, high in REGIONS:
        inside = (share > low) & (share <= high)
        sums = [float((curve.amplitudes[0] * curve.counts)[inside].sum()) for curve in (before, after)]
        if sums[0] > 0:
            changes[name] = sums[1] / sums[0] - 1
    words = [_change(name, change) for name, change in changes.items()]
    title = "; ".join(words) if words else "The image has no contrast"
    return (
        title[:1].upper() + title[1:],
        "Without a clean version, nobody can tell whether amplitude was restored or invented.",
    )


def _change(name: str, change: float) -> str:
    """Say the change in a region."""
    if abs(change) < EQUAL:
        return f"{name} frequencies are unchanged"
    return f"{name} frequencies {'gained' if change > 0 else 'lost'} {100 * abs(change):.0f} % of amplitude"
