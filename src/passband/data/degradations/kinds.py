"""Degradations of clean photographs for training and scoring, decided by a seed and an index alone.

A test set is named by its seed: `degrade(photo, "rain", seed=2026, index=3)` is the same picture wherever it is made.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from passband.data.degradations.version1.blur import defocus, motion_blur, sample_defocus, sample_motion_blur
from passband.data.degradations.version1.weather import haze, rain, sample_haze, sample_rain, sample_snow, snow
from passband.naming import nearest

KINDS: dict[str, Callable[[Tensor, np.random.Generator], Tensor]] = {
    "rain": lambda image, rng: rain(image, sample_rain(rng), rng),
    "snow": lambda image, rng: snow(image, sample_snow(rng), rng),
    "haze": lambda image, rng: haze(image, sample_haze(rng), rng),
    "motion-blur": lambda image, rng: motion_blur(image, sample_motion_blur(rng), rng),
    "defocus": lambda image, rng: defocus(image, sample_defocus(rng), rng),
}
"""Each degradation with its own random strength. The order is part of every seed: append, never insert.

PSNR against the clean picture over the 24 photographs of Kodak (768 x 512, seed 2026, index from 0), mean and range in
dB: rain 20.3 (17.6 to 24.5), snow 19.5 (16.6 to 24.0), haze 11.2 (7.2 to 16.1), motion-blur 25.6 (17.7 to 32.6),
defocus 25.7 (18.7 to 30.5). A smooth picture loses less to a blur, a bright one less to weather.
"""

VERSION = 1
"""Of the simulators behind `KINDS`: what one seed draws is the same as long as this is."""


def degrade(image: Float[Tensor, "3 H W"], kind: str, *, seed: int, index: int) -> Float[Tensor, "3 H W"]:
    """Degrade a clean photograph the way one seed and one index say.

    No global random state is read or changed.

    Args:
        image: sRGB in [0, 1], any size from 1 x 1. Streaks, flakes and blur have their size in pixels.
        kind: a key of `KINDS`.
        seed: names the set, at least 0.
        index: position of the picture in the set, at least 0.

    Returns:
        sRGB in [0, 1], float32, same size and device; not rounded to 8 bits, without noise.

    Raises:
        ValueError: the kind is unknown, the picture is not 3 x H x W, or a number is negative.
    """
    check_kind(kind)
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise ValueError(
            f"degrade needs one RGB picture of shape 3 x H x W, got {tuple(image.shape)}; pass one picture of a batch"
        )
    if seed < 0 or index < 0:
        raise ValueError(f"degrade needs a seed and an index of at least 0, got {seed} and {index}; count from 0")
    rng = np.random.default_rng([seed, index, list(KINDS).index(kind)])
    return KINDS[kind](image, rng)


def check_kind(kind: str) -> None:
    """Refuse an unknown kind, naming the nearest."""
    if kind not in KINDS:
        raise ValueError(
            f"degrade needs a kind among {', '.join(KINDS)}, got {kind!r}; did you mean {nearest(kind, KINDS)!r}?"
        )
