"""Writes the files of a restoration network's evaluation: evaluation.json, evaluation.csv, report.md, and images."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.drawing.comparison import comparison_rows
from passband.drawing.zoom import most_detailed, with_enlarged_part
from passband.evaluation.pair_scores import FIGURES, metric_figures
from passband.evaluation.report import ROWS, heading, how_it_was_made, noted, write_results
from passband.io.image import write_image
from passband.metrics import ImageMetric, SpectralErrors
from passband.naming import counted
from passband.reports.files import cell
from passband.reports.spectrum import definitions, findings, spectrum_table


def write_restoration_report(
    output: Path, result: dict[str, Any], metrics: Sequence[ImageMetric], spectrum: SpectralErrors
) -> None:
    """Write evaluation.json, evaluation.csv (a row for each image) and report.md.

    Args:
        output: folder of the report, which is made if it does not exist.
        result: result of `evaluate_restoration`; figures may be infinite.
        metrics: metrics besides those of the protocol.
        spectrum: errors of the images by frequency.
    """
    columns = ["name", *FIGURES, *metric_figures(metrics), "seconds"]
    write_results(output, result, columns, _markdown(result, metrics, spectrum))


def write_worst_median_best(
    path: Path,
    rows: Iterable[Sequence[Float[Tensor, "3 H W"]]],
    captions: Iterable[Sequence[str]] = (),
    titles: Sequence[str] = (),
) -> None:
    """Write an image with degraded | restored | clean in each row, and below each row its part with the most detail.

    The part is enlarged, and a frame in each image marks it. All columns are aligned.

    Args:
        path: path of the image.
        rows: a degraded, a restored and a clean image of one size in each row; rows may differ in size. Images with a
            side above `SIDE` pixels are shrunk. The rows are taken one at a time.
        captions: three texts above each row.
        titles: a text above the captions of each row.
    """
    shown: list[list[Tensor]] = []
    for row in rows:
        find = partial(most_detailed, row[-1])
        shown.extend(with_enlarged_part(row, (row[-1].shape[-2], row[-1].shape[-1]), find))
    pairs = zip(captions, titles or [""] * len(shown), strict=False)
    texts = [part for text, title in pairs for part in ((text, title), ((), ""))]
    write_image(path, comparison_rows(shown, [text for text, _ in texts], [title for _, title in texts]))


def published_table(result: dict[str, Any]) -> list[str]:
    """Return a Markdown table with the measured and the published figures, and their difference for the same images.

    Args:
        result: result of the evaluation of a benchmark.
    """
    lines = [
        f"| {result['benchmark']} | PSNR, dB | SSIM |",
        "|---|---|---|",
        f"| ours ({result['protocol']}) | {result['mean']['psnr']:.2f} | {result['mean']['ssim']:.4f} |",
    ]
    for row in result["published"]:
        name, ssim, change = row["source"], row["ssim_published"], row["ssim_difference"]
        lines.append(f"| {name} | {row['psnr_published']:.2f} | {'' if ssim is None else f'{ssim:g}'} |")
        if row["psnr_difference"] is not None:
            ours = f"| ours - {name} | {row['psnr_difference']:+.2f} | {'' if change is None else f'{change:+.4f}'} |"
            lines.append(ours)
    return lines


def _markdown(result: dict[str, Any], metrics: Sequence[ImageMetric], spectrum: SpectralErrors) -> list[str]:
    """Return the lines of report.md."""
    mean, images = result["mean"], result["images"]
    title, *sentences = findings(spectrum)
    lines = [
        *heading(result),
        f"Means of {counted(len(images), 'image')} by the protocol `{result['protocol']}`:",
        "",
        *_table(("", "PSNR, dB", "SSIM", *(metric.heading for metric in metrics))),
        _line("degraded", mean, metrics, "_degraded"),
        _line("restored", mean, metrics),
    ]
    if result["benchmark"]:
        lines += ["", *published_table(result)]
    lines += [
        "",
        *noted(result),
        f"Worst ({result['worst']}), median ({result['median']}) and best ({result['best']}) image: degraded, "
        "restored and clean, and below them the part with the most detail, enlarged:",
        "",
        "![Degraded, restored and clean](worst_median_best.png)",
        "",
        "## Frequencies",
        "",
        f"{title}. {' '.join(sentences)}",
        "",
        *spectrum_table(spectrum),
        "",
        "![Maps and curves of the errors](spectrum.png)",
        "",
        *definitions(spectrum),
        "",
        *how_it_was_made(
            result,
            {"protocol": f"`{result['protocol']}`: {result['protocol_summary']}"},
            {
                "seconds": f"{result['seconds']:.2f} of restoring, {result['seconds'] / len(result['images']):.3f} per "
                "image"
            },
        ),
        "",
        "## Images",
        "",
        *_table(
            (
                *("name", "degraded, dB", "restored, dB", "degraded, SSIM", "restored, SSIM"),
                *(f"{side}, {metric.label}" for metric in metrics for side in ("degraded", "restored")),
            )
        ),
    ]
    for row in images[:ROWS]:
        name = f"[{cell(row['name'])}](<{row['file']}>)" if row["file"] else cell(row["name"])
        others = [metric.text(row[metric.name + end]) for metric in metrics for end in ("_degraded", "")]
        lines.append(
            f"| {name} | {row['psnr_degraded']:.2f} | {row['psnr']:.2f} | {row['ssim_degraded']:.4f} "
            f"| {row['ssim']:.4f} |" + "".join(f" {text} |" for text in others)
        )
    if len(images) > ROWS:
        lines += ["", f"The first {ROWS} of {len(images)}; all are in [evaluation.csv](evaluation.csv)."]
    return lines


def _table(columns: Sequence[str]) -> list[str]:
    """Return the first two lines of a Markdown table."""
    return ["|" + "|".join(f" {name} " if name else " " for name in columns) + "|", "|---" * len(columns) + "|"]


def _line(name: str, mean: dict[str, float], metrics: Sequence[ImageMetric], ending: str = "") -> str:
    """Return a row of the table of means."""
    others = [f"{mean[metric.name + ending]:{metric.spelling}}" for metric in metrics]
    figures = [f"{mean['psnr' + ending]:.2f}", f"{mean['ssim' + ending]:.4f}", *others]
    return f"| {name} | {' | '.join(figures)} |"
