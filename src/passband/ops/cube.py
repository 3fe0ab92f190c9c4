"""Cubes: Y, Cb and Cr of an image as frequency channels on one grid, at a stride of 8 or 4 pixels.

A JPEG file may hold its chroma at half the size, in blocks that cover twice the pixels. A block is orthonormally
several smaller ones, so every component comes to the grid without pixels: 8 x 8 coefficients of chroma at half the size
are four blocks of 4 x 4, each the low frequencies of the 8 x 8 block of luma at its place. Of such a file, a cube at
stride 4 holds nothing but zeros besides 16 frequencies of Y, 4 of Cb and 4 of Cr, and these are the file's own, one to
one.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_images
from passband.ops.color import jpeg_samples
from passband.ops.dct import block_dct, check_channels, dct2
from passband.ops.dct_geometry import join_blocks, split_blocks

JPEG_BLOCK = 8

Ratio = tuple[int, int]
"""How many times fewer rows and columns of samples a component has than the image: (2, 2) for chroma at 4:2:0."""


def sampling_ratios(sampling: Sequence[tuple[int, int]]) -> list[Ratio]:
    """The ratios of components from the sampling factors that a JPEG file states.

    Args:
        sampling: (horizontal, vertical) factor of each component, 1 to 4, as in ITU-T T.81, B.2.2.

    Returns:
        (vertical, horizontal) ratio of each.

    Raises:
        ValueError: where a component is not 1, 2 or 4 times smaller than the largest, as in 3:2.
    """
    widest, tallest = (max(factors) for factors in zip(*sampling, strict=True))
    for horizontal, vertical in sampling:
        if {(widest, horizontal), (tallest, vertical)} - {(n * r, n) for n in (1, 2, 3, 4) for r in (1, 2, 4)}:
            raise ValueError(
                f"sampling factors need ratios of 1, 2 or 4, got {horizontal} x {vertical} beside "
                f"{widest} x {tallest}; decode the file to pixels"
            )
    return [(tallest // vertical, widest // horizontal) for horizontal, vertical in sampling]


def assemble_cube(
    components: Sequence[Float[Tensor, "B 64 _ _"]],
    ratios: Sequence[Ratio],
    stride: int = 8,
    channels: Sequence[Sequence[int]] | None = None,
) -> Float[Tensor, "B K h w"]:
    """Bring the components of a JPEG file onto one grid, exactly and without pixels.

    Args:
        components: Y, Cb and Cr, or Y alone: dequantized coefficients of 8 x 8 blocks in raster order, on the
            components' own grids.
        ratios: (vertical, horizontal) of each component, 1, 2 or 4; (2, 2) for chroma at 4:2:0. See `sampling_ratios`.
        stride: side b of the cube's cells, 8 or 4 pixels of the image.
        channels: for Y, Cb and Cr, which frequencies are wanted, as raster indices b v + u; None for all b^2 of each.

    Returns:
        The channels of Y, of Cb and of Cr, in orthonormal units of b x b blocks of samples: the lowest is b times the
        mean of its cell (of level-shifted samples, in the components of a file). A component that is r times smaller
        has only frequencies below b / r: the DCT of its samples in the cell, times the square root of r for each
        direction; the others are zero. A gray file's Cb and Cr are zero. Grids that do not end together, as those of
        sides that are no whole MCUs, are cropped to what all components cover: the cells of the luma grid.

    Raises:
        ValueError: where components, ratios and grids do not fit each other.

    Source: DCT coefficients of chroma at half the size as the low frequencies of a block, as in Gueguen et al., NeurIPS
    2018; without its pixels by splitting blocks.
    """
    for component in components:
        check_images(component, "assemble_cube", channels=JPEG_BLOCK**2)
    _check(ratios, len(components), stride)
    wanted = _wanted(channels, stride)
    parts = [_parts(ratio, stride) for ratio in ratios]
    grids = [(c.shape[-2] * down, c.shape[-1] * across) for c, (down, across) in zip(components, parts, strict=True)]
    height, width = (min(sides) for sides in zip(*grids, strict=True))
    for name, grid, (down, across) in zip(("Y", "Cb", "Cr"), grids, parts, strict=False):
        if grid[0] - height >= down or grid[1] - width >= across:
            raise ValueError(
                f"components need grids of one image: with ratios {list(ratios)} that of {name} covers {grid[0]} x "
                f"{grid[1]} cells of {stride} pixels, but another one {height} x {width}"
            )
    placed = []
    for component, ratio, split, indices in zip(components, ratios, parts, wanted, strict=False):
        low = split_blocks(component, split, JPEG_BLOCK)[..., :height, :width]
        placed.append(_place(low, ratio, stride, indices))
    for indices in wanted[len(components) :]:
        placed.append(components[0].new_zeros(components[0].shape[0], len(indices), height, width))
    return torch.cat(placed, 1)


def disassemble_cube(
    cube: Float[Tensor, "B K h w"], ratios: Sequence[Ratio], stride: int = 8
) -> list[Float[Tensor, "B 64 _ _"]]:
    """Undo `assemble_cube`: the coefficients that a JPEG file of these ratios holds.

    Args:
        cube: all 3 b^2 channels.
        ratios: (vertical, horizontal) of each component; one for Y alone.
        stride: side b of the cube's cells, 8 or 4 pixels.

    Returns:
        Dequantized coefficients of 8 x 8 blocks for each ratio. Frequencies that a smaller component has not are left
        out.

    Raises:
        ValueError: where the cube has another number of channels, or its cells make no whole blocks.
    """
    check_images(cube, "disassemble_cube")
    _check(ratios, len(ratios), stride)
    size = stride * stride
    if cube.shape[1] != 3 * size:
        raise ValueError(f"a whole cube at stride {stride} has {3 * size} channels, got {cube.shape[1]}")
    components = []
    for component, (down, across) in enumerate(ratios):
        part = cube[:, component * size : (component + 1) * size].unflatten(1, (stride, stride))
        low = part[:, : stride // down, : stride // across].flatten(1, 2) / (down * across) ** 0.5
        components.append(join_blocks(low, _parts((down, across), stride), JPEG_BLOCK))
    return components


def image_cube(
    image: Float[Tensor, "B 3 H W"],
    stride: int = 8,
    ratio: Ratio = (1, 1),
    channels: Sequence[Sequence[int]] | None = None,
) -> Float[Tensor, "B K h w"]:
    """The cube of pixels: what `assemble_cube` gives for their JPEG file, but for its rounding.

    Args:
        image: RGB in [0, 1]; on any device, differentiable.
        stride: side b of the cube's cells, 8 or 4 pixels.
        ratio: (vertical, horizontal) of the chroma, 1, 2 or 4: its samples are means of as many pixels.
        channels: as in `assemble_cube`; only these are computed.

    Returns:
        The channels of Y, of Cb and of Cr, in the units of `assemble_cube`.

    Raises:
        ValueError: where H or W is no multiple of the stride.
    """
    check_images(image, "image_cube", channels=3)
    _check([(1, 1), ratio, ratio], 3, stride)
    wanted = _wanted(channels, stride)
    samples = jpeg_samples(image)
    if ratio == (1, 1):
        return block_dct(samples, stride, wanted)
    luma = [block_dct(samples[:, :1], stride, wanted[:1])] if wanted[0] else []
    means = F.avg_pool2d(samples[:, 1:], ratio)
    cells = means.unflatten(-1, (-1, stride // ratio[1])).unflatten(-3, (-1, stride // ratio[0]))
    # B C h y w x -> B C h w v u -> B C (v u) h w
    low = dct2(cells.transpose(-3, -2)).movedim((-2, -1), (2, 3)).flatten(2, 3)
    chroma = [_place(low[:, component], ratio, stride, wanted[1 + component]) for component in range(2)]
    return torch.cat([*luma, *chroma], 1)


def _check(ratios: Sequence[Ratio], components: int, stride: int) -> None:
    """Refuse what no cube is made of."""
    if stride not in (8, 4):
        raise ValueError(f"a cube has a stride of 8 or 4 pixels, got {stride}")
    if components not in (1, 3) or len(ratios) != components:
        raise ValueError(
            f"a cube is made of Y, or of Y, Cb and Cr, with a ratio for each; got {components} components and "
            f"{len(ratios)} ratios"
        )
    for ratio in ratios:
        if not {*ratio} <= {1, 2, 4}:
            raise ValueError(f"a component has 1, 2 or 4 times fewer rows and columns, got {ratio[0]} and {ratio[1]}")


def _wanted(channels: Sequence[Sequence[int]] | None, stride: int) -> list[Sequence[int]]:
    """The frequencies of Y, Cb and Cr that are asked for."""
    if channels is None:
        return [range(stride * stride)] * 3
    check_channels(channels, 3, stride)
    return list(channels)


def _parts(ratio: Ratio, stride: int) -> tuple[int, int]:
    """Cells along each direction that a JPEG block of a component covers."""
    return JPEG_BLOCK * ratio[0] // stride, JPEG_BLOCK * ratio[1] // stride


def _place(low: Float[Tensor, "B J h w"], ratio: Ratio, stride: int, wanted: Sequence[int]) -> Float[Tensor, "B K h w"]:
    """Put the frequencies of a component's smaller block where they are in a whole one, and zeros elsewhere."""
    rows, columns = stride // ratio[0], stride // ratio[1]
    frequencies = [divmod(index, stride) for index in wanted]
    there = [place for place, (v, u) in enumerate(frequencies) if v < rows and u < columns]
    placed = low.new_zeros(low.shape[0], len(wanted), *low.shape[2:])
    # a sample stands for as many pixels as the ratios say, so that the square of each direction's norm grows by its own
    taken = low[:, [frequencies[place][0] * columns + frequencies[place][1] for place in there]]
    placed[:, there] = taken * (ratio[0] * ratio[1]) ** 0.5
    return placed
