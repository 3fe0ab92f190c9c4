"""Scores a detector on images with instances, and writes a report."""

import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from passband.data.coco import CocoImage, CocoImages, find_coco
from passband.data.datasets.detection import DetectionValidationSet
from passband.data.selection import evenly
from passband.drawing.comparison import comparison_rows
from passband.evaluation.detection_report import PUBLISHED, write_detection_report
from passband.inference.detector import InstanceFinder
from passband.io.failures import failure, none_usable
from passband.io.files import results_folder
from passband.io.image import write_image
from passband.io.paths import fitted_name
from passband.io.shards import data_folder
from passband.metrics.instance_scores import CocoScores, instances_json, paper_columns
from passband.naming import counted, entry, listed, printable
from passband.processes import worker_context
from passband.provenance import environment, network_precision, peak_memory, weights_checksum
from passband.tasks.instances import INSTANCE_CAPTIONS, Instances, beside_truth, cube_form

COCO_PROTOCOL = (
    "COCO: AP over the overlaps .50 to .95 and 101 recalls, at most 100 instances in an image, crowds not counted"
)
OVERLAYS = 12
"""Number of images that are drawn, spread evenly."""
OVERLAY_HEIGHT = 720
"""Largest height of drawn images, in pixels."""

VAL2017 = 5000, 80
"""Numbers of images and categories in the part of COCO that published figures are measured on."""


def evaluate_detector(
    weights: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    benchmark: str | None = None,
    images: CocoImages | None = None,
    score: float = 0.5,
    workers: int = 0,
    device: str = "auto",
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
) -> dict[str, Any]:
    """Score a detector: COCO's twelve figures of boxes and of masks, and AP of each category.

    Writes evaluation.json (the returned result), evaluation.csv (a row for each image), categories.csv, instances.json
    (all predictions in COCO's result format), overlays/*.png (true | predicted instances) and report.md.

    Args:
        weights: weights to load: a folder that training made, such as RUN/weights/best, or a hub id.
        data: folder or file of annotations in COCO's format, see `data.coco.find_coco`, with the names of the weights'
            categories.
        output: folder for the report.
        benchmark: name of a benchmark, a key of `evaluation.detection_report.PUBLISHED`, whose published figures stand
            beside the measured ones; None for none.
        images: images to score; None for all images of `data`.
        score: smallest score of an instance that is drawn and counted in evaluation.csv; AP counts all instances.
        workers: number of processes that read images; 0 reads them in this process.
        device: name of a device, see `models.pick_device`.
        report: function that is called with the row of each image, or with the `name` and `reason` of one that cannot
            be read, and with the number of images.

    Returns:
        The content of evaluation.json: `figures` (shares in [0, 1] for `box` and, with masks, `mask`; -1 if there is
        nothing to find), `columns` (columns of papers, in percent), `categories`, `images`, `failed`, and everything
        that decides them.

    Raises:
        CheckpointError: if the weights cannot be used, or are not a detector's.
        FileNotFoundError: if there are no annotations, or an image is missing.
        CocoError: if the annotations cannot be used, or have a category that the weights do not know.
        ValueError: if the score is out of range, the benchmark is unknown, or no image can be read.
        ImportError: if the package faster-coco-eval is not installed.
        OSError: if the data cannot be read, or a file cannot be written.
    """
    data, output = data_folder(data), results_folder(output, (data,))
    if not 0 <= score <= 1:
        raise ValueError(f"score is the smallest score of an instance that is shown, 0 to 1; got {score}")
    published = None if benchmark is None else entry(benchmark, PUBLISHED, "benchmark of detection")
    finder = InstanceFinder(weights, device)
    model = finder.model
    images = find_coco(data, masks=model.masks, classes=finder.classes) if images is None else images
    scores = CocoScores(images.ground_truth(), images.category_ids, masks=model.masks)

    count = len(images)
    drawn = set(evenly(range(count), OVERLAYS))
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    spent = 0.0
    started = time.perf_counter()
    loader = DataLoader(
        DetectionValidationSet(images, cubes=cube_form(model)),
        None,
        num_workers=workers,
        collate_fn=_as_it_is,
        multiprocessing_context=worker_context(workers),
    )
    for place, (image, sample) in enumerate(zip(images, loader, strict=True)):
        before = time.perf_counter()
        problem, predicted = sample["problem"], None
        if not problem:
            try:
                predicted = finder.find_prepared(sample["image"], sample["size"])
            except Exception as error:  # any kind: an image may be larger than the memory
                problem = failure(error, image.path)
        if predicted is None:
            failed.append({"name": printable(image.path.name), "reason": problem})
            report(failed[-1], count)
            continue
        spent += time.perf_counter() - before
        scores.add(image.number, predicted.boxes, predicted.scores, predicted.labels, predicted.masks)
        file = None
        if place in drawn:
            file = f"overlays/{_overlay_name(image)}"
            drawn_pair = beside_truth(images, image.number, predicted, score, OVERLAY_HEIGHT)
            write_image(output / file, comparison_rows([drawn_pair], [INSTANCE_CAPTIONS]))
        rows.append(_row(image, predicted, score, time.perf_counter() - before, file))
        report(rows[-1], count)
    seconds = time.perf_counter() - started
    if not rows:
        raise ValueError(none_usable(data, [one["reason"] for one in failed]))

    figures = scores.figures()
    result = {
        "task": "detection",
        "figures": figures,
        "columns": paper_columns(figures),
        "categories": _categories(images, scores),
        "images": rows,
        "failed": failed,
        "benchmark": benchmark,
        "published": published or [],
        "protocol": COCO_PROTOCOL,
        "scored_by": f"faster-coco-eval {version('faster-coco-eval')}",
        "score": score,
        "weights": str(weights),
        "weights_sha256": weights_checksum(model),
        "network": {"architecture": model.name, **_chosen(model.arguments)},
        "data": str(data),
        "annotations": str(images.source),
        "notes": [*_not_compared(images, benchmark), *_notes(images, failed)],
        "device": str(finder.device),
        "precision": network_precision(model),
        "seconds": seconds,
        "network_seconds": spent,
        "images_per_second": len(rows) / seconds,
        "peak_memory_bytes": peak_memory(finder.device),
        **environment(),
    }
    instances_json(output / "instances.json", scores.results)
    write_detection_report(output, result)
    return result


def _overlay_name(image: CocoImage) -> str:
    """Return the name of the drawing of an image. Images of several folders may have one name, but not one number."""
    return fitted_name(f"{image.path.stem}-{image.number}", ".png")


def _as_it_is(sample: Any) -> Any:
    """Return a sample, whose image keeps its size."""
    return sample


def _row(image: CocoImage, predicted: Instances, score: float, seconds: float, file: str | None) -> dict[str, Any]:
    """Return the row of an image; AP exists for all images together only."""
    return {
        "name": printable(image.path.name),
        "image_id": image.number,
        "height": image.height,
        "width": image.width,
        "instances": sum(not one.is_crowd for one in image.instances),
        "found": len(predicted.above(score)),
        "best_score": predicted.scores[0].item() if len(predicted) else None,
        "seconds": seconds,
        "file": file,
    }


def _chosen(numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a network that are not None."""
    return {name: value for name, value in numbers.items() if value is not None}


def _categories(images: CocoImages, scores: CocoScores) -> list[dict[str, Any]]:
    """Return a row for each category of the annotations; AP is None if there is nothing to find."""
    counts = Counter(one.category for image in images for one in image.instances if not one.is_crowd)
    figures = scores.category_figures()
    return [
        {
            "name": name,
            "id": number,
            "instances": counts[number],
            **{f"{kind}_AP": None if values.get(name, -1.0) < 0 else values[name] for kind, values in figures.items()},
        }
        for number, name in images.categories.items()
    ]


def _not_compared(images: CocoImages, benchmark: str | None) -> list[str]:
    """Return a note about images that are not those of the benchmark, COCO's val2017."""
    if benchmark is None or (len(images), len(images.categories)) == VAL2017:
        return []
    return [
        f"These scores cannot be compared with {benchmark}: its val2017 has {VAL2017[0]} images and {VAL2017[1]} "
        f"categories, and these data have {len(images)} and {len(images.categories)}."
    ]


def _notes(images: CocoImages, failed: list[dict[str, Any]]) -> list[str]:
    """Return notes for the reader of the figures."""
    notes = [*images.notes]
    if failed:
        notes.append(
            f"{counted(len(failed), 'file')} could not be read and counted as empty; the first: {failed[0]['reason']}"
        )
    if missing := [name for name in images.classes if name not in images.categories.values()]:
        count = f"{len(missing)} of {len(images.classes)}"
        notes.append(f"{count} categories are not in these annotations: {listed(missing, 5)}.")
    return notes
