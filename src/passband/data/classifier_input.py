"""Preprocesses images for a classifier. The settings are one value, which the classifier's config stores."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.data.cubes.fixed_size import CubeFormat, file_cube, pixel_cube
from passband.data.cubes.published import CROP, RESIZED, published_cube
from passband.data.cubes.views import Augmentation, pixel_window
from passband.io.image import read_image
from passband.layers.channels import from_indices
from passband.ops.color import rgb_to_ycbcr

Input = Literal["coefficients", "published", "rgb", "ycbcr"]
INPUTS: tuple[Input, ...] = get_args(Input)
PIXELS = ("rgb", "ycbcr")
"""Inputs that are images of 3 channels rather than cubes."""
STRIDES = (8, 4)
SIZE_UNIT = 32
"""The size of a cube's image is a multiple of this many pixels, so that MCUs of 16 pixels fit at twice the size."""
PUBLISHED_UNIT = 56
"""The crop of the published pipeline is a multiple of this many pixels."""
_KEYS = ("input", "channels", "size", "stride", "mean", "std", "statistics")


@dataclass(frozen=True)
class Preprocessing:
    """The steps from a file or pixels to the input of a classifier.

    Attributes:
        input: `"coefficients"` (a cube of the JPEG file's own coefficients), `"published"` (a cube by the pipeline of
            Xu et al., CVPR 2020), `"rgb"` or `"ycbcr"` (pixels).
        channels: numbers of the frequency channels, component 64 + 8v + u, ascending; none for pixels.
        size: side of the image that the network sees, in pixels.
        stride: side of a cube's cells in pixels, 8 or 4; 1 for pixels.
        mean: mean of each channel, which is subtracted; of pixels in [0, 1], or of coefficients in the units of
            `ops.cube`.
        std: standard deviation of each channel, by which it is divided.
        statistics: origin of mean and std.

    Raises:
        ValueError: if these do not fit each other.
    """

    input: Input
    channels: tuple[int, ...]
    size: int
    stride: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    statistics: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self):
        check_view(self.input, self.channels, self.size, self.stride)
        needed = self.input_channels
        if not len(self.mean) == len(self.std) == needed:
            raise ValueError(
                f"preprocessing needs mean and std of {needed} channels, got {len(self.mean)} and {len(self.std)}"
            )
        if min(self.std) <= 0:
            raise ValueError(f"preprocessing needs a std above 0 of each channel, got {min(self.std)}")

    @property
    def input_channels(self) -> int:
        """The number of channels of the network's input."""
        return 3 if self.input in PIXELS else len(self.channels)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's input."""
        side = self.size // self.stride
        return self.input_channels, side, side

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Preprocessing":
        """Make the preprocessing from the entry `"preprocessing"` of a network's config.

        Args:
            config: entry that `to_config` returned.

        Raises:
            ValueError: if a key is missing or unknown, or values do not fit.
        """
        if sorted(config) != sorted(_KEYS):
            raise ValueError(f"preprocessing needs the keys {', '.join(_KEYS)}; got {', '.join(map(str, config))}")
        if config["input"] not in INPUTS:
            raise ValueError(f"preprocessing knows the inputs {', '.join(INPUTS)}; got {config['input']!r}")
        lists = {
            "channels": tuple(int(number) for number in config["channels"]),
            **{name: tuple(float(value) for value in config[name]) for name in ("mean", "std")},
        }
        return cls(**{**config, **lists})

    def to_config(self) -> dict[str, Any]:
        """Return all settings as JSON can store them."""
        lists = {name: list(getattr(self, name)) for name in ("channels", "mean", "std")}
        return {**asdict(self), **lists, "statistics": dict(self.statistics)}

    def prepare(self, source: Path | bytes, augmentation: Augmentation | None = None) -> Float[Tensor, "K h w"]:
        """Make the network's input from a file.

        Args:
            source: path of an image file, or its content.
            augmentation: random view for training; None shows the center, which is used for validation and prediction.

        Returns:
            The normalized input.

        Raises:
            ImageError: if the file is damaged or not an image; the message names the file.
            OSError: if the file cannot be read.
        """
        if self.input == "coefficients":
            return file_cube(source, self._form, augmentation)
        return self.prepare_image(read_image(source), augmentation)

    def prepare_image(
        self, image: Float[Tensor, "3 H W"], augmentation: Augmentation | None = None
    ) -> Float[Tensor, "K h w"]:
        """Make the network's input from pixels.

        Args:
            image: RGB image in [0, 1].
            augmentation: random view for training; None shows the center.

        Returns:
            The normalized input.
        """
        if self.input == "coefficients":
            return pixel_cube(image, self._form, augmentation)
        if self.input == "published":
            values = _published(image, self.size, augmentation)[list(self._positions)]
        else:
            values = _view(image, self.size, augmentation, antialias=True)
            values = rgb_to_ycbcr(values) if self.input == "ycbcr" else values
        mean, std = self._statistics
        return (values - mean) / std

    @cached_property
    def _form(self) -> CubeFormat:
        return CubeFormat(self.channels, self.size, self.stride, self.mean, self.std)

    @cached_property
    def _positions(self) -> list[int]:
        return from_indices(self.channels).indices(self.stride)

    @cached_property
    def _statistics(self) -> tuple[Float[Tensor, "K 1 1"], Float[Tensor, "K 1 1"]]:
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return mean, std


def check_view(kind: Input, channels: tuple[int, ...], size: int, stride: int) -> None:
    """Raise an error if channels, size and stride do not fit an input.

    Args:
        kind: input of the network.
        channels: numbers of its frequency channels; none for pixels.
        size: side of the image, in pixels.
        stride: side of the cells, in pixels.

    Raises:
        ValueError: if they do not fit; the message says what fits.
    """
    if kind in PIXELS:
        if channels or stride != 1 or size < 1:
            raise ValueError(
                f"input {kind} has pixels: no frequency channels and a stride of 1; got {len(channels)} channels, "
                f"stride {stride}, size {size}"
            )
        return
    if stride not in STRIDES or (kind == "published" and stride != 8):
        fitting = "8" if kind == "published" else "8 or 4"
        raise ValueError(f"input {kind} has a stride of {fitting}; got {stride}")
    unit = PUBLISHED_UNIT if kind == "published" else SIZE_UNIT
    if size < unit or size % unit:
        raise ValueError(f"input {kind} shows a square whose side is a multiple of {unit} pixels; got a size of {size}")
    from_indices(channels).lists(stride)


def _view(
    image: Float[Tensor, "3 H W"], size: int, augmentation: Augmentation | None, *, antialias: bool
) -> Float[Tensor, "3 S S"]:
    """Resize a part of an image to a square."""
    from torchvision.transforms.v2.functional import resized_crop

    height, width = image.shape[-2:]
    window = pixel_window(height, width, augmentation)
    view = resized_crop(image, window.top, window.left, window.height, window.width, [size, size], antialias=antialias)
    return view.flip(-1) if window.mirrored else view


def _published(image: Float[Tensor, "3 H W"], size: int, augmentation: Augmentation | None) -> Float[Tensor, "192 h w"]:
    """Return the published pipeline's coefficients of an image's center, or of a random part of it."""
    if augmentation is None:
        return published_cube(image, size)
    view = _view(image, size, augmentation, antialias=False).mul(255).round().div(255)
    # the padded view has the size to which the pipeline resizes, so that it cuts out the view unchanged
    margin = (size * RESIZED // CROP - size) // 2
    return published_cube(F.pad(view, (margin, margin, margin, margin)), size)
