"""Converts images between numpy arrays (H W or H W C, integers or floats) and tensors."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

ACCEPTED = (
    "an array must have shape H W, H W 1, H W 2 (with alpha), H W 3 or H W 4 (with alpha), and be uint8, uint16 or "
    "float in [0, 1]"
)


def from_array(array: np.ndarray) -> tuple[Float[Tensor, "3 H W"], Float[Tensor, "1 H W"] | None]:
    """Convert an array to an image.

    Args:
        array: image of shape H W, H W 1, H W 2, H W 3 or H W 4, as uint8, uint16, or float in [0, 1], in either byte
            order.

    Returns:
        RGB, and alpha or None, as float32 in [0, 1].

    Raises:
        ValueError: if the shape or dtype is not one of these, or if floats are clearly outside [0, 1].
    """
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[-1] not in (1, 2, 3, 4) or planes.size == 0:
        raise ValueError(f"{ACCEPTED}; got shape {array.shape}.{_shape_advice(array.shape)}")
    full = _full_brightness(array.dtype)
    if full == 1:
        check_range(array)
    # The array is always copied, because torch warns about memory that is read-only.
    values = torch.from_numpy(np.array(np.moveaxis(planes, -1, 0), dtype=np.float32, order="C")) / full
    colors = 1 if len(values) <= 2 else 3
    alpha = values[colors:] if len(values) > colors else None
    return values[:colors].expand(3, -1, -1).contiguous(), alpha


def to_array(image: Float[Tensor, "3 H W"], alpha: Float[Tensor, "1 H W"] | None, like: np.ndarray) -> np.ndarray:
    """Convert an image to an array with the shape and dtype of another array.

    Args:
        image: RGB in [0, 1].
        alpha: opacity in [0, 1] if `like` has an alpha channel, otherwise None.
        like: array whose shape and dtype the result gets. If it is gray, the colors are averaged.

    Returns:
        The array. For integer types, values are clamped to [0, 1] and rounded. Images from `from_array` are converted
        back exactly (float64 arrays keep the precision of float32).
    """
    gray = like.ndim == 2 or like.shape[-1] <= 2
    # In float32, the mean of three equal values may differ from them, so it is computed in float64.
    planes = [image.double().mean(0, keepdim=True).to(image) if gray else image]
    if alpha is not None:
        planes.append(alpha)
    values = torch.cat(planes).movedim(0, -1).numpy()
    if np.issubdtype(like.dtype, np.integer):
        values = np.rint(np.clip(values, 0, 1) * _full_brightness(like.dtype))
    return values.astype(like.dtype).reshape(like.shape)


def check_range(values: np.ndarray | Tensor) -> None:
    """Refuse floats that are clearly in another range than [0, 1], such as 0 to 255.

    Values slightly outside [0, 1] are accepted.

    Args:
        values: values of an image.

    Raises:
        ValueError: if values are below -0.5, above 2, NaN, infinite, or not in memory.
    """
    if 0 in values.shape:
        return
    if isinstance(values, Tensor):
        if values.is_meta or values.layout != torch.strided:
            kind = "on the device meta" if values.is_meta else f"of the layout {values.layout}"
            raise ValueError(
                f"images need a dense tensor whose values are in memory, got one {kind}. Make a dense tensor on the "
                "CPU or a GPU."
            )
        values = values.detach()  # torch warns about numbers from tensors that need a gradient
        if values.element_size() == 1:  # torch does not compare floats of 8 bits
            values = values.float()
    least, greatest = float(values.min()), float(values.max())
    if not (math.isfinite(least) and math.isfinite(greatest)):
        broken = ~torch.as_tensor(values).isfinite()
        raise ValueError(
            f"images of floats need finite values; {int(broken.sum()):,} of {broken.numel():,} are NaN or infinite. "
            "Replace them first, for example with numpy.nan_to_num or torch.nan_to_num."
        )
    if greatest > 2 or least < -0.5:
        advice = " Divide by 255." if 2 < greatest <= 255 and least >= 0 else ""
        if -1 <= least < 0 and greatest <= 1:
            advice = " If they are normalized to [-1, 1], convert them with (image + 1) / 2."
        raise ValueError(f"images of floats need values in [0, 1]; got {least:g} to {greatest:g}.{advice}")


def _shape_advice(shape: tuple[int, ...]) -> str:
    """Return a sentence, with a space before it, that says how to give an array the right shape; empty if unknown."""
    if len(shape) == 4:
        return " Pass the images of a batch one by one, or as a tensor of shape B 3 H W."
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return " The channels come last: numpy.moveaxis(array, 0, -1)."
    return ""


def _full_brightness(dtype: np.dtype) -> float:
    """Return the value of full brightness for a dtype."""
    if dtype.type in (np.uint8, np.uint16):  # matches either byte order
        return float(np.iinfo(dtype).max)
    if np.issubdtype(dtype, np.floating):
        return 1.0
    advice = ""
    if np.issubdtype(dtype, np.integer):
        advice = " If its values are 0 to 255, convert it with array.astype(numpy.uint8)."
    elif dtype == np.bool_:
        advice = " Convert it with array.astype(numpy.float32)."
    raise ValueError(f"{ACCEPTED}; got {dtype}.{advice}")
