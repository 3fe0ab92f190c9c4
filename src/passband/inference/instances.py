"""Finding instances in pictures, in memory or file by file, and writing them as COCO's files have them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.analysis.instances import draw_instances
from passband.data.cubes import read_pixels
from passband.io.files import write_whole
from passband.io.image import write_image
from passband.io.pictures import AnyPicture, as_tensor
from passband.io.rle import mask_area
from passband.metrics.detection import coco_results
from passband.naming import described, listed
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
            picture: a path (of whose JPEG file a network of way B reads the coefficients), a PIL picture, an array H W
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
        self, paths: Sequence[Path], output: Path, *, score: float = 0.5, overlay: bool = False
    ) -> Iterator[FoundIn]:
        """Find instances in files; a bad one does not keep the others from being done.

        Writes instances.json when all are done: `images`, `annotations` and `categories` as COCO's files have them, the
        annotations with scores. With `overlay`, pictures with their instances, too.

        Args:
            paths: of the pictures.
            output: the folder to write to, made where it does not exist.
            score: the least of an instance, in [0, 1].
            overlay: write overlays/NAME.png for each picture.

        Yields:
            What was found in each file, in their order; a failed one carries the reason.

        Raises:
            ValueError: for a score out of range.
            OSError: where `output` cannot be written.
        """
        _check_score(score)
        content: dict[str, list[Any]] = {
            "images": [],
            "annotations": [],
            "categories": [
                {"id": number, "name": name}
                for number, name in zip(self.trained.category_ids, self.classes, strict=True)
            ],
        }
        names = _overlay_names(paths)
        for number, path in enumerate(paths, 1):
            try:
                instances = self(path, score)
                drawn = None
                if overlay:
                    drawn = output / "overlays" / names[number - 1]
                    write_image(drawn, self.overlay(read_pixels(path), instances))
            except (ValueError, OSError, MemoryError) as error:
                yield FoundIn(path, error=str(error) or f"{path}: {type(error).__name__}")
                continue
            height, width = instances.size
            content["images"].append({"id": number, "file_name": str(path), "height": height, "width": width})
            self._add(content["annotations"], number, instances)
            yield FoundIn(path, instances, overlay=drawn)
        with write_whole(output / INSTANCES_FILE) as temporary:
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def _add(self, annotations: list[Any], image: int, instances: Instances) -> None:
        """Take the instances of a picture."""
        ids = dict(enumerate(self.trained.category_ids, 1))
        results = coco_results(image, instances.boxes, instances.scores, instances.labels, ids, instances.masks)
        for result in results:
            _, _, width, height = result["bbox"]
            mask = result.get("segmentation")
            area = width * height if mask is None else float(mask_area(mask))
            annotations.append({"id": len(annotations) + 1, **result, "area": area, "iscrowd": 0})


def _overlay_names(paths: Sequence[Path]) -> list[str]:
    """A file name for each path: its own stem or, where several have it, with a number."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        count = seen.get(path.stem, 0)
        seen[path.stem] = count + 1
        names.append(f"{path.stem}.png" if not count else f"{path.stem}-{count + 1}.png")
    return names


def _check_score(score: float) -> None:
    """Refuse scores that nothing has."""
    if not 0 <= score <= 1:
        raise ValueError(f"score is the least that an instance is shown with, 0 to 1; got {score}")
