"""Scores the contestants of a comparison of restored images, pair by pair, from images that are decoded once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.comparison.contestants import Contestant, FinishedImages, NetworkContestant
from passband.comparison.decoded import DecodedImages, restored_name
from passband.comparison.labels import ContestantError
from passband.data.pairs import Pair
from passband.evaluation.pair_scores import pair_paths, read_scorable
from passband.io.failures import failure
from passband.metrics import PROTOCOLS
from passband.metrics.named import ImageMetric
from passband.metrics.spectral_error import spectral_errors
from passband.models.restoration.three_scales import mean_view
from passband.naming import listed, printable
from passband.provenance import peak_memory, reset_peak_memory
from passband.reports.figures import Figure

DEGRADED = "degraded"
"""Label of the row of the degraded images."""
AFTER = ("after", "restored", "lost", "invented")
"""Parts of the error by frequency of a contestant."""


@dataclass
class Scores:
    """The scores of all contestants.

    Attributes:
        rows: figures, seconds and way of computing, by label of the contestant and name of the pair.
        bands: parts of the mean squared error in each band of frequencies, by label and name of the pair. The degraded
            images have `before`, the contestants those of `AFTER`.
        failed: reasons of the pairs that are left out for all contestants, by name.
    """

    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    bands: dict[str, dict[str, dict[str, Float[Tensor, " bands"]]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def mean_bands(self, label: str, names: Sequence[str]) -> dict[str, list[float]]:
        """Return the mean of each part of the error over images, in each band.

        Args:
            label: label of a contestant, or `DEGRADED`.
            names: names of the pairs.

        Returns:
            For each part, squared errors from the lowest band to the highest.
        """
        own = [self.bands[label][name] for name in names]
        return {part: torch.stack([bands[part] for bands in own]).mean(0).tolist() for part in own[0]}


@dataclass(frozen=True)
class Measures:
    """The measures of one image.

    Attributes:
        protocol: name of the protocol of PSNR and SSIM, a key of `metrics.PROTOCOLS`.
        metrics: further metrics.
    """

    protocol: str
    metrics: tuple[ImageMetric, ...]

    def figures(self) -> list[Figure]:
        """Return the figures in the order of tables."""
        others = [Figure(one.name, one.label, one.unit, one.higher_is_better, one.spelling) for one in self.metrics]
        return [Figure("psnr", "PSNR", "dB", spelling=".2f"), Figure("ssim", "SSIM"), *others]

    def of(self, image: Float[Tensor, "1 3 H W"], clean: Float[Tensor, "1 3 H W"]) -> dict[str, float]:
        """Return the values of an image by name.

        Args:
            image: degraded or restored image in [0, 1].
            clean: clean image of the same size, in [0, 1].

        Returns:
            `psnr` in dB, `ssim`, and the value of each further metric.

        Raises:
            ValueError: if the image is too small for a metric.
        """
        psnr, ssim = PROTOCOLS[self.protocol](image, clean)
        values = {"psnr": psnr.item(), "ssim": ssim.item()}
        return values | {metric.name: metric(image, clean).item() for metric in self.metrics}


def decode_pairs(
    pairs: Sequence[Pair],
    measures: Measures,
    decoded: DecodedImages,
    scores: Scores,
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Decode all pairs into the temporary folder, and score the degraded images.

    Args:
        pairs: all pairs.
        measures: measures of an image.
        decoded: temporary folder.
        scores: scores, to which those of the degraded images are added. Pairs that already failed are passed over.
        report: function that is called with the row of each pair.

    Raises:
        ValueError: if no pair can be scored.
        WriteError: if the disk is full.
    """
    rows, bands = scores.rows.setdefault(DEGRADED, {}), scores.bands.setdefault(DEGRADED, {})
    for number, pair in enumerate(pairs):
        if pair.name not in scores.failed:
            try:
                degraded, clean = read_scorable(pair)
                view = mean_view(degraded)
                row, errors = measures.of(view, clean), spectral_errors(view, clean, view).in_bands()
            except Exception as error:  # any kind: a bad file may break its reader in any way
                scores.failed[pair.name] = failure(error, *pair_paths(pair))
            else:
                decoded.write(f"degraded-{number}", degraded)
                decoded.write(f"clean-{number}", clean)
                rows[pair.name] = {**row, "seconds": None, "computed": "file"}
                bands[pair.name] = {"before": errors.before[0]}
        report(_reported(pair, DEGRADED, scores))
    if not rows:
        raise ValueError(f"none of {len(pairs)} pairs can be scored: {listed(scores.failed.values(), 10, ' | ')}")


def score_contestant(
    place: int,
    runner: NetworkContestant | FinishedImages,
    pairs: Sequence[Pair],
    measures: Measures,
    decoded: DecodedImages,
    scores: Scores,
    report: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Score a contestant on all pairs that can still be compared.

    Args:
        place: number of the contestant.
        runner: the contestant.
        pairs: all pairs.
        measures: measures of an image.
        decoded: decoded pairs, to which finished images are added.
        scores: scores, to which those of the contestant are added. A pair on which it fails is left out for all.
        report: function that is called with the row of each pair.

    Returns:
        Facts that are measured: `seconds_per_image` and `peak_memory_bytes`.

    Raises:
        ContestantError: if the contestant fails on all of them.
    """
    label = runner.contestant.label
    rows, bands = scores.rows.setdefault(label, {}), scores.bands.setdefault(label, {})
    reasons: list[str] = []
    is_measured, is_ready = False, False
    for number, pair in enumerate(pairs):
        if pair.name not in scores.failed:
            try:
                degraded, clean = (decoded.read(f"{part}-{number}") for part in ("degraded", "clean"))
                if not is_ready:
                    runner.prepare(degraded)
                    is_measured, is_ready = reset_peak_memory(runner.device), True
                started = time.perf_counter()
                restored, computed = runner.restore(number, degraded)
                seconds = time.perf_counter() - started
                values = measures.of(restored, clean)
                errors = spectral_errors(restored, clean, mean_view(degraded)).in_bands()
            except Exception as error:  # any kind: a network may fail on an image in any way
                own = [runner.paths[number]] if isinstance(runner, FinishedImages) else []
                reasons.append(f"{label}: {failure(error, pair.degraded, *own)}")
                scores.failed[pair.name] = reasons[-1]
            else:
                rows[pair.name] = {**values, "seconds": seconds, "computed": computed}
                bands[pair.name] = {part: getattr(errors, part)[0] for part in AFTER}
                if isinstance(runner, FinishedImages):  # so that the contact sheet need not decode it again
                    decoded.write(restored_name(place, number), restored)
        report(_reported(pair, label, scores))
    if not rows:
        raise ContestantError(f"{label} fails on all images: {listed(reasons, 3, ' | ')}")
    is_network = isinstance(runner, NetworkContestant)
    return {
        "seconds_per_image": sum(row["seconds"] for row in rows.values()) / len(rows) if is_network else None,
        "peak_memory_bytes": peak_memory(runner.device) if is_network and is_measured else None,
    }


def _reported(pair: Pair, label: str, scores: Scores) -> dict[str, Any]:
    """Return the row of a pair and contestant for displays of progress."""
    row = {"name": printable(pair.name), "contestant": label}
    reason = scores.failed.get(pair.name)
    return {**row, "reason": reason} if reason else {**row, **scores.rows[label][pair.name]}


def keep_shown(
    place: int,
    one: Contestant,
    options: Mapping[str, Any],
    chosen: Sequence[int],
    decoded: DecodedImages,
) -> None:
    """Restore the images of the contact sheet again, and store them beside the pairs.

    Args:
        place: number of the contestant.
        one: the contestant.
        options: options of `inference.Restorer`.
        chosen: numbers of the pairs on the contact sheet.
        decoded: decoded pairs, to which the restored images are added.
    """
    if not one.is_folder:  # finished images are stored already
        network = NetworkContestant(one, options)
        for number in chosen:
            restored, _ = network.restore(number, decoded.read(f"degraded-{number}"))
            decoded.write(restored_name(place, number), restored)
