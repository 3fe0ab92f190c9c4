"""Finding instances in pictures, in memory or file by file, and writing them as COCO's files have them."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.data.cubes.fixed_size import read_pixels
from passband.drawing.instances import draw_instances
from passband.io.conversion import AnyPicture, as_tensor
from passband.io.files import failure, fitted_name, write_whole
from passband.io.image import write_image
from passband.io.records import Making, Records, signature, stranger
from passband.io.rle import mask_area
from passband.metrics.instance_scores import coco_results
from passband.naming import described, listed
from passband.provenance import weights_checksum
from passband.tasks.detector import Instances, load_detector

INSTANCES_FILE = "instances.json"


@dataclass(frozen=True)
class FoundIn:
    """What became of a file."""

    source: Path
    instances: Instances | None = None
    """None where it failed."""
    error: str | None = None
    """Why it failed."""
    overlay: Path | None = None
    """The picture with its instances, where one was written."""


class InstanceFinder:
    """Finds instances with one network, as its weights say.

    Args:
        weights: a folder that training made, such as RUN/weights/best, or a hub id.
        device: see `models.pick_device`.

    Attributes:
        classes: names, the first of which is that of label 1.

    Raises:
        CheckpointError: for weights that cannot be used, or that are of no detector.
        ValueError: for a device that is not here.
    """

    def __init__(self, weights: str | Path, device: str = "auto"):
        self.trained = load_detector(weights, device)
        self.weights = str(weights)
        self.classes = self.trained.classes
        self.device = self.trained.device

    def __repr__(self) -> str:
        return described(self, self.weights, {"classes": f"[{listed(self.classes, 6)}]", "device": self.device})

    def __call__(self, picture: AnyPicture, score: float = 0.5) -> Instances:
        """The instances in a picture, the surest first.

        Args:
            picture: a path (of whose JPEG file a network of coefficients reads these), a PIL picture, an array H W
                or H W 3 of uint8, uint16 or float in [0, 1], or a tensor 3 H W in [0, 1].
            score: the least of an instance, in [0, 1].

        Raises:
            ImageError, JpegError: for a file that is not a picture.
            OSError: for one that cannot be read.
            ValueError: for a score out of range, a tensor or array of another shape, or pixels where the network takes
                cubes.
        """
        _check_score(score)
        if isinstance(picture, str | Path):
            return self.trained.find_in(Path(picture)).above(score)
        return self.trained.find(as_tensor(picture)).above(score)

    def overlay(self, image: Float[Tensor, "3 H W"], instances: Instances) -> Float[Tensor, "3 H W"]:
        """The picture with masks, boxes, names and scores.

        Args:
            image: RGB in [0, 1].
            instances: found in it.
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
    ) -> Generator[FoundIn, None, None]:
        """Find instances in files; whatever is wrong with one, the others are done.

        Writes instances.json when all are done, or when the work ends before: `images`, `annotations` and `categories`
        as COCO's files have them, the annotations with scores. With `overlay`, also pictures with their instances,
        which are recorded in `.passband.jsonl` in their folder, so that they are no sources of the next run.

        Args:
            paths: of the pictures.
            output: the folder to write to, made where it does not exist.
            score: the least of an instance, in [0, 1].
            overlay: write overlays/NAME.png for each picture.
            overwrite: replace overlays that passband did not write.
            records: of the folders that are written to.

        Yields:
            What was found in each file, in their order; a failed one carries the reason.

        Raises:
            ValueError: for a score out of range.
            OSError: where `output` cannot be written.
        """
        _check_score(score)
        records = records or Records()
        making = Making("segment", weights_checksum(self.trained.model), {"score": score})
        content: dict[str, list[Any]] = {
            "images": [],
            "annotations": [],
            "categories": [
                {"id": number, "name": name}
                for number, name in zip(self.trained.category_ids, self.classes, strict=True)
            ],
        }
        names = _overlay_names(paths)
        try:
            for number, path in enumerate(paths, 1):
                drawn = output / "overlays" / names[number - 1] if overlay else None
                try:
                    if drawn is not None and not overwrite and drawn.exists() and records.entry(drawn) is None:
                        raise FileExistsError(stranger(drawn))
                    seen = signature(path)
                    instances = self(path, score)
                    if drawn is not None:
                        write_image(drawn, self.overlay(read_pixels(path), instances))
                        records.add(drawn, path, seen, making)
                    height, width = instances.size
                    found = self._annotations(number, instances)
                except Exception as error:  # of any kind: a bad file may break what reads it in any way
                    yield FoundIn(path, error=failure(error, path, *([] if drawn is None else [drawn])))
                    continue
                content["images"].append({"id": number, "file_name": str(path), "height": height, "width": width})
                for one in found:
                    content["annotations"].append({"id": len(content["annotations"]) + 1, **one})
                yield FoundIn(path, instances, overlay=drawn)
        finally:  # also of what was found until somebody interrupts it
            with write_whole(output / INSTANCES_FILE) as temporary:
                temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def _annotations(self, image: int, instances: Instances) -> list[dict[str, Any]]:
        """The instances of a picture, but for their own numbers."""
        ids = dict(enumerate(self.trained.category_ids, 1))
        annotations = []
        for result in coco_results(image, instances.boxes, instances.scores, instances.labels, ids, instances.masks):
            _, _, width, height = result["bbox"]
            mask = result.get("segmentation")
            area = width * height if mask is None else float(mask_area(mask))
            annotations.append({**result, "area": area, "iscrowd": 0})
        return annotations


def _overlay_names(paths: Sequence[Path]) -> list[str]:
    """A file name for each path: its own stem or, where several have it, with a number."""
    taken: dict[str, None] = {}  # in their order
    for path in paths:
        endings = (f"-{number}.png" if number > 1 else ".png" for number in count(1))
        taken[next(name for ending in endings if (name := fitted_name(path.stem, ending)) not in taken)] = None
    return list(taken)


def _check_score(score: float) -> None:
    """Refuse scores that nothing has."""
    if not 0 <= score <= 1:
        raise ValueError(f"score is the least that an instance is shown with, 0 to 1; got {score}")
