"""Padding a picture to the sizes a network takes, and cropping back."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def pad_to_multiple(
    image: Float[Tensor, "B C H W"], multiple: int, minimum: int = 0
) -> tuple[Float[Tensor, "B C h w"], tuple[int, int]]:
    """Pad at the bottom and right until both sides are multiples, by reflection where that is possible.

    Args:
        image: a picture of any size from 1 x 1.
        multiple: what the sides shall be divisible by, in pixels.
        minimum: the least side, in pixels; the padded one is a multiple all the same.

    Returns:
        The padded picture and the (height, width) to crop it back to. A side whose padding is as long as the side
        or longer has no reflection: there the last row or column is repeated.
    """
    height, width = image.shape[-2:]
    bottom, right = (-(-max(side, minimum) // multiple) * multiple - side for side in (height, width))
    for padding, side in (((0, 0, 0, bottom), height), ((0, right, 0, 0), width)):
        if any(padding):
            image = F.pad(image, padding, mode="reflect" if sum(padding) < side else "replicate")
    return image, (height, width)
