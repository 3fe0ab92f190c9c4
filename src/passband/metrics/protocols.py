"""Named ways to score: what is done to both pictures before PSNR and SSIM compare them.

Figures of different protocols are different quantities (SSIM .998 under `sfnet` can be .895 under `rgb`), so a
protocol's name stands beside every figure. In all of them a picture has its own figure, and a set has the mean of its
pictures' figures.
"""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.metrics.fidelity import psnr, ssim
from passband.ops.checks import check_same_shape
from passband.ops.color import studio_luma, studio_luma_8bit

Images = Float[Tensor, "B C H W"]
FidelityMetrics = tuple[Float[Tensor, "B"], Float[Tensor, "B"]]
"""PSNR in dB and SSIM, one of each per picture."""
SFNET_MULTIPLE = 8
SFNET_SIDE = 256
"""Pixels: SFNet's released scripts pad to multiples of the one and shrink towards the other before SSIM."""


def rgb(image: Images, reference: Images) -> FidelityMetrics:
    """Floats as they are: PSNR over all of RGB; SSIM with an 11 x 11 Gaussian of 1.5, where it fits, per channel.

    Args:
        image: pictures in [0, 1].
        reference: what they should be.

    Returns:
        PSNR and SSIM of each picture.

    Raises:
        ValueError: for pictures smaller than the window of SSIM.
    """
    return psnr(image, reference), ssim(image, reference)


def rgb8(image: Images, reference: Images) -> FidelityMetrics:
    """As `rgb`, after rounding both to 8 bits: what comparing saved files gives."""
    check_same_shape(image, reference, "rgb8", ("image", "reference"))
    return rgb(_in_8_bits(image), _in_8_bits(reference))


def sfnet(image: Images, reference: Images) -> FidelityMetrics:
    """PSNR as `rgb`; SSIM after both are shrunk, as SFNet's released dehazing and desnowing scripts do.

    With H' = 8 (H // 8 + 1) and W' alike (the released padding, which also lengthens sides that are multiples of 8) and
    r = max(1, round(min(H', W') / 256)), both are average-pooled to (H' // r, W' // r) by `adaptive_avg_pool2d`. A
    620 x 460 picture of SOTS-Indoor is compared at 312 x 232. Where the lesser of H' and W' is below 384, r is 1, and
    the pictures grow by up to 8 pixels.

    Source: github.com/c-yn/SFNet, `Image_dehazing/eval.py`.
    """
    check_same_shape(image, reference, "sfnet", ("image", "reference"))
    height, width = ((side // SFNET_MULTIPLE + 1) * SFNET_MULTIPLE for side in image.shape[-2:])
    ratio = max(1, round(min(height, width) / SFNET_SIDE))
    size = (height // ratio, width // ratio)
    pooled = [F.adaptive_avg_pool2d(pictures.double(), size) for pictures in (image, reference)]
    return psnr(image, reference), ssim(*pooled)


def y_basicsr(image: Images, reference: Images) -> FidelityMetrics:
    """Both figures on luma in the studio range, in floats: BasicSR's with `test_y_channel`.

    BasicSR validates on pictures rounded to 8 bits; for such pictures this is its figure.

    Source: github.com/XPixelGroup/BasicSR, `metrics/psnr_ssim.py`.
    """
    check_same_shape(image, reference, "y-basicsr", ("image", "reference"))
    return rgb(studio_luma(image), studio_luma(reference))


def y_matlab(image: Images, reference: Images) -> FidelityMetrics:
    """Both figures on luma rounded to whole numbers, of pictures of 8 bits: the MATLAB scripts of deraining tables.

    Source: github.com/c-yn/SFNet, `Image_deraining/deraining_test.m`: `rgb2ycbcr` of uint8, then Wang's SSIM of 2003.
    """
    check_same_shape(image, reference, "y-matlab", ("image", "reference"))
    return rgb(studio_luma_8bit(image), studio_luma_8bit(reference))


PROTOCOLS: dict[str, Callable[[Images, Images], FidelityMetrics]] = {
    "rgb": rgb,
    "rgb8": rgb8,
    "sfnet": sfnet,
    "y-basicsr": y_basicsr,
    "y-matlab": y_matlab,
}


def _in_8_bits(image: Images) -> Images:
    """The nearest of 256 values, in float64."""
    return image.double().mul(255).round() / 255
