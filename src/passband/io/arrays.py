"""Arrays in and out: H W or H W C, integers or floats, as numpy programs hold images."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

ACCEPTED = (
    "an array is H W, H W 1, H W 2 (with alpha), H W 3 or H W 4 (with alpha), of uint8, uint16 or float in [0, 1]"
)


def from_array(array: np.ndarray) -> tuple[Float[Tensor, "3 H W"], Float[Tensor, "1 H W"] | None]:
    """Take an image from an array.

    Args:
        array: H W, H W 1, H W 2, H W 3 or H W 4; uint8, uint16, or float in [0, 1]; of either byte order.

    Returns:
        RGB and, where there is one, alpha; float32 in [0, 1].

    Raises:
        ValueError: for another shape or dtype, or floats that are plainly of another range.
    """
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[-1] not in (1, 2, 3, 4) or planes.size == 0:
        raise ValueError(f"{ACCEPTED}; got shape {array.shape}")
    top = _top(array.dtype)
    if top == 1:
        check_range(array)
    # a copy always, because torch warns of memory that may not be written
    values = torch.from_numpy(np.array(np.moveaxis(planes, -1, 0), dtype=np.float32, order="C")) / top
    colors = 1 if len(values) <= 2 else 3
    alpha = values[colors:] if len(values) > colors else None
    return values[:colors].expand(3, -1, -1).contiguous(), alpha


def to_array(image: Float[Tensor, "3 H W"], alpha: Float[Tensor, "1 H W"] | None, like: np.ndarray) -> np.ndarray:
    """Make an array with the shape and dtype of another.

    Args:
        image: RGB in [0, 1].
        alpha: opacity where `like` has it, otherwise None.
        like: decides shape and dtype; where it is gray, the colors are averaged.

    Returns:
        The array; integers are rounded, after clamping to [0, 1]. What `from_array` gave comes back exactly (of
        float64, the digits that float32 has).
    """
    gray = like.ndim == 2 or like.shape[-1] <= 2
    # float64, because in float32 the mean of three equal values may differ from them
    planes = [image.double().mean(0, keepdim=True).to(image) if gray else image]
    if alpha is not None:
        planes.append(alpha)
    values = torch.cat(planes).movedim(0, -1).numpy()
    if np.issubdtype(like.dtype, np.integer):
        values = np.rint(np.clip(values, 0, 1) * _top(like.dtype))
    return values.astype(like.dtype).reshape(like.shape)


def check_range(values: np.ndarray | Tensor) -> None:
    """Refuse floats that are plainly of another range than [0, 1], such as 0 to 255; a little beyond is let through.

    Raises:
        ValueError: saying what was given, also for values that are not finite, which would spread over the result.
    """
    if 0 in values.shape:
        return
    least, greatest = float(values.min()), float(values.max())
    if not (math.isfinite(least) and math.isfinite(greatest)):
        broken = ~torch.as_tensor(values).isfinite()
        raise ValueError(
            f"images of floats have finite values; {int(broken.sum()):,} of {broken.numel():,} are NaN or infinite. "
            "Replace them first, for example with numpy.nan_to_num or torch.nan_to_num."
        )
    if greatest > 2 or least < -1:
        advice = " Divide by 255." if 2 < greatest <= 255 else ""
        raise ValueError(f"images of floats are in [0, 1]; these go from {least:g} to {greatest:g}.{advice}")


def _top(dtype: np.dtype) -> float:
    """The value of full brightness."""
    if dtype.type in (np.uint8, np.uint16):  # in either byte order
        return float(np.iinfo(dtype).max)
    if np.issubdtype(dtype, np.floating):
        return 1.0
    raise ValueError(f"{ACCEPTED}; got {dtype}")
