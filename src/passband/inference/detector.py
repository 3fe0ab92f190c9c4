"""Finds instances in images, in memory or in files, and writes them in COCO's format."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.cubes.native_size import read_native_cube
from passband.drawing.instances import draw_instances
from passband.inference.files.instances import INSTANCES_FILE, InstancesFile
from passband.inference.files.pieces import Executor, Piece, in_this_process
from passband.inference.rebuilding import Rebuilt
from passband.io.conversion import AnyImage, as_tensor
from passband.io.failures import failure
from passband.io.files import before_rename, results_folder
from passband.io.image import read_image, write_image
from passband.io.paths import fitted_name
from passband.io.records import OutputSettings, Records, foreign_file_message, signature
from passband.io.rle import mask_area
from passband.metrics.instance_scores import coco_results
from passband.models import FrequencyRCNN, load_with_config, pick_device
from passband.models.class_names import class_names
from passband.naming import described, listed
from passband.provenance import weights_checksum
from passband.state_dicts import CheckpointError
from passband.tasks.instances import Instances, cube_form, find_instances


@dataclass(frozen=True)
class FoundIn:
    """The result for one file."""

    source: Path
    instances: Instances | None = None
    """The instances; None if the file failed."""
    error: str | None = None
    """The reason why the file failed."""
    overlay: Path | None = None
    """The image with its instances, if one was written."""


class InstanceFinder(Rebuilt):
    """Finds instances with one network, which gets images as its weights say.

    Args:
        weights: weights to load: a folder that training made, such as RUN/weights/best, or a hub id.
        device: name of a device, see `models.pick_device`.

    Attributes:
        model: the network, on its device and ready for evaluation.
        classes: names of the labels, beginning with label 1.
        category_ids: number of each label in the annotations that the network learned from.

    Raises:
        CheckpointError: if the weights cannot be used, or are not a detector's.
        ValueError: if this machine does not have the device.
    """

    def __init__(self, weights: str | Path, device: str = "auto"):
        self.device = pick_device(device)
        model, config = load_with_config(weights, task="detection")
        if not isinstance(model, FrequencyRCNN):  # the only network of this task
            raise TypeError(f"{type(model).__name__} is for detection, but finds no instances as FrequencyRCNN does")
        self.weights, self._device_name = str(weights), device
        self.classes = class_names(config, [str(number + 1) for number in range(model.classes)], weights)
        stored = config.get("preprocessing")
        numbers = stored.get("category_ids") if isinstance(stored, dict) else None
        self.category_ids = tuple(int(number) for number in numbers or range(1, model.classes + 1))
        if len(self.category_ids) != model.classes:
            raise CheckpointError(
                f"{weights} tells {model.classes} categories apart, but its config.json numbers "
                f"{len(self.category_ids)} (preprocessing.category_ids)"
            )
        self.model = model.to(self.device, torch.float32)

    def __repr__(self) -> str:
        return described(self, self.weights, {"classes": f"[{listed(self.classes, 6)}]", "device": self.device})

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"weights": self.weights, "device": self._device_name}

    def __call__(self, image: AnyImage, score: float = 0.5) -> Instances:
        """Find the instances in an image.

        Args:
            image: a path, the bytes of an image file, a PIL image, an array H W or H W 3 of uint8, uint16 or float in
                [0, 1], or a tensor 3 H W in [0, 1]. A network of coefficients takes files only, as paths or bytes.
            score: smallest score of an instance, in [0, 1].

        Returns:
            The instances, in falling order of their scores.

        Raises:
            ImageError, JpegError: if the file is not an image.
            OSError: if the file cannot be read.
            ValueError: if the score is out of range, a tensor or array has another shape, or pixels are given to a
                network of coefficients.
        """
        _check_score(score)
        if isinstance(image, str | PathLike | bytes):
            return self.find_in(image if isinstance(image, bytes) else Path(image)).above(score)
        return self.find(as_tensor(image)).above(score)

    def find(self, image: Float[Tensor, "3 H W"]) -> Instances:
        """Find the instances in the pixels of an image, whatever their scores.

        Args:
            image: RGB in [0, 1].

        Raises:
            ValueError: if the network takes coefficients.
        """
        return self.find_prepared(image, (image.shape[-2], image.shape[-1]))

    def find_in(self, source: Path | bytes) -> Instances:
        """Find the instances in a file by its pixels or its coefficients, whichever the network takes.

        Args:
            source: path of the image, or the content of its file.

        Raises:
            ImageError: if the file is damaged or not an image.
            OSError: if the file cannot be read.
        """
        form = cube_form(self.model)
        if form is None:
            return self.find(read_image(source))
        cube = read_native_cube(source, form)
        return self.find_prepared(cube.values, (cube.height, cube.width))

    def find_prepared(self, image: Float[Tensor, "C h w"], size: tuple[int, int]) -> Instances:
        """Find the instances in an image or a cube, whichever the network takes.

        Args:
            image: the image or the cube, on any device.
            size: height and width of the image, in pixels.
        """
        return find_instances(self.model, [image.to(self.device)], [size])[0]

    def overlay(self, image: Float[Tensor, "3 H W"], instances: Instances) -> Float[Tensor, "3 H W"]:
        """Draw the masks, boxes, names and scores of instances over an image.

        Args:
            image: RGB in [0, 1].
            instances: instances in the image.

        Returns:
            RGB in [0, 1], of the size of the image.
        """
        return draw_instances(image, instances.boxes, instances.titles(self.classes), instances.masks)

    def find_in_files(
        self,
        paths: Sequence[Path],
        output: Path,
        *,
        score: float = 0.5,
        overlay: bool = False,
        overwrite: bool = True,
        records: Records | None = None,
        executor: Executor = in_this_process,
    ) -> Generator[FoundIn, None, None]:
        """Find instances in files; a bad file does not stop the others.

        Writes instances.json at the end, also if the work ends early: `images`, `annotations` and `categories` in
        COCO's format, and a score in each annotation. Overlays are recorded in `.passband.jsonl` in their folder, so
        that the next run does not take them for sources.

        Args:
            paths: paths of the images.
            output: folder to write to, which is made if it does not exist.
            score: smallest score of an instance, in [0, 1].
            overlay: whether overlays/NAME.png is written for each image.
            overwrite: whether overlays of other programs are replaced.
            records: records of the folders that are written to; None for new ones.
            executor: executor that keeps the order: this process, or processes of the room `scale`.

        Yields:
            The result for each file, in their order; that of a bad file holds the reason.

        Raises:
            ValueError: if the score is out of range.
            OSError: if `output` cannot be written.
        """
        _check_score(score)
        output = results_folder(output)
        finding = _Finding(self, score, overlay, overwrite, records or Records())
        instances_file = InstancesFile(self.category_ids, self.classes)
        drawn = [output / "overlays" / name for name in _overlay_names(paths)] if overlay else [None] * len(paths)
        pieces = map(_FinderPiece, count(1), paths, drawn)
        try:
            for result in executor(finding.do, pieces):
                answer = None if result.instances is None else self.coco_answer(result.instances)
                instances_file.add(str(result.source), answer)
                yield result
        finally:  # also after an interruption, with the images that are done
            instances_file.write(output / INSTANCES_FILE)

    def coco_answer(self, instances: Instances) -> dict[str, Any]:
        """Return the size of an image and its annotations in COCO's format, without the numbers that a file gives.

        Args:
            instances: instances in the image.

        Returns:
            `height` and `width` in pixels, and `annotations` with boxes (x, y, width, height) and areas in pixels.
        """
        ids = dict(enumerate(self.category_ids, 1))
        annotations = []
        for result in coco_results(0, instances.boxes, instances.scores, instances.labels, ids, instances.masks):
            _, _, width, height = result["bbox"]
            mask = result.get("segmentation")
            area = width * height if mask is None else float(mask_area(mask))
            annotations.append({**result, "area": area, "iscrowd": 0})
        height, width = instances.size
        return {"height": height, "width": width, "annotations": annotations}


@dataclass(frozen=True)
class FindWork:
    """The work on one file, for engines that keep answers as JSON.

    Args:
        finder: the finder.
        score: smallest score of an instance, in [0, 1].
    """

    finder: InstanceFinder
    score: float

    @property
    def making(self) -> OutputSettings:
        """Everything that decides the instances, apart from the image."""
        return OutputSettings("segment", weights_checksum(self.finder.model), {"score": self.score})

    def ask(self, path: Path, drawing: Path | None = None) -> dict[str, Any]:
        """Return the instances in an image, as `InstanceFinder.coco_answer` does.

        Args:
            path: path of the image.
            drawing: path of the image with its instances to write, or None.
        """
        instances = self.finder(path, self.score)
        if drawing is not None:
            write_image(drawing, self.finder.overlay(read_image(path), instances))
        return self.finder.coco_answer(instances)


@dataclass(frozen=True)
class _FinderPiece(Piece):
    """An image in which instances shall be found."""

    number: int
    source: Path
    drawn: Path | None
    """The path of the overlay, or None if it gets none."""

    @property
    def path(self) -> Path:
        """The path of the image."""
        return self.source

    def failed(self, reason: str) -> FoundIn:
        """Return the result if the image failed for a reason."""
        return FoundIn(self.source, error=reason)


@dataclass(frozen=True)
class _Finding:
    """The work on each file; the arguments of `InstanceFinder.find_in_files`."""

    finder: InstanceFinder
    score: float
    overlay: bool
    overwrite: bool
    records: Records

    @cached_property
    def making(self) -> OutputSettings:
        """The settings of an overlay."""
        return FindWork(self.finder, self.score).making

    def do(self, piece: _FinderPiece) -> FoundIn:
        """Find the instances in a file, or return the reason why it failed."""
        path, drawn = piece.source, piece.drawn
        try:
            if drawn is not None and not self.overwrite and drawn.exists() and self.records.entry(drawn) is None:
                raise FileExistsError(foreign_file_message(drawn))
            seen = signature(path)
            instances = self.finder(path, self.score)
            _ = instances.masks  # computed here, and kept for the annotations
            if drawn is not None:
                with before_rename(lambda _, content: self.records.add(drawn, path, seen, self.making, content)):
                    write_image(drawn, self.finder.overlay(read_image(path), instances))
        except Exception as error:  # any kind: a bad file may break its reader in any way
            return piece.failed(failure(error, path, *([] if drawn is None else [drawn])))
        return FoundIn(path, instances, overlay=drawn)


def _overlay_names(paths: Sequence[Path]) -> list[str]:
    """Return a file name for each path: its own stem, with a number if an earlier path has the same."""
    names: dict[str, None] = {}  # keeps the order, and finds names fast
    for path in paths:
        candidates = (fitted_name(path.stem, f"-{number}.png" if number > 1 else ".png") for number in count(1))
        names[next(name for name in candidates if name not in names)] = None
    return list(names)


def _check_score(score: float) -> None:
    """Refuse a score out of range.

    Raises:
        ValueError: if it is.
    """
    if not 0 <= score <= 1:
        raise ValueError(f"score is the smallest score of an instance that is shown, 0 to 1; got {score}")
