"""Resizing of masks and maps by the areas that their pixels cover.

If a mask becomes smaller, each pixel gets the class that covers most of its area, and a class that would be lost keeps
one pixel. The table compares this with taking the nearest pixel. It gives the IoU with the true shape for ellipses in
masks of 352 pixels that are reduced to a size and enlarged again bilinearly:

| semi-axes | size | nearest pixel | largest area |
|---|---|---|---|
| 3 to 12 | 96 | .61 | .79 |
| 3 to 12 | 128 | .70 | .85 |
| 3 to 12 | 256 | .83 | .93 |
| 12 to 60 | 256 | .96 | .99 |
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from passband.ops.labels import IGNORED, has_class


def area_mean(maps: Float[Tensor, "*B H W"], size: tuple[int, int]) -> Float[Tensor, "*B h w"]:
    """Resize maps: each new pixel is the mean over the area that it covers, so that the mean of a map does not change.

    Args:
        maps: maps of any range, such as probabilities or depths.
        size: new height and width, in pixels.

    Returns:
        The resized maps, on the same device and of the same type.
    """
    if maps.shape[-2:] == size:
        return maps
    rows, columns = (_overlaps(old, new) for old, new in zip(maps.shape[-2:], size, strict=True))
    return rows.to(maps) @ maps @ columns.mT.to(maps)


def shrunk_mask(mask: Int64[Tensor, "H W"], classes: int, size: tuple[int, int]) -> Int64[Tensor, "h w"]:
    """Resize a mask: each new pixel gets the class that covers most of its area, or the lower label of equal ones.

    A class that would get no pixel gets the one of which it covers most. Ignored pixels count as a class, but never win
    against a class with an equal area, and may get lost.

    Args:
        mask: class labels, or `ops.labels.IGNORED`.
        classes: number of classes, including the background.
        size: new height and width, in pixels.

    Returns:
        The resized mask.

    Raises:
        ValueError: if another label is not from 0 to `classes` - 1.
    """
    if mask.shape == size:
        return mask
    rows, columns = (_overlaps(old, new).to(mask.device) for old, new in zip(mask.shape, size, strict=True))
    present = mask.unique()
    if present.max() >= classes or present.min() < IGNORED:
        raise ValueError(f"classes are 0 to {classes - 1}; the mask has {present.min()} to {present.max()}")
    known = has_class(present)
    present = torch.cat([present[known], present[~known]])
    areas = torch.stack([rows @ (mask == number).double() @ columns.mT for number in present])
    # rounding may make equal shares differ
    winners = (areas > areas.amax(0) - 1e-9).int().argmax(0)
    for lost in (number for number in range(int(known.sum())) if not (winners == number).any()):
        winners.view(-1)[areas[lost].argmax()] = lost
    return present[winners]


@lru_cache(maxsize=64)
def _overlaps(old: int, new: int) -> Float[Tensor, "new old"]:
    """Return the share of each new pixel's side that lies on each old pixel."""
    edges = torch.arange(new + 1, dtype=torch.float64) * old / new
    pixels = torch.arange(old, dtype=torch.float64)
    ends = torch.minimum(edges[1:, None], pixels + 1)
    return (ends - torch.maximum(edges[:-1, None], pixels)).clamp(min=0) * new / old
