"""Writes the files of a comparison of restored images: tables, charts, a contact sheet, and the report."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.comparison.decoded import DecodedImages, restored_name
from passband.comparison.report import difference_panels, difference_table, environment_rows, notes_section, sentences
from passband.drawing.charts.differences import curve_chart, difference_chart
from passband.drawing.charts.style import save_charts
from passband.drawing.comparison import comparison_rows
from passband.drawing.zoom import SIDE, most_detailed, strongest, with_enlarged_part
from passband.io.image import write_image
from passband.io.json_files import write_json
from passband.models.restoration.three_scales import mean_view
from passband.reports.figures import Figure
from passband.reports.files import cell, write_csv, write_lines
from passband.reports.page import write_page

WIDEST = 2800
"""Width in pixels that the images of a contact sheet share. More contestants get smaller images."""
ROWS = 200
"""Number of images that report.md lists; comparison.csv lists all."""
CONTACTS = "contacts.png"
"""Name of the contact sheet."""


def write_restoration_comparison(
    output: Path, result: dict[str, Any], figures: Sequence[Figure], chosen: Sequence[int], decoded: DecodedImages
) -> None:
    """Write all files of a comparison of restored images.

    Args:
        output: folder of the report, which is made if it does not exist.
        result: result of `compare_images`.
        figures: figures of the comparison.
        chosen: numbers of the pairs on the contact sheet.
        decoded: decoded pairs, and the restored images of the chosen pairs.
    """
    names = [figure.name for figure in figures]
    write_json(output / "comparison.json", result)
    write_csv(output / "comparison.csv", ["name", "contestant", *names, "seconds", "computed"], result["images"])
    panels = difference_panels(result["differences"], figures)
    if panels:
        note = "Right of zero, the first one has the larger value. Gray: the interval contains zero."
        save_charts(difference_chart(panels, "Differences with 95 % intervals", note), output / "differences.png")
    _draw_spectrum(output / "spectrum.png", result["spectrum"])
    _write_contacts(output / CONTACTS, result, chosen, decoded)
    write_lines(output / "report.md", _markdown(result, figures, has_chart=bool(panels)))
    write_page(output / "report.md")


def summary_table(result: dict[str, Any], figures: Sequence[Figure]) -> list[str]:
    """Return a Markdown table with a row for the degraded images and each contestant: mean figures and cost.

    Args:
        result: result of `compare_images`.
        figures: figures of the comparison.
    """
    heads = [*(figure.heading for figure in figures), "seconds per image", "peak memory", "parameters", "MACs per MP"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    before = [figure.number(result["degraded"]["mean"][figure.name]) for figure in figures]
    lines.append("| degraded | " + " | ".join([*before, *[""] * 4]) + " |")
    for one in result["contestants"]:
        values = [figure.number(one["mean"][figure.name]) for figure in figures]
        cost = [
            _known(one["seconds_per_image"], "{:.3g}"),
            _known(one["peak_memory_bytes"], "{:.2f} GB", 1e9),
            _known(one["parameters"], "{:.3g} M", 1e6),
            _known(one["macs_per_megapixel"], "{:.3g} G", 1e9),
        ]
        lines.append(f"| {cell(one['label'])} | " + " | ".join([*values, *cost]) + " |")
    return lines


def _known(value: float | None, text: str, unit: float = 1.0) -> str:
    """Return a number as text, or `unknown`."""
    return "unknown" if value is None else text.format(value / unit)


def _error_left(spectrum: dict[str, Any], label: str) -> tuple[list[float], list[float]]:
    """Return the middle radius of each band with any error, and the share of the error that is left there."""
    middles = [(low + high) / 2 for low, high in spectrum["radius"]]
    bands = zip(middles, spectrum["degraded"]["before"], spectrum[label]["after"], strict=True)
    shares = [(middle, after / before) for middle, before, after in bands if before > 0]
    return [middle for middle, _ in shares], [share for _, share in shares]


def _draw_spectrum(path: Path, spectrum: dict[str, Any]) -> None:
    """Draw the share of the error that each contestant leaves, over frequency."""
    curves = {label: _error_left(spectrum, label) for label in spectrum if label not in ("radius", "degraded")}
    middles = next(iter(curves.values()))[0]
    across = "radial frequency (1 is the Nyquist frequency)"
    chart = curve_chart(
        {"degraded": (middles, [1.0] * len(middles)), **curves},
        "Error that is left",
        across,
        "share of the error before",
    )
    save_charts(chart, path)


def _spectrum_table(result: dict[str, Any]) -> list[str]:
    """Return a Markdown table with the whole error of each contestant, and its changes by the restoration."""
    spectrum = result["spectrum"]
    before = sum(spectrum["degraded"]["before"])
    lines = ["| share of the error before, % | left | restored | lost | invented |", "|---|---|---|---|---|"]
    for one in result["contestants"]:
        parts = [sum(spectrum[one["label"]][part]) for part in ("after", "restored", "lost", "invented")]
        shares = ["unknown" if before == 0 else f"{100 * part / before:.1f}" for part in parts]
        lines.append(f"| {cell(one['label'])} | " + " | ".join(shares) + " |")
    return [
        *lines,
        "",
        "Restored: the error became smaller. Lost: content of the clean images is now missing. Invented: content has "
        "appeared that the clean images do not have. Left = 100 - restored + lost + invented.",
    ]


def _write_contacts(path: Path, result: dict[str, Any], chosen: Sequence[int], decoded: DecodedImages) -> None:
    """Write the images on which the contestants differ most: degraded, each contestant, clean, and an enlarged part."""
    labels = [one["label"] for one in result["contestants"]]
    rows = {(row["name"], row["contestant"]): row for row in result["images"]}
    side = max(220, min(SIDE, WIDEST // (len(labels) + 2)))
    shown: list[list[Tensor]] = []
    captions: list[Sequence[str]] = []
    titles: list[str] = []
    for number, name in zip(chosen, result["most_different"], strict=True):
        clean = decoded.read(f"clean-{number}")[0]
        images = _row_of_images(number, len(labels), decoded)
        find = partial(_most_differing, number, len(labels), decoded)
        shown.extend(with_enlarged_part(images, (clean.shape[-2], clean.shape[-1]), find, side))
        values = [rows[name, label]["psnr"] for label in ("degraded", *labels)]
        captions += [
            [
                *(f"{label}: {value:.2f} dB" for label, value in zip(("degraded", *labels), values, strict=True)),
                "clean",
            ],
            (),
        ]
        spread = max(values[1:]) - min(values[1:])
        titles += [name if math.isnan(spread) else f"{name}: they differ by {spread:.2f} dB", ""]
    write_image(path, comparison_rows(shown, captions, titles))


def _row_of_images(number: int, count: int, decoded: DecodedImages) -> Iterator[Float[Tensor, "3 H W"]]:
    """Yield the degraded image of a pair, the restored images, and the clean image, one at a time."""
    yield mean_view(decoded.read(f"degraded-{number}"))[0]
    for place in range(count):
        yield decoded.read(restored_name(place, number))[0]
    yield decoded.read(f"clean-{number}")[0]


def _most_differing(number: int, count: int, decoded: DecodedImages, height: int, width: int) -> Any:
    """Return the part of an image in which the errors of the contestants differ most."""
    clean = decoded.read(f"clean-{number}")[0]
    least = torch.full(clean.shape[-2:], torch.inf)
    greatest = torch.zeros(clean.shape[-2:])
    for place in range(count):
        error = (decoded.read(restored_name(place, number))[0] - clean).abs().mean(0)
        least, greatest = torch.minimum(least, error), torch.maximum(greatest, error)
    spread = greatest - least
    return strongest(spread, height, width) if spread.any() else most_detailed(clean, height, width)


def _markdown(result: dict[str, Any], figures: Sequence[Figure], *, has_chart: bool) -> list[str]:
    """Return the lines of report.md."""
    names = [one["label"] for one in result["contestants"]]
    kept = len({row["name"] for row in result["images"]})
    psnr = figures[0]
    lines = [
        f"# {', '.join(names[:-1])} and {names[-1]} on {result['data']}",
        "",
        *(f"- {sentence}" for sentence in sentences(result)),
        "",
        *notes_section(result),
        f"Means of {kept} images by the protocol `{result['protocol']}`:",
        "",
        *summary_table(result, figures),
        "",
        "Seconds are those of restoring one image, without reading it. Peak memory is that of the whole process while "
        "the network ran, Python and torch included. MACs are multiply-accumulates for 10^6 pixels. Figures of folders "
        "of finished images and of exported files are partly unknown.",
        "",
        "## Differences, image by image",
        "",
        *difference_table(result["differences"], figures),
        "",
    ]
    if has_chart:
        lines += ["![Differences with intervals](differences.png)", ""]
    lines += [
        "## Frequencies",
        "",
        "The share of the error that is left at each spatial frequency, from large areas (left) to the finest details "
        "(right). 1 is the error of the degraded images. Below 1, a contestant has removed error at this frequency; "
        "above 1, it has added some.",
        "",
        *_spectrum_table(result),
        "",
        "![Share of the error that is left, over frequency](spectrum.png)",
        "",
        f"## The {len(result['most_different'])} images on which they differ most",
        "",
        "The frame marks the part in which the errors differ most. It is enlarged below.",
        "",
        f"![Degraded, each contestant, clean]({CONTACTS})",
        "",
        "## How it was made",
        "",
        *_settings(result),
        "",
        "## Images",
        "",
        "| name | degraded, dB | " + " | ".join(f"{cell(name)}, dB" for name in names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    by_image: dict[str, list[float]] = {}
    for row in result["images"]:
        by_image.setdefault(row["name"], []).append(row["psnr"])
    for name, values in list(by_image.items())[:ROWS]:
        lines.append(f"| {cell(name)} | " + " | ".join(psnr.number(value) for value in values) + " |")
    if len(by_image) > ROWS:
        lines += ["", f"The first {ROWS} of {len(by_image)}; all are in [comparison.csv](comparison.csv)."]
    return lines


def _settings(result: dict[str, Any]) -> list[str]:
    """Return a Markdown table with everything that decides the figures."""
    rows = [f"| protocol | `{result['protocol']}`: {result['protocol_summary']} |"]
    for one in result["contestants"]:
        if one["kind"] == "images":
            text = f"finished images in `{one['source']}`"
        else:
            network = ", ".join(f"{name} {value}" for name, value in (one["network"] or {}).items())
            text = f"`{one['source']}`, {one['engine']}, {one['device']}, {one['precision']}: {network}"
            text += f"; SHA-256 `{one['sha256']}`"
        rows.append(f"| {cell(one['label'])} | {cell(text)} |")
    return ["| | |", "|---|---|", *rows, *environment_rows(result)]
