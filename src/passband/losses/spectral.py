"""The distance between spectra."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_same_shape
from passband.ops.precision import widened


def spectral_l1(restored: Float[Tensor, "B C H W"], clean: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Compute the mean absolute difference of the real and imaginary parts of two unnormalized spectra.

    Args:
        restored: predicted images, in [0, 1].
        clean: target images.

    Returns:
        The mean over samples, channels, frequencies and both parts, in float32, or in float64 for images of that type.
        It grows with the size of the image, because the transform is not normalized, as in SFNet's released code.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, or a tensor is empty.

    Source: Cui et al., ICLR 2023, section 3.4 (after Cho et al., MIMO-UNet, ICCV 2021).
    """
    check_same_shape(restored, clean, "spectral_l1", ("restored", "clean"))
    spectra = [torch.fft.fft2(widened(image), dim=(-2, -1), norm="backward") for image in (restored, clean)]
    return F.l1_loss(torch.view_as_real(spectra[0]), torch.view_as_real(spectra[1]))
