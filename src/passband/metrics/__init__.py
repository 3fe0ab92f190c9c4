"""How close a picture is to another."""

from passband.metrics.fidelity import psnr, ssim

__all__ = ["psnr", "ssim"]
