"""A picture as layers, so that what moves or is out of focus before it can show what is behind."""

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter

_REACH = 8.0  # standard deviation in pixels of the neighborhood that fills a hole


def fill(light: Float32[np.ndarray, "3 H W"], hole: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "3 H W"]:
    """Fill a hole in a picture by the smooth color of what lies around it.

    Args:
        light: the picture.
        hole: 1 where the picture is to be replaced, 0 where it stays, between at soft outlines.

    Returns:
        The picture without what was in the hole. Far from the outline it has the mean color of the rest.
    """
    stays = 1 - hole
    kept = np.concatenate([light * stays, stays[None]])
    total = kept.mean(axis=(1, 2), dtype=np.float64)
    if total[3] < 1e-6:  # nothing stays
        return light
    around = gaussian_filter(kept, (0, _REACH, _REACH), truncate=2.5)
    around += (1e-3 * total / total[3])[:, None, None].astype(np.float32)
    return light * stays + hole * around[:3] / around[3]
