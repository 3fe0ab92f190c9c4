"""Computes the cube that the published pipeline feeds its networks (Xu et al., CVPR 2020), for its checkpoints.

The pipeline resizes an image by bilinear interpolation without a filter, crops the center, and doubles the crop. It
writes both crops as JPEG files of quality 100 with chroma at half the size, and reads Y from the first and Cb and Cr
from the second, so that all three have the same grid. This module computes the same values without files, with the
roundings of those steps: pixels to 8 bits after each resizing, samples to integers before the DCT, and coefficients to
integers after it, because all quantization steps are 1 at quality 100. The pixels are identical. Of the coefficients, 2
in 1,000 differ by 1, because the encoder's cosines have fewer digits.

The constants by which the released code then normalizes the channels are left out, because they are published only as
code. `data.cubes.channel_statistics` has measured ones.
"""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from passband.ops.color import rgb_to_ycbcr
from passband.ops.dct import dct_matrix, group_frequencies

CROP, RESIZED = 448, 512
"""Sides of the crop and of the shorter side that it is cut from; other crops are cut in the same proportion."""

WEIGHTS = 2048
"""Sum of the integer weights of a pixel's two neighbors when 8-bit pixels are interpolated."""


def published_cube(image: Float[Tensor, "3 H W"], size: int = CROP) -> Float[Tensor, "192 h w"]:
    """Compute the published pipeline's coefficients of an image.

    Args:
        image: RGB image of 8 bits, as values n / 255 in [0, 1]; of any size.
        size: side of the crop in pixels, a multiple of 56: 448 for ResNet-50 (the shorter side becomes 512), 896 for
            MobileNetV2 (1024).

    Returns:
        Integer coefficients: 64 channels of Y in raster order, then of Cb and of Cr, with h = w = size / 8.

    Raises:
        ValueError: if the size is not a multiple of 56.

    Source: Xu et al., CVPR 2020, section 3, and the order of steps of the released code.
    """
    if size < 1 or size % 56:
        raise ValueError(
            f"the side of a published crop must be a multiple of 56 pixels, such as 448 or 896; got {size}"
        )
    crop = _resize_and_crop(image.double().mul(255).round(), size)
    luma = _samples(crop)[:1]
    # chroma at half the size of the doubled image has as many samples as the luma
    chroma = _halve(_samples(_resize(crop, 2 * size, 2 * size))[1:])
    return _encode(torch.cat([luma, chroma]) - 128).to(image.dtype)


def _resize_and_crop(levels: Float64[Tensor, "3 H W"], size: int) -> Float64[Tensor, "3 S S"]:
    """Resize the shorter side to 8/7 of the crop's side, and cut the crop from the center."""
    shorter = size * RESIZED // CROP
    least = min(levels.shape[-2:])
    # the longer side is cut to whole pixels, not rounded
    height, width = (shorter if side == least else int(shorter * side / least) for side in levels.shape[-2:])
    resized = _resize(levels, height, width)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return resized[:, top : top + size, left : left + size]


def _resize(levels: Float64[Tensor, "3 H W"], height: int, width: int) -> Float64[Tensor, "3 h w"]:
    """Interpolate 8-bit pixels between their four neighbors, in fixed point and with the roundings of OpenCV.

    Weights are integers in 2048ths. Sums along the rows lose 4 binary digits, and their products with the weights of
    the columns lose 16 more; both are rounded down. Only the last 2 of the 22 digits are rounded to the nearest. If an
    image becomes smaller, the pixels in between do not count.
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
    """Return, for each new pixel of a line, the two old pixels around it and the weight of the second in 2048ths."""
    # OpenCV uses single precision, which matters for weights halfway between two integers
    center = ((torch.arange(after, dtype=torch.float64) + 0.5) * (before / after) - 0.5).float().double()
    first = center.floor()
    weight = torch.round((center - first) * WEIGHTS)
    # beyond the first and the last pixel both neighbors are that one
    one, other = (index.long().clamp(0, before - 1).to(like.device) for index in (first, first + 1))
    return one, other, weight.to(like)


def _samples(levels: Float64[Tensor, "3 H W"]) -> Float64[Tensor, "3 H W"]:
    """Convert to integer YCbCr by libjpeg's weights in 65536ths; halves of Y go up, and those of Cb and Cr go down."""
    one = 2**16
    primaries = torch.eye(3).to(levels)[..., None]
    weights = torch.round((rgb_to_ycbcr(primaries) - rgb_to_ycbcr(torch.zeros_like(primaries)))[..., 0] * one)
    sums = (weights @ levels.flatten(1)).unflatten(-1, levels.shape[1:])
    offset = torch.tensor([one / 2, 128 * one + one / 2 - 1, 128 * one + one / 2 - 1]).to(levels)
    return torch.floor((sums + offset[:, None, None]) / one)


def _halve(chroma: Float64[Tensor, "2 H W"]) -> Float64[Tensor, "2 h w"]:
    """Average 2 x 2 samples to integers, rounding down more in every second column.

    The values 1/4 and 1/2 are added in turn before rounding down, so that rounding does not shift the mean of the
    image.
    """
    means = torch.nn.functional.avg_pool2d(chroma, 2)
    return torch.floor(means + torch.tensor([0.25, 0.5]).to(means).repeat(means.shape[-1] // 2))


def _encode(samples: Float64[Tensor, "C H W"]) -> Float64[Tensor, "K h w"]:
    """Compute the DCT of blocks with the roundings of libjpeg's accurate integer DCT, quantized in steps of 1.

    Rows are rounded to 2 binary digits at sqrt(8) times their size, and columns to integers at 8 times. Quantization
    rounds halves away from zero. With the last rounding alone, 7 % of the coefficients would differ by 1.
    """
    matrix = dct_matrix(8).to(samples) * 8**0.5
    matrix[::4] = matrix[::4].round()  # these are exactly 1 and -1; the roundings below depend on exact halves
    blocks = samples.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)
    rows = torch.floor(4 * (blocks @ matrix.mT) + 0.5) / 4
    eighths = torch.floor(matrix @ rows + 0.5)
    whole = eighths.sign() * torch.floor((eighths.abs() + 4) / 8)
    return group_frequencies(whole.flatten(-2)[None])[0]
