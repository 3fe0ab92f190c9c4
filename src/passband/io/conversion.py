"""An image of any kind that a person holds, in and out: files, PIL images, arrays and tensors.

This is the only place that knows them all. `as_tensor` is for what is only looked at; `take` remembers the kind, so
that `Taken.give` gives back what was given.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from passband.io.arrays import check_range, from_array, to_array
from passband.io.image import from_pil, read_picture, to_pil
from passband.ops.checks import kind_of, shape_of

AnyPicture: TypeAlias = Image.Image | np.ndarray | Tensor | str | PathLike[str]
"""A path; a PIL image; an array H W, H W 1, H W 2, H W 3 or H W 4 of uint8, uint16 or floats in [0, 1]; a tensor
3 H W of floats in [0, 1] or of uint8."""
BYTE = 255.0
"""Full brightness of 8 bits."""


@dataclass(frozen=True)
class Taken:
    """An image as the library holds it, and the thing that it was."""

    images: Float[Tensor, "B 3 H W"]
    """RGB in [0, 1]: one image, or the batch of a tensor."""
    alpha: Float[Tensor, "1 H W"] | None
    """Opacity in [0, 1], not premultiplied."""
    given: Any
    """What was passed."""

    @property
    def is_batch(self) -> bool:
        """Whether a batch was passed, and not one image."""
        return isinstance(self.given, Tensor) and self.given.ndim == 4

    def give(self, images: Float[Tensor, "B 3 H W"]) -> Any:
        """Images of the same size in the kind that was passed.

        Args:
            images: RGB in [0, 1], in the place of `self.images`.

        Returns:
            A tensor or an array of the shape and the type that was passed, or a PIL image: of mode L, LA, RGB or
            RGBA where such a one was passed, else RGB or RGBA. Alpha is the one that was passed.

        Raises:
            ImageError: for values that are not finite, where integers are wanted.
        """
        if isinstance(self.given, Tensor):
            if not self.given.is_floating_point():
                images = images.clamp(0, 1).mul(BYTE).round()
            restored = images.to(self.given)
            return restored if self.is_batch else restored[0]
        (image,) = images.cpu()
        if isinstance(self.given, np.ndarray):
            return to_array(image, self.alpha, like=self.given)
        picture = to_pil(image, self.alpha)
        mode = self.given.mode if isinstance(self.given, Image.Image) else picture.mode
        return picture.convert(mode) if mode in ("L", "LA") else picture


def take(picture: AnyPicture) -> Taken:
    """Take an image of any kind, or a batch of images in a tensor.

    Args:
        picture: as `AnyPicture`; a tensor may also be a batch B 3 H W. EXIF turns PIL images and files upright.

    Raises:
        ImageError: for a file that is not an image.
        OSError: for one that cannot be read.
        TypeError: for another kind of thing.
        ValueError: for a shape or a type of values that is none of these, or floats of another range.
    """
    if isinstance(picture, Tensor):
        return Taken(_batch(picture), None, picture)
    if isinstance(picture, np.ndarray):
        image, alpha = from_array(picture)
        return Taken(image[None], alpha, picture)
    if isinstance(picture, Image.Image):
        source = from_pil(picture)
    elif isinstance(picture, str | PathLike):
        source = read_picture(Path(picture))
    else:
        raise TypeError(f"an image is a path, a PIL image, an array or a tensor; got {kind_of(picture)}")
    return Taken(source.image[None], source.alpha, picture)


def as_tensor(picture: AnyPicture) -> Float[Tensor, "3 H W"]:
    """Any image as RGB in [0, 1], the way networks, losses and metrics take it after `[None]` makes a batch of it.

    Args:
        picture: as `AnyPicture`.

    Returns:
        float32 unless a tensor of another precision was passed; on the CPU, or where the tensor is. Gray becomes three
        equal channels, alpha is left out, and EXIF turns an image upright.

    Raises:
        ImageError: for a file that is not an image.
        OSError: for one that cannot be read.
        TypeError: for another kind of thing.
        ValueError: for a batch, another shape or type of values, or floats of another range.
    """
    return one_of(take(picture))


def one_of(taken: Taken) -> Float[Tensor, "3 H W"]:
    """The one image that was passed.

    Raises:
        ValueError: where it was a batch.
    """
    if taken.is_batch:
        raise ValueError(f"one image of shape 3 H W is needed, got a batch of shape {shape_of(taken.given)}: index it")
    return taken.images[0]


def _batch(image: Tensor) -> Float[Tensor, "B 3 H W"]:
    """A tensor as a batch of floats."""
    known = image.is_floating_point() or image.dtype == torch.uint8
    if image.ndim not in (3, 4) or image.shape[-3] != 3 or not known or not image.numel():
        raise ValueError(
            "a tensor is 3 H W or B 3 H W, float in [0, 1] or uint8, and not empty; got "
            f"{tuple(image.shape)} {image.dtype}.{_advice(image)}"
        )
    batch = image if image.ndim == 4 else image[None]
    if not image.is_floating_point():
        return batch.float() / BYTE
    check_range(image)
    return batch


def _advice(image: Tensor) -> str:
    """A sentence, with a space before it, that says how a tensor gets the shape that is needed; empty if unknown."""
    if image.ndim not in (3, 4):
        return ""
    if image.shape[-3] == 3:
        return " Convert the values with image.float() / 255." if image.numel() else ""
    if image.shape[-1] in (3, 4):
        return " The channels come first: image.movedim(-1, -3)."
    return {
        1: " Repeat the gray channel: torch.cat([image] * 3, dim=-3).",
        4: " Leave out the alpha channel: image[..., :3, :, :].",
    }.get(image.shape[-3], "")
