"""Splits an image into layers, so that a layer that moves or is out of focus reveals the one behind it."""

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter

_REACH = 8.0  # standard deviation in pixels of the neighborhood that fills a hole


def fill(light: Float32[np.ndarray, "C H W"], hole: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "C H W"]:
    """Fill a hole in an image by the smooth color of its surroundings.

    Args:
        light: image, or any map of one or more channels.
        hole: 1 where the image is replaced, 0 where it stays, and values between at soft outlines.

    Returns:
        The image with the hole filled. Far from the outline it has the mean color of the rest.
    """
    stays = 1 - hole
    kept = np.concatenate([light * stays, stays[None]])
    total = kept.mean(axis=(1, 2), dtype=np.float64)
    if total[-1] < 1e-6:  # the hole covers everything
        return light
    around = gaussian_filter(kept, (0, _REACH, _REACH), truncate=2.5)
    around += (1e-3 * total / total[-1])[:, None, None].astype(np.float32)
    return light * stays + hole * around[:-1] / around[-1]


def split(
    light: Float32[np.ndarray, "3 H W"], front: Float32[np.ndarray, "H W"]
) -> tuple[Float32[np.ndarray, "3 H W"], Float32[np.ndarray, "4 H W"]]:
    """Split an image into an object and the image behind it.

    Args:
        light: image of any range, such as linear light.
        front: opacity of the object, 0 to 1.

    Returns:
        The image without the object, and the object's light with its opacity as fourth channel. `cover` joins them
        again exactly.
    """
    behind = fill(light, front)
    return behind, np.concatenate([light - behind * (1 - front), front[None]])


def cover(
    behind: Float32[np.ndarray, "3 H W"], front: Float32[np.ndarray, "planes H W"]
) -> Float32[np.ndarray, "3 H W"]:
    """Put an object before an image.

    Args:
        behind: image of any range, such as linear light.
        front: three channels of the object's light, already multiplied by its opacity, then its opacity: one plane, or
            one for each channel.

    Returns:
        The visible image.
    """
    return behind * (1 - front[3:]) + front[:3]


def expand_highlights(light: Float32[np.ndarray, "3 H W"], gain: float) -> Float32[np.ndarray, "3 H W"]:
    """Estimate the brightness of clipped places: where every channel is within a tenth of white, all become brighter.

    Args:
        light: linear light in [0, 1].
        gain: light that is added to the brightest places, as a multiple of their light. It is reduced if more than a
            few per cent of the image are bright, as with a sky.

    Returns:
        Light at least that of the image.
    """
    # a channel well below white was not clipped; expanding only the others would change the color
    clipped = np.clip((light.min(axis=0) - np.float32(0.9)) / np.float32(0.1), 0, 1) ** 2
    share = float(clipped.mean())
    return light * (1 + np.float32(gain / (1 + 20 * share)) * clipped)
