"""Writes sets of pasted objects for detection, segmentation and classification."""

import json
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passband.data.pasting.scenes import PARTS, ObjectSource, PasteSettings, paste_scene
from passband.io.files import new_folder, write_whole
from passband.io.image import write_image
from passband.io.rle import encode_mask, mask_functions
from passband.naming import entry, package_version

SET_FILE = "pasting.json"
"""Name of the file that describes how a set was made."""
ANNOTATIONS = "instances.json"
"""Name of the annotation file of each part."""
MOST_MASK_CLASSES = 255
"""Largest number of classes of a set of masks, whose pixels are bytes."""
CHUNK = 16
"""Number of images that a process makes at a time."""

Report = Callable[[int, int], None]
"""A function that is called after each image with the numbers of written images and of all images."""
Writer = Callable[[str, int, Sequence[int]], list[dict[str, Any]]]
"""A function that writes an image, given its part, its number and the classes of its objects."""


@dataclass(frozen=True)
class SetPlan:
    """Size and seed of a set.

    Attributes:
        counts: number of images of each part, in the order of `PARTS`.
        settings: random choices for each image.
        seed: seed of the set. An image depends on the seed, its part and its number alone, so a larger set begins with
            the images of a smaller one.
        quality: smallest and largest quality of the JPEG files, 1 to 100. They keep color at half the size, as most
            JPEG files do.

    Raises:
        ValueError: if a part has no images, or the quality is out of its range.
    """

    counts: tuple[int, int] = (2000, 400)
    settings: PasteSettings = field(default_factory=PasteSettings)
    seed: int = 0
    quality: tuple[int, int] = (75, 89)

    def __post_init__(self):
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise ValueError(
                f"quality must be the smallest and the largest quality of JPEG files, from 1 to 100; got {self.quality}"
            )
        if min(self.counts) < 1:
            raise ValueError(
                f"a set needs at least one image to train on and one for validation; got {self.counts[0]} and "
                f"{self.counts[1]}"
            )


def no_report(done: int, total: int) -> None:
    """Report nothing.

    Args:
        done: number of finished images.
        total: number of all images.
    """


def paste_set(
    task: str, source: ObjectSource, output: Path, plan: SetPlan, *, workers: int = 0, report: Report = no_report
) -> int:
    """Write a set of images with pasted objects for a task.

    For detection, each part has PART/images/NUMBER.jpg and PART/instances.json in COCO's format. Masks cover the
    visible pixels of an object, as run-length codes. For segmentation, each part has PART/images/NUMBER.jpg and
    PART/masks/NUMBER.png. A mask holds the class of each pixel, from 1 in the order of `source.classes`; 0 is the
    background. For classification, each part has PART/CLASS/NUMBER.jpg, with one object of the class in each image.

    If this fails or is interrupted, it removes the set, because a part of a set looks like a set.

    Args:
        task: task of the set, a key of `SETS`.
        source: source of objects and backgrounds.
        output: new or empty folder.
        plan: size and seed of the set. For classification, `plan.settings.count` must be (1, 1).
        workers: number of processes that make images; 0 makes them in this process. They do not change the set.
        report: function that is called after each image.

    Returns:
        The number of objects in all images.

    Raises:
        ValueError: if the task is unknown, a part would have fewer objects than classes, there are more than 255
            classes of masks, or images for classification would show several objects or none.
        FileExistsError: if the folder holds files.
        ImageError: if a cut-out or a photograph cannot be used; the message names it.
        ImportError: if the package faster-coco-eval, which encodes the masks of detection, is not installed.
    """
    check, write = entry(task, SETS, "task of a set")
    check(source, plan)
    images: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    annotations: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    height, width = plan.settings.size
    labels = plan_labels(len(source.classes), plan)
    writer = partial(write, source, output, plan)
    with new_folder(output), closing(_written(source, output, plan, task, labels, writer, workers, report)) as written:
        for part, number, objects in written:
            images[part].append({"id": number + 1, "file_name": _name(number), "height": height, "width": width})
            for one in objects:
                annotations[part].append({"id": len(annotations[part]) + 1, "image_id": number + 1, **one})
        if task == "detection":
            categories = [{"id": place + 1, "name": name} for place, name in enumerate(source.classes)]
            for part in PARTS:
                content = {"images": images[part], "annotations": annotations[part], "categories": categories}
                _write_json(output / part / ANNOTATIONS, content)
    return sum(map(len, annotations.values()))


def plan_labels(classes: int, plan: SetPlan) -> dict[str, list[list[int]]]:
    """Choose the classes of the objects of each image, so that all classes are equally frequent.

    Args:
        classes: number of classes.
        plan: size and seed of the set.

    Returns:
        The classes of the objects, from 0, for each image of each part.

    Raises:
        ValueError: if a part would have fewer objects than classes.
    """
    labels: dict[str, list[list[int]]] = {}
    for place, (part, images) in enumerate(zip(PARTS, plan.counts, strict=True)):
        rng = np.random.default_rng([plan.seed, place])
        counts = [int(rng.integers(plan.settings.count[0], plan.settings.count[1] + 1)) for _ in range(images)]
        total = sum(counts)
        if total < classes:
            raise ValueError(
                f"each of the {classes} classes needs an object in each part, but the {images} images of the part "
                f"{part} have {total} objects: make more images, or put more objects into each, or use fewer classes"
            )
        rng = np.random.default_rng([plan.seed, place, 1])
        rounds = [int(label) for _ in range(-(-total // classes)) for label in rng.permutation(classes)]
        ends = np.cumsum(counts).tolist()
        labels[part] = [rounds[end - count : end] for end, count in zip(ends, counts, strict=True)]
    return labels


def _written(
    source: ObjectSource,
    output: Path,
    plan: SetPlan,
    task: str,
    labels: dict[str, list[list[int]]],
    write: Writer,
    workers: int,
    report: Report,
) -> Generator[tuple[str, int, list[dict[str, Any]]]]:
    """Write all images of a set, and yield the part, the number and the objects of each, in order."""
    jobs = [(part, number) for part in PARTS for number in range(len(labels[part]))]
    parts, numbers = zip(*jobs, strict=True)
    chosen = [labels[part][number] for part, number in jobs]
    about = {"task": task, "classes": list(source.classes), "passband": package_version(), **asdict(plan)}
    _write_json(output / SET_FILE, about)
    pool = ProcessPoolExecutor(workers, get_context("spawn")) if workers else None
    try:
        run = (
            map(write, parts, numbers, chosen)
            if pool is None
            else pool.map(write, parts, numbers, chosen, chunksize=CHUNK)
        )
        for done, ((part, number), objects) in enumerate(zip(jobs, run, strict=True), 1):
            report(done, len(jobs))
            yield part, number, objects
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _write_instances(
    source: ObjectSource, output: Path, plan: SetPlan, part: str, number: int, labels: Sequence[int]
) -> list[dict[str, Any]]:
    """Write an image of a detection set, and return the annotations of its objects without their ids."""
    rng = _generator(plan, part, number)
    scene = paste_scene(source, labels, part, plan.settings, rng)
    write_image(output / part / "images" / _name(number), scene.image, quality=_quality(rng, plan))
    return [
        {
            "category_id": one.label + 1,
            "bbox": list(one.box),
            "area": int(one.mask.sum()),
            "iscrowd": 0,
            "segmentation": encode_mask(one.mask),
        }
        for one in scene.objects
    ]


def _write_mask(
    source: ObjectSource, output: Path, plan: SetPlan, part: str, number: int, labels: Sequence[int]
) -> list[dict[str, Any]]:
    """Write an image of a mask set with its mask, and return the classes of its objects."""
    rng = _generator(plan, part, number)
    scene = paste_scene(source, labels, part, plan.settings, rng)
    write_image(output / part / "images" / _name(number), scene.image, quality=_quality(rng, plan))
    with write_whole(output / part / "masks" / _name(number, ".png")) as temporary:
        Image.fromarray(scene.labels().numpy().astype(np.uint8)).save(temporary, format="PNG")
    return [{"category_id": one.label + 1} for one in scene.objects]


def _write_labeled(
    source: ObjectSource, output: Path, plan: SetPlan, part: str, number: int, labels: Sequence[int]
) -> list[dict[str, Any]]:
    """Write an image into the folder of its class, and return the class of its object."""
    rng = _generator(plan, part, number)
    scene = paste_scene(source, labels, part, plan.settings, rng)
    if not scene.objects:
        raise ValueError(
            f"each image must show an object of its class, but an object of {source.classes[labels[0]]} found no place "
            f"in {plan.settings.size[0]} x {plan.settings.size[1]} pixels: make larger images, or raise the scale"
        )
    path = output / part / source.classes[labels[0]] / _name(number)
    write_image(path, scene.image, quality=_quality(rng, plan))
    return [{"category_id": one.label + 1} for one in scene.objects]


def _check_detection(source: ObjectSource, plan: SetPlan) -> None:
    mask_functions()  # a missing package is reported before any file is written


def _check_masks(source: ObjectSource, plan: SetPlan) -> None:
    if len(source.classes) > MOST_MASK_CLASSES:
        raise ValueError(
            f"a mask of 8 bits has room for {MOST_MASK_CLASSES} classes and the background; got "
            f"{len(source.classes)}: use fewer classes, or make a set for detection"
        )


def _check_classes(source: ObjectSource, plan: SetPlan) -> None:
    if plan.settings.count != (1, 1):
        raise ValueError(
            f"an image has one class, so each image needs exactly one object; got {plan.settings.count[0]} to "
            f"{plan.settings.count[1]}: set count to 1 1"
        )


SETS: dict[str, tuple[Callable[[ObjectSource, SetPlan], None], Callable[..., list[dict[str, Any]]]]] = {
    "detection": (_check_detection, _write_instances),
    "segmentation": (_check_masks, _write_mask),
    "classification": (_check_classes, _write_labeled),
}
"""Function that checks the source and the plan of a set, and function that writes an image, by task."""


def _generator(plan: SetPlan, part: str, number: int) -> np.random.Generator:
    return np.random.default_rng([plan.seed, PARTS.index(part), number, 2])


def _quality(rng: np.random.Generator, plan: SetPlan) -> int:
    return int(rng.integers(plan.quality[0], plan.quality[1] + 1))


def _name(number: int, suffix: str = ".jpg") -> str:
    return f"{number:06d}{suffix}"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
