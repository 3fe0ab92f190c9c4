"""Computes the peak signal-to-noise ratio and the structural similarity of each image."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_images, check_same_shape

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_CONSTANTS = (0.01**2, 0.03**2)
"""Side and sigma of the window in pixels, and (K L)^2 with L = 1, of Wang et al. 2004."""


def psnr(image: Float[Tensor, "B C H W"], reference: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
    """Compute the peak signal-to-noise ratio in dB, for a peak of 1.

    Args:
        image: images in [0, 1].
        reference: reference images.

    Returns:
        One value for each image, over all its channels, computed in float64; infinity for equal images.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, or are not B C H W.
    """
    _check(image, reference, "psnr")
    error = (image.double() - reference.double()).square().mean((-3, -2, -1))
    return -10 * error.log10()


def ssim(image: Float[Tensor, "B C H W"], reference: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
    """Compute the structural similarity for a range of 1, per channel.

    The window is an 11 x 11 Gaussian of sigma 1.5, at all positions where it fits into the image.

    Args:
        image: images in [0, 1], at least 11 pixels high and wide.
        reference: reference images.

    Returns:
        One value for each image, the mean over channels and positions, computed in float64.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, or images are smaller than the window.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004.
    """
    _check(image, reference, "ssim")
    height, width = image.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(f"ssim needs images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, got {height}x{width}")
    x, y = image.double(), reference.double()
    stacked = torch.cat([x, y, x * x, y * y, x * y])
    mean_x, mean_y, square_x, square_y, product = _gaussian_mean(stacked).chunk(5)
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = product - mean_x * mean_y
    first, second = SSIM_CONSTANTS
    similarity = ((2 * mean_x * mean_y + first) * (2 * covariance + second)) / (
        (mean_x**2 + mean_y**2 + first) * (variance_x + variance_y + second)
    )
    return similarity.mean((-3, -2, -1))


def _check(image: Tensor, reference: Tensor, where: str) -> None:
    """Raise an error unless both are batches of one shape."""
    check_same_shape(image, reference, where, ("image", "reference"))
    check_images(image, where)


def _gaussian_mean(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C _ _"]:
    """Compute the Gaussian average at every position where the window fits, one direction after the other."""
    offsets = torch.arange(SSIM_WINDOW, dtype=x.dtype, device=x.device) - SSIM_WINDOW // 2
    kernel = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    kernel = kernel / kernel.sum()
    channels = x.shape[1]
    columns = F.conv2d(x, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(columns, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
