"""Degradations of clean photographs for training and scoring, which depend only on a seed and an index.

A test set is named by its kind, seed and version: `degrade(photo, "rain", seed=2026, index=3)` is the same image on
every machine. A published version never changes; better simulators get a new version.
"""

from collections.abc import Callable
from typing import Any, TypeVar, overload

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from passband.data.degradations.defocus import defocus, sample_defocus
from passband.data.degradations.haze import haze, sample_haze
from passband.data.degradations.motion import motion_blur, sample_motion_blur
from passband.data.degradations.parts.camera import develop, sample_camera
from passband.data.degradations.rain import rain, sample_rain
from passband.data.degradations.raindrop import raindrop, sample_raindrop
from passband.data.degradations.scratch import sample_scratch, scratch
from passband.data.degradations.snow import sample_snow, snow
from passband.data.degradations.version1 import blur as first_blur
from passband.data.degradations.version1 import weather as first_weather
from passband.io.conversion import AnyImage, Given, ImageSource, read_input, single_image
from passband.naming import suggestion

Settings = TypeVar("Settings")
Degrade = Callable[[Tensor, np.random.Generator], Tensor]


def _on_arrays(
    simulate: Callable[[np.ndarray, Settings, np.random.Generator], np.ndarray],
    sample: Callable[[np.random.Generator], Settings],
) -> Degrade:
    """Let a simulator of arrays take tensors."""

    def degrade_tensor(image: Tensor, rng: np.random.Generator) -> Tensor:
        degraded = simulate(image.cpu().float().numpy(), sample(rng), rng)
        return torch.from_numpy(np.ascontiguousarray(degraded)).to(image.device)

    return degrade_tensor


FIRST_KINDS: dict[str, Degrade] = {
    "rain": lambda image, rng: first_weather.rain(image, first_weather.sample_rain(rng), rng),
    "snow": lambda image, rng: first_weather.snow(image, first_weather.sample_snow(rng), rng),
    "haze": lambda image, rng: first_weather.haze(image, first_weather.sample_haze(rng), rng),
    "motion-blur": lambda image, rng: first_blur.motion_blur(image, first_blur.sample_motion_blur(rng), rng),
    "defocus": lambda image, rng: first_blur.defocus(image, first_blur.sample_defocus(rng), rng),
}
"""The degradations of version 1, in the order that is part of every seed.

PSNR against the clean image over the 24 photographs of Kodak (768 x 512, seed 2026, index from 0), mean and range in
dB: rain 20.3 (17.6 to 24.5), snow 19.5 (16.6 to 24.0), haze 11.2 (7.2 to 16.1), motion-blur 25.6 (17.7 to 32.6),
defocus 25.7 (18.7 to 30.5). A smooth image loses less by blur, and a bright one loses less by weather."""
KINDS: dict[str, Degrade] = {
    "rain": _on_arrays(rain, sample_rain),
    "snow": _on_arrays(snow, sample_snow),
    "haze": _on_arrays(haze, sample_haze),
    "motion-blur": _on_arrays(motion_blur, sample_motion_blur),
    "defocus": _on_arrays(defocus, sample_defocus),
    "raindrop": _on_arrays(raindrop, sample_raindrop),
    "scratch": _on_arrays(scratch, sample_scratch),
}
"""The degradations of the newest version, each with its own random strength, from hardly visible to severe. The order
is part of every seed: append, never insert."""
VERSIONS = {1: FIRST_KINDS, 2: KINDS}
"""The degradations of every version."""
NEWEST = 2
"""The default version."""
LIGHT_PATH = ("haze", "rain", "snow", "raindrop", "defocus", "motion-blur", "scratch")
"""The order in which mixtures are made: air, drops in it, glass, lens, shutter, and damage to the print."""


@overload
def degrade(image: Given, kind: str, *, seed: int = 0, index: int = 0, version: int = NEWEST) -> Given: ...
@overload
def degrade(image: ImageSource, kind: str, *, seed: int = 0, index: int = 0, version: int = NEWEST) -> Image.Image: ...
def degrade(image: AnyImage, kind: str, *, seed: int = 0, index: int = 0, version: int = NEWEST) -> Any:
    """Degrade a clean photograph as a seed and an index determine, and return it in the type of the input.

    No global random state is read or changed. The same pixels give the same degraded pixels, whatever type they have.

    Args:
        image: clean photograph in sRGB, of any size from 1 x 1: a path, the bytes of an image file, a PIL image, an
            array H W 3 of uint8, uint16 or floats in [0, 1], or a tensor 3 H W of floats in [0, 1] or of uint8; see
            `io.conversion`. Streaks, flakes and blur have their size in pixels.
        kind: degradation, a key of `KINDS`, or several joined by `+`, such as `"rain+haze"`, which are applied in the
            order of `LIGHT_PATH`.
        seed: seed of the set, at least 0.
        index: index of the image in the set, at least 0.
        version: version of the simulators, a key of `VERSIONS`.

    Returns:
        The degraded image in the kind, the size, the type and on the device of the input; a path or
        bytes give a PIL image. Floats are not rounded to 8 bits. Alpha is passed through.

    Raises:
        ImageError: if a file is not an image.
        OSError: if a file cannot be read.
        TypeError: if the input is of another type.
        ValueError: if the kind or version is unknown, the input is a batch, its values are out of range, or a number is
            negative.
    """
    split_kind(kind, version)
    _check_seed(seed, index)
    source = read_input(image)
    return source.to_original_kind(_degraded(single_image(source), kind, seed, index, version)[None])


def degrade_and_develop(
    image: Float[Tensor, "3 H W"], kind: str, *, seed: int, index: int, version: int = NEWEST
) -> tuple[Float[Tensor, "3 H W"], Float[Tensor, "3 H W"]]:
    """Degrade a clean photograph and develop it with a random camera, see `parts.camera`.

    Args:
        image: sRGB in [0, 1], of any size from 1 x 1.
        kind: degradation, as for `degrade`.
        seed: seed of the set, at least 0.
        index: index of the image in the set, at least 0.
        version: version of the simulators, a key of `VERSIONS`.

    Returns:
        The degraded image, and the clean one with the same exposure and color; sRGB in [0, 1].

    Raises:
        ValueError: as `degrade` raises it.
    """
    _check_seed(seed, index)
    degraded = _degraded(image, kind, seed, index, version)
    rng = np.random.default_rng([seed, index, len(KINDS), version])
    taken = develop(degraded.cpu().numpy(), image.cpu().float().numpy(), sample_camera(rng), rng)
    first, second = (torch.from_numpy(np.ascontiguousarray(part)).to(image.device) for part in taken)
    return first, second


def split_kind(kind: str, version: int = NEWEST) -> list[str]:
    """Return the single kinds of a mixture, in the order in which they are applied.

    Args:
        kind: degradation, a key of `KINDS`, or several joined by `+`.
        version: version of the simulators, a key of `VERSIONS`.

    Raises:
        ValueError: if the version or a kind is unknown, or a kind is repeated; the message suggests the nearest.
    """
    if version not in VERSIONS:
        raise ValueError(f"degrade needs a version among {', '.join(map(str, VERSIONS))}, got {version}")
    known = VERSIONS[version]
    kinds = kind.split("+")
    for one in kinds:
        if one not in known:
            raise ValueError(f"degrade needs a kind among {', '.join(known)}, got {one!r}.{suggestion(one, known)}")
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"degrade needs each kind of a mixture once, got {kind!r}")
    return sorted(kinds, key=LIGHT_PATH.index)


def _degraded(image: Float[Tensor, "3 H W"], kind: str, seed: int, index: int, version: int) -> Float[Tensor, "3 H W"]:
    """Degrade one image in [0, 1] by each kind of a mixture in turn."""
    kinds, known = split_kind(kind, version), VERSIONS[version]
    for one in kinds:
        place = list(known).index(one)
        rng = np.random.default_rng([seed, index, place] if version == 1 else [seed, index, place, version])
        image = known[one](image, rng)
    return image


def _check_seed(seed: int, index: int) -> None:
    """Raise an error for numbers below 0."""
    if seed < 0 or index < 0:
        raise ValueError(f"degrade needs a seed and an index of at least 0, got {seed} and {index}; count from 0")
