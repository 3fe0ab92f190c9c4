"""Blends streaks, flakes and mist with an image, and draws their light."""

from typing import Literal

import numpy as np
from jaxtyping import Float32

from passband.data.degradations.parts.fields import fractal_map

Blend = Literal["added", "screen", "alpha"]
"""Added and clipped at 1; 1 - (1 - image) (1 - light); or a layer of the light with an opacity."""
Light = tuple[float, float, float]


def draw_blend(rng: np.random.Generator, *, added: float, alpha: float) -> Blend:
    """Draw the way in which a layer is blended.

    Args:
        rng: random generator.
        added: share of images to which the layer is added.
        alpha: share of images that the layer covers partly; the rest are screens.
    """
    chance = rng.random()
    return "added" if chance < added else "alpha" if chance < added + alpha else "screen"


def draw_light(rng: np.random.Generator, low: float, high: float, *, tinted: float, tint: float = 0.15) -> Light:
    """Draw a gray light, which is sometimes tinted.

    Args:
        rng: random generator.
        low: least gray, sRGB.
        high: largest gray, sRGB.
        tinted: share of lights with a tint.
        tint: largest deviation of a channel of tinted lights; for the others it is 0.02.
    """
    gray = rng.uniform(low, high)
    most = tint if rng.random() < tinted else 0.02
    red, green, blue = np.clip(gray + rng.uniform(-most, most, 3), 0, 1).tolist()
    return red, green, blue


def blend(
    image: Float32[np.ndarray, "3 H W"], opacity: Float32[np.ndarray, "H W"], light: Light, how: Blend
) -> Float32[np.ndarray, "3 H W"]:
    """Blend a layer of one light with an image.

    Args:
        image: sRGB in [0, 1].
        opacity: opacity of the layer, in [0, 1].
        light: sRGB of the layer.
        how: way of blending, see `Blend`.

    Returns:
        sRGB in [0, 1].
    """
    color = np.array(light, np.float32)[:, None, None]
    if how == "added":
        return np.minimum(image + opacity * color, np.float32(1))
    if how == "screen":
        return 1 - (1 - image) * (1 - opacity * color)
    return image + opacity * (color - image)


def mist(
    image: Float32[np.ndarray, "3 H W"], strength: float, light: Light, rng: np.random.Generator
) -> Float32[np.ndarray, "3 H W"]:
    """Add a veil of drops or flakes that are too far away to be seen singly.

    Args:
        image: sRGB in [0, 1].
        strength: mean share of the light that is replaced, 0 to 1.
        light: sRGB of the veil.
        rng: generator of its density, which varies by up to half of its strength.

    Returns:
        sRGB in [0, 1].
    """
    height, width = image.shape[-2:]
    density = 1 + (fractal_map(height, width, rng, 0.5 * max(height, width) + 1, octaves=2) - np.float32(0.5))
    return blend(image, np.clip(np.float32(strength) * density, 0, 1), light, "alpha")
