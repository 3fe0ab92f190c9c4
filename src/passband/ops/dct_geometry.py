"""Flips, rotates, crops, halves and re-blocks images as DCT coefficients, exactly and without decoding to pixels.

All functions take and return the coefficients of `ops.dct.block_dct` with every frequency of every component. They are
exact for whole blocks. If the last row or column of blocks extends beyond the image, crop it before a flip or rotation.
"""

import torch
from jaxtyping import Float, Num
from torch import Tensor

from passband.ops.dct import constant, dct_matrix, full_precision, split_components


def flip_horizontal(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B K h w"]:
    """Return the coefficients of the image mirrored left to right.

    Args:
        coefficients: coefficients as floating-point values, or as signed integers like in a file.
        block: side of the blocks, in pixels.

    Returns:
        Coefficients of the same shape and dtype.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    return (split_components(coefficients.flip(-1), block) * _signs(block, coefficients)[:, None, None]).flatten(1, 3)


def flip_vertical(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B K h w"]:
    """Return the coefficients of the image mirrored top to bottom.

    Args:
        coefficients: coefficients as floating-point values, or as signed integers like in a file.
        block: side of the blocks, in pixels.

    Returns:
        Coefficients of the same shape and dtype.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    signs = _signs(block, coefficients)[:, None, None, None]
    return (split_components(coefficients.flip(-2), block) * signs).flatten(1, 3)


def transpose(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B K w h"]:
    """Return the coefficients of the image mirrored at its main diagonal.

    Args:
        coefficients: coefficients as floating-point values or integers.
        block: side of the blocks, in pixels.

    Returns:
        Coefficients of the same dtype, with rows and columns of blocks exchanged.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    return split_components(coefficients, block).transpose(2, 3).transpose(4, 5).flatten(1, 3)


def rotate90(coefficients: Num[Tensor, "B K h w"], turns: int = 1, block: int = 8) -> Num[Tensor, "B K _ _"]:
    """Return the coefficients of the rotated image.

    Args:
        coefficients: coefficients as floating-point values, or as signed integers like in a file.
        turns: number of quarter turns, counterclockwise as in `torch.rot90(image, turns, (-2, -1))`; negative for
            clockwise.
        block: side of the blocks, in pixels.

    Returns:
        Coefficients of the same dtype; rows and columns of blocks are exchanged after an odd number of turns.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    rotated = coefficients
    if turns % 4 in (1, 3):
        rotated = transpose(rotated, block)
    if turns % 4 in (1, 2):
        rotated = flip_vertical(rotated, block)
    if turns % 4 in (2, 3):
        rotated = flip_horizontal(rotated, block)
    return rotated


def orient(coefficients: Num[Tensor, "B K h w"], orientation: int, block: int = 8) -> Num[Tensor, "B K _ _"]:
    """Turn coefficients upright according to the EXIF orientation of their file.

    Args:
        coefficients: coefficients as floating-point values, or as signed integers like in a file.
        orientation: EXIF orientation, 1 to 8.
        block: side of the blocks, in pixels.

    Returns:
        Coefficients of the same dtype; rows and columns of blocks are exchanged for the orientations 5 to 8.

    Raises:
        ValueError: if the orientation is not 1 to 8, or the number of channels is not a multiple of block x block.

    Source: CIPA DC-008 (EXIF 2.32), tag 0x0112.
    """
    if orientation not in range(1, 9):
        raise ValueError(f"an EXIF orientation must be 1 to 8, got {orientation}; a file without one has 1")
    upright = coefficients
    if orientation >= 5:
        upright = transpose(upright, block)
    if orientation in (2, 3, 6, 7):
        upright = flip_horizontal(upright, block)
    if orientation in (3, 4, 7, 8):
        upright = flip_vertical(upright, block)
    return upright


def crop_blocks(
    coefficients: Num[Tensor, "B K h w"], top: int, left: int, height: int, width: int
) -> Num[Tensor, "B K _ _"]:
    """Crop an image along the borders of its blocks.

    Args:
        coefficients: coefficients as floating-point values or integers, of any frequencies.
        top: first row, in blocks.
        left: first column, in blocks.
        height: number of rows, in blocks.
        width: number of columns, in blocks.

    Returns:
        A view of the cropped blocks, B x K x height x width.

    Raises:
        ValueError: if the crop is empty or extends beyond the image.
    """
    rows, columns = coefficients.shape[-2:]
    if not (0 <= top < top + height <= rows and 0 <= left < left + width <= columns):
        raise ValueError(
            f"a crop must lie within {rows} x {columns} blocks; got {height} x {width} blocks from row {top}, "
            f"column {left}"
        )
    return coefficients[..., top : top + height, left : left + width]


@full_precision
def downscale_by_two(coefficients: Float[Tensor, "B K h w"], block: int = 8) -> Float[Tensor, "B K _ _"]:
    """Return the coefficients of the image at half its size, where each pixel is the mean of 2 x 2 pixels.

    Args:
        coefficients: coefficients with an even number of rows and columns of blocks.
        block: side of the blocks before and after, in pixels.

    Returns:
        Coefficients with half as many rows and columns of blocks.

    Raises:
        ValueError: if the number of rows or columns is odd.
    """
    rows, columns = coefficients.shape[-2:]
    if rows % 2 or columns % 2:
        raise ValueError(
            f"downscale_by_two needs even numbers of blocks, got {rows} x {columns}; crop with crop_blocks first"
        )
    mixing = constant(_halving, block, like=coefficients)
    blocks = split_components(coefficients, block).unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    # B C v u h p w q -> B C (p v q u) (h w)
    pairs = blocks.permute(0, 1, 5, 2, 7, 3, 4, 6).flatten(2, 5).flatten(-2)
    return (mixing @ pairs).unflatten(-1, (rows // 2, columns // 2)).flatten(1, 2)


@full_precision
def split_blocks(
    coefficients: Float[Tensor, "B K h w"], parts: int | tuple[int, int] = 2, block: int = 8
) -> Float[Tensor, "B J _ _"]:
    """Convert the coefficients of blocks to those of smaller blocks. The transform is orthonormal and loses nothing.

    Args:
        coefficients: coefficients of blocks with the side `block`.
        parts: number of parts along each side of a block, or (vertical, horizontal) numbers. With 2, a block of 8 x 8
            becomes four blocks of 4 x 4.
        block: side of the blocks before, in pixels.

    Returns:
        Orthonormal coefficients of the smaller blocks: (block / parts)^2 channels for each component, and `parts` times
        as many rows and columns. The frequency (v, u) of a smaller block is in channel v (block / horizontal parts) +
        u.

    Raises:
        ValueError: if the parts do not divide the block.
    """
    down, across = _parts(parts, block)
    rows, columns = coefficients.shape[-2:]
    components = split_components(coefficients, block)
    if (down, across) == (1, 1):
        return coefficients
    mixing = constant(_splitting, block, down, across, like=coefficients)
    blocks = mixing @ components.flatten(2, 3).flatten(-2)
    # B C (p v q u) (h w) -> B (C v u) (h p) (w q)
    apart = blocks.unflatten(-1, (rows, columns)).unflatten(2, (down, block // down, across, block // across))
    return apart.permute(0, 1, 3, 5, 6, 2, 7, 4).flatten(-2).flatten(-3, -2).flatten(1, 3)


@full_precision
def join_blocks(
    coefficients: Float[Tensor, "B J h w"], parts: int | tuple[int, int] = 2, block: int = 8
) -> Float[Tensor, "B K _ _"]:
    """Convert the coefficients of smaller blocks to those of larger blocks; the inverse of `split_blocks`.

    Args:
        coefficients: coefficients of the smaller blocks.
        parts: number of smaller blocks along each side of a larger block, or (vertical, horizontal) numbers.
        block: side of the larger blocks, in pixels.

    Returns:
        Orthonormal coefficients of the larger blocks, block^2 channels for each component.

    Raises:
        ValueError: if the parts do not divide the block, or if the smaller blocks do not form whole larger blocks.
    """
    down, across = _parts(parts, block)
    channels, rows, columns = coefficients.shape[1:]
    small = (block // down) * (block // across)
    if channels % small or rows % down or columns % across:
        raise ValueError(
            f"join_blocks needs {small} channels for each component and grids of {down} x {across} smaller blocks, got "
            f"{channels} channels of {rows} x {columns}"
        )
    if (down, across) == (1, 1):
        return coefficients
    apart = coefficients.unflatten(1, (-1, block // down, block // across))
    apart = apart.unflatten(-1, (-1, across)).unflatten(-3, (-1, down))
    # B C v u h p w q -> B C (p v q u) (h w)
    blocks = apart.permute(0, 1, 5, 2, 7, 3, 4, 6).flatten(2, 5).flatten(-2)
    mixing = constant(_splitting, block, down, across, like=coefficients)
    return (mixing.mT @ blocks).unflatten(-1, (rows // down, columns // across)).flatten(1, 2)


def _parts(parts: int | tuple[int, int], block: int) -> tuple[int, int]:
    """Return the vertical and horizontal numbers of parts, after checking that they divide the block."""
    down, across = (parts, parts) if isinstance(parts, int) else parts
    if min(down, across) < 1 or block % down or block % across:
        raise ValueError(f"the number of parts must divide the block of {block}, got {down} x {across}")
    return down, across


def _splitting(block: int, down: int, across: int) -> Float[Tensor, "n n"]:
    """Return the matrix from coefficients (v, u) of a block to (vertical part, v, horizontal part, u) of its parts."""
    lines = [torch.block_diag(*[dct_matrix(block // parts)] * parts) @ dct_matrix(block).mT for parts in (down, across)]
    return torch.kron(*lines)


def _halving(block: int) -> Float[Tensor, "n m"]:
    """Return the matrix from (vertical neighbor, v, horizontal neighbor, u) of 2 x 2 blocks to those of their means."""
    matrix = dct_matrix(block)
    means = torch.eye(block, dtype=matrix.dtype).repeat_interleave(2, 1) / 2
    line = matrix @ means @ torch.block_diag(matrix.mT, matrix.mT)
    return torch.kron(line, line)


def _signs(block: int, like: Tensor) -> Num[Tensor, " b"]:
    """Return the sign of each frequency under mirroring: odd frequencies are odd functions."""
    if not like.is_floating_point() and not like.dtype.is_signed:
        raise TypeError(f"coefficients that are mirrored need a signed type, got {like.dtype}")
    return (1 - 2 * (torch.arange(block, device=like.device) % 2)).to(like.dtype)
