"""Degrades photos with a second generator of each kind, built by other means than the simulators for training.

No network may ever be trained on these. The gain of a network on them shows its knowledge of the degradation, and not
of its simulator.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from second_optics import second_defocus, second_motion, second_raindrop, second_scratch
from second_weather import second_haze, second_rain, second_snow
from torch import Tensor

SECOND: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "rain": second_rain,
    "snow": second_snow,
    "haze": second_haze,
    "motion-blur": second_motion,
    "defocus": second_defocus,
    "raindrop": second_raindrop,
    "scratch": second_scratch,
}
"""Degradations by the names of the library. Their order is part of every seed: append new ones, and never insert."""


def degrade_second(
    image: Float[Tensor, "3 H W"], kind: str, *, seed: int, index: int, disparity: np.ndarray | None = None
) -> Float[Tensor, "3 H W"]:
    """Degrade a clean photograph as the second generator of a kind does.

    Args:
        image: sRGB in [0, 1], any size from 2 x 2.
        kind: a key of `SECOND`.
        seed: names the set.
        index: position of the picture in the set.
        disparity: true disparities of the picture for haze, H W, 0 where unknown; None for a scene of planes.

    Returns:
        sRGB in [0, 1], rounded to 8 bits as a file holds it.
    """
    rng = np.random.default_rng([seed, index, list(SECOND).index(kind), 2])
    pixels = image.permute(1, 2, 0).double().numpy()
    out = second_haze(pixels, rng, disparity) if kind == "haze" else SECOND[kind](pixels, rng)
    return torch.from_numpy(np.round(np.clip(out, 0, 1) * 255) / 255).permute(2, 0, 1).float().contiguous()
