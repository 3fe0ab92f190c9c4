"""Converts between color spaces: sRGB and linear light, YCbCr of JPEG files, and luma of video."""

import torch
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_floats, check_rgb


def srgb_to_linear(image: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Convert sRGB values to linear light, in which values add as light does.

    Args:
        image: sRGB values in [0, 1].

    Returns:
        Linear light in [0, 1], same shape.

    Source: IEC 61966-2-1:1999.
    """
    check_floats(image, "srgb_to_linear")
    return (image / 12.92).where(image <= 0.04045, ((image.clamp(min=0.0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Convert linear light to sRGB values.

    Args:
        light: linear light in [0, 1].

    Returns:
        sRGB values in [0, 1], same shape.

    Source: IEC 61966-2-1:1999.
    """
    check_floats(light, "linear_to_srgb")
    # The clamp keeps the gradient of the power finite where the linear branch is used.
    return (light * 12.92).where(light <= 0.0031308, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def rgb_to_ycbcr(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """Convert RGB to luma and chroma as JPEG files define them: BT.601 in the full range, as fractions of 255.

    Args:
        image: stored RGB values in [0, 1].

    Returns:
        Y in [0, 1]. Cb and Cr are 128/255 for gray, and differ from it by at most 0.5. Nothing is rounded.

    Source: ITU-T T.871 (JFIF), section 7.
    """
    check_rgb(image, "rgb_to_ycbcr")
    red, green, blue = image.split(1, dim=-3)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.cat([luma, (blue - luma) / 1.772 + 128 / 255, (red - luma) / 1.402 + 128 / 255], dim=-3)


def ycbcr_to_rgb(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """Convert luma and chroma to RGB; the inverse of `rgb_to_ycbcr`.

    Args:
        image: Y, Cb and Cr as `rgb_to_ycbcr` returns them.

    Returns:
        RGB. Values lie outside [0, 1] if no color has this luma and chroma.

    Source: ITU-T T.871 (JFIF), section 7.
    """
    check_rgb(image, "ycbcr_to_rgb")
    luma, blueness, redness = image.split(1, dim=-3)
    blue, red = luma + 1.772 * (blueness - 128 / 255), luma + 1.402 * (redness - 128 / 255)
    return torch.cat([red, (luma - 0.299 * red - 0.114 * blue) / 0.587, blue], dim=-3)


def jpeg_samples(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """Convert RGB to the samples to which JPEG applies the DCT: YCbCr in levels of 8 bits, shifted by 128.

    Args:
        image: stored RGB values in [0, 1].

    Returns:
        255 x - 128 of Y, Cb and Cr, from -128 to 127, not rounded.

    Source: ITU-T T.81, section A.3.1.
    """
    check_rgb(image, "jpeg_samples")
    return 255 * rgb_to_ycbcr(image) - 128


def studio_luma(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 1 H W"]:
    """Return luma Y' of BT.601 in the studio range, as a fraction of 255: black is 16/255, white is 235/255.

    Args:
        image: stored RGB values in [0, 1].

    Returns:
        Y' in float64, not rounded.

    Source: ITU-R BT.601-7, with the coefficients of MATLAB and BasicSR.
    """
    check_rgb(image, "studio_luma")
    red, green, blue = image.double().split(1, dim=-3)
    return (65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255


def studio_luma_8bit(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 1 H W"]:
    """Return `studio_luma` of an 8-bit image, rounded to 8 bits, as MATLAB's `rgb2ycbcr` does for uint8.

    Args:
        image: stored RGB values in [0, 1]. They are rounded to 8 bits first.

    Returns:
        Y' in float64: whole numbers from 16 to 235, divided by 255. Halves are rounded up exactly.
    """
    check_rgb(image, "studio_luma_8bit")
    red, green, blue = image.double().mul(255).round().split(1, dim=-3)
    # The coefficients are in thousandths, so that all sums are whole numbers below 2^53 and rounding is exact.
    scaled = 65481 * red + 128553 * green + 24966 * blue
    return (((scaled + 127_500) / 255_000).floor() + 16) / 255
