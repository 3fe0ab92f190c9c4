"""What training minimizes."""

from passband.losses.multiscale import multiscale_loss, relative_multiscale_loss
from passband.losses.spectral import spectral_l1

__all__ = ["multiscale_loss", "relative_multiscale_loss", "spectral_l1"]
