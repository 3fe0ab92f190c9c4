"""Compares images frequency by frequency, with a weight for each frequency of the block DCT.

A difference of low frequencies and one of high frequencies may have the same squared error and look very different.
Here the difference of two images is transformed in blocks, and each coefficient is weighted before all are averaged.
The same weights serve as a loss (`passband.losses`) and as a metric (`passband.metrics`).

Sources: ITU-T T.81, Annex K (tables of JPEG); Egiazarian et al., "New full-reference quality metrics based on HVS",
VPQM 2006 (contrast sensitivity); Ponomarenko et al., "On between-coefficient contrast masking of DCT basis functions",
VPQM 2007 (masking).
"""

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_images, check_same_shape
from passband.ops.color import rgb_to_ycbcr
from passband.ops.dct import block_dct, split_components
from passband.ops.precision import computing_dtype, without_autocast

BLOCK = 8
"""Side of the blocks that JPEG and the tables below have, in pixels."""
LUMA_STEPS = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantization steps of luma at quality 50, row after row of (v, u). ITU-T T.81, table K.1."""
CHROMA_STEPS = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
)
"""Quantization steps of chroma at quality 50. ITU-T T.81, table K.2."""
SENSITIVITY = 25.73509
"""Contrast sensitivity of luma times its quantization step. The published table of PSNR-HVS has this product, to six
digits, at every frequency."""
MASKING_STEP = 10.0
"""Quantization step at which a coefficient counts fully in the masking energy of PSNR-HVS-M."""
MASKING_SCALE = 32.0
"""Divisor of the masking threshold in PSNR-HVS-M: 16, and 2 because masking acts at half the contrast."""


def quantization_steps(quality: int = 50) -> Float[Tensor, "3 8 8"]:
    """Return the quantization steps of JPEG for a quality, as libjpeg scales them.

    Args:
        quality: 1 (coarse) to 100 (all steps 1).

    Returns:
        Steps of Y, Cb and Cr in the order (v, u), from 1 to 255, in float64.

    Raises:
        ValueError: if the quality is out of range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality needs a value from 1 to 100, got {quality}.")
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = torch.tensor([LUMA_STEPS, CHROMA_STEPS, CHROMA_STEPS], dtype=torch.float64).view(3, BLOCK, BLOCK)
    return ((tables * scale + 50) / 100).floor().clamp(1, 255)


def flat_weights(block: int = BLOCK) -> Float[Tensor, "3 V U"]:
    """Return weights of 1 for every frequency: the distance is then the mean squared error of YCbCr.

    Args:
        block: side of the blocks, in pixels.

    Returns:
        Weights of Y, Cb and Cr for each frequency (v, u), in float64.
    """
    return torch.ones(3, block, block, dtype=torch.float64)


def jpeg_weights(quality: int = 50) -> Float[Tensor, "3 8 8"]:
    """Return weights by the quantization steps of JPEG: an error of one step weighs the same at every frequency.

    Args:
        quality: quality of the steps, 1 to 100.

    Returns:
        (q / step)^2, where q is the step of the lowest frequency of luma, so that this frequency has the weight 1.
    """
    steps = quantization_steps(quality)
    return (steps[0, 0, 0] / steps).square()


def csf_weights() -> Float[Tensor, "3 8 8"]:
    """Return weights by the contrast sensitivity of the human eye, as PSNR-HVS has them.

    Returns:
        The squared sensitivity, 2.6 for the lowest frequency of luma. Chroma follows the same rule with its own table
        of JPEG; PSNR-HVS is published for luma alone.
    """
    return (SENSITIVITY / quantization_steps(50)).square()


def low_pass_weights(cutoff: float = 0.5, block: int = BLOCK) -> Float[Tensor, "3 V U"]:
    """Return weights of 1 for low frequencies and 0 for high ones.

    Args:
        cutoff: largest radius that is kept, as a share of the radius of the highest frequency, above 0 and up to 1.
        block: side of the blocks, in pixels.

    Returns:
        Weights of Y, Cb and Cr for each frequency (v, u), in float64.

    Raises:
        ValueError: if the cutoff is out of range.
    """
    if not 0 < cutoff <= 1:
        raise ValueError(f"cutoff needs a value above 0 and up to 1, got {cutoff}.")
    frequency = torch.arange(block, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency)
    return (radius <= cutoff * radius[-1, -1]).double().expand(3, -1, -1)


FREQUENCY_WEIGHTS: dict[str, Callable[..., Tensor]] = {
    "flat": flat_weights,
    "jpeg": jpeg_weights,
    "csf": csf_weights,
    "low-pass": low_pass_weights,
}
"""Functions that return weights of shape 3 x block x block, by name."""


def frequency_weights(name: str, **options: float) -> Float[Tensor, "3 V U"]:
    """Return the weights of a name.

    Args:
        name: a key of `FREQUENCY_WEIGHTS`.
        options: arguments of the function of that name, such as `quality` for `"jpeg"`.

    Returns:
        Weights of Y, Cb and Cr for each frequency (v, u), in float64.

    Raises:
        ValueError: if the name is unknown, or an option is out of range.
        TypeError: if the function of that name has no such option.
    """
    if name not in FREQUENCY_WEIGHTS:
        raise ValueError(f"Frequency weights are one of {', '.join(FREQUENCY_WEIGHTS)}, got {name!r}.")
    return FREQUENCY_WEIGHTS[name](**options)


def frequency_distances(
    image: Float[Tensor, "B C H W"],
    reference: Float[Tensor, "B C H W"],
    weights: str | Float[Tensor, "3 V U"] = "csf",
    *,
    power: float = 2.0,
    stride: int | None = None,
    masking: bool = False,
) -> Float[Tensor, " B"]:
    """Compute the weighted distance of each pair of images in the domain of the block DCT.

    The difference of Y, Cb and Cr is cut into blocks and transformed. The distance is the sum of w |d|^p over all
    coefficients, divided by the number of values of the image. With flat weights and p = 2 it is exactly the mean
    squared error of YCbCr, at any size: differences beyond the border are zero.

    Args:
        image: RGB images, or gray ones with one channel, which are compared as luma. Values in [0, 1].
        reference: images to compare them to.
        weights: a key of `FREQUENCY_WEIGHTS`, or a table of shape 3 x block x block for Y, Cb and Cr in the order
            (v, u) with values of at least 0. Its size decides the side of the blocks.
        power: exponent p, at least 1.
        stride: distance of the blocks in pixels, a divisor of their side: smaller than the side, blocks overlap, and
            the distance is the mean over all positions of the grid. None for the side of the blocks.
        masking: whether differences that the texture of their block hides are reduced by what it hides, as in
            PSNR-HVS-M. Needs blocks of 8 pixels. The threshold counts as a constant in the gradient.

    Returns:
        One distance for each pair of images, in float32, or in float64 for inputs of that type.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, images are smaller than a block or do not have 1 or 3 channels, or an argument
            is out of range.
    """
    where = "frequency_distances"
    check_same_shape(image, reference, where, ("image", "reference"))
    check_images(image, where)
    if image.shape[1] not in (1, 3):
        raise ValueError(f"{where} needs images with 3 channels (RGB) or 1 (gray), got {image.shape[1]}.")
    table = frequency_weights(weights) if isinstance(weights, str) else weights
    if table.ndim != 3 or table.shape[0] != 3 or table.shape[1] != table.shape[2]:
        raise ValueError(f"weights need the shape 3 x block x block, got {' x '.join(map(str, table.shape))}.")
    if not bool((table >= 0).all()):  # also where one is NaN
        raise ValueError("weights need values of at least 0.")
    block = table.shape[1]
    stride = block if stride is None else stride
    if stride < 1 or block % stride:
        raise ValueError(f"stride needs a divisor of the block's side of {block}, got {stride}.")
    if not power >= 1:
        raise ValueError(f"power needs a value of at least 1, got {power}.")
    if masking and block != BLOCK:
        raise ValueError(f"masking needs blocks of {BLOCK} pixels, got weights for {block}.")
    if min(image.shape[-2:]) < block:
        raise ValueError(
            f"{where} needs images of at least {block} x {block} pixels, got {image.shape[-2]} x {image.shape[-1]}."
        )

    dtype = computing_dtype(image)
    first, second = _components(image.to(dtype)), _components(reference.to(dtype))
    scaled = table[: first.shape[1]].to(first)
    offsets = range(0, block, stride)
    total = torch.zeros(len(image), dtype=dtype, device=image.device)
    with without_autocast(image.device):
        for top, left in product(offsets, offsets):
            coefficients = _blocks(_padded(first - second, block, top, left), block).abs()
            if masking:
                hidden = torch.maximum(
                    *(_hidden(_padded(side.detach(), block, top, left, "replicate")) for side in (first, second))
                )
                coefficients = (coefficients - hidden).clamp(min=0)
            powered = coefficients.square() if power == 2 else coefficients**power
            total = total + torch.einsum("bcvuhw,cvu->b", powered, scaled)
    return total / (len(offsets) ** 2 * first[0].numel())


def _components(image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Convert RGB to Y, Cb and Cr; gray is luma already."""
    return rgb_to_ycbcr(image) if image.shape[1] == 3 else image


def _padded(
    values: Float[Tensor, "B C H W"], block: int, top: int, left: int, mode: str = "constant"
) -> Float[Tensor, "B C _ _"]:
    """Pad values so that a grid of blocks, moved up and to the left, covers all of them."""
    height, width = values.shape[-2:]
    return F.pad(values, (left, -(width + left) % block, top, -(height + top) % block), mode=mode)


def _blocks(values: Float[Tensor, "B C H W"], block: int) -> Float[Tensor, "B C v u h w"]:
    """Transform each block."""
    return split_components(block_dct(values, block), block)


def _hidden(values: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C v u h w"]:
    """Compute how large a difference of each coefficient may be before it is seen in the texture of its block.

    A block hides more, the more energy it has in its higher frequencies, weighted by the eye's sensitivity. Edges hide
    less than textures of the same energy: the energy is multiplied by the share of the variance that lies within the
    four quarters of a block rather than between them.
    """
    steps = quantization_steps(50)[: values.shape[1]].to(values)
    weights = (MASKING_STEP / steps).square()
    above_mean = weights.clone()
    above_mean[:, 0, 0] = 0
    energy = torch.einsum("bcvuhw,cvu->bchw", _blocks(values, BLOCK).square(), above_mean)
    whole, quarters = _variation(values, BLOCK), _variation(values, BLOCK // 2)
    quarters = 4 * F.avg_pool2d(quarters, 2)
    share = torch.where(whole > 0, quarters / whole.clamp(min=torch.finfo(values.dtype).tiny), 0)
    threshold = (energy * share).sqrt()[:, :, None, None] / MASKING_SCALE / weights[:, :, :, None, None]
    threshold[:, :, 0, 0] = 0
    return threshold


def _variation(values: Float[Tensor, "B C H W"], side: int) -> Float[Tensor, "B C h w"]:
    """Compute the unbiased variance of each block, times its number of values."""
    count = side * side
    centered = values - F.interpolate(F.avg_pool2d(values, side), scale_factor=side, mode="nearest")
    return F.avg_pool2d(centered.square(), side) * count * count / (count - 1)
