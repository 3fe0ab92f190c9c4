"""How close a picture is to another."""

from passband.metrics.fidelity import SSIM_WINDOW, psnr, ssim
from passband.metrics.protocols import PROTOCOLS

__all__ = ["PROTOCOLS", "SSIM_WINDOW", "psnr", "ssim"]
