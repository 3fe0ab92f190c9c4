"""Detection: find the instances of categories in pictures, with boxes and masks."""

import logging
from collections.abc import Iterable
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
from passband.data.leak_warnings import warn_of_leaks
from passband.data.splits import split_coco
from passband.drawing.comparison import comparison_rows
from passband.io.image import ImageError
from passband.metrics.instance_scores import CocoScores
from passband.models import FrequencyRCNN
from passband.tasks.channel_fit import fitted_statistics
from passband.tasks.instances import COLUMNS, beside_truth, cube_form, find_instances
from passband.tasks.problems import Problems
from passband.tasks.task import Loss, Stateful, Validation
from passband.tasks.weights import check_task
from passband.weights_io import CheckpointError

SHOWN = 4
"""Pictures of a validation that are drawn."""
DRAWN_SCORE = 0.5
"""Least score of an instance that is drawn."""
DRAWN_SIDE = 480
"""Height of drawn pictures, in pixels, at most."""
WATCHED = ("AP", "AP50", "AP75")
"""Figures of a validation, of boxes and of masks; an evaluation has all."""

NOTHING_FOUND = "The network finds no instance in the pictures that were scored: train longer."
"""Remark on a network that finds nothing, though there is something."""

_log = logging.getLogger(__name__)


class Detection:
    """Data, losses and validation of detection.

    Args:
        recipe: the run's settings.
    """

    def __init__(self, recipe: DetectionRecipe):
        self.recipe = recipe
        self.problems = Problems(recipe.data.skip_bad)
        self.found: dict[tuple[Path, tuple[str, ...] | None], tuple[CocoImages, CocoImages]] = {}

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """The config of the network to train, with what the data decide: classes, statistics of the channels.

        Weights to start from bring their classes and statistics.

        Raises:
            CocoError: where the folder holds no instances to train on, or other categories than the weights know.
            CheckpointError: where the weights take another input than the recipe gives.
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

    def lesson(self, folder: Path, network: dict[str, Any]) -> None:
        """Return None: images are learned from as they are."""

    def state(self, lesson: None = None) -> list[Stateful]:
        """Return nothing: a checkpoint keeps the network alone."""
        return []

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Put pictures of different sizes side by side."""
        return collate_instances(samples)  # type: ignore[arg-type,return-value]

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network that is no detector, or takes another input than the recipe gives."""
        check_task(model, "detection", weights, "name one in the recipe, such as dct-mask-rcnn")

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[DetectionSample]:
        """Pictures, changed at random, whose numbers go on past the first epoch."""
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
        )

    def validation_data(self, training: Path, folder: Path | None, network: dict[str, Any]) -> DetectionValidationSet:
        """Pictures of the folder to score on, of what is held out, or of what is learned from.

        Warns of pictures in a folder of their own that are learned from, too.

        Raises:
            ValueError: where pictures are held out, and a folder is given, too.
        """
        names = network.get("classes_named")
        learned, scored = self._split(training, names)
        if folder is not None:
            if self.recipe.data.held_out:
                raise ValueError(
                    f"the recipe holds out {self.recipe.data.held_out:g} of the pictures to score on, and {folder} is "
                    "given for that, too: leave out data.held_out or the folder"
                )
            scored = find_coco(folder, masks=self.recipe.data.masks, classes=names)
            warn_of_leaks([image.path for image in scored.images], [image.path for image in learned.images])
        elif not self.recipe.data.held_out:
            _log.warning("scored on pictures that are learned from: give others, or hold some out with data.held_out")
        return DetectionValidationSet(scored.spread(self.recipe.validation.count), cubes=_form(network))

    def loss(self, model: nn.Module, batch: dict[str, Any], done: float, lesson: None = None) -> Loss:
        """The sum of torchvision's losses: of proposals, and of boxes, classes and masks."""
        self.problems.attend(batch["problems"])
        # proposals are drawn at random: what follows from the samples is the same after a run was stopped and resumed
        torch.manual_seed(self.recipe.seed * 1_000_003 + int(batch["numbers"][0]))
        sizes = {"sizes": [tuple(size) for size in batch["sizes"]]} if self.recipe.data.input == "coefficients" else {}
        losses: dict[str, Tensor] = model(batch["images"], batch["targets"], **sizes)
        total = torch.stack(list(losses.values())).sum()
        return total, {name.removeprefix("loss_"): loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def validate(
        self, model: nn.Module, batches: Iterable[dict[str, Any]], scored: DetectionValidationSet | None = None
    ) -> Validation:
        """Score a network, which is put into evaluation mode and back.

        Returns:
            AP of masks as the score, or of boxes where there are no masks; COCO's AP, AP50 and AP75 of both; some
            pictures with their true instances and those that were found. A picture that cannot be read counts as one
            in which nothing was found.

        Raises:
            ImageError: for a file that cannot be read, unless the recipe skips such.
        """
        if scored is None or not isinstance(model, FrequencyRCNN):
            raise TypeError("a detector is scored on the data set of its batches: pass the result of validation_data")
        images = scored.pictures
        was_training = model.training
        model.eval()
        ids = images.category_ids
        scores = CocoScores(images.ground_truth(), ids, masks=model.masks)
        rows: list[list[Tensor]] = []
        for batch in batches:
            self.problems.attend(batch["problems"])
            good = [place for place, problem in enumerate(batch["problems"]) if not problem]
            sizes = [tuple(batch["sizes"][place]) for place in good]
            found = find_instances(model, [batch["images"][place] for place in good], sizes) if good else []
            for place, one in zip(good, found, strict=True):
                number = batch["targets"][place]["image_id"]
                scores.add(number, one.boxes, one.scores, one.labels, one.masks)
                if len(rows) < SHOWN:
                    rows.append(beside_truth(images, number, one, DRAWN_SCORE, DRAWN_SIDE))
        model.train(was_training)
        if not rows:
            raise ImageError("none of the pictures to score on can be read; the log names them")
        figures = scores.figures()
        kind = "mask" if model.masks else "box"
        watched = {f"{part}_{name}": values[name] for part, values in figures.items() for name in WATCHED}
        holds = any(image.trained for image in images.images)
        remark = NOTHING_FOUND if holds and not scores.results else ""
        return Validation(figures[kind]["AP"], watched, comparison_rows(rows, [COLUMNS] * len(rows)), remark)

    def _channels(self) -> str | list[int]:
        """The recipe's channels as JSON can hold them."""
        channels = self.recipe.data.channels
        if self.recipe.data.is_rgb:
            return "rgb"
        return channels if isinstance(channels, str) else list(channels)

    def _check_start(self, start: dict[str, Any]) -> None:
        """Refuse weights to start from that take another input than the recipe gives."""
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
        """The pictures to learn from and those to score on; the same where none are held out."""
        place = (folder, None if names is None else tuple(names))
        if place not in self.found:
            pictures = find_coco(folder, masks=self.recipe.data.masks, classes=names)
            learned, scored = pictures, pictures
            if share := self.recipe.data.held_out:
                learned, scored = split_coco(pictures, share, self.recipe.seed)
            self.found[place] = (learned.for_training(), scored)
        return self.found[place]


def _form(network: dict[str, Any]) -> Any:
    """What cubes a network takes; None where it takes pictures."""
    from passband.models import build_from
    from passband.models.base import without_initial_weights

    with torch.device("meta"):
        model = build_from(without_initial_weights(network))
    return cube_form(model) if isinstance(model, FrequencyRCNN) else None
