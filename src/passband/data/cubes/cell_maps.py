"""Maps the blocks of one component of a JPEG file to normalized cells of a cube, in one linear step.

Everything on the way is linear in the coefficients: upsampling the color, showing images at twice, a half, a quarter or
an eighth of their size, splitting blocks for a stride of 4, selecting channels and normalizing them. All but the last
two are also separable. So each component needs one small convolution over its blocks, which is made once for all files
of a kind.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.ops.dct import dct_matrix

BLOCK = 8
"""Side of the blocks of a JPEG file, in samples."""
NOTHING = 1e-12
"""Weights up to this magnitude are rounding errors of zero."""


@dataclass(frozen=True, eq=False)
class CellMap:
    """A linear map from blocks to cells.

    Attributes:
        inputs: frequencies of a block that are needed, as raster indices 8v + u.
        weight: weight of each input of each block of a group, for each channel at each cell of the group.
        bias: value of each channel at each cell of a group if all inputs are zero, which is a middle gray.
        cells: rows and columns of cells in a group.
        blocks: rows and columns of blocks in a group.
        mean: mean of each channel, which is subtracted.
        std: standard deviation of each channel, by which it is divided.
        is_selection: whether the channels are the inputs themselves, apart from normalization.
    """

    inputs: tuple[int, ...]
    weight: Float[Tensor, "N J p q"]
    bias: Float[Tensor, " N"]
    cells: tuple[int, int]
    blocks: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    is_selection: bool

    def __call__(self, planes: Float[Tensor, "J _ _"]) -> Float[Tensor, "K h w"]:
        """Compute the normalized cells of a component.

        Args:
            planes: dequantized inputs of the component, in whole groups of blocks.

        Returns:
            The cells of each channel.
        """
        if self.is_selection:
            mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
            return (planes - mean) / std
        grouped = F.conv2d(planes[None].contiguous(), self.weight, self.bias, stride=self.blocks)[0]
        if self.cells == (1, 1):
            return grouped
        down, across = self.cells
        apart = grouped.unflatten(0, (-1, down, across))
        return apart.permute(0, 3, 1, 4, 2).flatten(3, 4).flatten(1, 2)


@lru_cache(maxsize=256)
def cell_map(
    ratio: tuple[Fraction, Fraction],
    stride: int,
    wanted: tuple[int, ...],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> CellMap:
    """Make the map of a component.

    Args:
        ratio: pixels of the cube's image that one sample of the component covers, (vertical, horizontal): 2 for chroma
            of half the size, and half as much for an image that is shown at half its size. A power of two, at most
            `stride`.
        stride: side of the cells in pixels of the cube's image, 8 or 4.
        wanted: frequencies of a cell as raster indices `stride * v + u`, ascending; at least one.
        mean: mean of each frequency, which is subtracted, in the units of `ops.cube.assemble_cube`.
        std: standard deviation of each frequency, by which it is divided.

    Returns:
        The map, which is cached.

    Raises:
        ValueError: if there is no map for this ratio.
    """
    lines = [_line(part, stride) for part in ratio]
    whole = torch.einsum("avpy,buqx->vuabyxpq", *lines).flatten(4, 5).flatten(0, 1)  # V a b J p q
    chosen = whole[list(wanted)]
    used = [index for index in range(BLOCK * BLOCK) if chosen[:, :, :, index].abs().max() > NOTHING]
    deviation = torch.tensor(std, dtype=torch.float64)
    chosen = chosen.where(chosen.abs() > NOTHING, 0.0)  # rounding errors become exact zeros
    weight = chosen[:, :, :, used] / deviation.view(-1, 1, 1, 1, 1, 1)
    rows, columns, _, down, across = weight.shape[1:]
    bias = (-torch.tensor(mean, dtype=torch.float64) / deviation).repeat_interleave(rows * columns)
    return CellMap(
        inputs=tuple(used),
        weight=weight.flatten(0, 2).float().contiguous(),
        bias=bias.float(),
        cells=(rows, columns),
        blocks=(down, across),
        mean=mean,
        std=std,
        is_selection=ratio == (1, 1) and stride == BLOCK,
    )


def _line(ratio: Fraction, stride: int) -> Float[Tensor, "cells V blocks v"]:
    """Make the map of one direction, from frequencies v of a group's blocks to frequencies V of its cells."""
    samples = dct_matrix(BLOCK).mT
    if ratio >= 1:
        inside = stride / ratio  # samples in a cell
        if inside.denominator != 1:
            raise ValueError(f"a cell of {stride} pixels must hold whole samples, but a sample has {ratio} pixels")
        cells = BLOCK // int(inside)
        low = torch.block_diag(*[dct_matrix(int(inside))] * cells) @ samples * float(ratio) ** 0.5
        # a repeated mean has only the low frequencies of the samples that it averages
        return F.pad(low.unflatten(0, (cells, -1)), (0, 0, 0, stride - int(inside)))[:, :, None]
    covered = BLOCK * ratio  # pixels of the cube's image that a block covers
    if covered.denominator != 1:
        raise ValueError(
            f"a block must cover whole pixels, but its samples have {ratio} pixels; show a larger part of the image"
        )
    blocks, cells = max(1, stride // int(covered)), max(1, int(covered) // stride)
    pixels = torch.block_diag(*[samples] * blocks).unflatten(0, (-1, BLOCK // int(covered))).mean(1)
    return (
        (torch.block_diag(*[dct_matrix(stride)] * cells) @ pixels).unflatten(0, (cells, -1)).unflatten(2, (blocks, -1))
    )
