"""Segmentation: name the class of each pixel; a curriculum may begin with coarse images."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

from passband.config import SegmentationRecipe
from passband.curriculum import check_stride
from passband.data.batch_augmentation import BatchAugmentation
from passband.data.datasets.segmentation import (
    SegmentationAugmentation,
    SegmentationSample,
    SegmentationTrainingSet,
    SegmentationValidationSet,
    collate_masks,
)
from passband.data.leak_warnings import warn_of_learned_images
from passband.data.leaks import leak_report
from passband.data.masks import MaskPair, find_mask_pairs, survey_masks
from passband.data.selection import evenly
from passband.io.image import ImageError
from passband.losses import segmentation_loss
from passband.metrics.mask_scores import PROTOCOLS, predicted_classes, resized_logits
from passband.models.class_names import mask_names
from passband.models.network_task import check_task
from passband.ops.labels import IGNORED, has_class
from passband.state_dicts import CheckpointError
from passband.tasks.chosen_masks import split_by_recipe
from passband.tasks.curriculum import Lesson, measured_profile, stored_profile
from passband.tasks.mask_validation import MaskValidation
from passband.tasks.problems import Problems
from passband.tasks.robustness import RobustnessScores
from passband.tasks.task import Direction, Loss, Stateful, Validation

NAMED = 5
"""Largest number of images that a warning names."""

DEVICE_SEED = 2**40
"""Number that is added to the seed of a sample, so that the device's changes differ from those of the loader."""

_log = logging.getLogger(__name__)


class Segmentation:
    """Data, loss and validation of segmentation.

    Args:
        recipe: settings of the run.

    Raises:
        ValueError: if the recipe is for several runs, by `curriculum.final_ratios`.
    """

    def __init__(self, recipe: SegmentationRecipe):
        if recipe.curriculum.final_ratios:
            raise ValueError(
                "curriculum.final_ratios are several runs: `passband train` or study.ratio_sweep.sweep_ratios does "
                "them one by one"
            )
        self.recipe = recipe
        self.measure = segmentation_loss(recipe.loss.name, recipe.data.classes)
        self.problems = Problems(recipe.data.skip_bad)
        changes = recipe.data.batch_augmentation
        # without ignored pixels, pixels from outside an image are background, as in the borders of many photographs
        outside = 0 if recipe.data.ignore_label is None else IGNORED
        self.augmentation = None if changes.is_off else BatchAugmentation(**changes.model_dump(), outside=outside)
        binary = recipe.data.classes == 1
        self.protocol, self.main = ("lab_macro", "foreground_dice") if binary else ("micro", "class_iou")
        self.splits: dict[Path, tuple[list[MaskPair], list[MaskPair]]] = {}

    def directions(self, network: dict[str, Any]) -> dict[str, Direction]:
        """Return the figures that a validation reports, with the direction of each. The main figure is the first.

        Args:
            network: config of the network, which is not needed.
        """
        names = [self.main, *PROTOCOLS[self.protocol].figures, "foreground_dice", "foreground_iou"]
        names += [f"{self.main}_{name}" for name in self._robustness().strengths]
        return {**dict.fromkeys(names, "maximize"), "loss": "minimize"}

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """Return the config of the network to train; the data decide their spectral profile.

        Weights to start from keep their arguments, and must have the same number of classes.

        Args:
            folder: folder to train on.
            start: config of the weights to start from; None for fresh ones.

        Raises:
            ValueError: if the folder holds no images with masks, or masks that cannot be learned from.
            CheckpointError: if the weights are for another number of classes.
        """
        data = self.recipe.data
        learned = self.split(folder)[0]
        survey = survey_masks(learned, data.classes, data.ignore_label)
        if survey.empty:
            _log.info("%d of %d masks are empty, such as that of %s", len(survey.empty), survey.count, survey.empty[0])
        if survey.full:
            every = len(survey.full) == survey.count
            _log.log(
                logging.WARNING if every else logging.INFO,
                "%s masks are foreground everywhere, such as that of %s%s",
                f"all {survey.count}" if every else f"{len(survey.full)} of {survey.count}",
                survey.full[0],
                ", so there is no background to learn from: it must be black (or 0)" if every else "",
            )
        preprocessing = {"size": data.size, "profile": self._profile(learned)}
        if data.ignore_label is not None:
            preprocessing["ignore_label"] = data.ignore_label
        about = {
            "preprocessing": preprocessing,
            "classes_named": list(data.class_names or mask_names(data.classes)),
        }
        if start is not None:
            if start.get("classes", 1) != data.classes:
                raise CheckpointError(
                    f"the weights to start from have {start.get('classes', 1)} classes, the recipe {data.classes}: "
                    "make data.classes say the same, or train without --from"
                )
            if "encoder_weights" in start:
                about["encoder_weights"] = None  # the weights to start from replace these
            return {**start, **about}
        return {"model": self.recipe.model.name, **self.recipe.model.arguments, "classes": data.classes, **about}

    def lesson(self, folder: Path, network: dict[str, Any]) -> Lesson:
        """Return the curriculum of the run.

        Args:
            folder: folder to train on; an adaptive schedule searches on some of its images.
            network: config of the network, which holds the profile of the images.

        Raises:
            ImageError: if no image that an adaptive schedule needs can be used.
        """
        curriculum, reference = self.recipe.curriculum, None
        if curriculum.mode != "none" and curriculum.schedule == "adaptive":
            pairs = evenly(self.split(folder)[0], curriculum.adaptive.images)
            reference = torch.stack(list(self._images(pairs)))
        return Lesson(self.recipe, stored_profile(network["preprocessing"]), reference)

    def state(self, lesson: Lesson) -> list[Stateful]:
        """Return the ratios that an adaptive schedule has found.

        Args:
            lesson: result of `lesson`.
        """
        return lesson.state()

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Stack images, and put masks into a list, because they may differ in size.

        Args:
            samples: samples of a data set of this task.
        """
        return collate_masks(samples)  # type: ignore[arg-type]

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network of another task, or one that does not take the sizes of the data and the curriculum.

        Args:
            model: the network.
            weights: name of its weights for the error.

        Raises:
            CheckpointError: if it is for another task.
            ValueError: if a size does not fit.
        """
        check_task(model, "segmentation", weights, "name one in the recipe, such as unet or smp")
        multiple = int(model.multiple)  # type: ignore[arg-type]
        for name, sizes in (("data.size", (self.recipe.data.size,)), ("curriculum.sizes", self.recipe.sizes)):
            try:
                check_stride(sizes, multiple)
            except ValueError as error:
                raise ValueError(f"{name} does not fit {weights}: {error}") from error

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[SegmentationSample]:
        """Return augmented images, whose numbers continue past the first epoch.

        Args:
            folder: folder to train on.
            network: config of the network.
        """
        data = self.recipe.data
        learned = self.split(folder)[0]
        return SegmentationTrainingSet(
            learned,
            data.classes,
            data.size,
            self.recipe.seed,
            augmentation=SegmentationAugmentation(
                data.flip, data.turn, data.scale, data.brightness, data.contrast, data.saturation, data.hue
            ),
            cache=data.cache,
            skip_bad=data.skip_bad,
            batch=data.batch,
            ignore_label=data.ignore_label,
        )

    def validation_data(
        self, training: Path, folder: Path | None, network: dict[str, Any]
    ) -> Dataset[SegmentationSample]:
        """Return whole images with masks of their own size: of a folder, held-out ones, or the training images.

        Warns about images that are also learned from, or are nearly the same as those.

        Args:
            training: folder to train on.
            folder: folder to score on, which takes the place of images that the recipe holds out or lists; or None.
            network: config of the network.
        """
        data = self.recipe.data
        learned, scored = self.split(training)
        if folder is not None:
            scored = find_mask_pairs(folder)
        if scored is learned:
            warn_of_learned_images()
        else:
            for line in leak_report(learned, scored).lines(NAMED):
                _log.warning("%s", line)
        return SegmentationValidationSet(
            evenly(scored, self.recipe.validation.count),
            data.classes,
            data.size,
            cache=data.cache,
            ignore_label=data.ignore_label,
        )

    def loss(self, model: nn.Module, batch: dict[str, Any], done: float, lesson: Lesson | None = None) -> Loss:
        """Compute the loss of the predictions for the curriculum's images, at the size of the masks.

        Args:
            model: the network, in training mode.
            batch: a batch that `collate` made.
            done: share of the run that is done, from 0 to 1.
            lesson: result of `lesson`, which is needed.

        Raises:
            ImageError: if a file cannot be used and the recipe does not skip it.
            TypeError: if the lesson is missing.
            ValueError: if images are not finite; the message names them.
        """
        self.problems.attend(batch["problem"])
        images, mask = batch["image"], torch.stack(batch["mask"])
        finite = images.isfinite().flatten(1).all(1)
        if not finite.all():
            names = [name for name, good in zip(batch["name"], finite.tolist(), strict=True) if not good]
            raise ValueError(f"images with values that are not finite: {', '.join(names)}; leave them out")
        if lesson is None:
            raise TypeError("segmentation learns by a curriculum: pass the result of lesson to loss")
        if self.augmentation is not None:
            first = DEVICE_SEED + self.recipe.seed * 1_000_003
            images, mask = self.augmentation(images, mask, [first + number for number in batch["number"].tolist()])
        seen, figures = lesson.seen_images(images, model, done)
        logits = resized_logits(model(seen), mask.shape[-2:])
        with torch.no_grad():
            figures["dice"] = _pooled_dice(logits, mask)
        return self.measure(logits, mask), figures

    @torch.no_grad()
    def validate(
        self, model: nn.Module, batches: Iterable[dict[str, Any]], scored: Dataset[Any] | None = None
    ) -> Validation:
        """Score a network on whole images, at the size of their masks; it is put into evaluation mode and back.

        Args:
            model: the network.
            batches: batches of the samples to score on.
            scored: data set of the batches, which is not needed.

        Returns:
            The mean Dice of the foreground as the score of binary masks, else the mean IoU of the classes; the figures
            of `lab_macro`, or of `micro` for several classes, the main figure on noisy and on blurred copies if the
            recipe asks for them, and the loss; rows of image, ground truth and prediction.

        Raises:
            ImageError: if a file cannot be used and the recipe does not skip it, or if none can be used.
        """
        was_training = model.training
        model.eval()
        scores = MaskValidation(self.protocol, self.main, self.recipe.data.classes, self.measure)
        robustness = self._robustness()
        for batch in batches:
            self.problems.attend(batch["problem"])
            scores.add(batch, model(batch["image"]).float())
            robustness.add(model, batch)
        model.train(was_training)
        return scores.result(robustness)

    def _robustness(self) -> RobustnessScores:
        """Return the scores on degraded copies, which hold nothing yet."""
        validation = self.recipe.validation
        return RobustnessScores(validation.noise, validation.blur, self.protocol, self.recipe.data.classes)

    def split(self, folder: Path) -> tuple[list[MaskPair], list[MaskPair]]:
        """Return the images to learn from and those to score on; they are the same list if none are held out.

        Args:
            folder: folder to train on.
        """
        if folder not in self.splits:
            self.splits[folder] = split_by_recipe(find_mask_pairs(folder), self.recipe.data)
        return self.splits[folder]

    def _profile(self, pairs: Sequence[MaskPair]) -> dict[str, Any] | None:
        """Return the spectral profile of images as JSON can hold it, or None if ratios are not measured."""
        count = self.recipe.curriculum.profile_count
        profile = measured_profile(self.recipe.curriculum, self._images(evenly(pairs, count)))
        return None if profile is None else profile.to_config()

    def _images(self, pairs: Sequence[MaskPair]) -> Iterable[Float[Tensor, "3 S S"]]:
        """Generate whole images in the size of training.

        Raises:
            ImageError: if none can be used.
        """
        data = self.recipe.data
        samples = SegmentationValidationSet(pairs, data.classes, data.size, cache=False, ignore_label=data.ignore_label)
        count = 0
        for number in range(len(pairs)):
            sample = samples[number]
            self.problems.attend([sample["problem"]])
            if not sample["problem"]:
                count += 1
                yield sample["image"]
        if not count:
            raise ImageError(f"none of {len(pairs)} images can be used; the log names them")


def _pooled_dice(logits: Float[Tensor, "B K H W"], mask: Tensor) -> Float[Tensor, ""]:
    """Return the Dice of the foreground of a whole batch; with several classes, the class must be right."""
    predicted = predicted_classes(logits.detach())
    right = ((predicted == mask) & (mask > 0)).sum()
    both = ((predicted > 0) & has_class(mask)).sum() + (mask > 0).sum()
    return torch.where(both > 0, 2 * right / both.clamp(min=1), torch.ones_like(both, dtype=torch.float32))
