"""The files of an evaluation: evaluation.json, evaluation.csv, report.md and its pictures."""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.comparison import comparison_rows
from passband.drawing.zoom import framed, magnified, most_detailed
from passband.io.files import write_whole
from passband.io.image import write_image

FIGURES = ("psnr", "ssim", "psnr_degraded", "ssim_degraded")
SHOWN = 640
"""Longest side of a picture within a picture, in pixels."""
ZOOM = 4
"""How many times the part with most detail is enlarged, against the picture above it."""
ROWS = 200
"""Pictures listed in report.md; evaluation.csv lists all."""


def write_report(output: Path, result: dict[str, Any]) -> None:
    """Write evaluation.json, evaluation.csv (a row per picture) and report.md (to be read).

    Args:
        output: the folder, made where it does not exist.
        result: what `evaluation.evaluate` returns; figures may be infinite.
    """
    with write_whole(output / "evaluation.json") as path:
        path.write_text(json.dumps(finite(result), indent=2) + "\n", encoding="utf-8")
    with (
        write_whole(output / "evaluation.csv") as path,
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, ["name", *FIGURES, "seconds"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(result["images"])
    with write_whole(output / "report.md") as path:
        path.write_text("\n".join(_markdown(result)) + "\n", encoding="utf-8", errors="backslashreplace")


def write_images(
    path: Path,
    rows: Iterable[Sequence[Float[Tensor, "3 H W"]]],
    captions: Iterable[Sequence[str]] = (),
    titles: Sequence[str] = (),
) -> None:
    """Write degraded | restored | clean for each row, and below it the same enlarged where there is most detail.

    All columns begin at the same place. A frame in each picture says where the enlarged part lies.

    Args:
        path: of the picture.
        rows: a degraded, a restored and a clean picture of one size each; rows may differ in size. Pictures with a
            side above `SHOWN` pixels are shrunk, and taken one row at a time.
        captions: three texts for each row, shown above it.
        titles: a text for each row, shown above its captions.
    """
    shown: list[list[Tensor]] = []
    for row in rows:
        height, width = row[-1].shape[-2:]
        ratio = min(1.0, SHOWN / max(height, width))
        size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        times = max(1, round(ratio * ZOOM)) if ratio < 1 else ZOOM
        part = most_detailed(row[-1], max(1, size[0] // times), max(1, size[1] // times))
        small = [F.interpolate(image[None], size, mode="area")[0] for image in row]
        shown.append([framed(image, part.scaled(ratio)) for image in small])
        shown.append([magnified(part.of(image), times) for image in row])
    pairs = zip(captions, titles or [""] * len(shown), strict=False)
    texts = [part for text, title in pairs for part in ((text, title), ((), ""))]
    write_image(path, comparison_rows(shown, [text for text, _ in texts], [title for _, title in texts]))


def published_table(result: dict[str, Any]) -> list[str]:
    """Lines of a Markdown table: what was measured, what was published, and, of the same pictures, the difference.

    Args:
        result: of an evaluation of a benchmark.
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


def _markdown(result: dict[str, Any]) -> list[str]:
    """Lines of report.md."""
    mean, images = result["mean"], result["images"]
    lines = [
        f"# {result['weights']} on {result['data']}",
        "",
        f"Means of {len(images)} pictures by the protocol `{result['protocol']}`:",
        "",
        "| | PSNR, dB | SSIM |",
        "|---|---|---|",
        f"| degraded | {mean['psnr_degraded']:.2f} | {mean['ssim_degraded']:.4f} |",
        f"| restored | {mean['psnr']:.2f} | {mean['ssim']:.4f} |",
    ]
    if result["benchmark"]:
        lines += ["", *published_table(result)]
    lines += ["", *(f"- {note}" for note in result["notes"])] if result["notes"] else []
    lines += [
        "",
        f"Worst ({result['worst']}), median ({result['median']}) and best ({result['best']}) picture: degraded, "
        "restored and clean, and below each the part with most detail, enlarged:",
        "",
        "![Degraded, restored and clean](worst_median_best.png)",
        "",
        *how_it_was_made(
            result,
            {"protocol": f"`{result['protocol']}`: {result['protocol_summary']}"},
            {
                "seconds": f"{result['seconds']:.2f} of restoring, {result['seconds'] / len(result['images']):.3f} per "
                "picture"
            },
        ),
        "",
        "## Pictures",
        "",
        "| name | degraded, dB | restored, dB | degraded, SSIM | restored, SSIM |",
        "|---|---|---|---|---|",
    ]
    for row in images[:ROWS]:
        name = f"[{row['name']}]({_link(row['file'])})" if row["file"] else row["name"]
        lines.append(
            f"| {name} | {row['psnr_degraded']:.2f} | {row['psnr']:.2f} | {row['ssim_degraded']:.4f} "
            f"| {row['ssim']:.4f} |"
        )
    if len(images) > ROWS:
        lines += ["", f"The first {ROWS} of {len(images)}; all are in [evaluation.csv](evaluation.csv)."]
    return lines


def how_it_was_made(result: dict[str, Any], scored: dict[str, str], speed: dict[str, str]) -> list[str]:
    """The lines of a report that say what decides its figures.

    Args:
        result: what evaluation.json holds.
        scored: how networks of this task are scored, by name.
        speed: how long that took, by name.
    """
    peak = result["peak_memory_bytes"]
    settings = {
        "weights": f"`{result['weights']}`",
        "SHA-256 of the weights": f"`{result['weights_sha256']}`",
        "network": ", ".join(f"{name} {value}" for name, value in result["network"].items()),
        **scored,
        "JPEG decoder": result["jpeg_decoder"],
        "device and precision": f"{result['device']}, {result['precision']}",
        **speed,
        "peak memory of the process": "not known here" if peak is None else f"{peak / 1e9:.2f} GB",
        "versions": ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        "commit": result["commit"] or "not a checkout",
    }
    return [
        "## How it was made",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in settings.items()),
    ]


def _link(path: str) -> str:
    """A path as the target of a Markdown link."""
    return f"<{path}>"


def finite(value: Any) -> Any:
    """The same with infinite figures (of equal pictures) as text, because JSON has no infinity."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
