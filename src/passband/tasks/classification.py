"""Classification: name the class of an image by its frequency channels or its pixels."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from passband.config import ClassificationRecipe
from passband.data.classifier_input import PIXELS, Preprocessing
from passband.data.cubes.fitting import fit_preprocessing, of_imagenet, unnormalized
from passband.data.datasets.classification import (
    UNKNOWN,
    ClassificationTrainingSet,
    ClassificationValidationSet,
    ClassSample,
    LabeledImages,
    find_classes,
)
from passband.data.leak_warnings import warn_of_leaks, warn_of_learned_images
from passband.data.splits import split_classes
from passband.drawing.charts.confusion import confusion_picture
from passband.io.image import ImageError
from passband.layers.channels import channel_subset
from passband.layers.gate import ChannelGate, temperature
from passband.metrics import confusion_matrix, rank_of, ranking
from passband.models.classification.gated import Gated, logits_of
from passband.models.network_task import check_task
from passband.naming import listed
from passband.processes import in_turn
from passband.state_dicts import CheckpointError
from passband.tasks.problems import Problems
from passband.tasks.task import Direction, FixedLesson, Loss, Validation

TOP = 5
"""Number of guesses of which one must be right, for the second score of networks with more classes."""
FEW = 5
"""Number of images below which a class is too small to be learned or scored reliably."""
SMALL_NAMED = 5
"""Largest number of small classes that a warning names."""

_log = logging.getLogger(__name__)


class Classification(FixedLesson):
    """Data, loss and validation of classification.

    Args:
        recipe: settings of the run.

    Raises:
        ValueError: if channels are unknown, or cells of the stride do not have them.
    """

    def __init__(self, recipe: ClassificationRecipe):
        self.recipe = recipe
        data = recipe.data
        channels = () if data.input in PIXELS else tuple(channel_subset(data.channels).indices())
        self.plain = unnormalized(data.input, channels, data.size, data.stride)
        self.problems = Problems(recipe.data.skip_bad)
        self.splits: dict[tuple[Path, tuple[str, ...] | None], tuple[LabeledImages, LabeledImages]] = {}

    def directions(self, network: dict[str, Any]) -> dict[str, Direction]:
        """Return the figures that a validation reports, with the direction of each. The main figure is the first.

        Args:
            network: config of the network, whose number of classes decides whether the top-5 accuracy is reported.
        """
        top: dict[str, Direction] = {f"top{TOP}": "maximize"} if network["classes"] > TOP else {}
        return {"top1": "maximize", **top, "loss": "minimize"}

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """Return the config of the network to train; the data decide channels, classes and statistics.

        Weights to start from keep their statistics, and must have the same classes.

        Args:
            folder: folder to train on.
            start: config of the weights to start from; None for fresh ones.

        Raises:
            ValueError: if the folder holds no classes, or others than the weights.
            CheckpointError: if the weights take another input than the recipe gives.
        """
        learned = self._split(folder, start.get("classes_named") if start else None)[0]
        if start is not None:
            return self._started(start, learned, folder)
        return {
            "model": self.recipe.model.name,
            **self.recipe.model.arguments,
            "channels": self.plain.input_channels,
            "classes": len(learned.classes),
            "preprocessing": self._fitted(learned, folder).to_config(),
            "classes_named": list(learned.classes),
        }

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network that is not a classifier, or takes other channels than the recipe gives.

        Args:
            model: the network.
            weights: name of its weights for the error.

        Raises:
            CheckpointError: if it is.
        """
        check_task(
            model, "classification", weights, "name one in the recipe, such as dct-resnet18 or, for pixels, resnet18"
        )
        needed, channels = model.channels, self.plain.input_channels
        if needed != channels:
            raise CheckpointError(
                f"{weights} takes {needed} channels, but input {self.plain.input!r} gives {channels}: choose others "
                "with data.input or data.channels"
            )
        pixels = bool(getattr(model, "arguments", {}).get("stem"))
        if pixels != (self.plain.input in PIXELS):
            needed = "pixels, data.input rgb or ycbcr" if pixels else "cubes, data.input coefficients or published"
            raise CheckpointError(f"{weights} takes {needed}; the recipe gives it {self.plain.input!r}")

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[ClassSample]:
        """Return random views, whose numbers continue past the first epoch.

        Warns of classes with fewer than `FEW` images.

        Args:
            folder: folder to train on.
            network: config of the network.
        """
        data = self.recipe.data
        learned, held_out = self._split(folder, network["classes_named"])
        self._warn_of_small_classes(learned, held_out, folder)
        return ClassificationTrainingSet(
            learned,
            Preprocessing.from_config(network["preprocessing"]),
            self.recipe.seed,
            scale=data.scale,
            flip=data.flip,
            skip_bad=data.skip_bad,
            batch=data.batch,
        )

    def validation_data(self, training: Path, folder: Path | None, network: dict[str, Any]) -> Dataset[ClassSample]:
        """Return center views of the folder to score on, of held-out images, or of the training images.

        Warns about images of the folder to score on that are also learned from.

        Args:
            training: folder to train on.
            folder: folder to score on, which takes the place of images that the recipe holds out; or None.
            network: config of the network.
        """
        names = network["classes_named"]
        learned, held_out = self._split(training, names)
        if folder is not None:
            held_out = find_classes(folder, names)
            warn_of_leaks(held_out.paths, learned.paths)
        elif not self.recipe.data.held_out:
            warn_of_learned_images()
        return ClassificationValidationSet(
            held_out.spread(self.recipe.validation.count), Preprocessing.from_config(network["preprocessing"])
        )

    def loss(self, model: nn.Module, batch: dict[str, Any], done: float, lesson: None = None) -> Loss:
        """Compute the cross-entropy, with a gate also the cost of open channels; see `config.classification`.

        Args:
            model: the network, in training mode.
            batch: a batch that `collate` made.
            done: share of the run that is done, from 0 to 1.
            lesson: None.
        """
        self.problems.attend(batch["problem"])
        settings = self.recipe.gate
        for layer in model.modules():
            if isinstance(layer, ChannelGate):
                layer.temperature = temperature(done, settings.start_temperature, settings.end_temperature)
        output = model(batch["input"])
        logits = logits_of(output)
        loss = F.cross_entropy(logits, batch["label"], label_smoothing=self.recipe.loss.label_smoothing)
        figures = {"top1": (logits.detach().argmax(1) == batch["label"]).float().mean()}
        if isinstance(output, Gated):
            opened = output.open.mean() if settings.reduction == "mean" else output.open.sum(1).mean()
            loss = loss + settings.weight * opened
            figures["open"] = output.open.detach().sum(1).mean()
        return loss, figures

    @torch.no_grad()
    def validate(
        self,
        model: nn.Module,
        batches: Iterable[dict[str, Any]],
        scored: ClassificationValidationSet | None = None,
    ) -> Validation:
        """Score a network, which is put into evaluation mode and back.

        Args:
            model: the network.
            batches: batches of the samples to score on.
            scored: data set of the batches, which names the classes; None names them by numbers.

        Returns:
            Top-1 accuracy as the score; shares of right answers and the cross-entropy in nats; the confusion matrix.

        Raises:
            ImageError: if a file cannot be read and the recipe does not skip it, or if none can be read.
        """
        was_training = model.training
        model.eval()
        scores: list[tuple[Tensor, Tensor, Tensor, Tensor, int]] = []
        for batch in batches:
            self.problems.attend(batch["problem"])
            logits = logits_of(model(batch["input"])).float()
            usable = batch["label"] != UNKNOWN
            if not usable.any():
                continue
            logits, labels = logits[usable], batch["label"][usable]
            loss, place = F.cross_entropy(logits, labels, reduction="none"), rank_of(logits, labels)
            scores.append((loss.cpu(), place.cpu(), ranking(logits)[:, 0].cpu(), labels.cpu(), logits.shape[1]))
        model.train(was_training)
        scores = in_turn(scores)
        if not scores:
            raise ImageError("none of the images to score on can be read; the log names them")
        losses, ranks, guesses, truths, (count, *_) = zip(*scores, strict=True)
        rank, names = torch.cat(ranks), [str(number) for number in range(count)]
        figures = {"top1": (rank == 0).double().mean().item()}
        if len(names) > TOP:
            figures[f"top{TOP}"] = (rank < TOP).double().mean().item()
        figures["loss"] = torch.cat(losses).double().mean().item()
        confusion = confusion_matrix(torch.cat(guesses), torch.cat(truths), len(names))
        classes = names if scored is None else list(scored.images.classes)
        one = torch.cat(guesses).unique()
        remark = ""
        if len(one) == 1 and len(torch.cat(truths).unique()) > 1:
            remark = f"The network gives the class {classes[int(one)]} to every image that was scored: train longer."
        return Validation(figures["top1"], figures, confusion_picture(confusion, classes), remark)

    def _split(self, folder: Path, names: list[str] | None) -> tuple[LabeledImages, LabeledImages]:
        """Return the images to learn from and those to score on; they are the same if none are held out."""
        key = (folder, None if names is None else tuple(names))
        if key not in self.splits:
            images = find_classes(folder, names)
            share = self.recipe.data.held_out
            self.splits[key] = split_classes(images, folder, share, self.recipe.seed) if share else (images, images)
        return self.splits[key]

    def _warn_of_small_classes(self, learned: LabeledImages, held_out: LabeledImages, folder: Path) -> None:
        """Warn of classes with fewer than `FEW` images, those that are held out included."""
        counts = Counter(learned.labels)
        if self.recipe.data.held_out:
            counts.update(held_out.labels)
        small = [f"{name} ({counts[label]})" for label, name in enumerate(learned.classes) if counts[label] < FEW]
        if small:
            _log.warning(
                "each class needs at least %d images to be learned and scored, but %s has fewer of %s: add images of "
                "these classes, or join classes by moving their images into one folder",
                FEW,
                folder,
                listed(small, SMALL_NAMED),
            )

    def _fitted(self, learned: LabeledImages, folder: Path) -> Preprocessing:
        """Return the preprocessing with the statistics of the recipe."""
        data = self.recipe.data
        if data.statistics == "imagenet":
            return of_imagenet(self.plain)
        return fit_preprocessing(self.plain, learned.spread(data.statistics_count), folder, skip_bad=data.skip_bad)

    def _started(self, start: dict[str, Any], learned: LabeledImages, folder: Path) -> dict[str, Any]:
        """Return the config of weights to start from, if data and recipe fit it.

        Raises:
            CheckpointError: if they do not.
        """
        if start.get("classes") != len(learned.classes):
            raise CheckpointError(
                f"the weights to start from tell {start.get('classes')} classes apart, but the data have "
                f"{len(learned.classes)}: choose weights of these classes, or train without --from"
            )
        if "preprocessing" not in start:
            return {
                **start,
                "preprocessing": self._fitted(learned, folder).to_config(),
                "classes_named": list(learned.classes),
            }
        prepared = Preprocessing.from_config(start["preprocessing"])
        for name in ("input", "channels", "size", "stride"):
            chosen, trained = getattr(self.plain, name), getattr(prepared, name)
            if chosen != trained:
                raise CheckpointError(
                    f"the weights to start from were trained with data.{name} = {trained!r}, the recipe has "
                    f"{chosen!r}: make the recipe say the same"
                )
        return start
