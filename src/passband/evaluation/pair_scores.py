"""Scores the restored images of pairs: one pair at a time, with one restorer and one protocol."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.data.datasets.crops import read_pair
from passband.data.pairs import Pair
from passband.inference.files.pieces import Piece
from passband.inference.restorer import Restorer
from passband.io.failures import failure
from passband.io.image import write_image
from passband.io.image.size import stored_size
from passband.metrics import PROTOCOLS, SSIM_WINDOW, ImageMetric, SpectralErrors, image_metric, spectral_errors
from passband.models.restoration.three_scales import mean_view
from passband.naming import entry, printable

FIGURES = ("psnr", "ssim", "psnr_degraded", "ssim_degraded")
"""Names of the figures of each pair that the protocol gives."""


@dataclass(frozen=True)
class PairScore:
    """A pair with its restored image and its figures.

    Attributes:
        degraded: the degraded image; of left and right views their mean.
        restored: the restored image, on the CPU.
        clean: the clean image.
        figures: PSNR in dB and SSIM by the names in `FIGURES`, and further metrics by the names of `metric_figures`.
        seconds: time that restoring took.
        computed: how the restored image was computed: `whole`, `bands` or `tiles of 1536 pixels`.
    """

    degraded: Float[Tensor, "3 H W"]
    restored: Float[Tensor, "3 H W"]
    clean: Float[Tensor, "3 H W"]
    figures: dict[str, float]
    seconds: float
    computed: str


def metric_figures(metrics: Sequence[ImageMetric]) -> list[str]:
    """Return the names of the figures of metrics: NAME for the restored and NAME_degraded for the degraded image.

    Args:
        metrics: metrics besides those of the protocol.
    """
    return [name for metric in metrics for name in (metric.name, f"{metric.name}_degraded")]


def score_pair(restorer: Restorer, pair: Pair, protocol: str = "rgb", metrics: Sequence[ImageMetric] = ()) -> PairScore:
    """Restore the degraded image of a pair and compare it with the clean one.

    Args:
        restorer: a restorer for as many views as the pair has.
        pair: the pair.
        protocol: name of the protocol, a key of `metrics.PROTOCOLS`.
        metrics: further metrics.

    Raises:
        ImageError: if an image cannot be read.
        ValueError: if the images differ in size or are too small to be scored.
        MemoryError: if the image does not fit.
    """
    score = entry(protocol, PROTOCOLS, "protocol")
    degraded, clean = read_scorable(pair)
    started = time.perf_counter()
    restored, plan = restorer.restore_views(degraded)
    restored = restored.cpu()
    seconds = time.perf_counter() - started
    view = mean_view(degraded)
    scores = [*score(restored, clean), *score(view, clean)]
    scores += [metric(image, clean) for metric in metrics for image in (restored, view)]
    names = [*FIGURES, *metric_figures(metrics)]
    figures = {name: one.item() for name, one in zip(names, scores, strict=True)}
    return PairScore(view[0], restored[0], clean[0], figures, seconds, plan.how)


@dataclass(frozen=True)
class PairPiece(Piece):
    """A pair to score, which can be sent to another process."""

    pair: Pair

    @property
    def path(self) -> Path:
        """The path of the degraded image."""
        return self.pair.degraded

    def failed(self, reason: str) -> "ScoredPair":
        """Return the result if the pair cannot be scored."""
        return ScoredPair(self.pair, reason=reason)


@dataclass(frozen=True)
class ScoredPair:
    """The result for a pair, without its images.

    Attributes:
        pair: the pair.
        row: its row of evaluation.json; None if it cannot be scored.
        spectrum: its error energies by frequency.
        reason: the reason why it cannot be scored.
    """

    pair: Pair
    row: dict[str, Any] | None = None
    spectrum: SpectralErrors | None = None
    reason: str = ""


@dataclass(frozen=True)
class PairScoring:
    """The work on each pair, which can be pickled.

    Attributes:
        restorer: the restorer.
        protocol: name of the protocol.
        metrics: names of further metrics.
        output: folder of the report, if restored images are written; else None.
    """

    restorer: Restorer
    protocol: str
    metrics: tuple[str, ...]
    output: Path | None

    def do(self, piece: PairPiece) -> ScoredPair:
        """Score a pair.

        Args:
            piece: pair to score.

        Returns:
            The scores. An error becomes the reason why the pair has none.
        """
        pair = piece.pair
        try:
            scored = score_pair(self.restorer, pair, self.protocol, self._metrics)
            spectrum = spectral_errors(scored.restored[None], scored.clean[None], scored.degraded[None])
            return ScoredPair(pair, self._row(pair, scored), spectrum)
        except Exception as error:  # any kind: a bad file may break its reader in any way
            return piece.failed(failure(error, *pair_paths(pair)))

    @cached_property
    def _metrics(self) -> list[ImageMetric]:
        """The metrics, which are made once in each process."""
        return [image_metric(name) for name in self.metrics]

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the metrics, whose networks are large."""
        return {name: value for name, value in vars(self).items() if name != "_metrics"}

    def _row(self, pair: Pair, scored: PairScore) -> dict[str, Any]:
        """Return the row of a pair, and write its restored image if there is a folder for it."""
        file = None if self.output is None else f"restored/{pair.name}.png"
        if self.output is not None and file is not None:
            write_image(self.output / file, scored.restored)
        figures = {"seconds": scored.seconds, "computed": scored.computed, "file": file}
        return {"name": printable(pair.name), **scored.figures, **figures}


def read_scorable(pair: Pair) -> tuple[Float[Tensor, "1 C H W"], Float[Tensor, "1 3 H W"]]:
    """Read the images of a pair.

    Args:
        pair: the pair.

    Returns:
        The degraded image, or left and right views in 6 channels, and the clean image.

    Raises:
        ImageError: if an image cannot be read.
        ValueError: if the images differ in size or are too small to be scored.
    """
    degraded, clean = (image[None] for image in read_pair(pair))
    if min(clean.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(
            f"{pair.clean} is {clean.shape[-1]}x{clean.shape[-2]}: SSIM needs images of at least "
            f"{SSIM_WINDOW}x{SSIM_WINDOW} pixels; leave it out of the data"
        )
    return degraded, clean


def pair_problems(pairs: Sequence[Pair], metrics: Sequence[ImageMetric] = ()) -> dict[str, str]:
    """Find the pairs that cannot be scored, before any work, by the headers of their files.

    Args:
        pairs: all pairs.
        metrics: metrics besides those of the protocol, which may need larger images.

    Returns:
        The reason for each such pair, by its name.
    """
    problems = {}
    for pair in pairs:
        try:
            first, *others = [stored_size(path) for path in pair_paths(pair)]
            if first is None or min(first) < SSIM_WINDOW or any(size != first for size in others):
                # an image may be turned when it is read, and then have the size of the other
                height, width = read_scorable(pair)[1].shape[-2:]
                first = (width, height)
            for problem in filter(None, (metric.problem(first[1], first[0]) for metric in metrics)):
                raise ValueError(f"{pair.clean} is too small: {problem}. Leave out the image or the metric")
        except Exception as error:
            problems[pair.name] = failure(error, *pair_paths(pair))
    return problems


def pair_paths(pair: Pair) -> list[Path]:
    """Return the files of a pair.

    Args:
        pair: the pair.
    """
    return [path for path in (pair.degraded, pair.clean, pair.right) if path is not None]
