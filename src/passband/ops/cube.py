"""Arranges Y, Cb and Cr of an image as frequency channels on one grid, at a stride of 8 or 4 pixels: a DCT cube.

A JPEG file may store chroma at half the resolution, so that a block of chroma covers twice as many pixels in each
direction. An orthonormal transform splits such a block into several smaller blocks without decoding to pixels: 8 x 8
coefficients of chroma become four blocks of 4 x 4, which are the low frequencies of the 8 x 8 luma blocks at the same
places. For such a file, a cube at stride 4 has 16 frequencies of Y, 4 of Cb and 4 of Cr that are not zero. They
correspond one to one to the coefficients of the file.
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
"""Subsampling of a component, (vertical, horizontal), relative to the image: (2, 2) for chroma at 4:2:0."""


def sampling_ratios(sampling: Sequence[tuple[int, int]]) -> list[Ratio]:
    """Compute the subsampling ratios of components from the sampling factors in a JPEG file.

    Args:
        sampling: (horizontal, vertical) sampling factor of each component, 1 to 4, as in ITU-T T.81, B.2.2.

    Returns:
        The (vertical, horizontal) ratio of each component.

    Raises:
        ValueError: if a ratio is not 1, 2 or 4, for example 3:2.
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
    """Arrange the components of a JPEG file on one grid, exactly and without decoding to pixels.

    Args:
        components: Y, Cb and Cr, or Y alone: dequantized coefficients of 8 x 8 blocks in raster order. Each component
            has its own grid of blocks.
        ratios: (vertical, horizontal) ratio of each component, 1, 2 or 4; (2, 2) for chroma at 4:2:0. See
            `sampling_ratios`.
        stride: side b of the cube's cells, 8 or 4 pixels of the image.
        channels: frequencies to return for Y, Cb and Cr, as raster indices b v + u; None for all b^2 of each.

    Returns:
        The channels of Y, then Cb, then Cr, as orthonormal coefficients of b x b blocks of samples. The lowest
        frequency is b times the mean of its cell. JPEG samples are shifted by 128 before. A component that is
        subsampled by r has only frequencies below b / r in that direction: the DCT of its samples in the cell, times
        the square root of r for each direction. Its other frequencies are zero. Cb and Cr of a gray file are zero. If
        the grids have different sizes, because the sides of the image are not multiples of an MCU, the cube is cropped
        to the cells that all components cover.

    Raises:
        ValueError: if components, ratios and grids do not match.

    Source: Gueguen et al., NeurIPS 2018, use DCT coefficients of half-size chroma as the low frequencies of a block.
    Here blocks are split without decoding to pixels.
    """
    for component in components:
        check_images(component, "assemble_cube", channels=JPEG_BLOCK**2)
    _check(ratios, len(components), stride)
    chosen = _chosen(channels, stride)
    parts = [_parts(ratio, stride) for ratio in ratios]
    grids = [(c.shape[-2] * down, c.shape[-1] * across) for c, (down, across) in zip(components, parts, strict=True)]
    height, width = (min(sides) for sides in zip(*grids, strict=True))
    for name, grid, (down, across) in zip(("Y", "Cb", "Cr"), grids, parts, strict=False):
        if grid[0] - height >= down or grid[1] - width >= across:
            raise ValueError(
                f"components need grids of the same image: with ratios {list(ratios)}, {name} covers {grid[0]} x "
                f"{grid[1]} cells of {stride} pixels, but another component covers {height} x {width}"
            )
    placed = []
    for component, ratio, split, indices in zip(components, ratios, parts, chosen, strict=False):
        low = split_blocks(component, split, JPEG_BLOCK)[..., :height, :width]
        placed.append(_place_frequencies(low, ratio, stride, indices))
    for indices in chosen[len(components) :]:
        placed.append(components[0].new_zeros(components[0].shape[0], len(indices), height, width))
    return torch.cat(placed, 1)


def disassemble_cube(
    cube: Float[Tensor, "B K h w"], ratios: Sequence[Ratio], stride: int = 8
) -> list[Float[Tensor, "B 64 _ _"]]:
    """Convert a cube to the coefficients of a JPEG file with these ratios; the inverse of `assemble_cube`.

    Args:
        cube: cube with all 3 b^2 channels.
        ratios: (vertical, horizontal) ratio of each component; a single ratio for Y alone.
        stride: side b of the cube's cells, 8 or 4 pixels.

    Returns:
        Dequantized coefficients of 8 x 8 blocks for each component. Frequencies that a subsampled component cannot hold
        are left out.

    Raises:
        ValueError: if the number of channels is wrong, or if the cells do not form whole blocks.
    """
    check_images(cube, "disassemble_cube")
    _check(ratios, len(ratios), stride)
    size = stride * stride
    if cube.shape[1] != 3 * size:
        raise ValueError(f"a whole cube at stride {stride} needs {3 * size} channels, got {cube.shape[1]}")
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
    """Compute the cube of an RGB image.

    The result equals `assemble_cube` for a JPEG file of the image, apart from the rounding in the file.

    Args:
        image: RGB in [0, 1], on any device; gradients flow through it.
        stride: side b of the cube's cells, 8 or 4 pixels.
        ratio: (vertical, horizontal) ratio of the chroma, 1, 2 or 4. Each chroma sample is the mean of that many
            pixels.
        channels: frequencies to compute for Y, Cb and Cr, as in `assemble_cube`.

    Returns:
        The channels of Y, then Cb, then Cr, in the units of `assemble_cube`.

    Raises:
        ValueError: if H or W is not a multiple of the stride.
    """
    check_images(image, "image_cube", channels=3)
    _check([(1, 1), ratio, ratio], 3, stride)
    chosen = _chosen(channels, stride)
    samples = jpeg_samples(image)
    if ratio == (1, 1):
        return block_dct(samples, stride, chosen)
    luma = [block_dct(samples[:, :1], stride, chosen[:1])] if chosen[0] else []
    means = F.avg_pool2d(samples[:, 1:], ratio)
    cells = means.unflatten(-1, (-1, stride // ratio[1])).unflatten(-3, (-1, stride // ratio[0]))
    # B C h y w x -> B C h w v u -> B C (v u) h w
    low = dct2(cells.transpose(-3, -2)).movedim((-2, -1), (2, 3)).flatten(2, 3)
    chroma = [_place_frequencies(low[:, component], ratio, stride, chosen[1 + component]) for component in range(2)]
    return torch.cat([*luma, *chroma], 1)


def _check(ratios: Sequence[Ratio], components: int, stride: int) -> None:
    """Raise an error unless ratios, components and stride can form a cube."""
    if stride not in (8, 4):
        raise ValueError(f"the stride of a cube must be 8 or 4 pixels, got {stride}")
    if components not in (1, 3) or len(ratios) != components:
        raise ValueError(
            f"a cube needs Y, or Y, Cb and Cr, with a ratio for each; got {components} components and "
            f"{len(ratios)} ratios"
        )
    for ratio in ratios:
        if not {*ratio} <= {1, 2, 4}:
            raise ValueError(f"the ratios of a component must be 1, 2 or 4, got {ratio[0]} and {ratio[1]}")


def _chosen(channels: Sequence[Sequence[int]] | None, stride: int) -> list[Sequence[int]]:
    """Return the frequencies of Y, Cb and Cr that are chosen."""
    if channels is None:
        return [range(stride * stride)] * 3
    check_channels(channels, 3, stride)
    return list(channels)


def _parts(ratio: Ratio, stride: int) -> tuple[int, int]:
    """Return the number of cells that a JPEG block of a component covers in each direction."""
    return JPEG_BLOCK * ratio[0] // stride, JPEG_BLOCK * ratio[1] // stride


def _place_frequencies(
    low: Float[Tensor, "B J h w"], ratio: Ratio, stride: int, chosen: Sequence[int]
) -> Float[Tensor, "B K h w"]:
    """Place the frequencies of a component's smaller block into the channels of a whole block, with zeros elsewhere."""
    rows, columns = stride // ratio[0], stride // ratio[1]
    frequencies = [divmod(index, stride) for index in chosen]
    available = [number for number, (v, u) in enumerate(frequencies) if v < rows and u < columns]
    placed = low.new_zeros(low.shape[0], len(chosen), *low.shape[2:])
    # A sample stands for as many pixels as the ratios say, so the squared norm grows by the ratio of each direction.
    values = low[:, [frequencies[number][0] * columns + frequencies[number][1] for number in available]]
    placed[:, available] = values * (ratio[0] * ratio[1]) ** 0.5
    return placed
