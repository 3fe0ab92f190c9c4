"""Simulates rain, snow and haze.

Everything is computed on stored sRGB values, as in the published training sets (Rain100, Snow100K, RESIDE), and in
double precision, so that machines differ by less than the rounding to 8 bits. Streaks and flakes have their size in
pixels, whatever the size of the image.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.degradations.version1.blur import smooth_field

_Range = tuple[float, float]


@dataclass(frozen=True)
class Haze:
    """Light that is scattered into and out of the line of sight.

    Attributes:
        beta: scattering coefficient per unit of depth, where 1 is the farthest point of the scene; at least 0.
        near: depth of the nearest point, 0 to 1.
        airlight: sRGB of the haze itself, each in [0, 1].
        gradient: share of a ramp from far at the top to near at the bottom in the depth, 0 to 1.
    """

    beta: float
    near: float
    airlight: tuple[float, float, float]
    gradient: float


@dataclass(frozen=True)
class Streaks:
    """One layer of rain drops, elongated by their fall during the exposure.

    Attributes:
        length: mean length of a streak in pixels.
        width: mean full width of a streak at half its opacity, in pixels.
        density: streaks per pixel of the image.
        opacity: opacity of the brightest streak along its middle, 0 to 1.
    """

    length: float
    width: float
    density: float
    opacity: float


@dataclass(frozen=True)
class Rain:
    """Rain: streaks in one or two layers before a thin veil of drops too far away to be seen singly.

    Attributes:
        angle: direction of fall, in degrees from the vertical, -60 to 60; positive falls to the right.
        layers: layers of near or far streaks.
        veil: mist of far rain.
    """

    angle: float
    layers: tuple[Streaks, ...]
    veil: Haze

    def __post_init__(self):
        if not -60 <= self.angle <= 60:
            raise ValueError(f"Rain needs an angle of -60 to 60 degrees from the vertical, got {self.angle}; turn it")


@dataclass(frozen=True)
class Flakes:
    """One layer of snowflakes of similar size.

    Attributes:
        radius: mean radius in pixels.
        softness: width of the rim in pixels: 1 is sharp, more is out of focus.
        density: flakes per pixel of the image.
        opacity: opacity of the most opaque flake, 0 to 1.
        travel: distance fallen during the exposure, in pixels.
    """

    radius: float
    softness: float
    density: float
    opacity: float
    travel: float


@dataclass(frozen=True)
class Snow:
    """Snow: layers of flakes, from far and small to near and large, before a thin veil.

    Attributes:
        angle: direction of fall, in degrees from the vertical; positive falls to the right.
        layers: layers of flakes.
        white: sRGB gray of a flake in [0, 1].
        veil: mist of far snow.
    """

    angle: float
    layers: tuple[Flakes, ...]
    white: float
    veil: Haze


def sample_haze(rng: np.random.Generator) -> Haze:
    """Draw a hazy day.

    Args:
        rng: generator of the random numbers.

    Returns:
        beta 0.9 to 1.6, so that the transmission never falls below exp(-1.6) = 0.20 and 8 bits keep the scene; near
        0.05 to 0.6; airlight 0.71 to 0.99 with channels at most 0.02 from a gray; gradient 0.2 to 0.7.
    """
    beta, near, gradient = rng.uniform(0.9, 1.6), rng.uniform(0.05, 0.6), rng.uniform(0.2, 0.7)
    return Haze(beta=beta, near=near, airlight=_airlight(rng, 0.73, 0.97), gradient=gradient)


def sample_rain(rng: np.random.Generator) -> Rain:
    """Draw a shower.

    Args:
        rng: generator of the random numbers.

    Returns:
        angle -30 to 30 degrees; one layer of long bright streaks (18 to 42 px by 1.2 to 2.2 px) and, in 75 % of draws,
        a second of short faint ones (8 to 16 px by 0.9 to 1.3 px), covering about a tenth of the image; a veil of at
        most 0.12.
    """
    near = _streaks(rng, length=(18, 42), width=(1.2, 2.2), cover=(0.09, 0.13), opacity=(0.75, 0.95))
    far = _streaks(rng, length=(8, 16), width=(0.9, 1.3), cover=(0.04, 0.08), opacity=(0.45, 0.65))
    layers = (near, far) if rng.random() < 0.75 else (near,)
    return Rain(angle=rng.uniform(-30, 30), layers=layers, veil=_veil(rng))


def sample_snow(rng: np.random.Generator) -> Snow:
    """Draw a snowfall.

    Args:
        rng: generator of the random numbers.

    Returns:
        angle -40 to 40 degrees; three layers: small sharp flakes (radius 0.7 to 1.2 px), middle (1.6 to 2.8 px) and
        large blurred (4 to 7 px, rim 3 to 6 px), falling by 1 to 2 radii; white 0.92 to 1; a veil of at most 0.12.
    """
    layers = (
        _flakes(rng, radius=(0.7, 1.2), softness=(1.0, 1.0), cover=(0.03, 0.05), opacity=(0.8, 0.95)),
        _flakes(rng, radius=(1.6, 2.8), softness=(1.0, 1.6), cover=(0.02, 0.035), opacity=(0.8, 0.95)),
        _flakes(rng, radius=(4.0, 7.0), softness=(3.0, 6.0), cover=(0.01, 0.02), opacity=(0.5, 0.75)),
    )
    return Snow(angle=rng.uniform(-40, 40), layers=layers, white=rng.uniform(0.92, 1.0), veil=_veil(rng))


def haze(image: Float[Tensor, "3 H W"], air: Haze, rng: np.random.Generator) -> Float[Tensor, "3 H W"]:
    """Add haze to an image: I = J t + A (1 - t).

    Args:
        image: sRGB in [0, 1], the J of the formula.
        air: scattering, depth range and airlight.
        rng: generator of the depth.

    Returns:
        sRGB in [0, 1], float32.

    Source: Koschmieder 1924; as used for RESIDE by Li et al., "Benchmarking single-image dehazing and beyond", IEEE
    TIP 2019.
    """
    height, width = image.shape[-2:]
    return scatter(image, transmission(air, height, width, rng), air.airlight)


def rain(image: Float[Tensor, "3 H W"], shower: Rain, rng: np.random.Generator) -> Float[Tensor, "3 H W"]:
    """Add rain to an image: a veil, then streaks that only brighten.

    Args:
        image: sRGB in [0, 1].
        shower: direction, streaks and veil.
        rng: generator of the depth behind the veil and of each streak.

    Returns:
        sRGB in [0, 1], float32: 1 - (1 - veiled) (1 - opacity), the "screen" blend.

    Source: Garg & Nayar, "Photorealistic rendering of rain streaks", SIGGRAPH 2006 (a drop is brighter than the
    background that it hides, and its oscillation modulates the streak); screen blend as in Rain100: Yang et al.,
    CVPR 2017.
    """
    height, width = image.shape[-2:]
    veiled = haze(image, shower.veil, rng).double()
    clear = np.ones((height, width))
    for layer in shower.layers:
        clear *= 1 - streak_opacity(layer, shower.angle, height, width, rng)
    return (1 - (1 - veiled) * torch.from_numpy(clear).to(image.device)).clamp(0, 1).float()


def snow(image: Float[Tensor, "3 H W"], fall: Snow, rng: np.random.Generator) -> Float[Tensor, "3 H W"]:
    """Add snow to an image: a veil, then partially transparent white flakes.

    Args:
        image: sRGB in [0, 1].
        fall: direction, flakes and veil.
        rng: generator of the depth behind the veil and of each flake.

    Returns:
        sRGB in [0, 1], float32: veiled (1 - opacity) + white opacity.

    Source: Liu et al., "DesnowNet" (Snow100K), IEEE TIP 2018; sizes and veil as in Chen et al., "ALL Snow Removed"
    (CSD), ICCV 2021.
    """
    height, width = image.shape[-2:]
    veiled = haze(image, fall.veil, rng).double()
    clear = np.ones((height, width))
    for layer in fall.layers:
        clear *= 1 - flake_opacity(layer, fall.angle, height, width, rng)
    return (fall.white + (veiled - fall.white) * torch.from_numpy(clear).to(image.device)).clamp(0, 1).float()


def transmission(air: Haze, height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "{height} {width}"]:
    """Draw the part of each pixel's light that arrives: t = exp(-beta d).

    Args:
        air: scattering and depth range.
        height: height in pixels.
        width: width in pixels.
        rng: generator of the depth d, between `air.near` and 1.

    Returns:
        Values from exp(-beta) to 1.
    """
    depth = air.near + (1 - air.near) * smooth_field(height, width, rng, gradient=air.gradient)
    return np.exp(-air.beta * depth)


def scatter(
    image: Float[Tensor, "3 H W"], arriving: Float[np.ndarray, "H W"], airlight: tuple[float, float, float]
) -> Float[Tensor, "3 H W"]:
    """Replace the light that does not arrive by airlight.

    Args:
        image: sRGB in [0, 1].
        arriving: transmission in [0, 1].
        airlight: sRGB in [0, 1].

    Returns:
        sRGB in [0, 1], float32.
    """
    t = torch.from_numpy(arriving).to(image.device)
    light = torch.tensor(airlight, dtype=torch.float64, device=image.device)[:, None, None]
    return (light + (image.double() - light) * t).clamp(0, 1).float()


def streak_opacity(
    layer: Streaks, angle: float, height: int, width: int, rng: np.random.Generator
) -> Float[np.ndarray, "{height} {width}"]:
    """Draw one layer of streaks, each with its own length, width, tilt and opacity.

    Args:
        layer: mean size, density and opacity.
        angle: direction of fall in degrees from the vertical, -60 to 60.
        height: height in pixels.
        width: width in pixels.
        rng: generator of every streak.

    Returns:
        Opacity in [0, 1).
    """
    margin = math.ceil(0.75 * layer.length) + 1
    count = rng.poisson(layer.density * (height + 2 * margin) * (width + 2 * margin))
    center_y = rng.uniform(-margin, height + margin, count)[:, None, None]
    center_x = rng.uniform(-margin, width + margin, count)[:, None, None]
    length = layer.length * rng.uniform(0.5, 1.5, count)[:, None, None]
    sigma = layer.width / 2.355 * rng.uniform(0.8, 1.2, count)[:, None, None]  # 2.355 sigma is the width at half height
    opacity = layer.opacity * rng.uniform(0.4, 1, count)[:, None, None]
    tilt = np.radians(angle + rng.normal(0, 1.5, count))[:, None, None]
    phase = rng.uniform(0, 2 * math.pi, count)[:, None, None]
    # rain falls within 60 degrees of the vertical, so a streak is a few columns around its axis in each row
    reach = math.ceil(3 * layer.width / 2.355 * 1.2 / math.cos(math.radians(min(abs(angle) + 5, 65))))
    y = np.floor(center_y) + np.arange(-margin, margin + 1)[:, None]
    x = np.floor(center_x + (y - center_y) * np.tan(tilt)) + np.arange(-reach, reach + 1)
    along = (y - center_y) * np.cos(tilt) + (x - center_x) * np.sin(tilt)
    across = (x - center_x) * np.cos(tilt) - (y - center_y) * np.sin(tilt)
    ends = np.clip(1 - (2 * along / length) ** 4, 0, 1)
    wobble = 0.85 + 0.15 * np.cos(2 * math.pi * along / (0.7 * layer.length) + phase)
    return _overlay(y, x, opacity * ends * wobble * np.exp(-0.5 * (across / sigma) ** 2), height, width)


def flake_opacity(
    layer: Flakes, angle: float, height: int, width: int, rng: np.random.Generator
) -> Float[np.ndarray, "{height} {width}"]:
    """Draw one layer of flakes: uneven blobs, elongated along their fall.

    Args:
        layer: mean size, rim, density, opacity and travel.
        angle: direction of fall in degrees from the vertical.
        height: height in pixels.
        width: width in pixels.
        rng: generator of every flake.

    Returns:
        Opacity in [0, 1).
    """
    margin = math.ceil(1.35 * 1.25 * layer.radius + (layer.travel + layer.softness) / 2) + 1
    count = rng.poisson(layer.density * (height + 2 * margin) * (width + 2 * margin))
    center_y = rng.uniform(-margin, height + margin, count)[:, None, None]
    center_x = rng.uniform(-margin, width + margin, count)[:, None, None]
    radius = layer.radius * rng.uniform(0.65, 1.35, count)[:, None, None]
    opacity = layer.opacity * rng.uniform(0.5, 1, count)[:, None, None]
    tilt = np.radians(angle + rng.normal(0, 8, count))[:, None, None]
    lobes = rng.integers(2, 5, count)[:, None, None]
    turn = rng.uniform(0, 2 * math.pi, count)[:, None, None]
    uneven = rng.uniform(0.05, 0.25, count)[:, None, None]
    offset = np.arange(-margin, margin + 1)
    y, x = np.broadcast_arrays(np.floor(center_y) + offset[:, None], np.floor(center_x) + offset)
    along = (y - center_y) * np.cos(tilt) + (x - center_x) * np.sin(tilt)
    across = (x - center_x) * np.cos(tilt) - (y - center_y) * np.sin(tilt)
    past = along - np.clip(along, -layer.travel / 2, layer.travel / 2)
    rim = radius * (1 + uneven * np.cos(lobes * np.arctan2(across, along) + turn))
    inside = np.clip(0.5 + (rim - np.hypot(past, across)) / layer.softness, 0, 1)
    return _overlay(y, x, opacity * inside * inside * (3 - 2 * inside), height, width)


def _overlay(y: np.ndarray, x: np.ndarray, opacity: np.ndarray, height: int, width: int) -> np.ndarray:
    """Stack transparent spots, whose transmissions multiply."""
    seen = (y >= 0) & (y < height) & (x >= 0) & (x < width) & (opacity > 1e-3)
    place = np.broadcast_to(y, seen.shape)[seen].astype(int) * width + x[seen].astype(int)
    depth = np.bincount(place, weights=-np.log1p(-opacity[seen]), minlength=height * width)
    return -np.expm1(-depth).reshape(height, width)


def _airlight(rng: np.random.Generator, low: float, high: float) -> tuple[float, float, float]:
    """Draw a gray between two bounds, tinted by at most 0.02 per channel."""
    gray = rng.uniform(low, high)
    red, green, blue = np.clip(gray + rng.uniform(-0.02, 0.02, 3), 0, 1).tolist()
    return red, green, blue


def _veil(rng: np.random.Generator) -> Haze:
    """Draw the mist of drops or flakes too far away to be seen singly: 2 to 12 % of the light is scattered."""
    return Haze(beta=rng.uniform(0.05, 0.12), near=0.4, airlight=_airlight(rng, 0.65, 0.85), gradient=0.5)


def _streaks(rng: np.random.Generator, *, length: _Range, width: _Range, cover: _Range, opacity: _Range) -> Streaks:
    """Draw a layer by the share of the image that it covers, so that thin streaks are many and thick ones few."""
    long, wide = rng.uniform(*length), rng.uniform(*width)
    return Streaks(long, wide, density=rng.uniform(*cover) / (long * wide), opacity=rng.uniform(*opacity))


def _flakes(rng: np.random.Generator, *, radius: _Range, softness: _Range, cover: _Range, opacity: _Range) -> Flakes:
    """Draw a layer by the share of the image that it covers, so that small flakes are many and large ones few."""
    mean, fall = rng.uniform(*radius), rng.uniform(1, 2)
    area = mean * mean * (math.pi + 2 * fall)
    return Flakes(mean, rng.uniform(*softness), rng.uniform(*cover) / area, rng.uniform(*opacity), travel=fall * mean)
