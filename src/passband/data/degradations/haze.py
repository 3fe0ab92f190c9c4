"""Simulates haze, fog and smoke, with the range of everyday photographs and of public data sets."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter

from passband.data.degradations.parts.depth import scene_depth
from passband.data.degradations.parts.draws import log_uniform
from passband.data.degradations.parts.fields import fractal_map
from passband.ops.color import linear_to_srgb, srgb_to_linear

LEAST_TRANSMISSION = 0.05
"""The least part of a point's light that arrives. Below it 8 bits keep too little of the scene to restore."""


@dataclass(frozen=True)
class Haze:
    """Light that is scattered into and out of the line of sight.

    Attributes:
        outdoors: whether the depth is that of a scene outdoors, with ground, horizon and sky, rather than of a room.
        beta: scattering coefficient per unit of depth, where 1 is the farthest thing that is not sky; at least 0.
        near: part of the haze that does not depend on depth, 0 to 1, as if a fog machine stands near the camera.
        patchiness: standard deviation of the logarithm of the haze's density over the image; 0 is homogeneous.
        patch: size of a patch in pixels.
        airlight: value of the haze itself for red, green and blue, each in [0, 1].
        gradient: change of the airlight from top to bottom and from left to right, each -0.3 to 0.3.
        lamps: number of lamps whose glow lights the haze.
        linear: whether to mix linear light, as a camera does, rather than stored sRGB values, as most data sets do.
        spread: standard deviation in pixels of the blur by repeated scattering; 0 is none. It grows with the haze.
        noise: standard deviation of the noise where no light of the scene arrives; it falls to 0 where all light
            arrives.
    """

    outdoors: bool
    beta: float
    near: float
    patchiness: float
    patch: float
    airlight: tuple[float, float, float]
    gradient: tuple[float, float]
    lamps: int
    linear: bool
    spread: float
    noise: float


def sample_haze(rng: np.random.Generator) -> Haze:
    """Draw a hazy scene: a room in 45 % of draws, outdoors in 40 %, dense artificial haze of either kind in 15 %.

    Args:
        rng: generator of the random numbers.

    Returns:
        Rooms: beta 0.3 to 2.6, log-uniform, airlight 0.5 to 1 (RESIDE's indoor part has beta 0.6 to 1.8 and airlight
        0.7 to 1 over depth that is 1 at its farthest: Li et al., "Benchmarking single-image dehazing and beyond", IEEE
        TIP 2019). Outdoors: beta 0.15 to 3, log-uniform, airlight 0.6 to 1 (RESIDE's outdoor part has 0.04 to 0.2 per
        10 m and airlight 0.8 to 1). Dense: beta 1 to 3.5, airlight 0.4 to 0.9, `near` 0.3 to 1, patchiness 0.2 to 0.7
        (the haze machines of O-HAZE, Dense-Haze and NH-HAZE: Ancuti et al., CVPRW 2018 to 2020). Otherwise patchiness
        is 0 in 70 % of draws and at most 0.4. Tint of the airlight: at most 0.03 per channel in half of the draws, a
        warm or cold light (red and blue differ by at most 0.3) in 40 %, at most 0.1 in any color in 10 %. Lamps, 1 to
        4, in 6 % of draws, with airlight of 0.4 to 0.6. Noise 0 to 0.03 in half of the draws. The transmission stays
        above 0.05.
    """
    style = rng.random()
    lamps = int(rng.integers(1, 5)) if rng.random() < 0.06 else 0
    if style < 0.45:
        outdoors, near, beta, level = False, 0.0, log_uniform(rng, 0.3, 2.6), rng.uniform(0.5, 1)
    elif style < 0.85:
        outdoors, near, beta, level = True, 0.0, log_uniform(rng, 0.15, 3.0), rng.uniform(0.6, 1)
    else:
        outdoors, near = bool(rng.random() < 0.7), rng.uniform(0.3, 1)
        beta, level = rng.uniform(1, 3.5), rng.uniform(0.4, 0.9)
    dense = style >= 0.85
    patchiness = rng.uniform(0.2, 0.7) if dense else rng.uniform(0.05, 0.4) if rng.random() < 0.3 else 0.0
    if lamps:
        level = rng.uniform(0.4, 0.6)
    red, green, blue = np.clip(level + _tint(rng), 0, 1).tolist()
    strong = rng.uniform(0, 0.3) if rng.random() < 0.4 else 0.0
    turn = rng.uniform(0, 2 * math.pi)
    return Haze(
        outdoors=outdoors,
        beta=beta,
        near=near,
        patchiness=patchiness,
        patch=log_uniform(rng, 80, 800),
        airlight=(red, green, blue),
        gradient=(strong * math.cos(turn), strong * math.sin(turn)),
        lamps=lamps,
        linear=bool(rng.random() < 0.3),
        spread=rng.uniform(0.5, 3) if rng.random() < (0.4 if dense else 0.1) else 0.0,
        noise=rng.uniform(0, 0.03) if rng.random() < 0.5 else 0.0,
    )


def haze(image: Float32[np.ndarray, "3 H W"], air: Haze, rng: np.random.Generator) -> Float32[np.ndarray, "3 H W"]:
    """Add haze to an image: I = J t + A (1 - t), with t = exp(-density * depth).

    Args:
        image: sRGB in [0, 1], the J of the formula, any size.
        air: properties of the haze.
        rng: generator of depth, patches, lamps and noise.

    Returns:
        sRGB in [0, 1]. With beta 0 the image is returned unchanged.

    Source: Koschmieder, "Theorie der horizontalen Sichtweite", 1924.
    """
    height, width = image.shape[-2:]
    t = transmission(image, air, rng)
    light = _airlight(air, height, width, rng)
    scene = image
    if air.linear:
        scene, light = _linear(scene), _linear(light)
    if air.spread:
        blurred = gaussian_filter(scene, (0, air.spread, air.spread), truncate=2.5)
        scene = scene + (1 - t) * (blurred - scene)
    hazy = light + (scene - light) * t
    if air.linear:
        hazy = linear_to_srgb(torch.from_numpy(hazy)).numpy()
    if air.noise:
        hazy = hazy + np.float32(air.noise) * (1 - t) * rng.standard_normal(hazy.shape, dtype=np.float32)
    return np.clip(hazy, 0, 1)


def transmission(
    image: Float32[np.ndarray, "3 H W"], air: Haze, rng: np.random.Generator
) -> Float32[np.ndarray, "H W"]:
    """Draw the part of each point's light that arrives.

    Args:
        image: sRGB in [0, 1]; edges of the depth follow its edges.
        air: scattering and its patches.
        rng: generator of depth and patches.

    Returns:
        Values from 0.05 to 1.
    """
    depth = scene_depth(image, rng, outdoors=air.outdoors)
    optical = np.float32(air.beta) * (np.float32(air.near) + np.float32(1 - air.near) * depth)
    if air.patchiness:
        density = fractal_map(image.shape[-2], image.shape[-1], rng, air.patch, octaves=4, roughness=0.5) - 0.5
        optical = optical * np.exp(np.float32(air.patchiness * math.sqrt(12)) * density)  # 1 / 12: a uniform's variance
    return np.maximum(np.exp(-optical), np.float32(LEAST_TRANSMISSION))


def _airlight(
    air: Haze, height: int, width: int, rng: np.random.Generator
) -> Float32[np.ndarray, "3 {height} {width}"]:
    """Draw the light of the haze at each point."""
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 0.5
    x = (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5
    ramp = air.gradient[0] * y + air.gradient[1] * x
    light = np.array(air.airlight, np.float32)[:, None, None] + ramp
    for _ in range(air.lamps):
        center_y, center_x = rng.uniform(-0.5, 0.5, 2)
        size = log_uniform(rng, 0.03, 0.5) * max(height, width)
        warm = rng.uniform(0, 0.5)  # 0 is white, 0.5 is sodium orange
        color = np.array([1, 1 - warm, 1 - 1.8 * warm], np.float32) * rng.uniform(0.2, 0.6)
        distance = np.hypot((y - center_y) * height, (x - center_x) * width) / size
        light = light + color[:, None, None] * (np.exp(-distance) / (1 + distance))
    return np.clip(light, 0, 1).astype(np.float32)


def _tint(rng: np.random.Generator) -> np.ndarray:
    """Draw the deviation of the airlight from gray."""
    kind = rng.random()
    if kind < 0.5:
        return rng.uniform(-0.03, 0.03, 3)
    if kind < 0.9:
        warmth = rng.triangular(-0.15, 0, 0.15)
        return np.array([warmth, rng.uniform(-0.03, 0.03), -warmth])
    return rng.uniform(-0.1, 0.1, 3)


def _linear(image: Float32[np.ndarray, "3 H W"]) -> Float32[np.ndarray, "3 H W"]:
    """Convert stored values to linear light."""
    return srgb_to_linear(torch.from_numpy(image)).numpy()
