"""The label of pixels that have no class."""

import torch
from jaxtyping import Bool, Num
from torch import Tensor

IGNORED = -1
"""Label of pixels that are neither learned nor scored. Mask files have a number of their own for them, such as 255 in
Pascal VOC and Cityscapes, which `data.masks.read_mask` replaces by this one."""


def has_class(mask: Num[Tensor, "*B H W"]) -> Bool[Tensor, "*B H W"]:
    """Tell which pixels of a mask are not ignored.

    Args:
        mask: labels, or shares of a class.
    """
    # torch would take the byte 255 for -1
    return (mask.long() if mask.dtype == torch.uint8 else mask) != IGNORED
