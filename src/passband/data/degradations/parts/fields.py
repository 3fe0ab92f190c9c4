"""Draws random maps over an image, smooth or fractal, which are drawn small and enlarged; resizes maps.

A map is a window of an infinite field, so that a crop of 96 pixels shows the same as a crop of a larger image.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from PIL import Image
from scipy.special import ndtr

_NODE_STD = 0.81
"""Standard deviation of a bicubic interpolation of independent standard normal nodes, over all positions."""


def normal_map(height: int, width: int, rng: np.random.Generator, scale: float) -> Float32[np.ndarray, "_ _"]:
    """Draw a smooth map whose values are approximately normal with mean 0 and standard deviation 1.

    Args:
        height: height in pixels, at least 1.
        width: width in pixels, at least 1.
        rng: generator of the nodes and of the position of the window between them.
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
    """Draw a map with detail of several sizes whose values are approximately uniform over [0, 1].

    Args:
        height: height in pixels, at least 1.
        width: width in pixels, at least 1.
        rng: generator of the map.
        scale: size of its coarsest detail in pixels, at least 1.
        octaves: number of sizes of detail, each half of the one before; those below 1 pixel are left out.
        roughness: amplitude of a size relative to that of the one before, 0 to 1.

    Returns:
        height x width values; over many draws, the share of values below x is about x.
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


def enlarge(small: Float32[np.ndarray, "*C h w"], height: int, width: int) -> Float32[np.ndarray, "*C H W"]:
    """Resize a map to an image's size by bilinear interpolation.

    Args:
        small: one map or several.
        height: new height, in pixels.
        width: new width, in pixels.

    Returns:
        The maps in the new size. Values stay within the range of `small`.
    """
    maps = torch.from_numpy(np.ascontiguousarray(small)).reshape(1, -1, *small.shape[-2:])
    resized = F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
    return resized.reshape(*small.shape[:-2], height, width).numpy()


def reduce(image: Float32[np.ndarray, "*C H W"], factor: int) -> Float32[np.ndarray, "*C h w"]:
    """Reduce an image by the mean of square blocks.

    Args:
        image: one image or several channels, of any range.
        factor: side of a block in pixels, at least 1.

    Returns:
        The image with sides divided by `factor` and rounded up; a block at the border repeats the last pixels.
    """
    height, width = image.shape[-2:]
    if factor == 1:
        return image
    rest = [(0, 0)] * (image.ndim - 2) + [(0, -height % factor), (0, -width % factor)]
    padded = np.pad(image, rest, mode="edge")
    rows, columns = padded.shape[-2] // factor, padded.shape[-1] // factor
    return padded.reshape(*image.shape[:-2], rows, factor, columns, factor).mean(axis=(-3, -1), dtype=np.float32)


def smooth_length(length: int) -> int:
    """Return the next length without a prime factor above 5, for which the FFT is fast.

    Args:
        length: least length, 1 or more.
    """
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
