"""Scores a segmentation network on images with masks, and writes a report."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from passband.data.datasets.segmentation import SegmentationValidationSet, collate_masks
from passband.data.masks import MaskPair, find_mask_pairs, read_mask_pair
from passband.drawing.overlay import overlay
from passband.evaluation.segmentation_report import write_segmentation_report
from passband.inference.segmenter import Segmenter
from passband.io.failures import none_usable
from passband.io.files import results_folder
from passband.io.shards import data_folder
from passband.metrics.mask_scores import SegmentationScores, predicted_classes, resized_logits
from passband.naming import counted, listed, printable
from passband.processes import worker_context
from passband.provenance import environment, network_precision, peak_memory, weights_checksum

DEFAULT_PROTOCOL = "lab_macro"
"""Protocol that fits binary masks and masks of several classes."""
EXTREMES = 3
"""Number of the worst images that are drawn, and of the best."""


def evaluate_segmenter(
    weights: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    protocol: str = DEFAULT_PROTOCOL,
    ignore_label: int | None = None,
    pairs: Sequence[MaskPair] | None = None,
    batch: int = 8,
    workers: int = 0,
    device: str = "auto",
    provider: str | None = None,
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
) -> dict[str, Any]:
    """Score a segmentation network by a named protocol, and beside it a prediction without foreground.

    Writes evaluation.json (the returned result), evaluation.csv (a row for each image), worst_best.png and report.md
    (the same as text). Each whole image is resized to the size of the training, and scored at the size of its mask.

    Args:
        weights: weights to load: a folder that training made, such as RUN/weights/best, a shipped name, a hub id, or an
            .onnx file of `passband export`.
        data: folder of images with masks, see `data.masks.find_mask_pairs`.
        output: folder for the report.
        protocol: name of the protocol, a key of `metrics.mask_scores.PROTOCOLS`.
        ignore_label: value in the masks of pixels that are not scored, such as 255 in Pascal VOC and Cityscapes; None
            for that of the training, if it had one.
        pairs: images with masks to score; None for all of `data`.
        batch: number of images that the network gets at once.
        workers: number of processes that read images; 0 reads them in this process.
        device: name of a device, see `models.pick_device`.
        provider: execution provider of ONNX Runtime for an exported file; None for the CPU.
        report: function that is called with the figures of each image, or with the `name` and `reason` of one that
            cannot be used, and with the number of images.

    Returns:
        The content of evaluation.json: `mean` (the protocol's figures, and Dice and IoU of the foreground),
        `background` (the same for a prediction without foreground), `classes`, `images`, `failed`, and everything that
        decides them.

    Raises:
        CheckpointError: if the weights cannot be used, or do not segment.
        FileNotFoundError: if there are no images with masks.
        ValueError: if the protocol is unknown or does not fit the classes, or no image can be used.
        OSError: if the data cannot be read, or a file cannot be written.
    """
    data, output = data_folder(data), results_folder(output, (data,))
    segmenter = Segmenter(weights, device, provider)
    scores = SegmentationScores(protocol, segmenter.maps)
    if ignore_label is None:
        ignore_label = segmenter.preprocessing.get("ignore_label")
    mask_pairs = find_mask_pairs(data) if pairs is None else list(pairs)
    loader = DataLoader(
        SegmentationValidationSet(mask_pairs, segmenter.maps, segmenter.size, cache=False, ignore_label=ignore_label),
        batch,
        num_workers=workers,
        collate_fn=collate_masks,
        multiprocessing_context=worker_context(workers),
    )
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    unscored: list[str] = []
    empty, nothing = SegmentationScores(protocol, segmenter.maps), _nothing(segmenter.maps)
    ignored, network_seconds, started = 0.0, 0.0, time.perf_counter()
    for samples in loader:
        before = time.perf_counter()
        logits = segmenter.logits(samples["image"]).cpu()
        network_seconds += time.perf_counter() - before
        for one, mask, name, problem in zip(logits, samples["mask"], samples["name"], samples["problem"], strict=True):
            if problem:
                failed.append({"name": printable(name), "reason": problem})
                report(failed[-1], len(mask_pairs))
                continue
            seen = scores.counts.clone()
            figures = scores.add(one, mask)
            if not figures:
                unscored.append(printable(name))
                continue
            empty.add(nothing, mask)
            counts = (scores.counts - seen).double()
            ignored += 1 - counts.sum().item() / mask.numel()
            counts /= counts.sum()
            covered = {"foreground": counts[1:].sum().item(), "predicted": counts[:, 1:].sum().item()}
            rows.append({"name": printable(name), **figures, **covered})
            report(rows[-1], len(mask_pairs))
    seconds = time.perf_counter() - started
    if not rows:
        reasons = [f"all pixels of the mask of {name} have the label {ignore_label}" for name in unscored]
        raise ValueError(none_usable(data, [one["reason"] for one in failed] + reasons))

    main = scores.protocol.figures[0]
    order = sorted(rows, key=lambda row: (row["foreground_dice"], row[main], row["name"]))
    worst, best = order[:EXTREMES], order[EXTREMES:][::-1][:EXTREMES]
    result = {
        "task": "segmentation",
        "protocol": protocol,
        "protocol_summary": scores.protocol.summary,
        "figures": [*scores.protocol.figures, "foreground_dice", "foreground_iou"],
        "mean": scores.total(),
        "background": empty.total(),
        "classes": _per_class(scores.counts, segmenter.classes),
        "images": rows,
        "worst": [row["name"] for row in worst],
        "best": [row["name"] for row in best],
        "failed": failed,
        "weights": str(weights),
        "weights_sha256": weights_checksum(segmenter.model),
        "network": {"architecture": segmenter.model.name, **segmenter.model.arguments},  # type: ignore[dict-item]
        "size": segmenter.size,
        "ignore_label": ignore_label,
        "data": str(data),
        "notes": _notes(rows, failed, unscored, ignore_label, ignored / len(rows)),
        "device": str(segmenter.device),
        "engine": getattr(segmenter.model, "engine", "torch"),
        "precision": network_precision(segmenter.model),
        "seconds": seconds,
        "network_seconds": network_seconds,
        "images_per_second": len(rows) / seconds,
        "peak_memory_bytes": peak_memory(segmenter.device),
        **environment(),
    }
    by_name = {printable(pair.name): pair for pair in mask_pairs}
    shown = [_shown(segmenter, by_name[row["name"]], ignore_label) for row in (*worst, *best)]
    captions = [
        (row["name"], "ground truth", f"prediction: Dice {row['foreground_dice']:.2f}") for row in (*worst, *best)
    ]
    write_segmentation_report(output, result, shown, captions)
    return result


def _nothing(classes: int) -> Float[Tensor, "K 1 1"]:
    """Return logits that find only background."""
    logits = torch.full((classes, 1, 1), -1.0)
    if classes > 1:
        logits[0] = 1.0
    return logits


def _per_class(confusion: Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each class over all pixels; IoU and Dice are None without true and predicted pixels."""
    table = confusion.double()
    rows = []
    for number, name in enumerate(names):
        right, true, taken = table[number, number], table[number].sum(), table[:, number].sum()
        here = bool(true + taken)
        rows.append(
            {
                "name": name,
                "share": (true / table.sum()).item(),
                "iou": (right / (true + taken - right)).item() if here else None,
                "dice": (2 * right / (true + taken)).item() if here else None,
            }
        )
    return rows


def _notes(
    rows: list[dict[str, Any]],
    failed: list[dict[str, Any]],
    unscored: list[str],
    ignore_label: int | None,
    ignored: float,
) -> list[str]:
    """Return notes for the reader of the figures.

    Args:
        rows: figures of each image.
        failed: files that could not be used.
        unscored: names of the images whose masks have no pixel to score.
        ignore_label: value of ignored pixels.
        ignored: mean share of the ignored pixels of an image of `rows`.
    """
    notes = []
    if ignored:
        share = f"{100 * ignored:.1f} % of an image on average"
        notes.append(f"Pixels with the label {ignore_label} are not scored: {share}.")
    if unscored:
        notes.append(
            f"{counted(len(unscored), 'image')} did not count, because all pixels of the mask have the label "
            f"{ignore_label}: {listed(unscored)}."
        )
    if failed:
        notes.append(
            f"{counted(len(failed), 'file')} could not be used and did not count; the first: {failed[0]['reason']}"
        )
    if any(row["foreground"] for row in rows) and not any(row["predicted"] for row in rows):
        notes.append("The network finds only background in all images: train it longer.")
    if empty := [row["name"] for row in rows if not row["foreground"]]:
        notes.append(
            f"{counted(len(empty), 'mask is', 'masks are')} empty, such as that of {empty[0]}. There, Dice and IoU of "
            "the foreground are 1 for an empty prediction and 0 for any other."
        )
    return notes


def _shown(segmenter: Segmenter, pair: MaskPair, ignore_label: int | None) -> tuple[Float[Tensor, "3 H W"], ...]:
    """Return an image, its ground truth and its prediction, in its own size."""
    image, mask = read_mask_pair(pair, segmenter.maps, ignore_label)
    logits = segmenter.logits(segmenter.prepare(image)[None]).cpu()
    predicted = predicted_classes(resized_logits(logits, mask.shape)[0])
    return image, overlay(image, mask, nothing="nothing to find"), overlay(image, predicted, nothing="nothing found")
