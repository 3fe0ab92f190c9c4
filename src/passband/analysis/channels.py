"""Which frequency channels a trained gate lets through, and the subset to keep of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.images import find_images
from passband.drawing.channel_maps import channel_maps
from passband.drawing.charts import save_charts
from passband.inference.classifier import Classifier
from passband.io.files import write_whole
from passband.layers.channels import COMPONENTS, SUBSETS, from_indices, zigzag_order
from passband.models.gated import GatedClassifier
from passband.provenance import weights_checksum
from passband.runs import weights_of
from passband.weights_io import CheckpointError

NUMBERED = 192
"""Frequency channels there are: 64 each of Y, Cb and Cr."""


@dataclass(frozen=True)
class ChannelUse:
    """How often a gate opened each channel."""

    probability: Float[Tensor, "192"]
    """Share of pictures by the channel's number, component 64 + 8 v + u; 0 for one that the network does not get."""
    pictures: int
    """How many were counted."""
    kept: tuple[int, ...]
    """Numbers of the channels that were open most often, ascending; of such as were open equally often, those of lower
    frequency, in zigzag order."""
    failed: tuple[str, ...]
    """Of pictures that could not be read, why."""

    @property
    def tied(self) -> int:
        """How many channels that are not kept were open as often as the least of those that are."""
        least = self.probability[list(self.kept)].min()
        return int((self.probability >= least).sum()) - len(self.kept)

    @property
    def tied_words(self) -> str:
        """What the tie means for the choice; empty where there is none."""
        if not self.tied:
            return ""
        channels, tie = ("channel", "ties") if self.tied == 1 else ("channels", "tie")
        return (
            f"{self.tied} other {channels} {tie} with the last of these {len(self.kept)}; of channels that tie, those "
            "of lower frequency are kept (zigzag order)"
        )

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, with the counts of Y, Cb and Cr and what published subsets share with the kept one."""
        kept = from_indices(self.kept)
        shared = {
            name: len({*subset.indices()} & {*self.kept})
            for name, subset in SUBSETS.items()
            if len(subset) == len(self.kept)
        }
        return {
            "pictures": self.pictures,
            "probability": {
                name: values.tolist() for name, values in zip(COMPONENTS, self.probability.view(3, 8, 8), strict=True)
            },
            "kept": list(self.kept),
            "counts": dict(zip(COMPONENTS, kept.counts, strict=True)),
            "tied": self.tied,
            "tied_words": self.tied_words,
            "shared": shared,
            "failed": list(self.failed),
        }


def analyze_channels(
    source: str | Path,
    output: Path,
    *,
    data: Path | None = None,
    keep: int = 24,
    batch: int = 32,
    workers: int = 0,
    device: str = "auto",
) -> ChannelUse:
    """Find which channels a trained gate lets through, draw them, and write the subset to train on without the gate.

    Writes channels.png (heat maps, numbered as the list is), channels-zigzag.png (the same numbered as in Xu et al.,
    CVPR 2020), both also as SVG, channels.json, and channels.toml, whose list a recipe takes as it is.

    Args:
        source: a run's folder, or weights of a gated classifier.
        output: a folder for these files, made where it does not exist.
        data: pictures to count on, in any sub-folders; None takes the counts that the weights hold, of training.
        keep: how many channels the subset shall have.
        batch: pictures looked at at once.
        workers: processes that prepare them; 0 prepares them here.
        device: see `models.pick_device`.

    Raises:
        CheckpointError: for weights that cannot be used, or without a gate.
        FileNotFoundError: for a folder without pictures.
        ValueError: where the gate has not so many channels, or has seen no pictures.
    """
    # a gate is trained to the end; the best score may have come before it closed
    weights = weights_of(source, prefer="last")
    classifier = Classifier(weights, device)
    if not isinstance(classifier.model, GatedClassifier):
        raise CheckpointError(
            f"{weights} has no gate, but is a {classifier.model.name}: give a run of a gated network, such as "  # type: ignore[union-attr]
            "gated-dct-resnet50"
        )
    gate = classifier.model.gate
    checksum = weights_checksum(classifier.model)  # before anything is counted, for the counts are part of the weights
    failed: tuple[str, ...] = ()
    if data is not None:
        gate.reset()
        failed = _count(classifier, data, batch, workers)
    elif not gate.seen:
        raise ValueError(f"the gate of {weights} has counted no pictures yet: name some with --data")
    numbers = torch.tensor(classifier.preprocessing.channels)
    probability = torch.zeros(NUMBERED)
    probability[numbers] = gate.keep_probability().cpu().float()
    kept = tuple(numbers[gate.to_static(keep, zigzag_order(numbers.tolist()))].tolist())
    use = ChannelUse(probability, int(gate.seen), kept, failed)
    for order, name in (("raster", "channels"), ("zigzag", "channels-zigzag")):
        save_charts(channel_maps(probability, order, kept), output / f"{name}.png")
    about = {"weights": str(weights), "weights_sha256": checksum, "data": str(data or "training")}
    with write_whole(output / "channels.json") as path:
        path.write_text(json.dumps({**about, **use.as_dict()}, indent=2) + "\n", encoding="utf-8")
    with write_whole(output / "channels.toml") as path:
        path.write_text(_toml(use, weights), encoding="utf-8")
    return use


def _count(classifier: Classifier, data: Path, batch: int, workers: int) -> tuple[str, ...]:
    """Let the gate see the pictures of a folder; what was wrong with those that cannot be read."""
    paths = find_images(data)
    if not paths:
        raise FileNotFoundError(f"{data} holds no pictures")
    scores = [score for _, score in classifier.score_files(paths, batch, workers)]
    failed = tuple(score for score in scores if isinstance(score, str))
    if len(failed) == len(scores):
        raise ValueError(f"{data} holds no picture that can be read; the first of {len(failed)}: {failed[0]}")
    return failed


def _toml(use: ChannelUse, weights: str | Path) -> str:
    """The part of a recipe that chooses the kept channels."""
    counts = ", ".join(f"{count} of {name}" for name, count in use.as_dict()["counts"].items())
    lines = [
        f"# The {len(use.kept)} channels that the gate of {weights} opened most often, over {use.pictures} pictures:",
        f"# {counts}. Numbers are component 64 + 8 v + u.",
        *([f"# {use.tied_words}."] if use.tied else []),
        "[data]",
        f"channels = {list(use.kept)}",
    ]
    return "\n".join(lines) + "\n"
