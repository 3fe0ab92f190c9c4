"""Analyzes the frequency channels that a trained gate opens, and writes the subset to keep."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.images import find_images
from passband.drawing.charts.style import save_charts
from passband.drawing.frequencies.gates import channel_maps
from passband.inference.classifier import Classifier
from passband.io.failures import none_usable
from passband.io.files import results_folder, write_whole
from passband.io.json_files import write_json
from passband.layers.channels import COMPONENTS, SUBSETS, from_indices, zigzag_order
from passband.models.classification.gated import GatedClassifier
from passband.models.network_task import network_name
from passband.naming import with_article
from passband.provenance import weights_checksum
from passband.runs import weights_of
from passband.state_dicts import CheckpointError

NUMBERED = 192
"""Number of frequency channels: 64 each of Y, Cb and Cr."""


@dataclass(frozen=True)
class ChannelUse:
    """The frequency with which a gate opened each channel."""

    probability: Float[Tensor, "192"]
    """Share of images by the channel's number, component 64 + 8 v + u; 0 for channels that the network does not get."""
    images: int
    """Number of images that were counted."""
    kept: tuple[int, ...]
    """Numbers of the channels that were open most often, in rising order. Of channels that tie, those of lower
    frequency (zigzag order) are kept."""
    failed: tuple[str, ...]
    """Reasons of the images that could not be read."""

    @property
    def tied(self) -> int:
        """The number of other channels that were open as often as the last of the kept ones."""
        least = self.probability[list(self.kept)].min()
        return int((self.probability >= least).sum()) - len(self.kept)

    @property
    def tied_words(self) -> str:
        """A sentence about the tie; empty if there is none."""
        if not self.tied:
            return ""
        channels, tie = ("channel", "ties") if self.tied == 1 else ("channels", "tie")
        return (
            f"{self.tied} other {channels} {tie} with the last of these {len(self.kept)}; of channels that tie, those "
            "of lower frequency are kept (zigzag order)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON, with the counts of Y, Cb and Cr and the overlap with published subsets."""
        kept = from_indices(self.kept)
        shared = {
            name: len({*subset.indices()} & {*self.kept})
            for name, subset in SUBSETS.items()
            if len(subset) == len(self.kept)
        }
        return {
            "images": self.images,
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
    """Find the channels that a trained gate opens, draw them, and write the subset to train on without the gate.

    Writes channels.png (heat maps with the numbers of the list), channels-zigzag.png (the same with the numbers of Xu
    et al., CVPR 2020), both also as SVG, channels.json, and channels.toml, whose list can be copied into a recipe.

    Args:
        source: folder of a run, or weights of a gated classifier.
        output: folder for these files, which is made if it does not exist.
        data: folder of images to count on, in any sub-folders; None takes the counts of the training from the weights.
        keep: number of channels of the subset.
        batch: number of images that the network gets at once.
        workers: number of processes that prepare images; 0 prepares them in this process.
        device: name of a device, see `models.pick_device`.

    Returns:
        The frequency with which each channel was open, and the kept channels.

    Raises:
        CheckpointError: if the weights cannot be used, or have no gate.
        FileNotFoundError: if the folder holds no images.
        ValueError: if the gate has fewer channels, or has seen no images.
        OSError: if an image cannot be read, or a file cannot be written.
    """
    output = results_folder(output)
    # the best score may have come before the gate closed channels, so the last weights are taken
    weights = weights_of(source, prefer="last")
    classifier = Classifier(weights, device)
    if not isinstance(classifier.model, GatedClassifier):
        raise CheckpointError(
            f"{weights} has no gate, but is {with_article(network_name(classifier.model))}: give a run of a gated "
            "network, such as gated-dct-resnet50"
        )
    gate = classifier.model.gate
    checksum = weights_checksum(classifier.model)  # before counting, because the counts are part of the weights
    failed: tuple[str, ...] = ()
    if data is not None:
        gate.reset()
        failed = _count(classifier, data, batch, workers)
    elif not gate.seen:
        raise ValueError(f"the gate of {weights} has counted no images yet: name some with --data")
    numbers = torch.tensor(classifier.preprocessing.channels)
    probability = torch.zeros(NUMBERED)
    probability[numbers] = gate.keep_probability().cpu().float()
    kept = tuple(numbers[gate.to_static(keep, zigzag_order(numbers.tolist()))].tolist())
    use = ChannelUse(probability, int(gate.seen), kept, failed)
    for order, name in (("raster", "channels"), ("zigzag", "channels-zigzag")):
        save_charts(channel_maps(probability, order, kept), output / f"{name}.png")
    about = {"weights": str(weights), "weights_sha256": checksum, "data": str(data or "training")}
    write_json(output / "channels.json", {**about, **use.as_dict()})
    with write_whole(output / "channels.toml") as path:
        path.write_text(_toml(use, weights), encoding="utf-8")
    return use


def _count(classifier: Classifier, data: Path, batch: int, workers: int) -> tuple[str, ...]:
    """Let the gate count the images of a folder, and return the reasons of those that cannot be read."""
    paths = find_images(data)
    if not paths:
        raise FileNotFoundError(f"{data} holds no images")
    scores = [score for _, score in classifier.score_files(paths, batch, workers)]
    failed = tuple(score for score in scores if isinstance(score, str))
    if len(failed) == len(scores):
        raise ValueError(none_usable(data, failed))
    return failed


def _toml(use: ChannelUse, weights: str | Path) -> str:
    """Return the part of a recipe that chooses the kept channels."""
    counts = ", ".join(f"{count} of {name}" for name, count in use.as_dict()["counts"].items())
    lines = [
        f"# The {len(use.kept)} channels that the gate of {weights} opened most often, over {use.images} images:",
        f"# {counts}. Numbers are component 64 + 8 v + u.",
        *([f"# {use.tied_words}."] if use.tied else []),
        "[data]",
        f"channels = {list(use.kept)}",
    ]
    return "\n".join(lines) + "\n"
