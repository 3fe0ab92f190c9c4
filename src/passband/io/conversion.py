"""Converts images of every kind that users hold to tensors and back: files, PIL images, arrays and tensors.

This is the only module that knows all these kinds. `as_tensor` only converts to a tensor. `read_input` also remembers
the kind, so that `ImageInput.to_original_kind` returns a result of the same kind as the input.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from passband.io.arrays import check_range, from_array, to_array
from passband.io.image import from_pil, read_stored_image, to_pil
from passband.io.image.metadata.exif import icc_for
from passband.ops.checks import kind_of, shape_of

ImageSource: TypeAlias = str | PathLike[str] | bytes
"""A path of an image file, or the content of one."""
AnyImage: TypeAlias = Image.Image | np.ndarray | Tensor | ImageSource
"""A path; the content of an image file as bytes; a PIL image; an array of shape H W, H W 1, H W 2, H W 3 or H W 4, as
uint8, uint16 or float in [0, 1]; or a tensor of shape 3 H W, as float in [0, 1] or uint8."""
Given = TypeVar("Given", Image.Image, np.ndarray, Tensor)
"""A kind of image that a result also has."""
BYTE = 255.0
"""Value of full brightness in 8 bits."""


@dataclass(frozen=True)
class ImageInput:
    """An image or batch as the library holds it, together with the user's original object."""

    images: Float[Tensor, "B 3 H W"]
    """RGB in [0, 1]: a batch of one image, or the user's batch."""
    alpha: Float[Tensor, "1 H W"] | None
    """Opacity in [0, 1], not premultiplied, or None."""
    original: Any
    """Object that the user passed."""
    icc: bytes | None = None
    """ICC profile of a file or a PIL image."""

    @property
    def is_batch(self) -> bool:
        """Tell whether the user passed a batch rather than a single image."""
        return isinstance(self.original, Tensor) and self.original.ndim == 4

    def to_original_kind(self, images: Float[Tensor, "B 3 H W"]) -> Any:
        """Convert images to the kind that the user passed.

        Args:
            images: RGB in [0, 1], of the same shape as `self.images`.

        Returns:
            A tensor or array of the shape and type that the user passed, or a PIL image. PIL images of mode L, LA, RGB
            or RGBA keep their mode; all others become RGB or RGBA. The alpha channel of the input is kept. A PIL image
            also keeps the color profile in its `info`, which Pillow saves with it.

        Raises:
            ImageError: if integers are needed and some values are not finite.
        """
        if isinstance(self.original, Tensor):
            if not self.original.is_floating_point():
                images = images.clamp(0, 1).mul(BYTE).round()
            restored = images.to(self.original)
            return restored if self.is_batch else restored[0]
        (image,) = images.cpu()
        if isinstance(self.original, np.ndarray):
            return to_array(image, self.alpha, like=self.original)
        picture = to_pil(image, self.alpha)
        mode = self.original.mode if isinstance(self.original, Image.Image) else picture.mode
        is_gray = mode in ("L", "LA")
        picture = picture.convert(mode) if is_gray else picture
        if (profile := icc_for(self.icc, gray=is_gray)) is not None:
            picture.info["icc_profile"] = profile
        return picture


def read_input(image: AnyImage) -> ImageInput:
    """Convert an image of any kind, or a batch in a tensor, and remember its kind.

    Args:
        image: image as described at `AnyImage`, or a tensor of shape B 3 H W. PIL images and files are turned
            upright as their EXIF orientation says.

    Raises:
        ImageError: if a file is not an image.
        OSError: if a file cannot be read.
        TypeError: if the object is of another kind.
        ValueError: if the shape, dtype or range of values is not one of these.
    """
    if isinstance(image, Tensor):
        return ImageInput(_batch(image), None, image)
    if isinstance(image, np.ndarray):
        pixels, alpha = from_array(image)
        return ImageInput(pixels[None], alpha, image)
    if isinstance(image, Image.Image):
        source = from_pil(image)
    elif isinstance(image, str | PathLike):
        source = read_stored_image(Path(image))
    elif isinstance(image, bytes):
        source = read_stored_image(image)
    else:
        raise TypeError(
            "an image must be a path, the bytes of an image file, a PIL image, an array or a tensor; got "
            f"{kind_of(image)}{_way_to_bytes(image)}"
        )
    return ImageInput(source.image[None], source.alpha, image, source.meta.icc)


def _way_to_bytes(image: Any) -> str:
    """Return a clause, with a colon before it, that says how to get the bytes of a file; empty if unknown."""
    if isinstance(image, bytearray | memoryview):
        return ": pass bytes(content)"
    return ": pass file.read()" if hasattr(image, "read") else ""


def as_tensor(image: AnyImage) -> Float[Tensor, "3 H W"]:
    """Convert an image of any kind to an RGB tensor in [0, 1].

    Networks, losses and metrics take the result after `[None]` has made a batch of it.

    Args:
        image: image as described at `AnyImage`.

    Returns:
        A tensor on the CPU as float32; tensors keep their device and floating-point type. Gray images become three
        equal channels, alpha is left out, and images are turned upright as their EXIF orientation says.

    Raises:
        ImageError: if a file is not an image.
        OSError: if a file cannot be read.
        TypeError: if the object is of another kind.
        ValueError: if it is a batch, or if the shape, dtype or range of values is not one of these.
    """
    return single_image(read_input(image))


def single_image(source: ImageInput) -> Float[Tensor, "3 H W"]:
    """Return the single image that the user passed.

    Args:
        source: converted input.

    Raises:
        ValueError: if the user passed a batch.
    """
    if source.is_batch:
        raise ValueError(
            f"one image of shape 3 H W is needed, got a batch of shape {shape_of(source.original)}: index it"
        )
    return source.images[0]


def _batch(image: Tensor) -> Float[Tensor, "B 3 H W"]:
    """Return a tensor as a batch of floats."""
    has_known_type = image.is_floating_point() or image.dtype == torch.uint8
    if image.ndim not in (3, 4) or image.shape[-3] != 3 or not has_known_type or not image.numel():
        raise ValueError(
            "a tensor must have shape 3 H W or B 3 H W, be float in [0, 1] or uint8, and not be empty; got "
            f"{tuple(image.shape)} {image.dtype}.{_advice(image)}"
        )
    batch = image if image.ndim == 4 else image[None]
    if not image.is_floating_point():
        return batch.float() / BYTE
    check_range(image)
    return batch


def _advice(image: Tensor) -> str:
    """Return a sentence, with a space before it, that says how to give a tensor the right shape; empty if unknown."""
    if image.ndim not in (3, 4):
        return ""
    if image.shape[-3] == 3:
        if not image.numel() or image.is_floating_point() or image.is_complex():
            return ""
        full = {torch.bool: "", torch.uint16: " / 65535"}.get(image.dtype, " / 255")
        return f" Convert the values with image.float(){full}."
    if image.shape[-1] in (3, 4):
        return " The channels come first: image.movedim(-1, -3)."
    return {
        1: " Repeat the gray channel: torch.cat([image] * 3, dim=-3).",
        4: " Leave out the alpha channel: image[..., :3, :, :].",
    }.get(image.shape[-3], "")
