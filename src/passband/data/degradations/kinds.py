"""Degradations of clean photographs for training and scoring, decided by a seed and an index alone.

A test set is named by its seed: `degrade(photo, "rain", seed=2026, index=3)` is the same picture wherever it is made.
"""

from collections.abc import Callable
from os import PathLike
from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image
from torch import Tensor

from passband.data.degradations.version1.blur import defocus, motion_blur, sample_defocus, sample_motion_blur
from passband.data.degradations.version1.weather import haze, rain, sample_haze, sample_rain, sample_snow, snow
from passband.io.pictures import AnyPicture, one_of, take
from passband.naming import suggestion

Given = TypeVar("Given", Image.Image, np.ndarray, Tensor)

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


@overload
def degrade(picture: Given, kind: str, *, seed: int = 0, index: int = 0) -> Given: ...
@overload
def degrade(picture: str | PathLike[str], kind: str, *, seed: int = 0, index: int = 0) -> Image.Image: ...
def degrade(picture: AnyPicture, kind: str, *, seed: int = 0, index: int = 0) -> Any:
    """Degrade a clean photograph the way one seed and one index say, and give back what was given.

    No global random state is read or changed. The same pixels give the same degraded pixels, whatever they came in.

    Args:
        picture: one clean photograph in sRGB of any size from 1 x 1: a path, a PIL picture, an array H W 3 of uint8,
            uint16 or floats in [0, 1], or a tensor 3 H W of floats in [0, 1] or of uint8; see `io.pictures`. Streaks,
            flakes and blur have their size in pixels.
        kind: a key of `KINDS`.
        seed: names the set, at least 0.
        index: position of the picture in the set, at least 0.

    Returns:
        The degraded picture in the kind, the size, the type and on the device that was given; a path gives a PIL
        picture. Floats are not rounded to 8 bits. Alpha is passed through.

    Raises:
        ImageError: for a file that is not a picture.
        OSError: for one that cannot be read.
        TypeError: for another kind of thing.
        ValueError: the kind is unknown, there is not one picture but a batch, its values are of another range, or a
            number is negative.
    """
    check_kind(kind)
    if seed < 0 or index < 0:
        raise ValueError(f"degrade needs a seed and an index of at least 0, got {seed} and {index}; count from 0")
    taken = take(picture)
    image = one_of(taken)
    rng = np.random.default_rng([seed, index, list(KINDS).index(kind)])
    return taken.give(KINDS[kind](image, rng)[None])


def check_kind(kind: str) -> None:
    """Refuse an unknown kind, naming the nearest."""
    if kind not in KINDS:
        raise ValueError(f"degrade needs a kind among {', '.join(KINDS)}, got {kind!r}.{suggestion(kind, KINDS)}")
