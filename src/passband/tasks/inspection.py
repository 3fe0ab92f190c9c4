"""Inspection: tell what is wrong with a picture, how strong it is, and what each restoration network would gain."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

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
from passband.models.inspector import Findings, InspectorNetwork
from passband.tasks.problems import Problems
from passband.tasks.task import Loss, Stateful, Validation
from passband.weights_io import CheckpointError

PSNR_RANGE = (5.0, 45.0)
GAIN_RANGE = (-3.0, 20.0)
"""PSNR and gains in dB count as within these: what is beyond decides nothing, and would decide the mean."""


class Inspection:
    """Data, loss and validation of inspection.

    Args:
        recipe: the run's settings.
    """

    def __init__(self, recipe: InspectionRecipe):
        self.recipe = recipe
        self.problems = Problems(recipe.data.skip_bad)

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """The config of the network to train: it knows all kinds, and the networks of the table of gains."""
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

    def lesson(self, folder: Path, network: dict[str, Any]) -> None:
        """Return None: images are learned from as they are."""

    def state(self, lesson: None = None) -> list[Stateful]:
        """Return nothing: a checkpoint keeps the network alone."""
        return []

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Stack samples, whose tensors are of one size."""
        return default_collate(samples)

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network, called `weights`, that is no inspector."""
        if not isinstance(model, InspectorNetwork):
            raise ValueError(f"{weights} is no inspector: a recipe of the task inspection trains one")

    def pictures(self, folder: Path) -> InspectionImages:
        """What makes the pictures of the recipe.

        Args:
            folder: that the run is given.

        Raises:
            FileNotFoundError: for a folder that is missing or empty.
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
        """Nine tenths of the pictures."""
        return self._data(folder, network, training=True)

    def validation_data(
        self, training: Path, folder: Path | None, network: dict[str, Any]
    ) -> Dataset[InspectionSample]:
        """Pictures of photographs that are not learned from."""
        if folder is not None:
            raise ValueError("an inspector is scored on a tenth of the data; leave out the folder for validation")
        return self._data(training, network, training=False)

    def _data(self, folder: Path, network: dict[str, Any], *, training: bool) -> Dataset[InspectionSample]:
        data = self.recipe.data
        numbers = [number for number in range(data.samples) if is_held_out(number) != training]
        if not training:
            numbers = numbers[: self.recipe.validation.count]
        return InspectionSet(
            self.pictures(folder),
            numbers,
            self._table(folder),
            network["networks"],
            training=training,
            skip_bad=data.skip_bad,
        )

    def _table(self, folder: Path) -> GainTable | None:
        """The table of gains, where the recipe names one."""
        name = self.recipe.data.gains
        return read_gains(folder / name, made_of(self.recipe)) if name else None

    def loss(self, model: nn.Module, batch: dict[str, Any], done: float, lesson: None = None) -> Loss:
        """The loss of a batch, and figures to watch, detached.

        Raises:
            ImageError: for a file that cannot be used, unless the recipe skips such.
        """
        self.problems.attend(batch["problem"])
        findings: Findings = model(batch["windows"], batch["overview"])
        settings = self.recipe.loss
        kinds = F.binary_cross_entropy_with_logits(findings.kinds, batch["kinds"])
        strength = F.smooth_l1_loss(findings.psnr, batch["psnr"].float().clamp(*PSNR_RANGE))
        gains, known = _known_gains(findings.gains, batch["gains"])
        gain = (F.smooth_l1_loss(findings.gains, gains, reduction="none") * known).sum() / known.sum().clamp(min=1)
        loss = kinds + settings.psnr * strength + settings.gain * gain
        return loss, {"kinds": kinds.detach(), "psnr": strength.detach(), "gain": gain.detach()}

    @torch.no_grad()
    def validate(
        self, model: nn.Module, batches: Iterable[dict[str, Any]], scored: Dataset[Any] | None = None
    ) -> Validation:
        """Score a network, which is put into evaluation mode and back.

        Returns:
            The loss with its sign changed as the score. Figures: the share of pictures of which the likeliest kind is
            one that they have, mean errors of PSNR and gains in dB, the mean gain of the network that is predicted to
            gain most on the pictures of which a gain is known, and the share of pictures that are taken for strange.

        Raises:
            ImageError: for files that cannot be used, unless the recipe skips such, or where none can.
        """
        was_training = model.training
        model.eval()
        totals: dict[str, list[float]] = {name: [] for name in ("right", "loss", "psnr_error", "gain_error", "strange")}
        rows: list[tuple[str, list[float]]] = []
        for batch in batches:
            self.problems.attend(batch["problem"])
            findings: Findings = model(batch["windows"], batch["overview"])
            loss, _ = self.loss(model, batch, 1.0)
            totals["loss"].append(loss.item())
            first = findings.kinds.argmax(1, keepdim=True)
            totals["right"] += batch["kinds"].gather(1, first)[:, 0].tolist()
            totals["psnr_error"] += (findings.psnr - batch["psnr"].float().clamp(*PSNR_RANGE)).abs().tolist()
            gains, known = _known_gains(findings.gains, batch["gains"])
            totals["gain_error"] += (findings.gains - gains).abs()[known].tolist()
            totals["strange"] += (findings.strangeness > 2.5).float().tolist()
            rows += list(zip(batch["kind"], findings.kinds.sigmoid().tolist(), strict=True))
        model.train(was_training)
        if not rows:
            raise ImageError("none of the pictures to score on can be used; the log names them")
        figures = {name: sum(values) / len(values) for name, values in totals.items() if values}
        return Validation(-figures["loss"], figures, _picture(rows))


def made_of(recipe: InspectionRecipe) -> str:
    """Which pictures a recipe's numbers stand for, but for the files themselves.

    Args:
        recipe: the settings of a run.
    """
    keys = ("sources", *InspectionImageSettings.__dataclass_fields__)
    return json.dumps({"seed": recipe.seed, **recipe.data.model_dump(include=set(keys))}, sort_keys=True)


def _known_gains(predicted: Float[Tensor, "B N"], gains: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B N"], Tensor]:
    """The gains that count, and where they are known."""
    known = gains.isfinite()
    return gains.float().nan_to_num(0.0).clamp(*GAIN_RANGE).to(predicted.device), known


def _images(folder: Path) -> list[Path]:
    """The photographs of a folder that must have some."""
    paths = find_images(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no pictures")
    return paths


def _picture(rows: list[tuple[str, list[float]]]) -> Float[Tensor, "3 H W"]:
    """Mean probability of each kind, across, for pictures of each single kind, down: bright along the diagonal."""
    names = [*KINDS, CLEAN]
    picture = torch.zeros(len(names), len(names))
    for place, name in enumerate(names):
        found = [probabilities for kind, probabilities in rows if kind == name]
        if found:
            picture[place] = torch.tensor(found).mean(0)
    side = math.ceil(256 / len(names))
    return picture.repeat_interleave(side, 0).repeat_interleave(side, 1).expand(3, -1, -1).contiguous()
