"""Degraded copies of validation images for `segmentation.py`."""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from passband.ops.fourier import low_pass
from passband.tasks.robustness import blurred, noisy

BATCH = 25
"""Images that are degraded at once."""


def compressed(images: Tensor, quality: float, numbers: list[int]) -> Tensor:
    """Store images as JPEG files and read them again.

    Args:
        images: images in [0, 1].
        quality: JPEG quality, 1 to 100; chroma has half the resolution.
        numbers: number of each image, which has no effect.
    """
    copies = []
    for image in images.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=int(quality), subsampling="4:2:0")
        copies.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(copies).to(images) / 255


def smoothed(images: Tensor, share: float, numbers: list[int]) -> Tensor:
    """Remove frequencies above a share of the Nyquist frequency, at full size.

    Args:
        images: images in [0, 1].
        share: share of the Nyquist frequency that is kept.
        numbers: number of each image, which has no effect.
    """
    return low_pass(images, share * min(images.shape[-2:]) / 2)


DEGRADATIONS: dict[str, tuple[Callable[[Tensor, float, list[int]], Tensor], float]] = {
    "noise, std 0.05": (noisy, 0.05),
    "noise, std 0.1": (noisy, 0.1),
    "noise, std 0.2": (noisy, 0.2),
    "Gaussian blur, 2 pixels": (blurred, 2.0),
    "Gaussian blur, 4 pixels": (blurred, 4.0),
    "JPEG, quality 30": (compressed, 30),
    "JPEG, quality 10": (compressed, 10),
    "frequencies below 1/2 of Nyquist": (smoothed, 0.5),
    "frequencies below 1/4 of Nyquist": (smoothed, 0.25),
    "frequencies below 1/8 of Nyquist": (smoothed, 0.125),
}
"""Function and strength of each degradation, by its name in the table."""


def corrupted(images: Tensor) -> dict[str, Tensor]:
    """Return degraded copies of images, by the name of the degradation.

    Args:
        images: images in levels of 0 to 255.

    Returns:
        Copies in levels of 0 to 255.
    """
    copies = {}
    for name, (change, strength) in DEGRADATIONS.items():
        parts = []
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            parts.append(change(part.float() / 255, strength, list(range(start, start + len(part)))))
        copies[name] = torch.cat(parts).clamp(0, 1).mul(255).round().byte()
    return copies
