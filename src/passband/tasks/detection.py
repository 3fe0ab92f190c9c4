"""Detection: find the instances of categories in images, with boxes and masks."""

import logging
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from passband.config import DetectionRecipe
from passband.data.coco import CocoImages, find_coco
from passband.data.coco.targets import InstanceAugmentation
from passband.data.datasets.detection import (
    DetectionSample,
    DetectionTrainingSet,
    DetectionValidationSet,
    collate_instances,
)
from passband.data.leak_warnings import warn_of_leaks, warn_of_learned_images
from passband.data.splits import split_coco
from passband.drawing.comparison import comparison_rows
from passband.io.image import ImageError
from passband.metrics.instance_scores import CocoScores, Result, coco_results
from passband.models import FrequencyRCNN
from passband.models.network_task import check_task
from passband.processes import in_turn
from passband.state_dicts import CheckpointError
from passband.tasks.channel_fit import fitted_statistics
from passband.tasks.instances import INSTANCE_CAPTIONS, beside_truth, cube_form, find_instances
from passband.tasks.problems import Problems
from passband.tasks.task import Direction, FixedLesson, Loss, Validation

DRAWN = 4
"""Number of images of a validation that are drawn."""
DRAWN_SCORE = 0.5
"""Smallest score of an instance that is drawn."""
DRAWN_SIDE = 480
"""Largest height of drawn images, in pixels."""
WATCHED = ("AP", "AP50", "AP75")
"""Names of the figures of a validation, for boxes and masks; an evaluation has all figures."""

NOTHING_FOUND = "The network finds no instance in the images that were scored: train longer."
"""Remark on a network that finds nothing although there are instances."""

_log = logging.getLogger(__name__)


class Detection(FixedLesson):
    """Data, losses and validation of detection.

    Args:
        recipe: settings of the run.
    """

    def __init__(self, recipe: DetectionRecipe):
        self.recipe = recipe
        self.problems = Problems(recipe.data.skip_bad)
        self.splits: dict[tuple[Path, tuple[str, ...] | None], tuple[CocoImages, CocoImages]] = {}

    def directions(self, network: dict[str, Any]) -> dict[str, Direction]:
        """Return the figures that a validation reports, with the direction of each. The main figure is the first.

        Args:
            network: config of the network, which says whether it predicts masks.
        """
        parts = ("mask", "box") if network.get("masks", self.recipe.data.masks) else ("box",)
        return {f"{part}_{name}": "maximize" for part in parts for name in WATCHED}

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """Return the config of the network to train; the data decide classes and statistics of the channels.

        Weights to start from keep their classes and statistics.

        Args:
            folder: folder to train on.
            start: config of the weights to start from; None for fresh ones.

        Raises:
            CocoError: if the folder holds no instances to train on, or other categories than the weights.
            CheckpointError: if the weights take another input than the recipe gives.
        """
        data = self.recipe.data
        shown = {"input": data.input, "min_size": list(data.min_size), "max_size": data.max_size}
        if start is not None:
            self._check_start(start)
            self._split(folder, start.get("classes_named"))
            return {**start, "backbone_weights": None, **shown}
        learned = self._split(folder, None)[0]
        arguments: dict[str, Any] = dict(self.recipe.model.arguments)
        weights = self.recipe.model.backbone_weights
        if weights is not None:
            arguments = {"norm": "frozen", **arguments}
        mean, std, about = None, None, {"statistics": "imagenet"}
        if data.statistics == "fit" and not data.is_rgb:
            mean, std, about = fitted_statistics(data, learned.spread(data.statistics_count))
        return {
            "model": self.recipe.model.name,
            **arguments,
            "backbone_weights": weights,
            "channels": self._channels(),
            "classes": len(learned.classes),
            "masks": data.masks,
            **shown,
            "chroma_ratio": data.chroma_ratio,
            "doubled": data.doubled,
            "mean": mean,
            "std": std,
            "preprocessing": {
                **about,
                "category_ids": [learned.category_ids[label + 1] for label in range(len(learned.classes))],
            },
            "classes_named": list(learned.classes),
        }

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Put images of different sizes into lists.

        Args:
            samples: samples of a data set of this task.
        """
        return collate_instances(samples)  # type: ignore[arg-type,return-value]

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network that is not a detector.

        Args:
            model: the network.
            weights: name of its weights for the error.

        Raises:
            CheckpointError: if it is not.
        """
        check_task(model, "detection", weights, "name one in the recipe, such as dct-mask-rcnn")

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[DetectionSample]:
        """Return randomly augmented images, whose numbers continue past the first epoch.

        Args:
            folder: folder to train on.
            network: config of the network.
        """
        data = self.recipe.data
        learned = self._split(folder, network.get("classes_named"))[0]
        for note in learned.notes:
            _log.warning("%s", note)
        if learned.skipped:
            _log.warning("%s: skipped in training: %s", learned.source, learned.skipped_text())
        return DetectionTrainingSet(
            learned,
            self.recipe.seed,
            augmentation=InstanceAugmentation(data.flip, data.scale, data.crop),
            cubes=_form(network),
            skip_bad=data.skip_bad,
            batch=data.batch,
        )

    def validation_data(self, training: Path, folder: Path | None, network: dict[str, Any]) -> DetectionValidationSet:
        """Return images of the folder to score on, held-out images, or the training images.

        Warns about images of the folder to score on that are also learned from.

        Args:
            training: folder to train on.
            folder: folder to score on, which takes the place of images that the recipe holds out; or None.
            network: config of the network.
        """
        names = network.get("classes_named")
        learned, scored = self._split(training, names)
        if folder is not None:
            scored = find_coco(folder, masks=self.recipe.data.masks, classes=names)
            warn_of_leaks([image.path for image in scored.images], [image.path for image in learned.images])
        elif not self.recipe.data.held_out:
            warn_of_learned_images()
        return DetectionValidationSet(scored.spread(self.recipe.validation.count), cubes=_form(network))

    def loss(self, model: nn.Module, batch: dict[str, Any], done: float, lesson: None = None) -> Loss:
        """Compute the sum of torchvision's losses: those of proposals, boxes, classes and masks.

        Args:
            model: the network, in training mode.
            batch: a batch that `collate` made.
            done: share of the run that is done, from 0 to 1.
            lesson: None.
        """
        self.problems.attend(batch["problems"])
        # random sizes and proposals depend on each sample alone, so they are the same on any number of processes
        seeds = [self.recipe.seed * 1_000_003 + int(number) for number in batch["numbers"]]
        sizes = {"sizes": [tuple(size) for size in batch["sizes"]]} if self.recipe.data.input == "coefficients" else {}
        losses: dict[str, Tensor] = model(batch["images"], batch["targets"], **sizes, seeds=seeds)
        total = torch.stack(list(losses.values())).sum()
        return total, {name.removeprefix("loss_"): loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def validate(
        self, model: nn.Module, batches: Iterable[dict[str, Any]], scored: DetectionValidationSet | None = None
    ) -> Validation:
        """Score a network, which is put into evaluation mode and back.

        Args:
            model: the network.
            batches: batches of the samples to score on.
            scored: data set of the batches, which is needed.

        Returns:
            AP of masks as the score, or of boxes without masks; COCO's AP, AP50 and AP75 of both; some images with
            their true and predicted instances. An image that cannot be read counts as one without predictions.

        Raises:
            ImageError: if a file cannot be read and the recipe does not skip it.
            TypeError: if the data set is missing.
        """
        if scored is None or not isinstance(model, FrequencyRCNN):
            raise TypeError("a detector is scored on the data set of its batches: pass the result of validation_data")
        images = scored.images
        was_training = model.training
        model.eval()
        ids = images.category_ids
        scores = CocoScores(images.ground_truth(), ids, masks=model.masks)
        found: list[list[tuple[int, list[Result]]]] = []
        rows: list[list[list[Tensor]]] = []
        for batch in batches:
            self.problems.attend(batch["problems"])
            good = [position for position, problem in enumerate(batch["problems"]) if not problem]
            sizes = [tuple(batch["sizes"][position]) for position in good]
            predicted = find_instances(model, [batch["images"][position] for position in good], sizes) if good else []
            found.append([])
            rows.append([])
            for position, one in zip(good, predicted, strict=True):
                number = batch["targets"][position]["image_id"]
                masks = one.masks if model.masks else None
                found[-1].append((number, coco_results(number, one.boxes, one.scores, one.labels, ids, masks)))
                if sum(map(len, rows)) < DRAWN:
                    rows[-1].append(beside_truth(images, number, one, DRAWN_SCORE, DRAWN_SIDE))
        model.train(was_training)
        for number, results in chain(*in_turn(found)):
            scores.add_results(number, results)
        drawn = list(chain(*in_turn(rows)))[:DRAWN]
        if not drawn:
            raise ImageError("none of the images to score on can be read; the log names them")
        figures = scores.figures()
        kind = "mask" if model.masks else "box"
        watched = {f"{part}_{name}": values[name] for part, values in figures.items() for name in WATCHED}
        holds = any(image.trained for image in images)
        remark = NOTHING_FOUND if holds and not scores.results else ""
        return Validation(
            figures[kind]["AP"], watched, comparison_rows(drawn, [INSTANCE_CAPTIONS] * len(drawn)), remark
        )

    def _channels(self) -> str | list[int]:
        """Return the recipe's channels as JSON can hold them."""
        channels = self.recipe.data.channels
        if self.recipe.data.is_rgb:
            return "rgb"
        return channels if isinstance(channels, str) else list(channels)

    def _check_start(self, start: dict[str, Any]) -> None:
        """Refuse weights to start from that take another input than the recipe gives.

        Raises:
            CheckpointError: if they do.
        """
        for name, given in (
            ("channels", self._channels()),
            ("masks", self.recipe.data.masks),
            ("chroma_ratio", self.recipe.data.chroma_ratio),
            ("doubled", self.recipe.data.doubled),
        ):
            if name in start and start[name] != given:
                raise CheckpointError(
                    f"the weights to start from were trained with data.{name} = {start[name]!r}, the recipe has "
                    f"{given!r}: make the recipe say the same"
                )

    def _split(self, folder: Path, names: list[str] | None) -> tuple[CocoImages, CocoImages]:
        """Return the images to learn from and those to score on; they are the same if none are held out."""
        key = (folder, None if names is None else tuple(names))
        if key not in self.splits:
            images = find_coco(folder, masks=self.recipe.data.masks, classes=names)
            learned, scored = images, images
            if share := self.recipe.data.held_out:
                learned, scored = split_coco(images, share, self.recipe.seed)
            self.splits[key] = (learned.for_training(), scored)
        return self.splits[key]


def _form(network: dict[str, Any]) -> Any:
    """Return the format of the cubes that a network takes; None if it takes pixels."""
    from passband.models import build_from
    from passband.models.base import without_initial_weights

    with torch.device("meta"):
        model = build_from(without_initial_weights(network))
    return cube_form(model) if isinstance(model, FrequencyRCNN) else None
