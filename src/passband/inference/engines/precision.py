"""Measures how closely a network agrees with float32 at a faster precision."""

import hashlib
import json
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.hardware import processor
from passband.io.arrays import from_array
from passband.io.remembered import remembered
from passband.ops.tiling import pad_to_multiple
from passband.provenance import weights_checksum

AGREEMENT = 60.0
"""Smallest PSNR in dB of a faster precision against float32 on a network's own output: an error of a quarter of an
8-bit step, for a signal of range 1."""


def agrees(model: nn.Module, precision: str, device: torch.device, measure: Callable[[], float]) -> bool:
    """Tell whether a network agrees with float32 at a precision, to `AGREEMENT`.

    The result is kept in the user's cache folder for the same network, device and torch, because measuring it takes as
    long as everything else at the start of a command.

    Args:
        model: the network.
        precision: name of the precision.
        device: device that the network runs on.
        measure: function that returns the `agreement`, in dB.
    """
    arguments = getattr(model, "arguments", None)
    if arguments is None:  # the weights alone do not tell the network
        return measure() >= AGREEMENT
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} of {processor()}"
    network = f"{type(model).__name__} {json.dumps(arguments, sort_keys=True, default=str)} {weights_checksum(model)}"
    digest = hashlib.sha256(f"{network}, {precision}, {machine}, torch {torch.__version__}".encode()).hexdigest()

    def measured() -> str:
        return "yes" if measure() >= AGREEMENT else "no"

    return remembered("agreement.json", digest, ("yes", "no").__contains__, measured) == "yes"


def agreement(
    reference: Callable[[Tensor], Tensor],
    candidate: Callable[[Tensor], Tensor],
    multiple: int,
    minimum: int,
    views: int = 1,
) -> float:
    """Return the PSNR between two ways to run a network, the smaller one of a hazy and a rainy photo.

    Haze is the hardest case, because its values vary little around a large mean.

    Args:
        reference: function from padded images, B C H W, to restored ones, B 3 H W.
        candidate: function to compare with it.
        multiple: number that the sides of the images must be divisible by.
        minimum: smallest side of the images, in pixels.
        views: number of views of 3 channels in which the photo is repeated.

    Returns:
        PSNR in dB, for a signal of range 1; infinite if the outputs are equal.
    """
    images = probe_images(multiple, minimum, views)
    difference = (reference(images) - candidate(images)).float()
    worst = difference.double().square().mean((1, 2, 3)).max()
    return float("inf") if worst == 0 else float(-10 * torch.log10(worst)) if worst.isfinite() else float("-inf")


def probe_images(multiple: int, minimum: int, views: int = 1) -> Float[Tensor, "2 C H W"]:
    """Return a photo of scikit-image in haze and in rain, 80 x 96 pixels or the next size that fits.

    Args:
        multiple: number that the sides must be divisible by.
        minimum: smallest side, in pixels.
        views: number of views of 3 channels in which the photo is repeated.

    Returns:
        Both images, in [0, 1].
    """
    from skimage.data import chelsea

    from passband.data.degradations import degrade

    clean = from_array(chelsea())[0][:, 60:140, 140:236]
    degraded = torch.stack([degrade(clean, kind, seed=1, index=0, version=1) for kind in ("haze", "rain")])
    return pad_to_multiple(degraded, multiple, minimum)[0].repeat(1, views, 1, 1)
