"""Metrics that weigh frequencies by how well the eye sees them: PSNR-HVS and PSNR-HVS-M."""

from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_images, check_same_shape
from passband.ops.color import rgb_to_ycbcr
from passband.ops.frequency_distance import BLOCK, frequency_distances


def psnr_hvs(image: Float[Tensor, "B C H W"], reference: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Compute the peak signal-to-noise ratio of luma with errors weighted by contrast sensitivity, in dB.

    Args:
        image: RGB or gray images in [0, 1], at least 8 x 8 pixels.
        reference: images to compare them to.

    Returns:
        One value for each image, computed in float64; infinity for equal images. Rows and columns beyond the last whole
        block of 8 x 8 pixels are not compared, as in the published program.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, or images are smaller than a block.

    Source: Egiazarian et al., "New full-reference quality metrics based on HVS", VPQM 2006.
    """
    return _decibels(image, reference, "psnr_hvs", masking=False)


def psnr_hvs_m(image: Float[Tensor, "B C H W"], reference: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Compute PSNR-HVS without the part of the errors that the texture of their block hides, in dB.

    Args:
        image: RGB or gray images in [0, 1], at least 8 x 8 pixels.
        reference: images to compare them to.

    Returns:
        One value for each image, as `psnr_hvs`; infinity if no error can be seen.

    Raises:
        TypeError, ValueError: as `psnr_hvs` raises them.

    Source: Ponomarenko et al., "On between-coefficient contrast masking of DCT basis functions", VPQM 2007.
    """
    return _decibels(image, reference, "psnr_hvs_m", masking=True)


def _decibels(
    image: Float[Tensor, "B C H W"], reference: Float[Tensor, "B C H W"], where: str, *, masking: bool
) -> Float[Tensor, " B"]:
    """Compute the distance of the whole blocks of luma by contrast sensitivity, in dB."""
    check_same_shape(image, reference, where, ("image", "reference"))
    check_images(image, where)
    height, width = (side - side % BLOCK for side in image.shape[-2:])
    if not height or not width:
        raise ValueError(
            f"{where} needs images of at least {BLOCK} x {BLOCK} pixels, got {image.shape[-2]} x {image.shape[-1]}."
        )
    luma = [
        (rgb_to_ycbcr(side.double())[:, :1] if side.shape[1] == 3 else side.double())[..., :height, :width]
        for side in (image, reference)
    ]
    return -10 * frequency_distances(luma[0], luma[1], "csf", masking=masking).log10()
