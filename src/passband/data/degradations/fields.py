"""Random maps over a picture: smooth ones and fractal ones, drawn small and enlarged.

A map is a window of a field without end, so that a crop of 96 pixels shows what a crop of a larger picture shows.
"""

import math

import numpy as np
from jaxtyping import Float32
from PIL import Image
from scipy.special import ndtr

_NODE_STD = 0.81
"""Standard deviation of a bicubic interpolation of independent standard normal nodes, over all positions."""


def normal_map(height: int, width: int, rng: np.random.Generator, scale: float) -> Float32[np.ndarray, "_ _"]:
    """Draw a smooth map whose values are about normal with mean 0 and standard deviation 1.

    Args:
        height: in pixels, at least 1.
        width: in pixels, at least 1.
        rng: draws the nodes and where the window lies between them.
        scale: distance between the nodes in pixels, at least 1.

    Returns:
        height x width values. In a window smaller than `scale` they are nearly the same.
    """
    rows, columns = math.ceil(height / scale) + 2, math.ceil(width / scale) + 2
    nodes = rng.standard_normal((rows, columns), dtype=np.float32)
    top, left = rng.random(2)
    box = (0.5 + left, 0.5 + top, 0.5 + left + width / scale, 0.5 + top + height / scale)
    enlarged = Image.fromarray(nodes).resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(enlarged, dtype=np.float32) / _NODE_STD


def fractal_map(
    height: int, width: int, rng: np.random.Generator, scale: float, *, octaves: int = 4, roughness: float = 0.5
) -> Float32[np.ndarray, "_ _"]:
    """Draw a map with detail of several sizes whose values are about uniform over [0, 1].

    Args:
        height: in pixels, at least 1.
        width: in pixels, at least 1.
        rng: draws the map.
        scale: size of its coarsest detail in pixels, at least 1.
        octaves: how many sizes of detail, each half of the one before; those below 1 pixel are left out.
        roughness: amplitude of a size over that of the one before, 0 to 1.

    Returns:
        height x width values; the share of them below x is about x over many draws.
    """
    total = np.zeros((height, width), dtype=np.float32)
    power = 0.0
    for octave in range(octaves):
        size = scale / 2**octave
        if octave > 0 and size < 1:
            break
        amplitude = roughness**octave
        total += np.float32(amplitude) * normal_map(height, width, rng, max(1.0, size))
        power += amplitude**2
    return ndtr(total / np.float32(math.sqrt(power)))
