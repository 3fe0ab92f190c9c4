"""Mean and std of what a classifier gets: measured in the pictures that it learns from, or those of ImageNet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.data.cubes.channel_statistics import ChannelStatistics, shipped_statistics
from passband.data.datasets.classification import LabeledImages
from passband.data.preprocessing import PIXELS, Input, Preprocessing
from passband.io.image import ImageError
from passband.layers.channels import from_indices

IMAGENET_RGB = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and std of ImageNet's training pictures in [0, 1], as torchvision's weights take them."""


def unnormalized(kind: Input, channels: tuple[int, ...], size: int, stride: int) -> Preprocessing:
    """Preprocessing that leaves values in their own units.

    Args:
        kind: what the network gets.
        channels: numbers of the frequency channels; none for pixels.
        size: side of the picture, in pixels.
        stride: side of the cells, in pixels; not used for pixels.

    Raises:
        ValueError: where these do not fit each other.
    """
    count = 3 if kind in PIXELS else len(channels)
    return Preprocessing(kind, channels, size, 1 if kind in PIXELS else stride, (0.0,) * count, (1.0,) * count)


def fitted(plain: Preprocessing, pictures: LabeledImages, folder: Path, *, skip_bad: bool) -> Preprocessing:
    """Preprocessing with mean and std of some pictures: of their center views, over all positions.

    Args:
        plain: without normalization.
        pictures: to measure.
        folder: where they come from, to be remembered by its name.
        skip_bad: leave out files that cannot be read.

    Returns:
        The same with statistics. A channel that never changes, such as the color of gray pictures, is centered alone.

    Raises:
        ImageError: naming a file that cannot be read, unless they are left out.
        ValueError: where none can be read.
    """

    def views() -> Iterator[Float[Tensor, "1 K h w"]]:
        for path in pictures.paths:
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
        raise ValueError(f"no statistics of the {len(pictures)} pictures in {folder}: {error}") from error
    return _normalizing(plain, measured, {"pictures": measured.pictures, "of": Path(folder).resolve().name})


def of_imagenet(plain: Preprocessing) -> Preprocessing:
    """Preprocessing with mean and std of ImageNet's photographs.

    Args:
        plain: without normalization, of coefficients or RGB.

    Raises:
        ValueError: for another input.
    """
    if plain.input == "rgb":
        mean, std = IMAGENET_RGB
        return _replaced(plain, mean, std, {"of": "ImageNet"})
    if plain.input != "coefficients":
        raise ValueError(f"there are statistics of ImageNet for coefficients and rgb; got {plain.input}: fit them")
    shipped = shipped_statistics(f"imagenet-{plain.stride}").select(from_indices(plain.channels))
    return _normalizing(plain, shipped, {"pictures": shipped.pictures, "of": "ImageNet"})


def _normalizing(plain: Preprocessing, measured: ChannelStatistics, origin: dict[str, Any]) -> Preprocessing:
    """Preprocessing with measured statistics."""
    std = measured.std.where(measured.std > 0, 1.0)
    return _replaced(plain, tuple(measured.mean.tolist()), tuple(std.tolist()), origin)


def _replaced(
    plain: Preprocessing, mean: tuple[float, ...], std: tuple[float, ...], origin: dict[str, Any]
) -> Preprocessing:
    return Preprocessing(plain.input, plain.channels, plain.size, plain.stride, mean, std, origin)
