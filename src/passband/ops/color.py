"""Color spaces: the sRGB transfer function between stored values and linear light; YCbCr of JPEG; luma of video."""

import torch
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_floats, check_rgb


def srgb_to_linear(image: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Undo the sRGB transfer function, so that values add as light does.

    Args:
        image: sRGB values in [0, 1].

    Returns:
        Linear light in [0, 1], same shape.

    Source: IEC 61966-2-1:1999.
    """
    check_floats(image, "srgb_to_linear")
    return (image / 12.92).where(image <= 0.04045, ((image.clamp(min=0.0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Apply the sRGB transfer function to linear light.

    Args:
        light: linear light in [0, 1].

    Returns:
        sRGB values in [0, 1], same shape.

    Source: IEC 61966-2-1:1999.
    """
    check_floats(light, "linear_to_srgb")
    # the clamp keeps the power's gradient finite where the linear branch is taken
    return (light * 12.92).where(light <= 0.0031308, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def rgb_to_ycbcr(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """Luma and chroma as JPEG files hold them: BT.601 in the full range, as fractions of 255.

    Args:
        image: stored RGB values in [0, 1].

    Returns:
        Y in [0, 1]; Cb and Cr are 128/255 where there is no color, and at most .5 away from it. Not rounded.

    Source: ITU-T T.871 (JFIF), section 7.
    """
    check_rgb(image, "rgb_to_ycbcr")
    red, green, blue = image.split(1, dim=-3)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.cat([luma, (blue - luma) / 1.772 + 128 / 255, (red - luma) / 1.402 + 128 / 255], dim=-3)


def ycbcr_to_rgb(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """Undo `rgb_to_ycbcr`.

    Args:
        image: Y, Cb and Cr as it gives them.

    Returns:
        RGB; outside [0, 1] where no color has such luma and chroma.

    Source: ITU-T T.871 (JFIF), section 7.
    """
    check_rgb(image, "ycbcr_to_rgb")
    luma, blueness, redness = image.split(1, dim=-3)
    blue, red = luma + 1.772 * (blueness - 128 / 255), luma + 1.402 * (redness - 128 / 255)
    return torch.cat([red, (luma - 0.299 * red - 0.114 * blue) / 0.587, blue], dim=-3)


def jpeg_samples(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """What the DCT of a JPEG file is taken of: YCbCr of 8 bits, shifted to lie around zero.

    Args:
        image: stored RGB values in [0, 1].

    Returns:
        255 x - 128 of Y, Cb and Cr, from -128 to 127; not rounded.

    Source: ITU-T T.81, section A.3.1.
    """
    check_rgb(image, "jpeg_samples")
    return 255 * rgb_to_ycbcr(image) - 128


def studio_luma(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 1 H W"]:
    """Luma Y' of BT.601 in the studio range, as a fraction of 255: black is 16/255, white 235/255.

    Args:
        image: stored RGB values in [0, 1].

    Returns:
        Y', in float64 and not rounded.

    Source: ITU-R BT.601-7, with the coefficients as MATLAB and BasicSR have them.
    """
    check_rgb(image, "studio_luma")
    red, green, blue = image.double().split(1, dim=-3)
    return (65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255


def studio_luma_8bit(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 1 H W"]:
    """The same of an 8-bit image, rounded to a whole number again, as MATLAB's `rgb2ycbcr` gives for uint8.

    Args:
        image: stored RGB values in [0, 1]; they are rounded to 8 bits first.

    Returns:
        Y' in float64, a whole number from 16 to 235 divided by 255. Halves are rounded up, decided in whole numbers.
    """
    check_rgb(image, "studio_luma_8bit")
    red, green, blue = image.double().mul(255).round().split(1, dim=-3)
    # thousandths of the coefficients, so that sums below 2^53 are exact and no half falls to the wrong side
    scaled = 65481 * red + 128553 * green + 24966 * blue
    return (((scaled + 127_500) / 255_000).floor() + 16) / 255
