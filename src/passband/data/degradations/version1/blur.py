"""Simulates camera motion and defocus, added in linear light as the sensor adds it.

Arithmetic is numpy in double precision, so that machines differ by less than the rounding to 8 bits.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.degradations.parts.fields import smooth_length
from passband.data.degradations.parts.kernels import camera_path, disc_kernel, rasterize
from passband.ops.color import linear_to_srgb, srgb_to_linear

SCENE_PX = 768
"""An image whose longer side is below this counts as a crop of a larger scene; see `smooth_field`."""

_LEVELS = 5  # discs per defocused image: neighbors differ by well under a pixel of radius


@dataclass(frozen=True)
class MotionBlur:
    """A camera that moves while the shutter is open.

    Attributes:
        length: path of the image on the sensor, in pixels along the path.
        shake: disturbance of the motion by the hand, 0 (a straight line) to 1 (mostly random turns).
        jerk: chance per time step (48 in all) of a sudden reversal, as when the shutter button is pressed.
    """

    length: float
    shake: float
    jerk: float


@dataclass(frozen=True)
class Defocus:
    """A lens focused in front of or behind a scene of varying depth.

    Attributes:
        smallest: radius of the disc of confusion in pixels where the image is sharpest.
        largest: radius in pixels where it is least sharp.
    """

    smallest: float
    largest: float


def sample_motion_blur(rng: np.random.Generator) -> MotionBlur:
    """Draw a hand-held exposure.

    Args:
        rng: generator of the random numbers.

    Returns:
        length 11 to 34 px along a path of many turns, shake 0.3 to 1, jerk 0 to 0.02 per step.
    """
    return MotionBlur(length=rng.uniform(11, 34), shake=rng.uniform(0.3, 1), jerk=rng.uniform(0, 0.02))


def sample_defocus(rng: np.random.Generator) -> Defocus:
    """Draw a lens setting.

    Args:
        rng: generator of the random numbers.

    Returns:
        smallest 1.2 to 4.2 px, largest 0.3 to 1.2 px more.
    """
    smallest = rng.uniform(1.2, 4.2)
    return Defocus(smallest=smallest, largest=smallest + rng.uniform(0.3, 1.2))


def motion_blur(image: Float[Tensor, "3 H W"], motion: MotionBlur, rng: np.random.Generator) -> Float[Tensor, "3 H W"]:
    """Blur an image by one camera shake, which is the same over the whole image.

    Args:
        image: sRGB in [0, 1].
        motion: length and character of the path.
        rng: generator of the path.

    Returns:
        sRGB in [0, 1], float32. The kernel's center of mass is at its middle, so that the image as a whole does not
        move.
    """
    kernel = rasterize(camera_path(motion.length, motion.shake, motion.jerk, rng))
    light = srgb_to_linear(image.double()).cpu().numpy()
    (blurred,) = convolve(light, [kernel])
    return _to_picture(blurred, image)


def defocus(image: Float[Tensor, "3 H W"], lens: Defocus, rng: np.random.Generator) -> Float[Tensor, "3 H W"]:
    """Blur an image by discs whose radius follows a smooth random depth.

    Args:
        image: sRGB in [0, 1].
        lens: range of radii.
        rng: generator of the depth.

    Returns:
        sRGB in [0, 1], float32. Between the 5 computed radii, a pixel is the linear mix of the two nearest.

    Source: geometric optics (a point out of focus is a uniform disc); blending between levels after Potmesil &
    Chakravarty, "Synthetic image generation with a lens and aperture camera model", 1982.
    """
    height, width = image.shape[-2:]
    level = smooth_field(height, width, rng) * (_LEVELS - 1)
    weights = np.clip(1 - np.abs(level - np.arange(_LEVELS)[:, None, None]), 0, 1)
    radii = np.linspace(lens.smallest, lens.largest, _LEVELS)
    used = [k for k in range(_LEVELS) if weights[k].any()]  # a crop of a large scene needs two or three
    light = srgb_to_linear(image.double()).cpu().numpy()
    blurred = np.zeros_like(light)
    for k, layer in zip(used, convolve(light, [disc_kernel(radii[k]) for k in used]), strict=True):
        blurred += weights[k] * layer
    return _to_picture(blurred, image)


def convolve(
    light: Float[np.ndarray, "3 H W"], kernels: list[Float[np.ndarray, "_ _"]]
) -> list[Float[np.ndarray, "3 H W"]]:
    """Convolve one image with several odd square kernels, through one forward FFT.

    Args:
        light: image of any size, also smaller than the kernels: it is then reflected several times.
        kernels: kernels with odd sides.

    Returns:
        One image per kernel, with the border continued by reflection.
    """
    height, width = light.shape[-2:]
    reach = max(len(kernel) for kernel in kernels) // 2
    padded = np.pad(light, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    size = (smooth_length(height + 2 * reach), smooth_length(width + 2 * reach))
    spectrum = np.fft.rfft2(padded, s=size, axes=(-2, -1), norm="backward")
    out = []
    for kernel in kernels:
        first = reach + len(kernel) // 2  # an uncentered kernel shifts the result by half its side
        product = spectrum * np.fft.rfft2(kernel, s=size, axes=(-2, -1), norm="backward")
        full = np.fft.irfft2(product, s=size, axes=(-2, -1), norm="backward")
        out.append(full[:, first : first + height, first : first + width])
    return out


def smooth_field(
    height: int, width: int, rng: np.random.Generator, *, gradient: float = 0.0
) -> Float[np.ndarray, "{height} {width}"]:
    """Draw a smooth random map, for example of depth: 1 is far, 0 is near.

    An image of 768 pixels or more shows a whole scene, from 0 to 1. A smaller one is a random window of a scene between
    its own size and 768 pixels, like a training crop, and so may be nearly constant at any value.

    Args:
        height: height in pixels, at least 1.
        width: width in pixels, at least 1.
        rng: generator of the scene and the window.
        gradient: share of a vertical ramp, far at the top, 0 to 1; the rest is low-frequency noise.

    Returns:
        Values in [0, 1].
    """
    longer = max(height, width)
    zoom = math.exp(rng.uniform(0, max(0.0, math.log(SCENE_PX / longer))))  # scene over image, per side
    cells = int(rng.integers(2, 5))
    nodes = rng.random((cells + 3, cells + 3))
    top, left = rng.random(2) * (1 - 1 / zoom)

    def evaluate(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        noise = _spline(y, cells) @ nodes @ _spline(x, cells).T
        return gradient * (1 - y[:, None]) + (1 - gradient) * noise

    whole = evaluate(np.linspace(0, 1, 33), np.linspace(0, 1, 33))
    y = top + (np.arange(height) + 0.5) / (height * zoom)
    x = left + (np.arange(width) + 0.5) / (width * zoom)
    return np.clip((evaluate(y, x) - whole.min()) / (whole.max() - whole.min()), 0, 1)


def _spline(position: Float[np.ndarray, "N"], cells: int) -> Float[np.ndarray, "N nodes"]:
    """Return the weights of the nodes of a uniform cubic B-spline at positions in [0, 1]."""
    scaled = position * cells
    cell = np.minimum(scaled.astype(int), cells - 1)
    f = scaled - cell
    basis = np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], axis=-1) / 6
    weights = np.zeros((len(position), cells + 3))
    np.put_along_axis(weights, cell[:, None] + np.arange(4), basis, axis=1)
    return weights


def _to_picture(light: Float[np.ndarray, "3 H W"], like: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 H W"]:
    """Convert linear light to sRGB on the device of the input."""
    return linear_to_srgb(torch.from_numpy(light).clamp(0, 1)).clamp(0, 1).float().to(like.device)
