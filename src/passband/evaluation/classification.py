"""Scores a classifier on a folder of classes, and writes a report."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from passband.data.datasets.classification import LabeledImages, find_classes
from passband.evaluation.classification_report import write_classification_report
from passband.inference.classifier import Classifier
from passband.io.failures import none_usable
from passband.io.files import results_folder
from passband.io.jpeg import reader_library
from passband.io.shards import data_folder
from passband.metrics.class_scores import class_accuracy, confusion_matrix, rank_of, ranking, wilson_interval
from passband.naming import counted, listed, printable
from passband.provenance import environment, network_precision, peak_memory, weights_checksum
from passband.tasks.classification import TOP

CONFUSIONS = 20
"""Largest number of confusions that are listed."""


def evaluate_classifier(
    weights: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    images: LabeledImages | None = None,
    batch: int = 32,
    workers: int = 0,
    device: str = "auto",
    provider: str | None = None,
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
) -> dict[str, Any]:
    """Score a classifier: its accuracy in total and for each class, and its confusions.

    Writes evaluation.json (the returned result), evaluation.csv (a row for each image), confusion.csv, confusion.png
    and report.md (the same as text). Each image is classified once, as in validation: its center, in the size of the
    training.

    Args:
        weights: weights to load: a folder that training made, such as RUN/weights/best, a shipped name, a hub id, or an
            .onnx file of `passband export`.
        data: folder with a sub-folder of images for each class, with the names of the weights' classes; some classes
            may be missing.
        output: folder for the report.
        images: images to score, which lie in `data`; None for all images of `data`.
        batch: number of images that the network gets at once.
        workers: number of processes that prepare images; 0 prepares them in this process.
        device: name of a device, see `models.pick_device`.
        provider: execution provider of ONNX Runtime for an exported file; None for the CPU.
        report: function that is called with the figures of each image, or with the `name` and `reason` of one that
            cannot be read, and with the number of images.

    Returns:
        The content of evaluation.json: `mean` (top1 and top5 as shares, top5 only with more than 5 classes, and loss,
        the mean cross-entropy in nats), `classes`, `confusions`, `images`, `failed`, and everything that decides them.

    Raises:
        CheckpointError: if the weights cannot be used, or are not a classifier's.
        FileNotFoundError: if there is no folder of classes.
        ValueError: if a folder is named like none of the weights' classes, or no image can be read.
        OSError: if the data cannot be read, or a file cannot be written.
    """
    data, output = data_folder(data), results_folder(output, (data,))
    classifier = Classifier(weights, device, provider)
    names = list(classifier.classes)
    images = find_classes(data, names) if images is None else images
    # before a gate counts its open channels, because the counts are part of its weights
    checksum = weights_checksum(classifier.model)

    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    predicted: list[int] = []
    truths: list[int] = []
    started = time.perf_counter()
    scored = classifier.score_files(images.paths, batch, workers)
    for truth, (path, scores) in zip(images.labels, scored, strict=True):
        name = printable(path.relative_to(data).as_posix())
        if isinstance(scores, str):
            failed.append({"name": name, "reason": scores})
            report(failed[-1], len(images))
            continue
        label = torch.tensor([truth])
        probabilities = scores.double().softmax(0)
        best = int(ranking(scores[None])[0, 0])
        predicted.append(best)
        truths.append(truth)
        rows.append(
            {
                "name": name,
                "true": names[truth],
                "predicted": names[best],
                "probability": probabilities[best].item(),
                "rank": rank_of(scores[None], label).item(),
                "loss": F.cross_entropy(scores.double()[None], label).item(),
            }
        )
        report(rows[-1], len(images))
    seconds = time.perf_counter() - started
    if not rows:
        raise ValueError(none_usable(data, [one["reason"] for one in failed]))

    confusion = confusion_matrix(torch.tensor(predicted), torch.tensor(truths), len(names))
    right = sum(row["rank"] == 0 for row in rows)
    mean = {"top1": right / len(rows)}
    if len(names) > TOP:
        mean["top5"] = sum(row["rank"] < TOP for row in rows) / len(rows)
    mean["loss"] = sum(row["loss"] for row in rows) / len(rows)
    result = {
        "task": "classification",
        "mean": mean,
        "top1_interval": wilson_interval(right, len(rows)),
        "classes": _per_class(confusion, names),
        "confusions": _confusions(confusion, names),
        "images": rows,
        "failed": failed,
        "weights": str(weights),
        "weights_sha256": checksum,
        "network": {"architecture": classifier.model.name, **classifier.model.arguments},  # type: ignore[dict-item]
        "preprocessing": classifier.preprocessing.to_config(),
        "data": str(data),
        "notes": _notes(confusion, names, failed),
        "device": str(classifier.device),
        "engine": getattr(classifier.model, "engine", "torch"),
        "precision": network_precision(classifier.model),
        "seconds": seconds,
        "images_per_second": len(rows) / seconds,
        "peak_memory_bytes": peak_memory(classifier.device),
        **environment(),
    }
    if classifier.preprocessing.input == "coefficients":  # Pillow does not decode these files
        result["jpeg_decoder"] = reader_library()
    write_classification_report(output, result, confusion, names)
    return result


def _per_class(confusion: torch.Tensor, names: list[str]) -> list[dict[str, Any]]:
    """Return a row for each class; accuracy is None for a class without images."""
    shares = class_accuracy(confusion).tolist()
    others = confusion - torch.diag(confusion.diagonal())
    return [
        {
            "name": name,
            "count": int(confusion[number].sum()),
            "accuracy": None if confusion[number].sum() == 0 else shares[number],
            "taken_for": names[int(others[number].argmax())] if others[number].any() else None,
        }
        for number, name in enumerate(names)
    ]


def _confusions(confusion: torch.Tensor, names: list[str]) -> list[dict[str, Any]]:
    """Return the most frequent confusions of classes."""
    others = (confusion - torch.diag(confusion.diagonal())).flatten()
    order = others.argsort(descending=True, stable=True)[:CONFUSIONS].tolist()
    return [
        {"true": names[place // len(names)], "taken_for": names[place % len(names)], "count": int(others[place])}
        for place in order
        if others[place]
    ]


def _notes(confusion: torch.Tensor, names: list[str], failed: list[dict[str, Any]]) -> list[str]:
    """Return notes for the reader of the figures."""
    notes = []
    if failed:
        notes.append(
            f"{counted(len(failed), 'file')} could not be read and did not count; the first: {failed[0]['reason']}"
        )
    absent = [name for name, count in zip(names, confusion.sum(1).tolist(), strict=True) if not count]
    if absent:
        notes.append(f"{len(absent)} of {len(names)} classes have no images here: {listed(absent, 5)}.")
    return notes
