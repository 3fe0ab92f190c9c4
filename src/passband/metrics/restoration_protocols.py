"""Named protocols of restoration: the processing of both images before PSNR and SSIM compare them.

Values of different protocols are different quantities (an SSIM of .998 by `sfnet` can be .895 by `rgb`), so the
protocol's name is always given with a value. In all protocols each image has its own value, and a data set has the mean
over its images.
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
"""PSNR in dB and SSIM of each image."""
SFNET_MULTIPLE, CONVIR_MULTIPLE = 8, 32
SFNET_SIDE = 256
"""Sizes in pixels: before SSIM, the released scripts of SFNet, FSNet and ConvIR pad to multiples of one of the first
numbers and shrink toward the second."""


def rgb(image: Images, reference: Images) -> FidelityMetrics:
    """Compare unchanged float images: PSNR over all of RGB, and SSIM per channel, see `fidelity.ssim`.

    Args:
        image: images in [0, 1].
        reference: reference images.

    Returns:
        PSNR and SSIM of each image.

    Raises:
        ValueError: if images are smaller than the window of SSIM.
    """
    return psnr(image, reference), ssim(image, reference)


def rgb8(image: Images, reference: Images) -> FidelityMetrics:
    """Compare as `rgb` after rounding both images to 8 bits, which is what comparing saved files gives.

    Args:
        image: images in [0, 1].
        reference: reference images.

    Returns:
        PSNR and SSIM of each image.

    Raises:
        ValueError: if the shapes differ, or images are smaller than the window of SSIM.
    """
    check_same_shape(image, reference, "rgb8", ("image", "reference"))
    return rgb(_in_8_bits(image), _in_8_bits(reference))


def sfnet(image: Images, reference: Images) -> FidelityMetrics:
    """Compute PSNR as `rgb`, and SSIM after shrinking both images, as SFNet's released scripts do.

    The scripts for dehazing and desnowing do this. With H' = 8 (H // 8 + 1), W' alike (the released padding, which also
    lengthens sides that are multiples of 8) and r = max(1, round(min(H', W') / 256)), both images are average-pooled to
    (H' // r, W' // r) by `adaptive_avg_pool2d`. A 620 x 460 image of SOTS-Indoor is compared at 312 x 232. If the
    smaller of H' and W' is below 384, r is 1, and the images grow by up to 8 pixels.

    Args:
        image: images in [0, 1].
        reference: reference images.

    Returns:
        PSNR and SSIM of each image.

    Raises:
        ValueError: if the shapes differ, or the shrunk images are smaller than the window of SSIM.

    Source: github.com/c-yn/SFNet, `Image_dehazing/eval.py`.
    """
    check_same_shape(image, reference, "sfnet", ("image", "reference"))
    return psnr(image, reference), _reduced_ssim(image, reference, SFNET_MULTIPLE)


def convir(image: Images, reference: Images) -> FidelityMetrics:
    """Compute both metrics as `sfnet` with 32 in place of 8, as ConvIR's released scripts do.

    Args:
        image: images in [0, 1].
        reference: reference images.

    Returns:
        PSNR and SSIM of each image.

    Raises:
        ValueError: if the shapes differ, or the shrunk images are smaller than the window of SSIM.
    """
    check_same_shape(image, reference, "convir", ("image", "reference"))
    return psnr(image, reference), _reduced_ssim(image, reference, CONVIR_MULTIPLE)


def y_basicsr(image: Images, reference: Images) -> FidelityMetrics:
    """Compute both metrics on luma in the studio range, in floats, as BasicSR does with `test_y_channel`.

    BasicSR validates on images that are rounded to 8 bits; for such images the values are equal.

    Args:
        image: images in RGB, in [0, 1].
        reference: reference images.

    Returns:
        PSNR and SSIM of each image.

    Raises:
        ValueError: if the shapes differ, the images do not have 3 channels, or they are smaller than the window of
            SSIM.

    Source: github.com/XPixelGroup/BasicSR, `metrics/psnr_ssim.py`.
    """
    check_same_shape(image, reference, "y-basicsr", ("image", "reference"))
    return rgb(studio_luma(image), studio_luma(reference))


def y_matlab(image: Images, reference: Images) -> FidelityMetrics:
    """Compute both metrics on 8-bit luma of 8-bit images, as the MATLAB scripts of deraining tables do.

    Args:
        image: images in RGB, in [0, 1]; they are rounded to 8 bits.
        reference: reference images.

    Returns:
        PSNR and SSIM of each image.

    Raises:
        ValueError: if the shapes differ, the images do not have 3 channels, or they are smaller than the window of
            SSIM.

    Source: github.com/c-yn/SFNet, `Image_deraining/deraining_test.m`: `rgb2ycbcr` of uint8, then Wang's SSIM of 2003.
    """
    check_same_shape(image, reference, "y-matlab", ("image", "reference"))
    return rgb(studio_luma_8bit(image), studio_luma_8bit(reference))


PROTOCOLS: dict[str, Callable[[Images, Images], FidelityMetrics]] = {
    "rgb": rgb,
    "rgb8": rgb8,
    "sfnet": sfnet,
    "convir": convir,
    "y-basicsr": y_basicsr,
    "y-matlab": y_matlab,
}


def _reduced_ssim(image: Images, reference: Images, multiple: int) -> Float[Tensor, "B"]:
    """Return the SSIM of both images after shrinking them, as the released scripts that pad to `multiple` do."""
    height, width = ((side // multiple + 1) * multiple for side in image.shape[-2:])
    ratio = max(1, round(min(height, width) / SFNET_SIDE))
    size = (height // ratio, width // ratio)
    return ssim(*(F.adaptive_avg_pool2d(images.double(), size) for images in (image, reference)))


def _in_8_bits(image: Images) -> Images:
    """Round to the nearest of 256 values, in float64."""
    return image.double().mul(255).round() / 255
