"""Finds which frequencies of restored images are wrong, from files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.data.pairs import match_images
from passband.io.failures import failure
from passband.io.files import results_folder
from passband.io.image import read_image
from passband.io.json_files import write_json
from passband.metrics.spectral_error import BLOCK, PARTS, SpectralErrors, spectral_errors
from passband.naming import listed, printable
from passband.reports.files import cell, write_lines
from passband.reports.page import write_page
from passband.reports.spectrum import definitions, findings, spectrum_figures, spectrum_table, write_spectrum

ROWS = 200
"""Number of images that report.md lists; spectrum_images.csv lists all."""


@dataclass(frozen=True)
class SpectrumAnalysis:
    """The errors of the images of a folder.

    Attributes:
        names: names of the images.
        errors: their errors by frequency, in the same order.
        failed: name and reason of each image that could not be measured.
    """

    names: tuple[str, ...]
    errors: SpectralErrors
    failed: tuple[dict[str, str], ...]


def analyze_spectrum(
    restored: str | Path,
    clean: str | Path,
    output: str | Path,
    *,
    degraded: str | Path | None = None,
    block: int = BLOCK,
    report: Callable[[str, int], None] = lambda name, count: None,
) -> SpectrumAnalysis:
    """Measure which frequencies of restored images are wrong, and write a report.

    With the degraded images, the change of the error is split into restored, lost and invented; without them, the error
    itself is split into lost and invented. `metrics.spectral_error` has the definitions. One image is in memory at a
    time. Writes spectrum.png and spectrum.svg, spectrum.csv (bands of frequencies), spectrum_maps.csv (single
    frequencies), spectrum_images.csv (bands of each image), spectrum.json, report.md and report.html.

    Args:
        restored: restored image, or folder of restored images.
        clean: clean image, or folder with a clean image for each restored one, matched by name as in
            `data.pairs.match_images`.
        output: folder for the report.
        degraded: degraded image or folder of degraded images; None to measure the restored images alone.
        block: side of the blocks in pixels, from 2 to 32: 8 for the frequencies of JPEG, 32 for finer ones.
        report: function that is called with the name of each image that was measured or failed, and with the number of
            images.

    Raises:
        FileNotFoundError: if a path does not exist, or a folder holds no images.
        ValueError: if images have no partner, or none can be measured.
        OSError: if a file cannot be written.
    """
    output = results_folder(output)
    sources = [Path(path) for path in (restored, clean, degraded) if path is not None]
    matched = match_images(*sources)
    names: list[str] = []
    parts: list[SpectralErrors] = []
    failed: list[dict[str, str]] = []
    for name, paths in matched:
        try:
            parts.append(_measured(paths, block))
            names.append(printable(name))
        except Exception as error:  # any kind: a bad file may break its reader in any way
            failed.append({"name": printable(name), "reason": failure(error, *paths)})
        report(printable(name), len(matched))
    if not parts:
        raise ValueError(f"none of {len(matched)} images can be measured: {listed([one['reason'] for one in failed])}")
    analysis = SpectrumAnalysis(tuple(names), SpectralErrors.of_images(parts), tuple(failed))
    _write(output, analysis, dict(zip(("restored", "clean", "degraded"), map(str, sources), strict=False)))
    return analysis


def _measured(paths: list[Path], block: int) -> SpectralErrors:
    """Read the images of one scene, and measure them.

    Raises:
        ImageError: if an image cannot be read.
        ValueError: if the images differ in size, or are smaller than a block.
    """
    images = [read_image(path)[None] for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[1].shape:
            sizes = [f"{one.shape[3]}x{one.shape[2]}" for one in (image, images[1])]
            raise ValueError(f"{path} is {sizes[0]} but {paths[1]} is {sizes[1]}: they must have one size")
    height, width = images[1].shape[-2:]
    if min(height, width) < block:
        raise ValueError(
            f"{paths[1]} is {width}x{height}: blocks of {block} pixels need images of at least {block}x{block} pixels"
        )
    return spectral_errors(*images, block=block)


def _write(output: Path, analysis: SpectrumAnalysis, sources: dict[str, Any]) -> None:
    """Write all files of the report."""
    errors = analysis.errors
    write_spectrum(output, analysis.names, errors)
    totals = errors.of_each(lambda energy: energy.flatten(1).sum(1))
    images = [
        {"name": name, **{part: float(getattr(totals, part)[number]) for part in PARTS}}
        for number, name in enumerate(analysis.names)
    ]
    figures = {**sources, **spectrum_figures(errors), "each": images, "failed": list(analysis.failed)}
    write_json(output / "spectrum.json", figures)
    title, *sentences = findings(errors)
    lines = [
        f"# {cell(title)}",
        "",
        *(f"- {name}: {cell(printable(path))}" for name, path in sources.items()),
        "",
        *sentences,
        "",
        *spectrum_table(errors),
        "",
        "![Maps and curves of the errors](spectrum.png)",
        "",
        *definitions(errors),
        "Further tables hold [single frequencies](spectrum_maps.csv) and [bands of each image](spectrum_images.csv).",
        "",
        "## Images",
        "",
        "| name | MSE before | MSE after | restored | lost | invented |",
        "|---|---|---|---|---|---|",
    ]
    for row in images[:ROWS]:
        lines.append(f"| {cell(row['name'])} | " + " | ".join(f"{row[part]:.3e}" for part in PARTS) + " |")
    if len(images) > ROWS:
        lines += ["", f"The first {ROWS} of {len(images)}; all are in [spectrum_images.csv](spectrum_images.csv)."]
    if analysis.failed:
        lines += ["", f"## Not measured ({len(analysis.failed)})", ""]
        lines += [f"- {cell(one['reason'])}" for one in analysis.failed[:ROWS]]
    write_lines(output / "report.md", lines)
    write_page(output / "report.md")
