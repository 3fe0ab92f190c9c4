"""Compares restoration networks and folders of finished images on the same pairs, under one protocol and in one run."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from passband.comparison.contestants import (
    Contestant,
    FinishedImages,
    NetworkContestant,
    named_contestants,
    release,
)
from passband.comparison.decoded import DecodedImages, decoded_size
from passband.comparison.differences import caution, difference_rows, rivalries
from passband.comparison.image_scores import DEGRADED, Measures, Scores, decode_pairs, keep_shown, score_contestant
from passband.comparison.labels import ContestantError
from passband.comparison.restoration_report import write_restoration_comparison
from passband.data.pairs import Pair, find_pairs
from passband.evaluation.pair_scores import pair_problems
from passband.io.files import results_folder
from passband.io.shards import data_folder
from passband.metrics import PROTOCOLS
from passband.metrics.intervals import LEVEL
from passband.metrics.named import image_metric
from passband.metrics.spectral_error import band_edges
from passband.models import pick_device, task_of
from passband.models.network_task import DOES
from passband.naming import counted, entry, listed, printable, with_article
from passband.provenance import environment

SHOWN = 3
"""Number of images on the contact sheet."""
Report = Callable[[dict[str, Any], int], None]


def compare_images(
    contestants: Sequence[str | Path] | Mapping[str, str | Path],
    data: str | Path,
    output: str | Path,
    *,
    protocol: str | None = None,
    metrics: Sequence[str] = (),
    against: str | None = None,
    device: str = "auto",
    memory: int | str | None = None,
    precision: str = "float32",
    report: Report = lambda row, count: None,
) -> dict[str, Any]:
    """Score restoration networks and folders of finished images on the same pairs, and write a report.

    Each image is decoded once. Its pixels stay in a temporary folder of `output` until the end, and one network is in
    memory at a time, so that the memory does not grow with the number of contestants. A pair on which one contestant
    fails is left out for all.

    Writes comparison.json (the returned result), comparison.csv (a row for each image and contestant), report.md,
    report.html (the same with its images inside), differences.png and .svg, spectrum.png and .svg, and contacts.png
    (the images on which the contestants differ most).

    Args:
        contestants: two or more sources, each of which may be written as LABEL=SOURCE, or a mapping from labels to
            sources. A source is anything that `Restorer` loads (a shipped name, a run, a folder, a published pickle, a
            hub id, a network of spandrel, a file of `passband export`), or a folder of finished images that are named
            as the degraded images.
        data: folder of pairs, see `data.pairs.find_pairs`.
        output: folder for the report.
        protocol: name of the protocol, a key of `metrics.PROTOCOLS`; None for `rgb`.
        metrics: names of further metrics, see `metrics.named.image_metric`.
        against: label of the contestant that the others are compared with, or `degraded`. None compares every pair of
            up to four contestants, and more with the first one.
        device: name of a device, see `models.pick_device`.
        memory: cap on the memory of the process, as `Restorer` takes it; None for most of the free memory.
        precision: precision of the networks, as `Restorer` takes it. The default is exact.
        report: function that is called with the row of each image and contestant (`name`, `contestant`, figures, or
            the `reason` of a failure), and with the number of such rows.

    Returns:
        The content of comparison.json: `contestants` (mean figures, cost and spectrum of each), `degraded`,
        `differences`, `images`, `failed`, and everything that decides the figures.

    Raises:
        ContestantError: if there are fewer than two contestants, labels clash, a folder holds neither weights nor
            images, finished images do not match the pairs, or a contestant fails on all images.
        CheckpointError, ExportError: if weights cannot be used.
        ValueError: if the protocol, a metric or `against` is unknown, files have no partner, or no pair can be scored.
        OSError: if the decoded images do not fit on the disk, or a file cannot be written.
        ImportError, RuntimeError: if a metric needs a package or weights that are not there.
    """
    named = named_contestants(contestants)
    data, output = data_folder(data), results_folder(output, (data, *[one.source for one in named]))
    protocol = protocol or "rgb"
    summary = (entry(protocol, PROTOCOLS, "protocol").__doc__ or "").strip().splitlines()[0]
    measures = Measures(protocol, tuple(image_metric(name) for name in dict.fromkeys(metrics)))
    labels = [one.label for one in named]
    rivals = rivalries(labels, against, DEGRADED)
    options = {"device": device, "memory": memory, "precision": precision}
    facts, views = _checked(named, options)
    closed: list[OSError] = []
    pairs = find_pairs(data, views, closed.append)
    problems = pair_problems(pairs, measures.metrics)
    if len(problems) == len(pairs):
        raise ValueError(f"none of {len(pairs)} pairs can be scored: {listed(problems.values(), 10, ' | ')}")
    folders = {one.label: FinishedImages(one, pairs) for one in named if one.is_folder}

    scores = Scores(failed=dict(problems))
    total = len(pairs) * (len(named) + 1)
    with DecodedImages(output, decoded_size(pairs, len(folders))) as decoded:
        decode_pairs(pairs, measures, decoded, scores, lambda row: report(row, total))
        for place, one in enumerate(named):
            runner = folders[one.label] if one.is_folder else NetworkContestant(one, options)
            facts[one.label] |= score_contestant(
                place, runner, pairs, measures, decoded, scores, lambda row: report(row, total)
            )
            del runner
            release()
        kept = [pair for pair in pairs if pair.name not in scores.failed]
        if not kept:
            reasons = listed(scores.failed.values(), 10, " | ")
            raise ValueError(f"none of {len(pairs)} pairs could be scored by all contestants: {reasons}")
        figures, everyone, names = measures.figures(), (DEGRADED, *labels), [pair.name for pair in kept]
        values = {
            label: {figure.name: [scores.rows[label][pair.name][figure.name] for pair in kept] for figure in figures}
            for label in everyone
        }
        shown = _most_different(names, {label: values[label]["psnr"] for label in labels})
        result = {
            "task": "restoration",
            "protocol": protocol,
            "protocol_summary": summary,
            "figures": [asdict(figure) for figure in figures],
            "spectrum": {"radius": band_edges(), **{label: scores.mean_bands(label, names) for label in everyone}},
            "data": str(data),
            "level": LEVEL,
            "against": against,
            DEGRADED: {"mean": _means(values[DEGRADED])},
            "contestants": [
                {"label": one.label, "source": one.source, **facts[one.label], "mean": _means(values[one.label])}
                for one in named
            ],
            "differences": difference_rows(values, rivals, figures),
            "images": _image_rows(kept, everyone, scores),
            "most_different": [printable(name) for name in shown],
            "failed": [{"name": printable(name), "reason": reason} for name, reason in scores.failed.items()],
            "notes": [
                *caution(len(kept)),
                *_licenses(named, facts),
                *_same_weights(named, facts),
                *_unused(folders),
                *_tiled(kept, labels, scores),
                *_left_out(scores.failed, len(pairs), closed),
            ],
            "device": str(pick_device(device)),
            "precision": precision,
            **environment(),
        }
        numbers = {pair.name: number for number, pair in enumerate(pairs)}
        chosen = [numbers[name] for name in shown]
        for place, one in enumerate(named):
            keep_shown(place, one, options, chosen, decoded)
            release()
        write_restoration_comparison(output, result, figures, chosen, decoded)
    return result


def _checked(named: Sequence[Contestant], options: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], int]:
    """Load each network once before any work, one at a time.

    Returns:
        Facts about each contestant by its label, and the number of views of a scene that all networks take.

    Raises:
        CheckpointError, ExportError, ValueError: if weights cannot be used.
    """
    facts: dict[str, dict[str, Any]] = {}
    views: int | None = None
    for one in named:
        if one.is_folder:
            facts[one.label] = FinishedImages.unknown_facts()
            continue
        task = task_of(one.source)
        if task != "restoration":
            raise ContestantError(
                f"{one.source} {DOES[task][0]}, and other contestants restore images: compare networks of one task"
            )
        network = NetworkContestant(one, options)
        if views is not None and network.views != views:
            raise ContestantError(
                f"{one.source} takes {3 * network.views} input channels, and {named[0].source} takes {3 * views}: "
                "compare networks that take the same input"
            )
        views = network.views
        facts[one.label] = network.facts()
        del network
        release()
    return facts, views or 1


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the mean of each figure over the images."""
    return {name: sum(numbers) / len(numbers) for name, numbers in values.items()}


def _most_different(names: Sequence[str], psnr: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the names of the images on which the PSNR of the contestants differs most, the first one most."""

    def spread(place: int) -> float:
        values = [numbers[place] for numbers in psnr.values()]
        difference = max(values) - min(values)
        return 0.0 if math.isnan(difference) else difference

    order = sorted(range(len(names)), key=lambda place: -spread(place))
    return [names[place] for place in order[:SHOWN]]


def _image_rows(kept: Sequence[Pair], labels: Sequence[str], scores: Scores) -> list[dict[str, Any]]:
    """Return a row for each image and contestant."""
    return [
        {"name": printable(pair.name), "contestant": label, **scores.rows[label][pair.name]}
        for pair in kept
        for label in labels
    ]


def _licenses(named: Sequence[Contestant], facts: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return notes about the licenses of networks of other projects."""
    networks = [(one.label, facts[one.label]["network"] or {}) for one in named]
    return [
        f"{label} is {with_article(network['architecture'])}. Its license: {network['license']}."
        for label, network in networks
        if "license" in network
    ]


def _same_weights(named: Sequence[Contestant], facts: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return notes about contestants whose weights are the same."""
    by_sum: dict[str, list[str]] = {}
    for one in named:
        if facts[one.label]["sha256"]:
            by_sum.setdefault(facts[one.label]["sha256"], []).append(one.label)
    return [f"{' and '.join(labels)} have the same weights." for labels in by_sum.values() if len(labels) > 1]


def _unused(folders: Mapping[str, FinishedImages]) -> list[str]:
    """Return notes about finished images that belong to no pair."""
    return [
        f"{label} holds {counted(len(folder.unused), 'image')} without a pair, which the comparison does not use: "
        f"{listed([path.name for path in folder.unused], 5)}."
        for label, folder in folders.items()
        if folder.unused
    ]


def _tiled(kept: Sequence[Pair], labels: Sequence[str], scores: Scores) -> list[str]:
    """Return notes about networks that restored images in tiles, which changes the result."""
    notes = []
    for label in labels:
        tiled = [pair.name for pair in kept if scores.rows[label][pair.name]["computed"].startswith("tiles")]
        if tiled:
            notes.append(
                f"{label} restored {len(tiled)} of {len(kept)} images in tiles, because they were too large: "
                f"{listed(tiled, 5)}. Tiles change the result a little."
            )
    return notes


def _left_out(failed: Mapping[str, str], count: int, closed: Sequence[OSError]) -> list[str]:
    """Return notes about pairs that the figures do not contain."""
    notes = []
    if failed:
        notes.append(
            f"{len(failed)} of {count} pairs are left out for all contestants, because an image or a contestant "
            f"failed: {listed(failed.values(), 10, ' | ')}."
        )
    if closed:
        folders = listed([f"{error.filename} ({error.strerror})" for error in closed], 10)
        notes.append(f"Pairs in {counted(len(closed), 'folder')} that cannot be read are left out: {folders}.")
    return notes
