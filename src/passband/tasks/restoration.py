"""Restoration: make a degraded image similar to the clean one that it came from."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, Dataset

from passband.config import RestorationRecipe
from passband.config.restoration import RestorationLoss, RestorationSource
from passband.data.datasets.crops import CLEAN
from passband.data.datasets.restoration import (
    CropSchedule,
    PairTrainingSet,
    PhotographTrainingSet,
    RestorationSample,
    RestorationValidationSet,
    Simulation,
)
from passband.data.datasets.sources import MixedTrainingSet
from passband.data.pairs import Pair, find_pairs
from passband.data.splits import split_pairs
from passband.drawing.comparison import comparison_rows, restoration_captions
from passband.io.image import ImageError
from passband.losses import FocalFrequencyLoss, FrequencyLoss, multiscale_loss, relative_multiscale_loss
from passband.metrics import psnr
from passband.models.inputs import check_views
from passband.models.network_task import check_task
from passband.models.restoration.three_scales import mean_view
from passband.models.restoration.whole import restore_batch
from passband.ops.frequency_distance import BLOCK
from passband.processes import in_turn
from passband.tasks.problems import Problems
from passband.tasks.task import Direction, FixedLesson, Loss, Validation

MOST_PSNR = 60.0
"""Largest PSNR in dB that counts; above it, an image that is hardly degraded would decide the mean."""
DRAWN = 6
"""Number of rows in the image of a validation."""


class Restoration(FixedLesson):
    """Data, loss and validation of restoration.

    Args:
        recipe: settings of the run.
    """

    def __init__(self, recipe: RestorationRecipe):
        self.recipe = recipe
        self.problems = Problems(recipe.data.skip_bad)
        self._weighted = _weighted_losses(recipe.loss)

    def directions(self, network: dict[str, Any]) -> dict[str, Direction]:
        """Return the figures that a validation reports, with the direction of each. The main figure is the first.

        Args:
            network: config of the network, which is not needed.
        """
        data = self.recipe.data
        contents = {source.content for source in data.sources} or {data.source}
        kinds = [kind for kind in data.degradations if kind != CLEAN] if "photographs" in contents else []
        pairs = ["pair"] if data.source == "pairs" or any(source.held_out for source in data.sources) else []
        return dict.fromkeys(["psnr", *(f"gain/{kind}" for kind in kinds + pairs)], "maximize")

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """Return the config of the network to train: that of the recipe, or of the weights to start from.

        Args:
            folder: folder to train on.
            start: config of the weights to start from; None for fresh ones.
        """
        return start or {"model": self.recipe.model.name, **self.recipe.model.arguments}

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[RestorationSample]:
        """Return crops, whose numbers continue past the first epoch.

        Args:
            folder: folder to train on.
            network: config of the network.
        """
        data, seed, crop = self.recipe.data, self.recipe.seed, self._crop()
        if data.source == "pairs":
            return PairTrainingSet(self._split(folder)[0], crop, seed, skip_bad=data.skip_bad, batch=data.batch)
        simulation = Simulation(data.simulators, data.camera, data.mixtures, data.zoom)
        if not data.sources:
            return PhotographTrainingSet(
                folder, data.degradations, crop, seed, simulation=simulation, skip_bad=data.skip_bad, batch=data.batch
            )
        sources: list[PhotographTrainingSet | PairTrainingSet] = []
        for number, source in enumerate(data.sources):
            inside, own_seed = folder / source.folder, seed + 1000 * number
            if source.content == "pairs":
                pairs = self._split_source(inside, source)[0]
                sources.append(PairTrainingSet(pairs, crop, own_seed, skip_bad=data.skip_bad, batch=data.batch))
            else:
                kinds = source.degradations or data.degradations
                own = replace(simulation, version=source.simulators or data.simulators)
                sources.append(
                    PhotographTrainingSet(
                        inside, kinds, crop, own_seed, simulation=own, skip_bad=data.skip_bad, batch=data.batch
                    )
                )
        return MixedTrainingSet(sources, [source.weight for source in data.sources], seed)

    def validation_data(
        self, training: Path, folder: Path | None, network: dict[str, Any]
    ) -> Dataset[RestorationSample]:
        """Return crops that are the same every time, and degraded with another seed than those of the training.

        Args:
            training: folder to train on.
            folder: folder to score on, which takes the place of pairs that the recipe holds out; or None.
            network: config of the network.

        Raises:
            ValueError: if a folder is given and all sources are pairs, or if the sources hold nothing to score on.
        """
        data, validation = self.recipe.data, self.recipe.validation
        seed, version = self.recipe.seed + 1, data.simulators
        if data.sources:
            return self._validation_of_sources(training, folder)
        if data.source == "pairs":
            kinds, source = [], self._split(training)[1] if folder is None else find_pairs(folder, data.views)
        else:
            kinds, source = [kind for kind in data.degradations if kind != CLEAN], folder or training
        return RestorationValidationSet(source, kinds, validation.crop, validation.count, seed, version)

    def _validation_of_sources(self, training: Path, folder: Path | None) -> Dataset[RestorationSample]:
        """Return held-out pairs of the sources, and degraded crops of `folder` or of a source of photos."""
        data, validation, seed = self.recipe.data, self.recipe.validation, self.recipe.seed + 1
        parts: list[Dataset[RestorationSample]] = []
        of_photographs = [source for source in data.sources if source.content == "photographs"]
        if folder is not None and not of_photographs:
            raise ValueError(
                "a folder of photographs to score on needs a source of photographs, and all data.sources are pairs: "
                f"leave out {folder}, and set held_out in a source"
            )
        for source in data.sources:
            if source.content == "pairs" and source.held_out:
                held = self._split_source(training / source.folder, source)[1]
                parts.append(RestorationValidationSet(held, [], validation.crop, validation.count, seed))
        if of_photographs:
            kinds = [kind for kind in data.degradations if kind != CLEAN]
            photographs = folder or training / of_photographs[0].folder
            parts.append(
                RestorationValidationSet(photographs, kinds, validation.crop, validation.count, seed, data.simulators)
            )
        if not parts:
            raise ValueError("nothing to score on: give held_out to a source of pairs, or a source of photographs")
        return ConcatDataset(parts)

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network of another task, or one that does not take the views or the crops of the recipe's data.

        Args:
            model: the network.
            weights: name of its weights for the error.

        Raises:
            CheckpointError: if it is for another task.
            ValueError: if the views or the crops do not fit.
        """
        check_task(model, "restoration", weights, "choose a restoration network, such as general")
        data = self.recipe.data
        check_views(model, data.views, weights)
        multiple, minimum = (int(getattr(model, name, 1)) for name in ("multiple", "minimum"))
        for side in data.crops or (data.crop,):
            if side % multiple or side < minimum:
                raise ValueError(
                    f"{weights} needs crops divisible by {multiple} and at least {minimum} pixels, got {side}; set "
                    f"data.crop={max(minimum, -(-side // multiple) * multiple)}"
                )

    def _split(self, folder: Path) -> tuple[list[Pair], list[Pair]]:
        """Return the pairs to learn from and those to score on; they are the same if none are held out."""
        data = self.recipe.data
        pairs = find_pairs(folder, data.views)
        return split_pairs(pairs, data.held_out, self.recipe.seed) if data.held_out else (pairs, pairs)

    def _split_source(self, folder: Path, source: RestorationSource) -> tuple[list[Pair], list[Pair]]:
        """Return the pairs of a source to learn from and those to score on."""
        pairs = find_pairs(folder)
        return split_pairs(pairs, source.held_out, self.recipe.seed) if source.held_out else (pairs, [])

    def _crop(self) -> int | CropSchedule:
        """Return the side of the training crops, or its schedule over the samples of the whole run."""
        data, steps = self.recipe.data, self.recipe.optim.steps
        if not data.crops or steps is None:
            return data.crop
        shares = data.crop_shares or (1.0,) * len(data.crops)
        ends = [round(steps * sum(shares[: place + 1]) / sum(shares)) * data.batch for place in range(len(shares))]
        return CropSchedule(data.crops, tuple(ends))

    def loss(self, model: nn.Module, batch: dict[str, Any], done: float, lesson: None = None) -> Loss:
        """Compute the loss of a batch, and detached figures to log.

        Args:
            model: the network, in training mode.
            batch: a batch that `collate` made.
            done: share of the run that is done, from 0 to 1.
            lesson: None.

        Raises:
            ImageError: if a file cannot be used and the recipe does not skip it.
        """
        self.problems.attend(batch["problem"])
        predictions = model(batch["degraded"])
        measure = relative_multiscale_loss if self.recipe.loss.relative else multiscale_loss
        loss = measure(predictions, batch["clean"], self.recipe.loss.spectral_weight, added=self._added)
        return loss, {"psnr": psnr(predictions[-1].detach().clamp(0, 1), batch["clean"]).mean()}

    def _added(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Compute the losses that the recipe adds to SFNet's, for one size."""
        total = restored.new_zeros(())
        for weight, loss in self._weighted:
            if min(restored.shape[-2:]) >= BLOCK:
                total = total + weight * loss.to(restored.device)(restored, clean)
        return total

    @torch.no_grad()
    def validate(
        self, model: nn.Module, batches: Iterable[dict[str, Any]], scored: Dataset[Any] | None = None
    ) -> Validation:
        """Score a network, which is put into evaluation mode and back.

        Args:
            model: the network.
            batches: batches of the samples to score on.
            scored: data set of the batches, which is not needed.

        Returns:
            The mean PSNR in dB as the score; mean gains in dB by kind of degradation; some restored images.

        Raises:
            ImageError: if a file cannot be used and the recipe does not skip it, or if none can be used.
        """
        was_training = model.training
        model.eval()
        parts: list[tuple[list[str], list[float], list[float], list[float], list[list[Tensor]]]] = []
        for batch in batches:
            self.problems.attend(batch["problem"])
            good = [position for position, problem in enumerate(batch["problem"]) if not problem]
            if not good:
                parts.append(([], [], [], [], []))
                continue
            images, clean, kinds = batch["degraded"][good], batch["clean"][good], [batch["kind"][one] for one in good]
            restored, degraded = restore_batch(model, images).float().clamp(0, 1), mean_view(images)
            after, before = (psnr(image, clean).clamp(max=MOST_PSNR) for image in (restored, degraded))
            images = [list(row) for row in zip(degraded.cpu(), restored.cpu(), clean.cpu(), strict=True)]
            drawn = max(0, DRAWN - sum(len(part[0]) for part in parts))
            parts.append((kinds, before.tolist(), after.tolist(), (after - before).tolist(), images[:drawn]))
        model.train(was_training)
        gains: dict[str, list[float]] = {}
        scores, rows, captions = [], [], []
        for kinds, before, after, differences, images in in_turn(parts):
            scores += after
            for kind, gain in zip(kinds, differences, strict=True):
                gains.setdefault(kind, []).append(gain)
            rows += images
            captions += [*map(restoration_captions, before, after, kinds)][: len(images)]
        if not scores:
            raise ImageError("none of the images to score on can be used; the log names them")
        mean = sum(scores) / len(scores)
        figures = {"psnr": mean} | {f"gain/{kind}": sum(values) / len(values) for kind, values in gains.items()}
        shown = comparison_rows(rows[:DRAWN], captions[:DRAWN])
        return Validation(mean, figures, shown)


def _weighted_losses(config: RestorationLoss) -> list[tuple[float, nn.Module]]:
    """Build the losses that a recipe adds to SFNet's, each with its weight."""
    losses: list[tuple[float, nn.Module]] = []
    if config.frequency is not None:
        options = {name: getattr(config.frequency, name) for name in ("quality", "cutoff", "gate")}
        given = {name: value for name, value in options.items() if value is not None}
        shared = {name: getattr(config.frequency, name) for name in ("power", "stride", "masking")}
        losses.append((config.frequency.weight, FrequencyLoss(config.frequency.weights, **shared, **given)))
    if config.focal is not None:
        focal = FocalFrequencyLoss(alpha=config.focal.alpha, log_matrix=config.focal.log_matrix)
        losses.append((config.focal.weight, focal))
    return losses
