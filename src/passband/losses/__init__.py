"""What training minimizes."""

from passband.losses.mask_losses import SEGMENTATION_LOSSES, dice_loss, segmentation_loss
from passband.losses.multiscale import multiscale_loss, relative_multiscale_loss
from passband.losses.spectral import spectral_l1

__all__ = [
    "SEGMENTATION_LOSSES",
    "dice_loss",
    "multiscale_loss",
    "relative_multiscale_loss",
    "segmentation_loss",
    "spectral_l1",
]
