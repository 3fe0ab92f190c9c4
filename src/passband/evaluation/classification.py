"""Scoring a classifier on a folder of classes, with a report that says how."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from passband.data.datasets.classification import find_classes
from passband.evaluation.classification_report import write_classification_report
from passband.inference.classifier import Classifier
from passband.io.jpeg import reader_library
from passband.metrics.class_scores import class_accuracy, confusion_matrix, rank_of, ranking, wilson_interval
from passband.naming import printable
from passband.provenance import environment, peak_memory, weights_checksum
from passband.tasks.classification import TOP


def evaluate_classifier(
    weights: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    batch: int = 32,
    workers: int = 0,
    device: str = "auto",
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
) -> dict[str, Any]:
    """Score a classifier: how often it is right, in all and for each class, and who is taken for whom.

    Writes evaluation.json (what is returned), evaluation.csv (a row per picture), confusion.csv, confusion.png and
    report.md (the same to be read). Each picture is seen once, as in validation: the center at the size that the
    weights were trained for.

    Args:
        weights: a folder that training made, such as RUN/weights/best, a shipped name, or a hub id.
        data: a folder with a sub-folder of pictures for each class, called as the weights' classes; not all of them
            need be there.
        output: a folder for the report.
        batch: pictures scored at once.
        workers: processes that prepare them; 0 prepares them here.
        device: see `models.pick_device`.
        report: called with each picture's figures, or with the `name` and `reason` of one that cannot be read, and
            the number of pictures.

    Returns:
        What evaluation.json holds: `mean` (top1 and top5 as shares, top5 where there are more than 5 classes, and
        loss, the mean cross-entropy in nats), `classes`, `confusions`, `images`, `failed`, and all that decides them.

    Raises:
        CheckpointError: for weights that cannot be used, or that are of no classifier.
        FileNotFoundError: where there is no folder of classes.
        ValueError: for a folder of a class that the weights do not know, naming the nearest, or where no picture can
            be read.
    """
    data, output = Path(data), Path(output)
    classifier = Classifier(weights, device)
    names = list(classifier.classes)
    pictures = find_classes(data, names)
    checksum = weights_checksum(classifier.model)  # before a gate counts what it opens, which is part of its weights

    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    predicted: list[int] = []
    truths: list[int] = []
    started = time.perf_counter()
    scored = classifier.score_files(pictures.paths, batch, workers)
    for truth, (path, scores) in zip(pictures.labels, scored, strict=True):
        name = printable(path.relative_to(data).as_posix())
        if isinstance(scores, str):
            failed.append({"name": name, "reason": scores})
            report(failed[-1], len(pictures))
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
        report(rows[-1], len(pictures))
    seconds = time.perf_counter() - started
    if not rows:
        raise ValueError(f"{data} holds no picture that can be read; the first of {len(failed)}: {failed[0]['reason']}")

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
        "precision": str(next(classifier.model.parameters()).dtype).removeprefix("torch."),
        "seconds": seconds,
        "images_per_second": len(rows) / seconds,
        "peak_memory_bytes": peak_memory(classifier.device),
        **environment(),
    }
    if classifier.preprocessing.input == "coefficients":  # which Pillow does not decode
        result["jpeg_decoder"] = reader_library()
    write_classification_report(output, result, confusion, names)
    return result


def _per_class(confusion: torch.Tensor, names: list[str]) -> list[dict[str, Any]]:
    """A row per class; accuracy is None for one without pictures."""
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


def _confusions(confusion: torch.Tensor, names: list[str], most: int = 20) -> list[dict[str, Any]]:
    """Which classes were most often taken for which others."""
    others = (confusion - torch.diag(confusion.diagonal())).flatten()
    order = others.argsort(descending=True, stable=True)[:most].tolist()
    return [
        {"true": names[place // len(names)], "taken_for": names[place % len(names)], "count": int(others[place])}
        for place in order
        if others[place]
    ]


def _notes(confusion: torch.Tensor, names: list[str], failed: list[dict[str, Any]]) -> list[str]:
    """What a reader of the figures must know."""
    notes = []
    if failed:
        notes.append(f"{len(failed)} files could not be read and are not counted; the first: {failed[0]['reason']}")
    absent = [name for name, count in zip(names, confusion.sum(1).tolist(), strict=True) if not count]
    if absent:
        listed = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        notes.append(f"{len(absent)} of {len(names)} classes have no pictures here: {listed}.")
    return notes
