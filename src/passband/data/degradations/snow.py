"""Simulates snow as in photographs and public data sets: flakes of many sizes, some out of focus, before a veil.

It is computed on stored sRGB values, as in the public training sets (Snow100K, SRRS, CSD). Sizes are in pixels.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from passband.data.degradations.parts.arrays import ImageArray
from passband.data.degradations.parts.blending import Blend, blend, draw_blend, draw_light, mist
from passband.data.degradations.parts.draws import log_uniform
from passband.data.degradations.parts.fields import smooth_length
from passband.data.degradations.rain import splat

_LOOKS = 3  # number of flake shapes in a layer; more would take time and not be visible


@dataclass(frozen=True)
class Flakes:
    """One layer of snowflakes of similar size.

    Attributes:
        shape: form of a flake: a disc, a clump of several discs, or a crystal with six arms.
        diameter: mean diameter in pixels, 1 to 30.
        rim: width of a flake's edge as a share of its radius: 0.1 is sharp, 1.5 far out of focus.
        density: number of flakes per megapixel, 50 to 20,000.
        opacity: opacity of the most opaque flake, 0.1 to 1.
        travel: distance fallen during the exposure, as a share of the diameter, 0 to 5.
        angle: direction of fall in radians from the vertical.
    """

    shape: Literal["disc", "clump", "crystal"]
    diameter: float
    rim: float
    density: float
    opacity: float
    travel: float
    angle: float


@dataclass(frozen=True)
class Snow:
    """A snowfall.

    Attributes:
        layers: one to five layers of flakes.
        blend: blending of the flakes, see `blending.Blend`.
        light: sRGB of a flake, each 0 to 1; may be darker than the image behind it.
        veil: share of the light that is replaced by flakes too far away to be seen singly, 0 to 0.5.
        airlight: sRGB of the veil.
    """

    layers: tuple[Flakes, ...]
    blend: Blend
    light: tuple[float, float, float]
    veil: float
    airlight: tuple[float, float, float]


def sample_snow(rng: np.random.Generator) -> Snow:
    """Draw a snowfall.

    Args:
        rng: generator of the random numbers.

    Returns:
        One to five layers. Diameters are 1 to 30 px, small ones more often. A layer covers 0.1 to 15 % of the image,
        log-uniform, with 50 to 20,000 flakes per megapixel; the other ranges are those of `Flakes`. Blends are alpha in
        65 %, screen in 20 % and added in 15 %. The light is 0.55 to 1. 40 % have a veil.

    Source: the ranges span the images of Snow100K (Liu et al., IEEE TIP 2018), SRRS (Chen et al., ECCV 2020) and
    CSD (Chen et al., ICCV 2021), and photographs of real snow.
    """
    count = int(rng.choice([1, 2, 2, 3, 3, 4, 5]))
    common, spread = rng.normal(0, 0.5), rng.uniform(0.02, 0.3)
    strength = rng.uniform(0.2, 1)
    layers = tuple(_draw_layer(rng, common + rng.normal(0, spread), strength) for _ in range(count))
    return Snow(
        layers=layers,
        blend=draw_blend(rng, added=0.15, alpha=0.65),
        light=draw_light(rng, 0.55 if rng.random() < 0.25 else 0.85, 1.0, tinted=0.3, tint=0.06),
        veil=rng.uniform(0.02, 0.5) if rng.random() < 0.4 else 0.0,
        airlight=draw_light(rng, 0.5, 0.95, tinted=0.3, tint=0.06),
    )


def snow(image: ImageArray, fall: Snow, rng: np.random.Generator) -> ImageArray:
    """Add snow to an image.

    Args:
        image: sRGB in [0, 1].
        fall: flakes, their light and the veil behind them.
        rng: generator of each flake and of the veil's density.

    Returns:
        sRGB in [0, 1].
    """
    behind = mist(image, fall.veil, fall.airlight, rng) if fall.veil else image
    height, width = image.shape[-2:]
    for layer in fall.layers:
        behind = blend(behind, flake_opacity(layer, height, width, rng), fall.light, fall.blend)
    return behind


def flake_opacity(
    layer: Flakes, height: int, width: int, rng: np.random.Generator
) -> Float32[np.ndarray, "{height} {width}"]:
    """Draw one layer of flakes.

    Args:
        layer: properties and number of the flakes.
        height: height in pixels.
        width: width in pixels.
        rng: generator of every flake.

    Returns:
        Opacity in [0, 1].
    """
    reach = math.ceil(layer.diameter * (0.75 + 0.5 * layer.rim + 0.75 * layer.travel)) + 2
    rows, columns = (smooth_length(side + 2 * reach) for side in (height, width))
    spectrum = np.zeros((rows, columns // 2 + 1), np.complex64)
    for _ in range(_LOOKS):
        count = rng.poisson(layer.density * 1e-6 * rows * columns / _LOOKS)
        if not count:
            continue
        opacity = rng.uniform(0.3, 1, count) * layer.opacity
        # transmissions of stacked layers multiply, so their logarithms add up
        depth = -np.log1p(-np.minimum(opacity, 0.98))
        spots = splat(rng.uniform(0, rows - 1, count), rng.uniform(0, columns - 1, count), depth, rows, columns)
        kernel = _flake(layer, reach, rng)
        spectrum += np.fft.rfft2(spots, norm="backward") * np.fft.rfft2(kernel, (rows, columns), norm="backward")
    depth = np.fft.irfft2(spectrum, (rows, columns), norm="backward")[
        2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width
    ]
    return np.clip(-np.expm1(-depth), 0, 1).astype(np.float32)


def _draw_layer(rng: np.random.Generator, angle: float, strength: float) -> Flakes:
    """Draw one layer: small flakes are many, sharp or not, and large ones few and mostly out of focus."""
    diameter = math.exp(math.log(30) * rng.random() ** 1.4)
    cover = log_uniform(rng, 0.001, 0.15)
    travel = rng.uniform(0, 1) if rng.random() < 0.8 else rng.uniform(1, 5)
    travel = min(travel, 50 / diameter)
    area = diameter * diameter * (0.79 + travel)
    return Flakes(
        shape=rng.choice(["disc", "clump", "crystal"], p=[0.45, 0.4, 0.15]),
        diameter=diameter,
        rim=rng.uniform(0.1, 1.0) if diameter < 8 else rng.uniform(0.2, 1.5),
        density=float(np.clip(1e6 * cover / area, 50, 20000)),
        opacity=float(np.clip(strength * rng.uniform(0.6, 1.2), 0.1, 1)),
        travel=travel,
        angle=angle,
    )


def _flake(layer: Flakes, reach: int, rng: np.random.Generator) -> Float32[np.ndarray, "K K"]:
    """Draw one flake of a layer in the middle of a map of odd side, with a largest value of 1."""
    radius = 0.5 * layer.diameter * rng.uniform(0.7, 1.3)
    offset = np.arange(-reach, reach + 1, dtype=np.float32)
    y, x = np.broadcast_arrays(offset[:, None], offset)
    tilt = layer.angle + rng.normal(0, 0.1)
    along = y * math.cos(tilt) + x * math.sin(tilt)
    across = x * math.cos(tilt) - y * math.sin(tilt)
    half = 0.5 * layer.travel * layer.diameter
    past = along - np.clip(along, -half, half)
    turn = np.arctan2(across, past) + rng.uniform(0, 2 * math.pi)
    distance = np.hypot(past, across)
    if layer.shape == "crystal":
        distance = distance * (1 + 0.5 * np.abs(np.sin(3 * turn)))
    elif layer.shape == "clump":
        lobes = int(rng.integers(2, 6))
        distance = distance * (1 + rng.uniform(0.1, 0.4) * np.sin(lobes * turn) * np.cos(turn))
    soft = max(layer.rim * radius, 0.8)
    inside = np.clip(0.5 + (radius - distance) / soft, 0, 1)
    flake = inside * inside * (3 - 2 * inside)
    if radius < 1:  # a flake smaller than a pixel is drawn fainter instead
        flake = flake * max(0.3, radius)
    if layer.travel > 0.5 and rng.random() < 0.5:
        flake = flake * (1 - 0.5 * np.clip(along / (half + radius), -1, 1))
    return np.asarray(np.clip(ndimage.gaussian_filter(flake, 0.3), 0, 1), np.float32)
