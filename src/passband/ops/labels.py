"""The label of pixels that have no class."""

import torch
from jaxtyping import Bool, Num
from torch import Tensor

IGNORED = -1
"""Label of pixels that are neither learned nor scored. Mask files have a number of their own for them, such as 255 in
Pascal VOC and Cityscapes, which `data.masks.read_mask` replaces by this one."""


def has_class(labels: Num[Tensor, "*S"]) -> Bool[Tensor, "*S"]:
    """Tell which labels are not `IGNORED`.

    Args:
        labels: labels of the pixels of a mask, or shares of a class, of any shape.

    Returns:
        True for each label other than `IGNORED`. The byte 255 is a label like any other.
    """
    # torch would take the byte 255 for -1
    return (labels.long() if labels.dtype == torch.uint8 else labels) != IGNORED
