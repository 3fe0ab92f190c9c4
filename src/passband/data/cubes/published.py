"""The cube that the published pipeline feeds its networks (Xu et al., CVPR 2020), from pixels, for its checkpoints.

It resizes a picture by bilinear interpolation without a filter, crops the center, doubles the crop once more, writes
both as JPEG files of quality 100 with chroma at half the size, and reads Y from the first and Cb and Cr from the
second, so that all three have the same grid. Here the same numbers come without files, with the roundings that those
steps have: pixels to 8 bits after each resizing, samples to whole numbers before the DCT, coefficients to whole numbers
after it, as all quantization steps are 1 at quality 100. The pixels are the same ones; of the coefficients, 2 in 1,000
differ by 1, because the encoder's cosines have fewer digits.

The constants by which the released code then centers and scales the channels are left out: they are published as code
alone. `data.channel_statistics` has measured ones.
"""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from passband.ops.color import rgb_to_ycbcr
from passband.ops.dct import dct_matrix, group_frequencies

CROP, RESIZED = 448, 512
"""Sides of the crop and of the shorter side that it is cut from; other crops are cut in the same proportion."""

WEIGHTS = 2048
"""What the weights of the two neighbors of a pixel add to when 8-bit pixels are interpolated."""


def published_cube(image: Float[Tensor, "3 H W"], size: int = CROP) -> Float[Tensor, "192 h w"]:
    """The published pipeline's coefficients of a picture.

    Args:
        image: RGB of 8 bits, as values n / 255 in [0, 1]; of any size.
        size: side of the crop in pixels, a multiple of 56: 448 for ResNet-50 (the shorter side becomes 512), 896 for
            MobileNetV2 (1024).

    Returns:
        Whole numbers: 64 channels of Y in raster order, of Cb and of Cr, with h = w = size / 8.

    Raises:
        ValueError: for a size that is no multiple of 56.

    Source: Xu et al., CVPR 2020, section 3, and the order of steps of the released code.
    """
    if size < 1 or size % 56:
        raise ValueError(f"the side of a published crop is a multiple of 56 pixels, such as 448 or 896; got {size}")
    crop = _resize_and_crop(image.double().mul(255).round(), size)
    luma = _samples(crop)[:1]
    # the chroma of a picture of twice the size, at half its size, has as many samples as the luma
    chroma = _halve(_samples(_resize(crop, 2 * size, 2 * size))[1:])
    return _encode(torch.cat([luma, chroma]) - 128).to(image.dtype)


def _resize_and_crop(levels: Float64[Tensor, "3 H W"], size: int) -> Float64[Tensor, "3 S S"]:
    """Bring the shorter side to 8/7 of the crop's, and cut the crop from the center."""
    shorter = size * RESIZED // CROP
    least = min(levels.shape[-2:])
    # the longer side is cut to whole pixels, not rounded
    height, width = (shorter if side == least else int(shorter * side / least) for side in levels.shape[-2:])
    resized = _resize(levels, height, width)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return resized[:, top : top + size, left : left + size]


def _resize(levels: Float64[Tensor, "3 H W"], height: int, width: int) -> Float64[Tensor, "3 h w"]:
    """Interpolate pixels of 8 bits between their four neighbors, in fixed point and with the roundings of OpenCV.

    Weights are whole 2048ths. Sums along the rows lose 4 binary digits, their products with the weights of the columns
    16 more, each rounded down, and only the last 2 of the 22 are rounded to the nearest. Where a picture becomes
    smaller, the pixels in between do not count.
    """
    above, below, down = _neighbors(levels.shape[-2], height, levels)
    left, right, across = _neighbors(levels.shape[-1], width, levels)
    sums = levels[..., left] * (WEIGHTS - across) + levels[..., right] * across
    sums = torch.floor(sums / 2**4)
    upper = torch.floor(sums[:, above] * (WEIGHTS - down)[:, None] / 2**16)
    lower = torch.floor(sums[:, below] * down[:, None] / 2**16)
    return torch.floor((upper + lower + 2) / 2**2)


def _neighbors(
    before: int, after: int, like: Tensor
) -> tuple[Int64[Tensor, " L"], Int64[Tensor, " L"], Float64[Tensor, " L"]]:
    """For each new pixel of a line, the old ones on both sides of its center, and the second's weight in 2048ths."""
    # in single precision, as OpenCV has it, because a weight may lie between two whole numbers
    center = ((torch.arange(after, dtype=torch.float64) + 0.5) * (before / after) - 0.5).float().double()
    first = center.floor()
    weight = torch.round((center - first) * WEIGHTS)
    # beyond the first and the last pixel both neighbors are that one
    one, other = (index.long().clamp(0, before - 1).to(like.device) for index in (first, first + 1))
    return one, other, weight.to(like)


def _samples(levels: Float64[Tensor, "3 H W"]) -> Float64[Tensor, "3 H W"]:
    """YCbCr in whole numbers, by libjpeg's weights in 65536ths: halves of Y go up, those of Cb and Cr down."""
    one = 2**16
    primaries = torch.eye(3).to(levels)[..., None]
    weights = torch.round((rgb_to_ycbcr(primaries) - rgb_to_ycbcr(torch.zeros_like(primaries)))[..., 0] * one)
    sums = (weights @ levels.flatten(1)).unflatten(-1, levels.shape[1:])
    offset = torch.tensor([one / 2, 128 * one + one / 2 - 1, 128 * one + one / 2 - 1]).to(levels)
    return torch.floor((sums + offset[:, None, None]) / one)


def _halve(chroma: Float64[Tensor, "2 H W"]) -> Float64[Tensor, "2 h w"]:
    """Means of 2 x 2 samples in whole numbers; what is left over is cut off, more of it in every second column.

    Quarters of 1 and of 2 are added by turns, so that the rounding shifts the whole picture by nothing.
    """
    means = torch.nn.functional.avg_pool2d(chroma, 2)
    return torch.floor(means + torch.tensor([0.25, 0.5]).to(means).repeat(means.shape[-1] // 2))


def _encode(samples: Float64[Tensor, "C H W"]) -> Float64[Tensor, "K h w"]:
    """The DCT of blocks with the roundings of libjpeg's accurate integer one, quantized in steps of 1.

    Rows are rounded to 2 binary digits at sqrt(8) times their size, columns to none at 8 times, and quantization rounds
    halves away from zero. With the last rounding alone, 7 % of the coefficients would differ by 1.
    """
    matrix = dct_matrix(8).to(samples) * 8**0.5
    matrix[::4] = matrix[::4].round()  # these are 1 and -1, and the roundings below meet halves
    blocks = samples.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)
    rows = torch.floor(4 * (blocks @ matrix.mT) + 0.5) / 4
    eighths = torch.floor(matrix @ rows + 0.5)
    whole = eighths.sign() * torch.floor((eighths.abs() + 4) / 8)
    return group_frequencies(whole.flatten(-2)[None])[0]
