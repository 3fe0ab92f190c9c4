"""SFNet's loss over the sizes that the network predicts."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.losses.spectral import spectral_l1


def multiscale_loss(
    predictions: Sequence[Float[Tensor, "B C _ _"]], clean: Float[Tensor, "B C H W"], spectral_weight: float = 0.1
) -> Float[Tensor, ""]:
    """Sum over sizes of the L1 distance and the weighted L1 distance of spectra.

    Args:
        predictions: restored pictures of any sizes; the target of each is `clean` in its size by bilinear
            interpolation without antialiasing.
        clean: the clean pictures, [0, 1].
        spectral_weight: weight of the spectral part.

    Returns:
        The sum, computed in float32.

    Source: Cui et al., ICLR 2023, equations 12 to 14.
    """
    total = torch.zeros((), device=clean.device)
    for predicted in predictions:
        size = predicted.shape[-2:]
        target = clean
        if size != clean.shape[-2:]:
            target = F.interpolate(clean, size, mode="bilinear", align_corners=False, antialias=False)
        total = total + F.l1_loss(predicted.float(), target) + spectral_weight * spectral_l1(predicted, target)
    return total
