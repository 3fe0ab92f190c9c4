"""Sets the mean and the std of a classifier's input: measured on the training images, or those of ImageNet."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.data.classifier_input import PIXELS, Input, Preprocessing
from passband.data.cubes.channel_statistics import ChannelStatistics, shipped_statistics
from passband.data.datasets.classification import LabeledImages
from passband.io.image import ImageError
from passband.layers.channels import from_indices

IMAGENET_RGB = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and std of ImageNet's training images in [0, 1], as torchvision's weights expect them."""


def unnormalized(kind: Input, channels: tuple[int, ...], size: int, stride: int) -> Preprocessing:
    """Make a preprocessing that leaves values in their own units.

    Args:
        kind: input of the network.
        channels: numbers of the frequency channels; none for pixels.
        size: side of the image, in pixels.
        stride: side of the cells, in pixels; not used for pixels.

    Raises:
        ValueError: if these do not fit each other.
    """
    count = 3 if kind in PIXELS else len(channels)
    return Preprocessing(kind, channels, size, 1 if kind in PIXELS else stride, (0.0,) * count, (1.0,) * count)


def fit_preprocessing(plain: Preprocessing, images: LabeledImages, folder: Path, *, skip_bad: bool) -> Preprocessing:
    """Measure the mean and the std on the center views of images, over all positions.

    Args:
        plain: preprocessing without normalization.
        images: images to measure.
        folder: folder of the images, whose name is stored.
        skip_bad: whether to leave out files that cannot be read.

    Returns:
        The preprocessing with these statistics. A constant channel, such as the color of gray images, is only centered.

    Raises:
        ImageError: if a file cannot be read and `skip_bad` is false; the message names the file.
        ValueError: if no file can be read.
    """

    def views() -> Iterator[Float[Tensor, "1 K h w"]]:
        for path in images.paths:
            try:
                yield plain.prepare(path)[None]
            except (ImageError, OSError):
                if not skip_bad:
                    raise

    try:
        measured = ChannelStatistics.fit(views(), 4 if plain.stride == 4 else 8)
    except ImageError:
        raise
    except ValueError as error:
        raise ValueError(f"statistics of the {len(images)} images in {folder} cannot be measured: {error}") from error
    return _normalizing(plain, measured, {"images": measured.images, "of": Path(folder).resolve().name})


def of_imagenet(plain: Preprocessing) -> Preprocessing:
    """Use the mean and the std of ImageNet's photographs.

    Args:
        plain: preprocessing of coefficients or RGB pixels without normalization.

    Raises:
        ValueError: if there are no statistics for this input.
    """
    if plain.input == "rgb":
        mean, std = IMAGENET_RGB
        return _replaced(plain, mean, std, {"of": "ImageNet"})
    if plain.input != "coefficients":
        raise ValueError(
            f"there are statistics of ImageNet for coefficients and rgb; for input {plain.input}, measure them"
        )
    shipped = shipped_statistics(f"imagenet-{plain.stride}").select(from_indices(plain.channels))
    return _normalizing(plain, shipped, {"images": shipped.images, "of": "ImageNet"})


def _normalizing(plain: Preprocessing, measured: ChannelStatistics, origin: dict[str, Any]) -> Preprocessing:
    """Make the preprocessing that normalizes by measured statistics."""
    std = measured.std.where(measured.std > 0, 1.0)
    return _replaced(plain, tuple(measured.mean.tolist()), tuple(std.tolist()), origin)


def _replaced(
    plain: Preprocessing, mean: tuple[float, ...], std: tuple[float, ...], origin: dict[str, Any]
) -> Preprocessing:
    return replace(plain, mean=mean, std=std, statistics=origin)
