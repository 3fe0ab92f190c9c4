"""A picture of any kind that callers have, as a tensor."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from passband.io.arrays import check_range, from_array
from passband.io.image import from_pil, read_image


def pixels_of(picture: Image.Image | np.ndarray | Tensor | str | Path) -> Float[Tensor, "3 H W"]:
    """RGB in [0, 1].

    Args:
        picture: a path, a PIL picture, an array H W or H W 3 of uint8, uint16 or float in [0, 1], or a tensor 3 H W in
            [0, 1].

    Raises:
        ImageError: for a file that is not a picture.
        OSError: for one that cannot be read.
        ValueError: for a tensor or array of another shape, or of another range.
    """
    if isinstance(picture, str | Path):
        return read_image(picture)
    if isinstance(picture, Image.Image):
        return from_pil(picture).image
    image = picture if isinstance(picture, Tensor) else from_array(picture)[0]
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise ValueError(f"a tensor is 3 H W, float, in [0, 1]; got {tuple(image.shape)} {image.dtype}")
    check_range(image)
    return image
