"""Writes which frequencies of restored images are wrong: the picture, tables, and the result in words.

The quantities are defined in `metrics.spectral_error`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from passband.drawing.charts.style import save_chart, save_charts
from passband.drawing.frequencies.errors import spectral_error_figure
from passband.metrics.spectral_error import PARTS, SpectralErrors, band_edges, band_numbers
from passband.naming import counted
from passband.reports.files import write_csv

REGIONS = (("low", 0.0, 0.25), ("middle", 0.25, 0.5), ("high", 0.5, 2.0))
"""Names of three regions of radial frequency, and the shares of the Nyquist frequency where they begin and end."""

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Quantiles over the images in spectrum.csv."""
EXPLANATION = "Low: below 1/4 of the Nyquist frequency (half a cycle per pixel); high: above 1/2."
"""Sentence below the result in the picture."""


def write_spectrum(output: Path, names: Sequence[str], errors: SpectralErrors, *, is_short: bool = False) -> None:
    """Write the picture and the tables of the errors of images.

    Writes spectrum.png and spectrum.svg; spectrum.csv with a row for each band; spectrum_maps.csv with a row for each
    frequency; and spectrum_images.csv with a row for each image and band.

    Args:
        output: folder of the files, which is made if it does not exist.
        names: names of the images.
        errors: errors by frequency, as `metrics.spectral_errors` returns them.
        is_short: whether to write spectrum.png and spectrum.csv only.
    """
    block, bands = errors.after.shape[-1], errors.in_bands()
    edges, numbers = band_edges(block), band_numbers(block)
    radius = torch.hypot(*torch.meshgrid(*[torch.arange(float(block))] * 2, indexing="ij")) / block
    counts = numbers.flatten().bincount(minlength=len(edges))
    radii = torch.zeros(len(edges)).index_add_(0, numbers.flatten(), radius.flatten()) / counts
    finding = findings(errors)
    areas = " Areas around curves: the middle half of the images." if len(errors) > 1 else ""
    figure = spectral_error_figure(
        {name: getattr(errors, name) for name in PARTS},
        {name: getattr(bands, name) for name in PARTS},
        radii.tolist(),
        counts.tolist(),
        finding[0],
        "\n".join([*finding[1:2], " ".join(finding[2:]), EXPLANATION + areas]),
    )
    (save_chart if is_short else save_charts)(figure, output / "spectrum.png")
    places = [{"low": low, "high": high} for low, high in edges]
    spread = [f"{name}_{round(100 * quantile)}" for name in PARTS for quantile in QUANTILES]
    rows = [
        {**place, "frequencies": int(counts[band]), **_statistics(bands, band)} for band, place in enumerate(places)
    ]
    write_csv(output / "spectrum.csv", ["low", "high", "frequencies", *PARTS, *spread], rows)
    if is_short:
        return
    cells = [
        {"v": v, "u": u, **{name: float(getattr(errors, name)[:, v, u].mean()) for name in PARTS}}
        for v in range(block)
        for u in range(block)
    ]
    write_csv(output / "spectrum_maps.csv", ["v", "u", *PARTS], cells)
    lists = {name: getattr(bands, name).tolist() for name in PARTS}
    each = (
        {"name": name, **place, **{part: lists[part][number][band] for part in PARTS}}
        for number, name in enumerate(names)
        for band, place in enumerate(places)
    )
    write_csv(output / "spectrum_images.csv", ["name", "low", "high", *PARTS], each)


def spectrum_figures(errors: SpectralErrors) -> dict[str, Any]:
    """Return the means over the images, as JSON can hold them: totals, bands with their edges, and maps.

    Args:
        errors: errors by frequency.

    Returns:
        `total`, `bands` and `maps` as parts of the mean squared error for a range of 1, `band_edges` as shares of the
        Nyquist frequency, and `findings` in words.
    """
    block, bands = errors.after.shape[-1], errors.in_bands()
    return {
        "block": block,
        "images": len(errors),
        "total": {name: float(getattr(errors, name).flatten(1).sum(1).mean()) for name in PARTS},
        "band_edges": [list(edge) for edge in band_edges(block)],
        "bands": {name: getattr(bands, name).mean(0).tolist() for name in PARTS},
        "maps": {name: getattr(errors, name).mean(0).tolist() for name in PARTS},
        "findings": findings(errors),
    }


def findings(errors: SpectralErrors) -> list[str]:
    """Say in sentences which frequencies are wrong; the first one is a title.

    Args:
        errors: errors by frequency.
    """
    regions = _regions(errors)
    total = {name: sum(region[name] for region in regions.values()) for name in PARTS}
    before, after = total["before"], total["after"]
    images = counted(len(errors), "image")
    if not before and not after:
        return ["The images equal the clean ones", f"{images}."]
    most = max(regions, key=lambda name: regions[name]["after"])
    remaining = f"{100 * regions[most]['after'] / after:.0f} %" if after else ""
    if not before:
        kinds = " and ".join(f"{100 * total[name] / after:.0f} % {name}" for name in ("lost", "invented"))
        return [f"{remaining} of the error is at {most} frequencies", f"It is {kinds}.", f"MSE {after:.3g}, {images}."]
    shares = {name: 100 * total[name] / before for name in ("restored", "lost", "invented")}
    sentences = [
        _changes(regions),
        f"Removed: {shares['restored']:.1f} % restored - {shares['lost']:.1f} % lost - {shares['invented']:.1f} % "
        f"invented = {100 * (1 - after / before):.1f} % of the error.",
        f"MSE {before:.3g} before, {after:.3g} after, {images}.",
    ]
    return [*sentences, f"{remaining} of the remaining error is at {most} frequencies."] if after else sentences


def spectrum_table(errors: SpectralErrors) -> list[str]:
    """Return a Markdown table of the three regions and the whole: the errors and their change.

    Args:
        errors: errors by frequency.
    """
    regions = _regions(errors)
    regions["all"] = {name: sum(region[name] for region in regions.values()) for name in PARTS}
    if not regions["all"]["before"]:
        lines = ["| frequencies | error (MSE) | lost | invented |", "|---|---|---|---|"]
        return lines + [
            f"| {_place(name)} | {row['after']:.3e} | {_share(row, 'lost', 'after')} | "
            f"{_share(row, 'invented', 'after')} |"
            for name, row in regions.items()
        ]
    lines = ["| frequencies | MSE before | MSE after | restored | lost | invented |", "|---|---|---|---|---|---|"]
    return lines + [
        f"| {_place(name)} | {row['before']:.3e} | {row['after']:.3e} | "
        + " | ".join(_share(row, part, "before") for part in ("restored", "lost", "invented"))
        + " |"
        for name, row in regions.items()
    ]


def definitions(errors: SpectralErrors) -> list[str]:
    """Return the sentences of a report that define its quantities, and link to the table of bands.

    Args:
        errors: errors by frequency.
    """
    block = errors.after.shape[-1]
    return [
        f"Images are transformed in blocks of {block} x {block} pixels by the orthonormal DCT. In each coefficient, an "
        "error that became smaller counts as restored. An error that became larger counts as lost if the restored "
        "coefficient is not stronger than the clean one, and as invented if it is. Restored - lost - invented is "
        "exactly the decrease of the mean squared error (MSE). The table of [bands](spectrum.csv) holds contributions "
        "to the MSE.",
    ]


def _regions(errors: SpectralErrors) -> dict[str, dict[str, float]]:
    """Return the means over the images of the quantities in each region."""
    block, bands = errors.after.shape[-1], errors.in_bands()
    middles = torch.tensor([(low + high) / 2 for low, high in band_edges(block)])
    inside = {name: (middles >= low) & (middles < high) for name, low, high in REGIONS}
    return {
        region: {name: float(getattr(bands, name).cpu()[:, chosen].sum(1).mean()) for name in PARTS}
        for region, chosen in inside.items()
    }


def _statistics(bands: SpectralErrors, band: int) -> dict[str, float]:
    """Return the mean and the spread over the images of each quantity in a band."""
    values: dict[str, float] = {}
    for name in PARTS:
        energy = getattr(bands, name)[:, band].cpu()
        values[name] = float(energy.mean())
        for quantile in QUANTILES:
            values[f"{name}_{round(100 * quantile)}"] = float(energy.quantile(quantile))
    return values


def _changes(regions: dict[str, dict[str, float]]) -> str:
    """Return the changes of the error in all regions, as a title."""
    ways: dict[str, list[str]] = {"removes": [], "adds": []}
    for name, region in regions.items():
        if region["before"]:
            change = 100 * (1 - region["after"] / region["before"])
            ways["removes" if change >= 0 else "adds"].append(f"{abs(change):.0f} % at {name}")
    clauses = []
    for verb, parts in ways.items():
        if parts:
            listing = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
            clauses.append(f"{verb} {listing.replace(' % at', ' % of the error at', 1)} frequencies")
    return f"The restoration {' and '.join(clauses)}"


def _share(row: dict[str, float], part: str, whole: str) -> str:
    """Return a part in percent of the error."""
    return f"{100 * row[part] / row[whole]:.1f} %" if row[whole] else "no error"


def _place(region: str) -> str:
    """Return the name of a region with its range."""
    ranges = {"low": "below 1/4 of Nyquist", "middle": "1/4 to 1/2", "high": "above 1/2"}
    return f"{region}: {ranges[region]}" if region in ranges else region
