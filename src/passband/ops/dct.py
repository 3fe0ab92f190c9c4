"""Computes the orthonormal DCT-II of images and of their blocks, and converts between orders of coefficients.

Block coefficients have the shape B (C b b) H/b W/b. In raster order, channel c b b + b v + u holds vertical frequency v
and horizontal frequency u of component c. For samples 255 x - 128 in YCbCr, the coefficients have the units of a JPEG
file: the lowest one is 8 times the mean of its block. Half-precision inputs are transformed in single precision, and
autocast is ignored: bfloat16 has too few digits, for example no fractional digits at 1,000.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Num
from torch import Tensor

from passband.ops.checks import check_floats
from passband.ops.precision import without_autocast

Rest = ParamSpec("Rest")

LARGEST_FOLDED = 16
"""Largest side of a block for which both directions are combined into one matrix. The matrix grows with the fourth
power of the side."""


def full_precision(
    function: Callable[Concatenate[Tensor, Rest], Tensor],
) -> Callable[Concatenate[Tensor, Rest], Tensor]:
    """Make a linear transform compute in single precision at least, also inside autocast.

    Args:
        function: function whose first argument and result are tensors.

    Returns:
        The same function. Its result has the precision of its input.

    Raises:
        TypeError: if the returned function is called with integers.
    """

    @wraps(function)
    def transform(values: Tensor, *args: Rest.args, **kwargs: Rest.kwargs) -> Tensor:
        check_floats(values, function.__name__)
        with without_autocast(values.device):
            wide = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
            return function(wide, *args, **kwargs).to(values.dtype)

    return transform


def constant(make: Callable[..., Tensor], *sizes: int, like: Tensor) -> Tensor:
    """Return a constant matrix with the dtype and device of a tensor. It is cached, so it must not be modified.

    Args:
        make: function that computes the matrix in float64.
        sizes: arguments of `make`.
        like: tensor whose dtype and device the matrix gets.

    Returns:
        The matrix, of the shape that `make` returns.
    """
    # Matrices that are made while torch traces must not be cached. They may be tensors without values.
    keep = type(like) is Tensor and not torch.compiler.is_compiling()
    return (_make if keep else _make.__wrapped__)(make, sizes, like.dtype, like.device)


def dct_matrix(size: int) -> Float[Tensor, "N N"]:
    """Return the orthonormal matrix D of the DCT-II: D x are the coefficients of x, and D^T is the inverse.

    Args:
        size: number of samples N, at least 1.

    Returns:
        The matrix in float64. Row u is s(u) sqrt(2 / N) cos(pi (2 x + 1) u / (2 N)), with s(0) = 1 / sqrt 2 and s(u) =
        1 for all other u.

    Source: Ahmed, Natarajan and Rao, IEEE Trans. Computers C-23, 1974.
    """
    u, x = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(torch.pi * (2 * x + 1) * u / (2 * size)) * (2 / size) ** 0.5
    matrix[0] = size**-0.5
    return matrix


@full_precision
def dct2(samples: Float[Tensor, "*B N M"]) -> Float[Tensor, "*B N M"]:
    """Compute the orthonormal DCT-II over the last two axes, for any size.

    Args:
        samples: values of shape N x M.

    Returns:
        Coefficients (v, u), vertical frequency first.

    Source: the N x M transform of Xu et al., CVPR 2020, (2/N)^.5 (2/M)^.5 L(v) L(u) sum cos cos with L(0) = 1/sqrt 2.
    """
    rows, columns = (constant(dct_matrix, side, like=samples) for side in samples.shape[-2:])
    return rows @ samples @ columns.mT


@full_precision
def idct2(coefficients: Float[Tensor, "*B N M"]) -> Float[Tensor, "*B N M"]:
    """Compute the inverse of `dct2`.

    Args:
        coefficients: coefficients of shape N x M.

    Returns:
        The samples, N x M.
    """
    rows, columns = (constant(dct_matrix, side, like=coefficients) for side in coefficients.shape[-2:])
    return rows.mT @ coefficients @ columns


@full_precision
def block_dct(
    image: Float[Tensor, "B C H W"], block: int = 8, channels: Sequence[Sequence[int]] | None = None
) -> Float[Tensor, "B K h w"]:
    """Compute the orthonormal DCT-II of every block of an image.

    Args:
        image: components in any unit. For the units of JPEG, use 255 x - 128 of YCbCr (`ops.color.jpeg_samples`).
        block: side of the blocks, in pixels.
        channels: frequencies to compute for each component, as raster indices `block * v + u`; None for all.

    Returns:
        Coefficients with h = H / block and w = W / block, component after component. The channels of each component are
        in the order of `channels`, or in raster order.

    Raises:
        ValueError: if H or W is not a multiple of the block, or if a frequency does not exist.
    """
    height, width = image.shape[-2:]
    if block < 1 or height % block or width % block:
        raise ValueError(
            f"block_dct needs H and W divisible by the block of {block}, got {height} x {width}; pad with "
            "ops.tiling.pad_to_multiple or crop"
        )
    if channels is not None:
        check_channels(channels, image.shape[1], block)
    # The convolution's backward pass takes several times as long as that of the matrix products. On devices other than
    # CPUs, convolutions may be computed in less than single precision.
    inference = not (torch.is_grad_enabled() and image.requires_grad)
    if inference and image.device.type == "cpu" and block <= LARGEST_FOLDED:
        return _by_convolution(image, block, channels)
    return _by_products(image, block, channels)


@full_precision
def inverse_block_dct(coefficients: Float[Tensor, "B K h w"], block: int = 8) -> Float[Tensor, "B C H W"]:
    """Compute the inverse of `block_dct`.

    Args:
        coefficients: all block x block frequencies of every component, in raster order.
        block: side of the blocks, in pixels.

    Returns:
        The image, with H = h * block and W = w * block.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    blocks = split_components(coefficients, block)
    matrix = constant(dct_matrix, block, like=coefficients)
    # B C v u h w -> B C h v w u, so that each product runs over long rows
    columns = blocks.permute(0, 1, 4, 2, 5, 3) @ matrix
    pixels = matrix.mT @ columns.flatten(-2)
    return pixels.flatten(2, 3)


def split_components(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B C v u h w"]:
    """Split the channels into separate axes for components and frequencies.

    Args:
        coefficients: all block x block frequencies of every component, in raster order.
        block: side of the blocks, in pixels.

    Returns:
        A view with C = K / block^2, and v and u from 0 to block - 1.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    channels = coefficients.shape[1]
    if block < 1 or channels % (block * block):
        raise ValueError(
            f"blocks of {block} need {block * block} channels for each component, got {channels} channels; embed a "
            "cube of selected channels in a whole cube first (ChannelSubset.embed)"
        )
    return coefficients.unflatten(1, (channels // (block * block), block, block))


def group_frequencies(blocks: Num[Tensor, "B C h w F"]) -> Num[Tensor, "B K h w"]:
    """Arrange coefficients by frequency: each channel holds one frequency of all blocks.

    Args:
        blocks: F coefficients of every block.

    Returns:
        C F channels, component after component.
    """
    return blocks.movedim(-1, 2).flatten(1, 2)


def ungroup_frequencies(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B C h w F"]:
    """Arrange coefficients by block, as a JPEG file stores them; the inverse of `group_frequencies`.

    Args:
        coefficients: all block x block frequencies of every component.
        block: side of the blocks, in pixels.

    Returns:
        The F = block^2 coefficients of every block, in the order of the channels.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    return split_components(coefficients, block).flatten(2, 3).movedim(2, -1)


def zigzag(block: int = 8) -> tuple[int, ...]:
    """Return the zigzag order: entry i is the raster index `block * v + u` of the i-th frequency.

    Args:
        block: side of the blocks, in pixels.

    Source: ITU-T T.81, figure A.6.
    """

    def diagonal(index: int) -> tuple[int, int]:
        v, u = divmod(index, block)
        return v + u, v if (v + u) % 2 else u  # odd diagonals run downward, even ones upward

    return tuple(sorted(range(block * block), key=diagonal))


def raster_to_zigzag(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B K h w"]:
    """Reorder the channels of each component from raster order to zigzag order.

    Args:
        coefficients: all block x block frequencies of every component.
        block: side of the blocks, in pixels.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    return _reorder(coefficients, block, zigzag(block))


def zigzag_to_raster(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B K h w"]:
    """Reorder the channels of each component from zigzag order to raster order.

    Args:
        coefficients: all block x block frequencies of every component.
        block: side of the blocks, in pixels.

    Raises:
        ValueError: if the number of channels is not a multiple of block x block.
    """
    order = zigzag(block)
    return _reorder(coefficients, block, sorted(range(len(order)), key=order.__getitem__))


def check_channels(channels: Sequence[Sequence[int]], components: int, block: int) -> None:
    """Raise an error unless lists of frequencies match an image.

    Args:
        channels: raster indices `block * v + u` of each component.
        components: number of components.
        block: side of the blocks, in pixels.

    Raises:
        ValueError: if the number of lists is wrong, if all lists are empty, or if a frequency does not exist.
    """
    if len(channels) != components:
        raise ValueError(f"channels need one list for each of {components} components, got {len(channels)}")
    if not any(channels):
        raise ValueError("at least one frequency channel is needed, got none")
    for index in (index for chosen in channels for index in chosen):
        if not 0 <= index < block * block:
            raise ValueError(
                f"a frequency of a block of {block} must be 0 to {block * block - 1} (block * v + u), got {index}"
            )


def _reorder(coefficients: Num[Tensor, "B K h w"], block: int, order: Sequence[int]) -> Num[Tensor, "B K h w"]:
    """Reorder the channels of each component."""
    index = torch.tensor(order, device=coefficients.device)
    return split_components(coefficients, block).flatten(2, 3).index_select(2, index).flatten(1, 2)


def _by_convolution(
    image: Float[Tensor, "B C H W"], block: int, channels: Sequence[Sequence[int]] | None
) -> Float[Tensor, "B K h w"]:
    """Compute the transform as a convolution whose stride equals the side of its kernel."""
    weight = constant(_patterns, block, like=image)[:, None]
    if channels is None:
        batch, components = image.shape[:2]
        return (
            F.conv2d(image.flatten(0, 1)[:, None], weight, stride=block).unflatten(0, (batch, components)).flatten(1, 2)
        )
    parts = [
        F.conv2d(image[:, component : component + 1], weight[_index(chosen, image)], stride=block)
        for component, chosen in enumerate(channels)
        if chosen
    ]
    return torch.cat(parts, 1)


def _by_products(
    image: Float[Tensor, "B C H W"], block: int, channels: Sequence[Sequence[int]] | None
) -> Float[Tensor, "B K h w"]:
    """Compute the transform as two matrix products, along the rows and along the columns."""
    if channels is None:
        return _products(image, block, block, block)
    parts = []
    for component, chosen in enumerate(channels):
        if chosen:
            rows, columns = (1 + max(index) for index in zip(*(divmod(index, block) for index in chosen), strict=True))
            positions = [index // block * columns + index % block for index in chosen]
            part = _products(image[:, component : component + 1], block, rows, columns)
            parts.append(part.index_select(1, _index(positions, image)))
    return torch.cat(parts, 1)


def _products(image: Float[Tensor, "B C H W"], block: int, rows: int, columns: int) -> Float[Tensor, "B K h w"]:
    """Compute the lowest frequencies: `rows` vertical and `columns` horizontal ones."""
    matrix = constant(dct_matrix, block, like=image)
    height, width = (side // block for side in image.shape[-2:])
    across = image.unflatten(-1, (width, block)) @ matrix[:columns].mT
    down = matrix[:rows] @ across.flatten(-2).unflatten(-2, (height, block))
    # B C h v (w u) -> B C v u h w
    return down.unflatten(-1, (width, columns)).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def _index(indices: Sequence[int], like: Tensor) -> Int64[Tensor, " K"]:
    """Return indices as a tensor on the device of another tensor."""
    return torch.tensor(list(indices), dtype=torch.int64, device=like.device)


def _patterns(block: int) -> Float[Tensor, "K b b"]:
    """Return the basis images of all frequencies of a block."""
    matrix = dct_matrix(block)
    return torch.einsum("vy,ux->vuyx", matrix, matrix).flatten(0, 1)


@lru_cache(maxsize=64)
def _make(make: Callable[..., Tensor], sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make a constant matrix."""
    # A tensor that is made in inference mode cannot be used in a backward pass later.
    with torch.inference_mode(False):
        return make(*sizes).to(device, dtype)
