"""Scores a restoration network on a folder of pairs, and writes a report."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from passband.data.pairs import Pair, find_pairs
from passband.drawing.comparison import restoration_captions
from passband.evaluation.benchmarks import Benchmark, beside_published, find_benchmark
from passband.evaluation.pair_scores import (
    FIGURES,
    PairPiece,
    PairScoring,
    ScoredPair,
    metric_figures,
    pair_problems,
    score_pair,
)
from passband.evaluation.restoration_report import write_restoration_report, write_worst_median_best
from passband.export.runtimes import runtime_of
from passband.inference.files.pieces import Executor, in_this_process
from passband.inference.restoration.chain import chained_names
from passband.inference.restorer import Restorer
from passband.io.files import results_folder
from passband.io.shards import data_folder
from passband.layers.pooling import POOL_MODES
from passband.metrics import PROTOCOLS, ImageMetric, SpectralErrors, image_metric
from passband.metrics.restoration_protocols import CONVIR_MULTIPLE
from passband.models import load_model
from passband.models.inputs import check_views
from passband.models.network_task import network_name
from passband.naming import counted, entry, listed, printable, with_article
from passband.provenance import environment, peak_memory
from passband.reports.spectrum import spectrum_figures, write_spectrum

GLOBAL = "global"
"""Pooling mode without a window, beside `layers.pooling.POOL_MODES`."""
MOST = 10
"""Largest number of images, folders or reasons that a note or an error names."""


def evaluate_restoration(
    weights: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    protocol: str | None = None,
    benchmark: str | None = None,
    metrics: Sequence[str] = (),
    pool_window: int | None = None,
    pool_mode: str | None = None,
    save: bool = False,
    device: str = "auto",
    memory: int | str | None = None,
    engine: str = "torch",
    precision: str = "float32",
    provider: str | None = None,
    pairs: Sequence[Pair] | None = None,
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
    executor: Executor = in_this_process,
    **overrides: Any,
) -> dict[str, Any]:
    """Score the images that `Restorer` restores against the clean images, and the degraded images beside them.

    Writes evaluation.json (the returned result), evaluation.csv (a row for each image), report.md (the same as text),
    worst_median_best.png (degraded | restored | clean, and below the part with the most detail), and spectrum.png and
    spectrum.csv, which show the frequencies that are wrong before and after; see `metrics.spectral_error`.

    Args:
        weights: weights to load, as `Restorer` takes them: a shipped name, a folder, a published SFNet pickle, a hub
            id, or a file of `passband export`. Weights with 6 input channels get left and right views.
        data: folder of pairs, see `data.pairs.find_pairs`.
        output: folder for the report.
        protocol: name of the protocol, a key of `metrics.PROTOCOLS`; None for the benchmark's, or `"rgb"`. Where it is
            `sfnet`, a ConvIR is scored by `convir`.
        benchmark: name of a benchmark, a key of `evaluation.benchmarks.BENCHMARKS`. It gives the defaults of protocol
            and pooling window, and its published figures stand beside the measured ones. Differences are given if
            number and names of the images are the benchmark's; otherwise a note says that they are not. None for no
            benchmark.
        metrics: names of further metrics, see `metrics.named.image_metric`, such as `"psnr-hvs-m"`. Rows and means
            hold each by its name, and for the degraded images with the ending `_degraded`.
        pool_window: test-time pooling window of the network, or of all that run one after the other; None for the
            benchmark's, or the weights' own.
        pool_mode: way to read the window, see `layers.LocalAvgPool2d`, or `"global"` for no window; None for the
            weights' own.
        save: whether each restored image is written as restored/NAME.png.
        device: name of a device, see `models.pick_device`.
        memory: cap on the memory of the process, such as `"2GB"`; None for most of the free memory. A large image is
            restored in bands, which give the same result, or in tiles, whose result is close and noted.
        engine: engine that runs the network, see `engines.load_engine`.
        precision: precision of the engine, see `engines.load_engine`. The default is exact, unlike that of `Restorer`.
        provider: execution provider of ONNX Runtime, see `engines.load_engine`; None for the CPU.
        pairs: pairs to score; None for all pairs of `data`.
        report: function that is called with the figures of each image, or with the `name` and `reason` of a pair that
            cannot be scored, and with the number of pairs.
        executor: executor that keeps the order of the pairs: this process, or processes of the room `scale`. The
            figures do not depend on it.
        overrides: further keywords of the network's constructor.

    Returns:
        The content of evaluation.json: `mean` and `images` (PSNR in dB, SSIM up to 1, and the metrics), `spectrum`
        (error energies by frequency), `failed` (pairs that are damaged, differ in size, are too small or do not fit
        into memory; no mean contains them), and everything that decides the figures.

    Raises:
        ValueError: if a protocol, metric, benchmark, engine, precision or pooling mode is unknown, a mode has no
            window, the memory is not a size, files have no partner, the pairs have another number of views than the
            weights take, or no pair can be scored.
        CheckpointError: if the weights cannot be used.
        ImportError, RuntimeError: if a metric needs a package or weights that are not there.
        ExportError: if the engine is not installed, or cannot run this network.
        OSError: if the data cannot be read, or a file cannot be written.
    """
    data, output = data_folder(data), results_folder(output, (data,))
    known = find_benchmark(benchmark) if benchmark else None
    chosen = entry(protocol or (known.protocol if known else "rgb"), PROTOCOLS, "protocol")
    scorers = [image_metric(name) for name in dict.fromkeys(metrics)]
    overrides |= _pooling(weights, known, pool_window, pool_mode, overrides)
    options = {"engine": engine, "precision": precision, "provider": provider}
    restorer = Restorer(weights, device, memory, views=None, **options, **overrides)
    network = restorer.network()
    if protocol is None and chosen is PROTOCOLS["sfnet"] and network.engine.sizes.multiple == CONVIR_MULTIPLE:
        chosen = PROTOCOLS["convir"]
    protocol = next(name for name, score in PROTOCOLS.items() if score is chosen)
    summary = (chosen.__doc__ or "").strip().splitlines()[0]
    views = min(2, network.views)
    check_views(network.engine, views, weights)
    if known and known.views != views:
        taken = "left and right views" if known.views == 2 else "one view"
        raise ValueError(
            f"{known.name} is for {taken} of a scene, but {weights} takes {3 * views} input channels: choose weights "
            f"for {3 * known.views}"
        )
    closed: list[OSError] = []
    pairs = find_pairs(data, views, closed.append) if pairs is None else pairs
    problems = pair_problems(pairs, scorers)
    if len(problems) == len(pairs):
        raise ValueError(f"none of {len(pairs)} pairs can be scored: {listed(problems.values(), MOST, ' | ')}")
    network.measure_memory()  # now, so that it counts for no image

    rows: list[dict[str, Any]] = []
    scored: list[Pair] = []
    spectra: list[SpectralErrors] = []
    failed: list[dict[str, str]] = []
    scoring = PairScoring(restorer, protocol, tuple(dict.fromkeys(metrics)), output if save else None)
    known_problems = {name: partial(ScoredPair, reason=reason) for name, reason in problems.items()}
    pieces = (known_problems.get(pair.name, PairPiece)(pair) for pair in pairs)
    for one in executor(scoring.do, pieces):
        if one.row is None:
            failed.append({"name": printable(one.pair.name), "reason": one.reason})
            report(failed[-1], len(pairs))
        else:
            rows.append(one.row)
            spectra.append(one.spectrum)
            scored.append(one.pair)
            report(one.row, len(pairs))
    if not rows:
        raise ValueError(f"none of {len(pairs)} pairs could be scored: {_reasons(failed)}")

    ranked = sorted(range(len(rows)), key=lambda number: rows[number]["psnr"])
    shown = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    mean = {name: sum(row[name] for row in rows) / len(rows) for name in (*FIGURES, *metric_figures(scorers))}
    spectrum = SpectralErrors.of_images(spectra)
    description = network.description
    other = known.mismatch([pair.name for pair in scored]) if known else ""
    result = {
        "mean": mean,
        "metrics": [_described(metric) for metric in scorers],
        "images": rows,
        "spectrum": spectrum_figures(spectrum),
        "failed": failed,
        "protocol": protocol,
        "protocol_summary": summary,
        "benchmark": known.name if known else None,
        "published": beside_published(known, mean["psnr"], mean["ssim"], is_comparison=not other) if known else [],
        "weights": str(weights),
        "weights_sha256": network.weights_checksum(),
        "network": description,
        "data": str(data),
        **{rank: rows[number]["name"] for rank, number in shown.items()},
        "notes": [
            *_not_compared(known, other),
            *_notes(description, known, scored[0], views),
            *_tiled(rows, network.shares_statistics),
            *_left_out(failed, len(pairs), closed),
            *([network.license_note] if network.license_note else []),
        ],
        "device": str(restorer.device),
        "engine": restorer.engine_name,
        "precision": restorer.precision,
        "seconds": sum(row["seconds"] for row in rows),
        "peak_memory_bytes": peak_memory(restorer.device),
        **environment(),
    }
    write_spectrum(output, [row["name"] for row in rows], spectrum, is_short=True)
    write_restoration_report(output, result, scorers, spectrum)
    distinct = list(dict.fromkeys(shown.values()))
    again = (score_pair(restorer, scored[number], protocol) for number in distinct)  # one in memory at a time
    write_worst_median_best(
        output / "worst_median_best.png",
        ((one.degraded, one.restored, one.clean) for one in again),
        [restoration_captions(rows[number]["psnr_degraded"], rows[number]["psnr"]) for number in distinct],
        [f"{_ranks(shown, number)}: {rows[number]['name']}" for number in distinct],
    )
    return result


def _described(metric: ImageMetric) -> dict[str, Any]:
    """Return the entry of a metric in evaluation.json."""
    return {
        "name": metric.name,
        "label": metric.label,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
    }


def _pooling(
    weights: str | Path,
    benchmark: Benchmark | None,
    pool_window: int | None,
    pool_mode: str | None,
    overrides: dict[str, Any],
) -> dict[str, Any]:
    """Return the keywords of the network that make it pool as the arguments or the benchmark ask for.

    Raises:
        ValueError: if the mode is unknown or has no window, or the network has no pooling window.
    """
    if pool_mode is not None:
        entry(pool_mode, dict.fromkeys((*POOL_MODES, GLOBAL)), "pool_mode")
    if pool_mode == GLOBAL and pool_window is not None:
        raise ValueError(f"pool_mode global has no window, but pool_window is {pool_window}: leave out one of the two")
    by_benchmark = benchmark.pool_window if benchmark is not None and "pool_window" not in overrides else None
    if pool_window is None and pool_mode is None and by_benchmark is None:
        return {}
    own: list[int | None] = []
    for name in chained_names(str(weights)):
        is_exported = runtime_of(name) is not None
        model = None if is_exported else load_model(name, **overrides)
        arguments = getattr(model, "arguments", {})
        if "pool_window" in arguments:
            own.append(arguments["pool_window"])
        elif pool_window is None and pool_mode is None:
            return {}
        else:
            network = f"{with_article(network_name(model))}, which has no pooling window"
            found = "exported with fixed pooling" if is_exported else network
            raise ValueError(f"{name} is {found}: leave out the pooling")
    if pool_mode == GLOBAL:
        return {"pool_window": None}
    window = by_benchmark if pool_window is None else pool_window
    if pool_mode is not None and window is None and None in own:
        raise ValueError(f"pool_mode {pool_mode} needs a window, and {weights} has none: give pool_window also")
    asked = {"pool_window": window, "pool_mode": pool_mode}
    return {name: value for name, value in asked.items() if value is not None}


def _ranks(shown: dict[str, int], number: int) -> str:
    """Return the ranks of an image among worst, median and best, such as `Worst and median`."""
    return " and ".join(rank for rank, other in shown.items() if other == number).capitalize()


def _not_compared(benchmark: Benchmark | None, mismatch: str) -> list[str]:
    """Return a note about images that are not those of the benchmark."""
    if benchmark is None or not mismatch:
        return []
    return [f"These scores cannot be compared with {benchmark.name}: {mismatch}."]


def _notes(description: dict[str, Any], benchmark: Benchmark | None, first: Pair, views: int) -> list[str]:
    """Return notes about the network and its input."""
    notes = []
    networks = description.get("networks", [description])  # several if they run one after the other
    windows = {network.get("pool_window") for network in networks}
    if benchmark and benchmark.pool_window is not None and windows == {benchmark.pool_window}:
        notes.append(
            f"The network pools as for the table of {benchmark.name} (pool_window {benchmark.pool_window}), which "
            "suits the published weights. For other weights, use pool_mode global."
        )
    if any(network.get("pool_mode") == "first" and network["pool_window"] is not None for network in networks):
        notes.append(
            f"The pooling window is that of the first image ({first.name}) for all of them (pool_mode first), so the "
            "figures depend on which file sorts first, as those of the released code do."
        )
    if views == 2:
        notes.append("The degraded image of a pair is the mean of its left and right view.")
    return notes


def _tiled(rows: Sequence[dict[str, Any]], shared: bool) -> list[str]:
    """Return notes about images that were too large for the memory; bands give the same result as the whole image.

    Args:
        rows: rows of all images.
        shared: whether tiles share the statistics of the whole image.
    """
    ways: dict[str, list[str]] = {}
    for row in rows:
        if row["computed"].startswith("tiles"):
            ways.setdefault(row["computed"], []).append(row["name"])
    tiles = (
        "share the whole image's statistics, so the result is close but not the same"
        if shared
        else "are restored independently, so the result differs (passband analyze seams measures by how much)"
    )
    return [
        f"{len(names)} of {len(rows)} images were too large and were restored in {way} that {tiles}: "
        f"{listed(names, MOST)}."
        for way, names in ways.items()
    ]


def _left_out(failed: Sequence[dict[str, str]], count: int, closed: Sequence[OSError]) -> list[str]:
    """Return notes about pairs that the figures do not contain."""
    notes = []
    if failed:
        notes.append(
            f"{len(failed)} of {count} pairs could not be scored and are not in the means: {_reasons(failed)}."
        )
    if closed:
        folders = listed([f"{error.filename} ({error.strerror})" for error in closed], MOST)
        notes.append(f"Pairs in {counted(len(closed), 'folder')} that cannot be read are left out: {folders}.")
    return notes


def _reasons(failed: Sequence[dict[str, str]]) -> str:
    """Return the reasons of the pairs that cannot be scored, for a note or an error."""
    return listed([one["reason"] for one in failed], MOST, " | ")
