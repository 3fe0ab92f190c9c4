"""Inspection: find the degradations of an image, their strength, and the gain of each restoration network."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

from passband.config import InspectionRecipe
from passband.data.datasets.crops import CLEAN
from passband.data.datasets.inspection import (
    InspectionFiles,
    InspectionImages,
    InspectionImageSettings,
    InspectionSample,
    InspectionSet,
)
from passband.data.degradations import KINDS
from passband.data.gains import GainTable, read_gains
from passband.data.images import find_images
from passband.data.pairs import find_pairs
from passband.data.splits import is_held_out
from passband.io.image import ImageError
from passband.models.inspection.inspector import Findings, InspectorNetwork
from passband.processes import balanced, in_turn
from passband.state_dicts import CheckpointError
from passband.tasks.problems import Problems
from passband.tasks.task import Direction, FixedLesson, Loss, Validation

PSNR_RANGE = (5.0, 45.0)
"""Range in dB to which PSNR is clipped, because larger values have no meaning but would decide the mean."""
GAIN_RANGE = (-3.0, 20.0)
"""Range in dB to which gains are clipped."""


class Inspection(FixedLesson):
    """Data, loss and validation of inspection.

    Args:
        recipe: settings of the run.
    """

    def __init__(self, recipe: InspectionRecipe):
        self.recipe = recipe
        self.problems = Problems(recipe.data.skip_bad)

    def directions(self, network: dict[str, Any]) -> dict[str, Direction]:
        """Return the figures that a validation reports, with the direction of each. The main figure is the first.

        Args:
            network: config of the network, which is not needed.
        """
        errors: dict[str, Direction] = dict.fromkeys(("psnr_error", "gain_error", "strange"), "minimize")
        return {"loss": "minimize", "right": "maximize", **errors}

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """Return the config of the network to train, with all kinds and the networks of the table of gains.

        Args:
            folder: folder to train on.
            start: config of the weights to start from; None for fresh ones.

        Raises:
            CheckpointError: if the weights predict the gains of other networks.
        """
        table = self._table(folder)
        names = list(table.networks) if table else []
        if start is not None:
            if start.get("networks") != names:
                raise CheckpointError(
                    f"the weights to start from predict gains of {', '.join(start.get('networks', []))}, but the table "
                    f"has {', '.join(names) or 'none'}: train without --from"
                )
            return start
        arguments = {"kinds": [*KINDS, CLEAN], "networks": names, **self.recipe.model.arguments}
        return {"model": self.recipe.model.name, **arguments}

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network that is not an inspector.

        Args:
            model: the network.
            weights: name of its weights for the error.

        Raises:
            ValueError: if it is not.
        """
        if not isinstance(model, InspectorNetwork):
            raise ValueError(f"{weights} is no inspector: a recipe of the task inspection trains one")

    def images(self, folder: Path) -> InspectionImages:
        """Return the images of the recipe, which are made by number.

        Args:
            folder: folder to train on.

        Raises:
            FileNotFoundError: if a folder is missing or empty.
        """
        data = self.recipe.data
        sources = [
            InspectionFiles(find_pairs(folder / source.folder), source.weight, source.kind)
            if source.content == "pairs"
            else InspectionFiles(_images(folder / source.folder), source.weight)
            for source in data.sources
        ]
        settings = InspectionImageSettings(
            **{name: getattr(data, name) for name in InspectionImageSettings.__dataclass_fields__}
        )
        return InspectionImages(sources or [InspectionFiles(_images(folder))], settings, self.recipe.seed)

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[InspectionSample]:
        """Return nine tenths of the images.

        Args:
            folder: folder to train on.
            network: config of the network.
        """
        return self._data(folder, network, training=True)

    def validation_data(
        self, training: Path, folder: Path | None, network: dict[str, Any]
    ) -> Dataset[InspectionSample]:
        """Return images of photos that are not learned from.

        Args:
            training: folder to train on.
            folder: None.
            network: config of the network.

        Raises:
            ValueError: if a folder is given.
        """
        if folder is not None:
            raise ValueError("an inspector is scored on a tenth of the data; leave out the folder for validation")
        return self._data(training, network, training=False)

    def _data(self, folder: Path, network: dict[str, Any], *, training: bool) -> Dataset[InspectionSample]:
        """Return the images to learn from or to score on."""
        data = self.recipe.data
        numbers = [number for number in range(data.samples) if is_held_out(number) != training]
        if not training:
            numbers = numbers[: self.recipe.validation.count]
        return InspectionSet(
            self.images(folder),
            numbers,
            self._table(folder),
            network["networks"],
            training=training,
            skip_bad=data.skip_bad,
        )

    def _table(self, folder: Path) -> GainTable | None:
        """Return the table of gains, or None if the recipe names none."""
        name = self.recipe.data.gains
        return read_gains(folder / name, made_of(self.recipe)) if name else None

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
        findings: Findings = model(batch["windows"], batch["overview"])
        settings = self.recipe.loss
        kinds = F.binary_cross_entropy_with_logits(findings.kinds, batch["kinds"])
        strength = F.smooth_l1_loss(findings.psnr, batch["psnr"].float().clamp(*PSNR_RANGE))
        gains, known = _known_gains(findings.gains, batch["gains"])
        gain = (F.smooth_l1_loss(findings.gains, gains, reduction="none") * known).sum() / known.sum().clamp(min=1)
        if model.training:  # the processes of a run know different numbers of gains
            gain = balanced(gain, known.sum())
        loss = kinds + settings.psnr * strength + settings.gain * gain
        return loss, {"kinds": kinds.detach(), "psnr": strength.detach(), "gain": gain.detach()}

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
            The negative loss as the score. Figures: the share of images whose likeliest kind is one of their own, the
            mean errors of PSNR and of known gains in dB, and the share of images that count as strange.

        Raises:
            ImageError: if a file cannot be used and the recipe does not skip it, or if none can be used.
        """
        was_training = model.training
        model.eval()
        scores: list[tuple[dict[str, list[float]], list[tuple[str, list[float]]]]] = []
        for batch in batches:
            self.problems.attend(batch["problem"])
            findings: Findings = model(batch["windows"], batch["overview"])
            loss, _ = self.loss(model, batch, 1.0)
            first = findings.kinds.argmax(1, keepdim=True)
            gains, known = _known_gains(findings.gains, batch["gains"])
            values = {
                "right": batch["kinds"].gather(1, first)[:, 0].tolist(),
                "loss": [loss.item()],
                "psnr_error": (findings.psnr - batch["psnr"].float().clamp(*PSNR_RANGE)).abs().tolist(),
                "gain_error": (findings.gains - gains).abs()[known].tolist(),
                "strange": (findings.strangeness > 2.5).float().tolist(),
            }
            scores.append((values, list(zip(batch["kind"], findings.kinds.sigmoid().tolist(), strict=True))))
        model.train(was_training)
        totals: dict[str, list[float]] = {}
        rows: list[tuple[str, list[float]]] = []
        for values, some in in_turn(scores):
            rows += some
            for name, ones in values.items():
                totals[name] = totals.get(name, []) + ones
        if not rows:
            raise ImageError("none of the images to score on can be used; the log names them")
        figures = {name: sum(values) / len(values) for name, values in totals.items() if values}
        return Validation(-figures["loss"], figures, _picture(rows))


def made_of(recipe: InspectionRecipe) -> str:
    """Return a text of everything that decides the images of a recipe by their numbers, without the files themselves.

    Args:
        recipe: settings of a run.
    """
    keys = ("sources", *InspectionImageSettings.__dataclass_fields__)
    return json.dumps({"seed": recipe.seed, **recipe.data.model_dump(include=set(keys))}, sort_keys=True)


def _known_gains(predicted: Float[Tensor, "B N"], gains: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B N"], Tensor]:
    """Return the clipped gains, and a mask of those that are known."""
    known = gains.isfinite()
    return gains.float().nan_to_num(0.0).clamp(*GAIN_RANGE).to(predicted.device), known


def _images(folder: Path) -> list[Path]:
    """Return the photos of a folder.

    Raises:
        FileNotFoundError: if there are none.
    """
    paths = find_images(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no images")
    return paths


def _picture(rows: list[tuple[str, list[float]]]) -> Float[Tensor, "3 H W"]:
    """Draw the mean predicted probability of each kind (columns) for images of each kind (rows)."""
    names = [*KINDS, CLEAN]
    picture = torch.zeros(len(names), len(names))
    for row, name in enumerate(names):
        own = [probabilities for kind, probabilities in rows if kind == name]
        if own:
            picture[row] = torch.tensor(own).mean(0)
    side = math.ceil(256 / len(names))
    return picture.repeat_interleave(side, 0).repeat_interleave(side, 1).expand(3, -1, -1).contiguous()
