"""The DCT-II of images and of their blocks, always orthonormal, and the orders of its coefficients.

Coefficients of blocks are B (C b b) H/b W/b: channel c b b + b v + u holds vertical frequency v and horizontal
frequency u of component c, in raster order. Of samples 255 x - 128 in YCbCr they are in the units of a JPEG file, whose
lowest one is 8 times the mean of its block. Halves are computed in single precision, and autocast has no say: a
coefficient of 1,000 has no digits behind the point in bfloat16.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Num
from torch import Tensor

from passband.ops.checks import check_floats

Rest = ParamSpec("Rest")

LARGEST_FOLDED = 16
"""Side of a block up to which both directions are folded into one matrix, whose size grows with the fourth power."""


def full_precision(
    function: Callable[Concatenate[Tensor, Rest], Tensor],
) -> Callable[Concatenate[Tensor, Rest], Tensor]:
    """Have a linear transform computed in single precision at least, whatever autocast says.

    Args:
        function: takes a tensor first and gives one.

    Returns:
        The same function; what it gives has the precision of what it takes.

    Raises:
        TypeError: by the function, for a tensor of integers.
    """

    @wraps(function)
    def transform(values: Tensor, *args: Rest.args, **kwargs: Rest.kwargs) -> Tensor:
        check_floats(values, function.__name__)
        kind = values.device.type
        autocast = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
        with autocast:
            wide = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
            return function(wide, *args, **kwargs).to(values.dtype)

    return transform


def constant(make: Callable[..., Tensor], *sizes: int, like: Tensor) -> Tensor:
    """A constant matrix in the precision and the place of a tensor, made once; not to be written to.

    Args:
        make: gives it in float64.
        sizes: what `make` takes.
        like: the tensor.
    """
    # what is made while torch traces, with or without tensors that hold no numbers, shall not be kept
    keep = type(like) is Tensor and not torch.compiler.is_compiling()
    return (_make if keep else _make.__wrapped__)(make, sizes, like.dtype, like.device)


def dct_matrix(size: int) -> Float[Tensor, "N N"]:
    """The orthonormal matrix D of the DCT-II: D x are the coefficients of x, D^T their inverse.

    Args:
        size: number of samples N, at least 1.

    Returns:
        float64; row u is s(u) sqrt(2 / N) cos(pi (2 x + 1) u / (2 N)), with s(0) = 1 / sqrt 2 and s(u) = 1 elsewhere.

    Source: Ahmed, Natarajan and Rao, IEEE Trans. Computers C-23, 1974.
    """
    u, x = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(torch.pi * (2 * x + 1) * u / (2 * size)) * (2 / size) ** 0.5
    matrix[0] = size**-0.5
    return matrix


@full_precision
def dct2(samples: Float[Tensor, "*B N M"]) -> Float[Tensor, "*B N M"]:
    """The orthonormal DCT-II over the last two axes, of any size.

    Args:
        samples: N x M values.

    Returns:
        Coefficients (v, u), vertical frequency first.

    Source: the N x M transform of Xu et al., CVPR 2020, (2/N)^.5 (2/M)^.5 L(v) L(u) sum cos cos with L(0) = 1/sqrt 2.
    """
    rows, columns = (constant(dct_matrix, side, like=samples) for side in samples.shape[-2:])
    return rows @ samples @ columns.mT


@full_precision
def idct2(coefficients: Float[Tensor, "*B N M"]) -> Float[Tensor, "*B N M"]:
    """Undo `dct2`.

    Args:
        coefficients: N x M of them.

    Returns:
        The samples.
    """
    rows, columns = (constant(dct_matrix, side, like=coefficients) for side in coefficients.shape[-2:])
    return rows.mT @ coefficients @ columns


@full_precision
def block_dct(
    image: Float[Tensor, "B C H W"], block: int = 8, channels: Sequence[Sequence[int]] | None = None
) -> Float[Tensor, "B K h w"]:
    """The orthonormal DCT-II of every block of an image.

    Args:
        image: any components in any unit; for the units of JPEG, 255 x - 128 of YCbCr (`ops.color.jpeg_samples`).
        block: side of the blocks, in pixels.
        channels: for each component, which frequencies are wanted, as raster indices `block * v + u`; only these are
            computed. None for all.

    Returns:
        Coefficients with h = H / block and w = W / block: component after component, each in the order asked for, or in
        raster order.

    Raises:
        ValueError: where H or W is no multiple of the block, or a frequency does not exist.
    """
    height, width = image.shape[-2:]
    if block < 1 or height % block or width % block:
        raise ValueError(
            f"block_dct needs H and W divisible by the block of {block}, got {height} x {width}; pad with "
            "ops.tiling.pad_to_multiple or crop"
        )
    if channels is not None:
        check_channels(channels, image.shape[1], block)
    # the backward pass of the convolution takes several times as long as that of the products, and devices other than
    # processors may compute convolutions in less than single precision
    inference = not (torch.is_grad_enabled() and image.requires_grad)
    if inference and image.device.type == "cpu" and block <= LARGEST_FOLDED:
        return _by_convolution(image, block, channels)
    return _by_products(image, block, channels)


@full_precision
def inverse_block_dct(coefficients: Float[Tensor, "B K h w"], block: int = 8) -> Float[Tensor, "B C H W"]:
    """Undo `block_dct`.

    Args:
        coefficients: all block x block frequencies of every component, in raster order.
        block: side of the blocks, in pixels.

    Returns:
        The image, with H = h * block and W = w * block.

    Raises:
        ValueError: where the channels are no whole components.
    """
    blocks = split_components(coefficients, block)
    matrix = constant(dct_matrix, block, like=coefficients)
    # B C v u h w -> B C h v w u, so that each product runs over long rows
    columns = blocks.permute(0, 1, 4, 2, 5, 3) @ matrix
    pixels = matrix.mT @ columns.flatten(-2)
    return pixels.flatten(2, 3)


def split_components(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B C v u h w"]:
    """Give components and frequencies axes of their own.

    Args:
        coefficients: all block x block frequencies of every component, in raster order.
        block: side of the blocks.

    Raises:
        ValueError: where the channels are no whole components.
    """
    channels = coefficients.shape[1]
    if block < 1 or channels % (block * block):
        raise ValueError(
            f"blocks of {block} need {block * block} channels for each component, got {channels} channels; a cube of "
            "selected channels has to be embedded in a whole one first (ChannelSubset.embed)"
        )
    return coefficients.unflatten(1, (channels // (block * block), block, block))


def group_frequencies(blocks: Num[Tensor, "B C h w F"]) -> Num[Tensor, "B K h w"]:
    """Put equal frequencies of all blocks together, as frequency channels.

    Args:
        blocks: F coefficients of every block.

    Returns:
        C F channels, component after component.
    """
    return blocks.movedim(-1, 2).flatten(1, 2)


def ungroup_frequencies(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B C h w F"]:
    """Put the coefficients of each block together, as a JPEG file holds them; undoes `group_frequencies`.

    Args:
        coefficients: all block x block frequencies of every component.
        block: side of the blocks.

    Raises:
        ValueError: where the channels are no whole components.
    """
    return split_components(coefficients, block).flatten(2, 3).movedim(2, -1)


def zigzag(block: int = 8) -> tuple[int, ...]:
    """The zigzag order: at place i, the raster index `block * v + u` of the i-th frequency.

    Args:
        block: side of the blocks.

    Source: ITU-T T.81, figure A.6.
    """

    def place(index: int) -> tuple[int, int]:
        v, u = divmod(index, block)
        return v + u, v if (v + u) % 2 else u  # odd diagonals run down, even ones up

    return tuple(sorted(range(block * block), key=place))


def raster_to_zigzag(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B K h w"]:
    """Bring the channels of each component from raster into zigzag order.

    Args:
        coefficients: all block x block frequencies of every component.
        block: side of the blocks.

    Raises:
        ValueError: where the channels are no whole components.
    """
    return _reorder(coefficients, block, zigzag(block))


def zigzag_to_raster(coefficients: Num[Tensor, "B K h w"], block: int = 8) -> Num[Tensor, "B K h w"]:
    """Bring the channels of each component from zigzag into raster order.

    Args:
        coefficients: all block x block frequencies of every component.
        block: side of the blocks.

    Raises:
        ValueError: where the channels are no whole components.
    """
    order = zigzag(block)
    return _reorder(coefficients, block, sorted(range(len(order)), key=order.__getitem__))


def check_channels(channels: Sequence[Sequence[int]], components: int, block: int) -> None:
    """Refuse lists of frequencies that do not fit an image.

    Args:
        channels: for each component, raster indices `block * v + u`.
        components: how many there are.
        block: side of the blocks.

    Raises:
        ValueError: for another number of lists, no frequency at all, or one that does not exist.
    """
    if len(channels) != components:
        raise ValueError(f"channels need one list for each of {components} components, got {len(channels)}")
    if not any(channels):
        raise ValueError("at least one frequency channel is needed, got none")
    for index in (index for wanted in channels for index in wanted):
        if not 0 <= index < block * block:
            raise ValueError(
                f"a frequency of a block of {block} is 0 to {block * block - 1} (block * v + u), got {index}"
            )


def _reorder(coefficients: Num[Tensor, "B K h w"], block: int, order: Sequence[int]) -> Num[Tensor, "B K h w"]:
    """Take the channels of each component in another order."""
    index = torch.tensor(order, device=coefficients.device)
    return split_components(coefficients, block).flatten(2, 3).index_select(2, index).flatten(1, 2)


def _by_convolution(
    image: Float[Tensor, "B C H W"], block: int, channels: Sequence[Sequence[int]] | None
) -> Float[Tensor, "B K h w"]:
    """The transform as a convolution whose stride is its kernel's side."""
    weight = constant(_patterns, block, like=image)[:, None]
    if channels is None:
        batch, components = image.shape[:2]
        return (
            F.conv2d(image.flatten(0, 1)[:, None], weight, stride=block).unflatten(0, (batch, components)).flatten(1, 2)
        )
    parts = [
        F.conv2d(image[:, component : component + 1], weight[_index(wanted, image)], stride=block)
        for component, wanted in enumerate(channels)
        if wanted
    ]
    return torch.cat(parts, 1)


def _by_products(
    image: Float[Tensor, "B C H W"], block: int, channels: Sequence[Sequence[int]] | None
) -> Float[Tensor, "B K h w"]:
    """The transform as two products of matrices, along the rows and along the columns."""
    if channels is None:
        return _products(image, block, block, block)
    parts = []
    for component, wanted in enumerate(channels):
        if wanted:
            rows, columns = (1 + max(index) for index in zip(*(divmod(index, block) for index in wanted), strict=True))
            kept = [index // block * columns + index % block for index in wanted]
            part = _products(image[:, component : component + 1], block, rows, columns)
            parts.append(part.index_select(1, _index(kept, image)))
    return torch.cat(parts, 1)


def _products(image: Float[Tensor, "B C H W"], block: int, rows: int, columns: int) -> Float[Tensor, "B K h w"]:
    """The lowest frequencies: `rows` vertical ones and `columns` horizontal ones."""
    matrix = constant(dct_matrix, block, like=image)
    height, width = (side // block for side in image.shape[-2:])
    across = image.unflatten(-1, (width, block)) @ matrix[:columns].mT
    down = matrix[:rows] @ across.flatten(-2).unflatten(-2, (height, block))
    # B C h v (w u) -> B C v u h w
    return down.unflatten(-1, (width, columns)).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def _index(indices: Sequence[int], like: Tensor) -> Int64[Tensor, " K"]:
    """Indices where a tensor lies."""
    return torch.tensor(list(indices), dtype=torch.int64, device=like.device)


def _patterns(block: int) -> Float[Tensor, "K b b"]:
    """The images of all frequencies of a block."""
    matrix = dct_matrix(block)
    return torch.einsum("vy,ux->vuyx", matrix, matrix).flatten(0, 1)


@lru_cache(maxsize=64)
def _make(make: Callable[..., Tensor], sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make a constant."""
    # what is made in inference mode could not take part in a backward pass later
    with torch.inference_mode(False):
        return make(*sizes).to(device, dtype)
