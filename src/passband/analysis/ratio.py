"""Finds the frequency ratio at which a trained network responds to most of the spectrum that it uses."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.curriculum import OptimalRatio, RadialProfile, RatioSearch
from passband.curriculum.objective import evaluating
from passband.data.classifier_input import PIXELS, Preprocessing
from passband.data.images import find_images
from passband.data.masks import find_mask_pairs
from passband.data.selection import evenly
from passband.drawing.charts.ratio import ratio_curves
from passband.drawing.charts.style import save_charts
from passband.inference.classifier import Classifier
from passband.io.failures import none_usable
from passband.io.files import results_folder
from passband.io.image import read_image
from passband.io.json_files import write_json
from passband.metrics.mask_scores import predicted_classes
from passband.models import load_with_config, pick_device, task_of
from passband.models.network_task import network_name
from passband.naming import with_article
from passband.ops.color import rgb_to_ycbcr
from passband.provenance import weights_checksum
from passband.runs import weights_of
from passband.state_dicts import CheckpointError
from passband.tasks.curriculum import stored_profile

SIZE = 256
"""Side of the images in pixels for a segmentation network whose weights do not give it."""


@dataclass(frozen=True)
class RatioAnalysis:
    """The result of a search on images in files."""

    optimum: OptimalRatio
    """The result for all images together."""
    each: tuple[tuple[Path, OptimalRatio], ...]
    """The result for each image; empty unless it was asked for."""
    images: tuple[Path, ...]
    """Paths of the images that were used."""
    failed: tuple[str, ...]
    """Reasons of the images that could not be read."""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            "optimum": self.optimum.as_dict(),
            "each": [{"image": str(path), **optimum.as_dict()} for path, optimum in self.each],
            "images": [str(path) for path in self.images],
            "failed": list(self.failed),
        }


def analyze_ratio(
    source: str | Path,
    output: Path,
    *,
    data: Path,
    search: RatioSearch | None = None,
    count: int = 16,
    size: int | None = None,
    per_image: bool = False,
    device: str = "auto",
) -> RatioAnalysis:
    """Search the best frequency ratio of a network on images, draw the curve and write its figures.

    The images are RGB in [0, 1], as those of a curriculum are; normalization is part of the network. Segmentation
    networks get the images resized to squares, classifiers get the view that they classify. If the weights hold the
    spectral profile of their training set for this definition and size, ratios follow it; otherwise they follow the
    images themselves. Writes ratio.json, ratio.png and ratio.svg.

    Args:
        source: folder of a run, or weights of a segmentation network or of a classifier of pixels.
        output: folder for these files, which is made if it does not exist.
        data: folder of images in any sub-folders; masks in it are left out.
        search: settings of the search; None for the defaults of `RatioSearch`.
        count: largest number of images, which are spread evenly over all; 1 or more.
        size: side of the images in pixels; None for that of the training.
        per_image: whether each image is searched also by itself, which costs as much again.
        device: name of a device, see `models.pick_device`.

    Returns:
        The best ratio, and the images that were used.

    Raises:
        CheckpointError: if the weights cannot be used, or are for another kind of network.
        FileNotFoundError: if the folder holds no images.
        ValueError: if a number is out of range, no image can be read, or a segmentation network finds nothing in any
            image, so that its saliency has no meaning.
        OSError: if a file cannot be written.
    """
    output, search = results_folder(output), search or RatioSearch()
    if count < 1:
        raise ValueError(f"a search needs 1 image or more; got {count}")
    weights = weights_of(source)
    network = _load(weights, size, device)
    images, used, failed = _read(data, count, network.preprocessing)
    images = images.to(network.device)
    if network.is_segmentation and not _finds_something(network.model, images, search.batch or len(images)):
        raise ValueError(
            f"{weights} finds nothing but background in all {len(images)} images of {data}, so there is no best "
            "ratio to search for: train it longer, or give images in which it finds something"
        )
    known = network.profile
    if search.profile is None and known and (known.definition, known.size) == (search.definition, images.shape[-2:]):
        search = replace(search, profile=known)
    optimum = search(network.model, images)
    each = tuple(zip(used, search.each(network.model, images), strict=True)) if per_image else ()
    result = RatioAnalysis(optimum, each, used, failed)
    save_charts(ratio_curves(optimum.as_dict(), [one.ratio for _, one in each if one.interior]), output / "ratio.png")
    about = {
        "weights": str(weights),
        "weights_sha256": network.checksum,
        "data": str(data),
        "profile_images": search.profile.images if search.profile else optimum.images,
    }
    write_json(output / "ratio.json", {**about, **result.as_dict()})
    return result


@dataclass(frozen=True)
class _Network:
    """A network that takes images in [0, 1] and returns logits."""

    model: nn.Module
    preprocessing: Preprocessing | int
    """Preprocessing of a classifier's view without normalization, or the side of a square in pixels."""
    device: torch.device
    checksum: str
    profile: RadialProfile | None = None
    """Spectral profile of the images that it was trained on."""
    is_segmentation: bool = False
    """Whether it segments images."""


class _OfPixels(nn.Module):
    """A classifier that normalizes its input itself.

    Args:
        model: the classifier.
        preprocessing: preprocessing with the normalization.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing):
        super().__init__()
        self.model, self.preprocessing = model, preprocessing

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B classes"]:
        """Return the logits of images in [0, 1]."""
        prepared = self.preprocessing
        values = rgb_to_ycbcr(image) if prepared.input == "ycbcr" else image
        mean, std = (image.new_tensor(numbers).view(1, -1, 1, 1) for numbers in (prepared.mean, prepared.std))
        return self.model((values - mean) / std)


def _load(weights: str | Path, size: int | None, device: str) -> _Network:
    """Load a network for images of a size."""
    task = task_of(weights)
    if task == "classification":
        classifier = Classifier(weights, device)
        prepared = classifier.preprocessing
        if prepared.input not in PIXELS:
            raise CheckpointError(
                f"{weights} takes {prepared.input}, not pixels, so it cannot take images of low frequencies: "
                "give a network whose data.input is rgb or ycbcr"
            )
        plain = replace(prepared, input="rgb", size=size or prepared.size, mean=(0.0,) * 3, std=(1.0,) * 3)
        model = _OfPixels(classifier.model, prepared).to(classifier.device)
        return _Network(model, plain, classifier.device, weights_checksum(classifier.model))
    chosen_device = pick_device(device)
    model, config = load_with_config(weights)
    if task != "segmentation":
        raise CheckpointError(
            f"{weights} is {with_article(network_name(model))} for {task}, which gives no scores of classes: give "
            "weights of a segmentation network or of a classifier of pixels"
        )
    known = config.get("preprocessing", {})
    side, multiple = size or int(known.get("size", SIZE)), int(getattr(model, "multiple", 1))
    if side % multiple:
        near = max(1, round(side / multiple)) * multiple
        raise ValueError(f"{weights} takes sides that are multiples of {multiple}; got a size of {side}: try {near}")
    return _Network(
        model.to(chosen_device),
        side,
        chosen_device,
        weights_checksum(model),
        stored_profile(known),
        is_segmentation=True,
    )


@torch.no_grad()
def _finds_something(model: nn.Module, images: Float[Tensor, "B 3 H W"], batch: int) -> bool:
    """Tell whether a segmentation network finds foreground in any image."""
    with evaluating(model):
        return any(bool(predicted_classes(model(part)).any()) for part in images.split(batch))


def _read(
    data: Path, count: int, preprocessing: Preprocessing | int
) -> tuple[Float[Tensor, "B 3 H W"], tuple[Path, ...], tuple[str, ...]]:
    """Return some images of a folder, their paths, and the reasons of those that cannot be read."""
    paths = _images(data)
    if not paths:
        raise FileNotFoundError(f"{data} holds no images")
    images, used, failed = [], [], []
    for path in evenly(paths, count):
        try:
            image = read_image(path) if isinstance(preprocessing, int) else preprocessing.prepare(path)
        except (ValueError, OSError, MemoryError) as error:
            failed.append(str(error) or f"{path}: {type(error).__name__}")
            continue
        if isinstance(preprocessing, int):
            sides = (preprocessing, preprocessing)
            image = F.interpolate(image[None], sides, mode="bilinear", align_corners=False, antialias=True)[0]
        images.append(image)
        used.append(path)
    if not images:
        raise ValueError(none_usable(data, failed))
    return torch.stack(images), tuple(used), tuple(failed)


def _images(data: Path) -> list[Path]:
    """Return the images of a folder without its masks."""
    try:
        return [pair.image for pair in find_mask_pairs(data)]
    except FileNotFoundError:
        return find_images(data)
