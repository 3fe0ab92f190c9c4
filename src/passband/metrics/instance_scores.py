"""Scores boxes and masks of instances with COCO's twelve metrics, and writes predictions as COCO's result files.

Average precision and recall are those of the COCO challenge (Lin et al., ECCV 2014): at most 100 instances an image,
101 recalls, and ten overlaps from .50 to .95. The package faster-coco-eval computes them; its values equal those of
pycocotools. Boxes and masks are scored separately: an instance counts as small, medium or large by the area of its box
in one case, and of its mask in the other.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from passband.io.files import write_whole
from passband.io.rle import Rle, encode_mask

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
"""COCO's twelve metrics, in the order of its own tool."""
PAPER = {"AP": "AP", "AP50": "AP50", "AP75": "AP75", "S": "APs", "M": "APm", "L": "APl"}
"""The columns of papers' tables, and the metrics that they show."""
MASK_PADDING = 1
"""Zero pixels around a predicted mask before it is enlarged, so that its border is not cut."""
Result = dict[str, Any]
"""An instance with the keys `image_id`, `category_id`, `bbox` (x, y, width, height in pixels), `score`, and optionally
`segmentation`."""


def paste_masks(
    masks: Float[Tensor, "N 1 m m"],
    boxes: Float[Tensor, "N 4"],
    size: tuple[int, int],
    threshold: float = 0.5,
) -> Iterator[Rle]:
    """Paste masks that were predicted within boxes into the image, one after the other.

    Only one mask of the image's size is held at a time, so that memory does not grow with the number of masks.

    Args:
        masks: probabilities in [0, 1], on a grid over each box.
        boxes: x1, y1, x2, y2 in pixels of the image.
        size: (height, width) of the image, in pixels.
        threshold: probability above which a pixel belongs to the mask.

    Yields:
        The run-length code of each mask, in order. Its pixels equal those of torchvision's `paste_masks_in_image`.
    """
    height, width = size
    side = masks.shape[-1]
    padded = F.pad(masks.detach(), (MASK_PADDING,) * 4)
    for mask, (left, top, right, bottom) in zip(
        padded, _enlarged(boxes, (side + 2 * MASK_PADDING) / side), strict=True
    ):
        shape = max(bottom - top + 1, 1), max(right - left + 1, 1)
        rows = slice(max(top, 0), min(bottom + 1, height))
        columns = slice(max(left, 0), min(right + 1, width))
        inside = torch.zeros(height, width, dtype=torch.uint8)
        if rows.start < rows.stop and columns.start < columns.stop:
            resized = F.interpolate(mask[None], size=shape, mode="bilinear", align_corners=False)[0, 0]
            seen = resized[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            inside[rows, columns] = (seen > threshold).to("cpu", torch.uint8)
        yield encode_mask(inside)


def coco_results(
    image_id: int,
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    labels: Int[Tensor, " N"],
    category_ids: Mapping[int, int],
    masks: Iterable[Rle] | None = None,
) -> list[Result]:
    """Convert the instances of an image to entries of COCO's result files.

    Args:
        image_id: id of the image.
        boxes: x1, y1, x2, y2 in pixels.
        scores: score of each instance, in [0, 1].
        labels: label of each instance, from 1.
        category_ids: the data set's category id of each label; instances of other labels are dropped.
        masks: code of each instance's mask, as `paste_masks` yields them; None for boxes alone.

    Returns:
        One entry for each instance, in order.
    """
    codes = [None] * len(boxes) if masks is None else masks
    results = []
    for (left, top, right, bottom), score, label, code in zip(
        boxes.tolist(), scores.tolist(), labels.tolist(), codes, strict=True
    ):
        if label not in category_ids:
            continue
        result: Result = {
            "image_id": image_id,
            "category_id": category_ids[label],
            "bbox": [left, top, right - left, bottom - top],
            "score": score,
        }
        results.append(result if code is None else {**result, "segmentation": code})
    return results


def instances_json(path: Path, results: Sequence[Result]) -> None:
    """Write instances as a COCO result file, which COCO's tools can score.

    Args:
        path: path of the file; an interrupted write leaves no file.
        results: entries of `coco_results`, of any images.

    Raises:
        OSError: if the file cannot be written.
    """
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(list(results), allow_nan=False) + "\n", encoding="utf-8")


class CocoScores:
    """Collects the instances that were found in images, and scores them.

    Args:
        ground_truth: `images`, `annotations` and `categories` as in a COCO file. All its images count, also those in
            which no instance is found.
        category_ids: the data set's category id of each label, from 1.
        masks: whether to score masks in addition to boxes.

    Raises:
        ImportError: if the package faster-coco-eval is not installed.
    """

    def __init__(self, ground_truth: Mapping[str, Any], category_ids: Mapping[int, int], *, masks: bool = True):
        _evaluator()  # a missing package is reported before hours of prediction
        self.ground_truth, self.category_ids, self.masks = ground_truth, dict(category_ids), masks
        self.results: list[Result] = []
        self._unseen = {image["id"] for image in ground_truth["images"]}
        self._seen: set[int] = set()
        self._kept: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
        self._kept_of = -1

    def add(
        self,
        image_id: int,
        boxes: Float[Tensor, "N 4"],
        scores: Float[Tensor, " N"],
        labels: Int[Tensor, " N"],
        masks: Iterable[Rle] | None = None,
    ) -> list[Result]:
        """Add the instances that were found in an image.

        Args:
            image_id: id of the image.
            boxes: x1, y1, x2, y2 in pixels.
            scores: score of each instance, in [0, 1].
            labels: label of each instance, from 1.
            masks: code of each instance's mask, as `paste_masks` yields them; None only if masks are not scored.

        Returns:
            The instances as entries of COCO's result files.

        Raises:
            ValueError: if the image is not in the ground truth or was added before, or if masks are scored and missing.
        """
        if self.masks and masks is None:
            raise ValueError(f"masks are scored, but image {image_id} has none: add them, or score only boxes")
        found = coco_results(image_id, boxes, scores, labels, self.category_ids, masks if self.masks else None)
        self.add_results(image_id, found)
        return found

    def add_results(self, image_id: int, results: list[Result]) -> None:
        """Add the instances that were found in an image, as `coco_results` returns them.

        Args:
            image_id: id of the image.
            results: entries of COCO's result files, with masks if masks are scored.

        Raises:
            ValueError: if the image is not in the ground truth or was added before.
        """
        if image_id not in self._unseen:
            problem = "was added before" if image_id in self._seen else "is not in the ground truth"
            raise ValueError(f"each image of the ground truth is added once; image {image_id} {problem}")
        self._unseen.remove(image_id)
        self._seen.add(image_id)
        self.results += results

    def figures(self) -> dict[str, dict[str, float]]:
        """Compute COCO's twelve metrics for `"box"` and, if masks are scored, for `"mask"`.

        Returns:
            Shares in [0, 1] by the names of `FIGURES`; -1 if there is nothing to find, for example no small instance.
        """
        return {kind: figures for kind, (figures, _) in self._scored.items()}

    def category_figures(self) -> dict[str, dict[str, float]]:
        """Return AP of each category for `"box"` and `"mask"` by the category's name; -1 with nothing to find."""
        return {kind: figures for kind, (_, figures) in self._scored.items()}

    @property
    def _scored(self) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
        """Metrics over all categories and of each category, computed once for the images added so far."""
        if self._kept_of != len(self._seen):
            kinds = {"box": "bbox", **({"mask": "segm"} if self.masks else {})}
            self._kept = {kind: self._evaluate(name) for kind, name in kinds.items()}
            self._kept_of = len(self._seen)
        return self._kept

    def _evaluate(self, kind: str) -> tuple[dict[str, float], dict[str, float]]:
        """Compute the metrics of boxes (`"bbox"`) or masks (`"segm"`)."""
        coco, evaluator = _evaluator()
        # the tool changes its input. Without its box, an instance has the area of its mask
        left_out = "segmentation" if kind == "bbox" else "bbox"
        # ids start from 1, because the tool treats the annotation 0 as not found, fails at negative images, and takes
        # ids for floats, so that large ones would be confused
        images, categories = (_numbers(self.ground_truth[name]) for name in ("images", "categories"))

        def renumbered(entry: Mapping[str, Any]) -> dict[str, Any]:
            numbers = {"image_id": images[entry["image_id"]], "category_id": categories[entry["category_id"]]}
            return {**entry, **numbers}

        results = [
            {key: value for key, value in renumbered(result).items() if key != left_out} for result in self.results
        ]
        chosen = (
            annotation
            for annotation in self.ground_truth["annotations"]
            if kind == "bbox" or annotation.get("segmentation")
        )
        truth = {
            **self.ground_truth,
            "images": [{**image, "id": images[image["id"]]} for image in self.ground_truth["images"]],
            "categories": [{**one, "id": categories[one["id"]]} for one in self.ground_truth["categories"]],
            "annotations": [{**renumbered(annotation), "id": number} for number, annotation in enumerate(chosen, 1)],
        }
        expected = coco(truth)
        evaluation = evaluator(expected, expected.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        # axes: overlaps, recalls, categories, areas, limits; -1 if a category has nothing to find
        precision = torch.as_tensor(evaluation.eval["precision"])[:, :, :, 0, -1]
        names = {categories[category["id"]]: category["name"] for category in self.ground_truth["categories"]}
        return (
            {name: float(value) for name, value in zip(FIGURES, evaluation.all_stats[: len(FIGURES)], strict=True)},
            {names[number]: _mean(precision[:, :, place]) for place, number in enumerate(evaluation.params.catIds)},
        )


def paper_columns(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float | None]:
    """Return the columns of papers' tables in percent: AP, AP50, AP75, and AP of small, medium and large instances.

    Args:
        figures: metrics as `CocoScores.figures` returns them.

    Returns:
        The values of `"box AP"`, `"box AP50"` and so on, then those of masks; None if there is nothing to find.
    """
    return {
        f"{kind} {column}": 100 * values[figure] if values[figure] >= 0 else None
        for kind, values in figures.items()
        for column, figure in PAPER.items()
    }


def _enlarged(boxes: Float[Tensor, "N 4"], scale: float) -> list[list[int]]:
    """Enlarge boxes around their centers, in whole pixels rounded toward zero."""
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5
    center = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    half = half * scale
    return torch.cat([center - half, center + half], 1).to("cpu", torch.int64).tolist()


def _mean(precision: Float[Tensor, "..."]) -> float:
    """Average the precision of a category over overlaps and recalls; -1 if it has nothing to find."""
    known = precision[precision > -1]
    return float(known.mean()) if len(known) else -1.0


def _numbers(entries: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """Number the ids of entries from 1, in ascending order."""
    return {identity: number for number, identity in enumerate(sorted({entry["id"] for entry in entries}), 1)}


def _evaluator() -> tuple[Any, Any]:
    """Import the classes that hold a data set and that score it."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as missing:
        raise ImportError(
            "boxes and masks are scored by the package faster-coco-eval: pip install 'passband[detection]'"
        ) from missing
    return COCO, COCOeval_faster
