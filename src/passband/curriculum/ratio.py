"""The frequency ratio: the share of an image's spectrum that a disc keeps, by four definitions.

The definition matters much: half of a photograph of 256 pixels lies within 30 to 61 cycles by magnitude, within 0 by
energy unless the mean is removed, and within 64 by radius. Therefore the definition is always named:

- `magnitude`: share of the summed spectrum magnitude, including the mean; the radius is the smallest integer one whose
  disc holds it. This is the definition of "Adaptive Frequency Ratio Scheduler" (lab slides, 2023), whose search stops
  at a radius of 127; here a ratio of 1 is the whole image.
- `energy`: share of the energy of the image without its mean; also the smallest integer radius.
- `radius`: share of the Nyquist frequency, min(H, W) / 2 cycles.
- `area`: share of the number of frequencies; also the smallest integer radius.

By each definition, a ratio of 1 keeps everything, including the corners, and a ratio of 0 keeps each channel's mean.
Spectra are summed over the channels of an image, which share a radius. Radii are in cycles per shorter side, as in
`ops.fourier`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.naming import entry
from passband.ops.checks import check_images
from passband.ops.fourier import low_pass, radial_spectrum

DEFINITIONS = {
    "magnitude": "the summed spectrum magnitude, with the mean",
    "energy": "the energy without the mean",
    "radius": "the Nyquist frequency",
    "area": "the number of frequencies",
}
"""The quantity that a ratio is a share of, by the name of the definition."""


@dataclass(frozen=True)
class RadialProfile:
    """The shares that discs hold in a set of images of one size, so that a ratio is one radius for all of them."""

    definition: str
    """Definition of the ratio, a key of `DEFINITIONS`."""
    shares: tuple[float, ...]
    """Share of the disc of radius 0, 1, ..., rising to 1."""
    size: tuple[int, int]
    """Height and width of the images, in pixels."""
    images: int
    """Number of images that were summed."""

    @classmethod
    def of(cls, images: Iterable[Float[Tensor, "_ _ _ _"]], definition: str = "magnitude") -> "RadialProfile":
        """Sum the spectra of images, batch by batch.

        Args:
            images: batches B C H W of any range, all of one size.
            definition: definition of the ratio, a key of `DEFINITIONS`.

        Returns:
            The profile.

        Raises:
            ValueError: if there are no images, sizes differ, values are not finite, or the definition is unknown.
        """
        entry(definition, DEFINITIONS, "definition of the frequency ratio")
        total, size, count = torch.zeros(0, dtype=torch.float64), (0, 0), 0
        for batch in images:
            check_images(batch, "RadialProfile.of")
            height, width = batch.shape[-2:]
            if count and (height, width) != size:
                raise ValueError(
                    f"images of a profile must have one size; got {size[0]}x{size[1]} and {height}x{width}"
                )
            rings = _rings(batch, definition).double().sum(0).cpu()
            total = rings if not count else total + rings
            size, count = (height, width), count + len(batch)
        if not count:
            raise ValueError("a profile needs 1 image or more; got none")
        return cls(definition, tuple(_shares(total[None])[0].tolist()), size, count)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RadialProfile":
        """Make the profile that `to_config` wrote.

        Args:
            config: result of `to_config`.
        """
        height, width = config["size"]
        return cls(config["definition"], tuple(config["shares"]), (height, width), config["images"])

    def to_config(self) -> dict[str, Any]:
        """Return the profile for JSON."""
        return {
            "definition": self.definition,
            "shares": list(self.shares),
            "size": list(self.size),
            "images": self.images,
        }

    def radius(self, ratio: float) -> float:
        """Return the radius that keeps a ratio, in cycles per shorter side.

        Args:
            ratio: share to keep, from 0 to 1.

        Raises:
            ValueError: if the ratio is not from 0 to 1.
        """
        check_ratio(ratio)
        if self.definition == "radius":
            return _share_of_nyquist(ratio, *self.size)
        return _smallest(torch.tensor([self.shares], dtype=torch.float64), ratio).item()

    def ratio(self, radius: float) -> float:
        """Return the ratio, from 0 to 1, that a disc keeps.

        Args:
            radius: radius of the disc, in cycles per shorter side, at least 0. The ratio stays the same beyond the
                highest frequency.

        Raises:
            ValueError: if the radius is negative or NaN.
        """
        _check_radius(radius)
        if self.definition == "radius":
            return _of_nyquist(radius, *self.size)
        return self.shares[_last_ring(radius, len(self.shares))]


def radii_of(images: Float[Tensor, "B C H W"], ratio: float, definition: str = "magnitude") -> Float[Tensor, " B"]:
    """Return the radius that keeps a ratio, for each image of a batch.

    Args:
        images: images of any range and size.
        ratio: share to keep, from 0 to 1.
        definition: definition of the ratio, a key of `DEFINITIONS`.

    Returns:
        Radii in cycles per shorter side; integers, except for the definition `radius`.

    Raises:
        ValueError: if the ratio is not from 0 to 1, the definition is unknown, or values are not finite.
    """
    check_images(images, "radii_of")
    entry(definition, DEFINITIONS, "definition of the frequency ratio")
    check_ratio(ratio)
    if definition == "radius":
        height, width = images.shape[-2:]
        return torch.full((len(images),), _share_of_nyquist(ratio, height, width), device=images.device)
    return _smallest(_shares(_rings(images, definition)), ratio)


def ratios_of(images: Float[Tensor, "B C H W"], radius: float, definition: str = "magnitude") -> Float[Tensor, " B"]:
    """Return the ratio that a disc keeps of each image of a batch.

    Args:
        images: images of any range and size.
        radius: radius of the disc, in cycles per shorter side, at least 0.
        definition: definition of the ratio, a key of `DEFINITIONS`.

    Returns:
        The ratio of each image, from 0 to 1.

    Raises:
        ValueError: if the radius is negative or NaN, the definition is unknown, or values are not finite.
    """
    check_images(images, "ratios_of")
    _check_radius(radius)
    entry(definition, DEFINITIONS, "definition of the frequency ratio")
    if definition == "radius":
        return torch.full((len(images),), _of_nyquist(radius, *images.shape[-2:]), device=images.device)
    shares = _shares(_rings(images, definition))
    return shares[:, _last_ring(radius, shares.shape[1])].float()


def low_pass_ratio(
    images: Float[Tensor, "B C H W"], ratio: float, definition: str = "magnitude", profile: RadialProfile | None = None
) -> Float[Tensor, "B C H W"]:
    """Keep a share of the spectrum of each image: a ratio of 1 is the identity, and 0 keeps each channel's mean.

    Args:
        images: images of any range and size.
        ratio: share to keep, from 0 to 1.
        definition: definition of the ratio, a key of `DEFINITIONS`.
        profile: profile of the images' data set and size, whose definition is then used; None measures each image.

    Returns:
        The filtered images.

    Raises:
        ValueError: as `radii_of` raises it, or if the profile is of another size.
    """
    check_images(images, "low_pass_ratio")
    check_ratio(ratio)
    if ratio == 1:
        return images
    if profile is None:
        return low_pass(images, radii_of(images, ratio, definition))
    height, width = images.shape[-2:]
    if (height, width) != profile.size:
        raise ValueError(f"the profile is of {profile.size[0]}x{profile.size[1]} pixels; got {height}x{width}")
    return low_pass(images, profile.radius(ratio))


def check_ratio(ratio: float) -> None:
    """Raise an error unless a ratio is a share.

    Args:
        ratio: number to check.

    Raises:
        ValueError: if the number is not from 0 to 1.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"a frequency ratio must be a share from 0 to 1; got {ratio}")


def _check_radius(radius: float) -> None:
    """Raise an error unless a radius can be that of a disc."""
    if not radius >= 0:
        raise ValueError(f"a radius must be 0 or more cycles; got {radius}")


def _last_ring(radius: float, rings: int) -> int:
    """Return the number of the last ring inside a disc, of any radius from 0 to infinity."""
    return int(min(radius, rings - 1))


def _rings(images: Float[Tensor, "B C H W"], definition: str) -> Float[Tensor, "B rings"]:
    """Return the weight of each ring of each image."""
    images = images.detach().double()
    if definition == "magnitude":
        rings = radial_spectrum(images).sum(1)
    elif definition == "energy":
        rings = radial_spectrum(images - images.mean((-2, -1), keepdim=True), power=2).sum(1)
    else:
        impulse = torch.zeros(1, 1, *images.shape[-2:], dtype=torch.float64, device=images.device)
        impulse[..., 0, 0] = 1  # an impulse has all frequencies equally
        rings = radial_spectrum(impulse).sum(1) + 0 * images.sum((-3, -2, -1))[:, None]
    finite = rings.isfinite().all(1)  # one value that is not finite spoils the whole spectrum
    if not finite.all():
        raise ValueError(f"image {int((~finite).nonzero()[0, 0])} of the batch has values that are not finite")
    return rings


def _shares(rings: Float[Tensor, "B rings"]) -> Float[Tensor, "B rings"]:
    """Return the share of the total in the disc of each radius; if the total is 0, the share is 1."""
    discs = rings.cumsum(1)
    whole = discs[:, -1:]
    return torch.where(whole > 0, discs / whole.clamp(min=torch.finfo(discs.dtype).tiny), 1.0)


def _smallest(shares: Float[Tensor, "B rings"], ratio: float) -> Float[Tensor, " B"]:
    """Return the smallest integer radius whose disc holds a share; 0 for a share of 0."""
    wanted = shares.new_full((len(shares), 1), ratio)
    return torch.searchsorted(shares.contiguous(), wanted)[:, 0].clamp(max=shares.shape[1] - 1).float()


def _share_of_nyquist(ratio: float, height: int, width: int) -> float:
    """Return the radius of a share of the Nyquist frequency; for the whole it lies beyond the corners."""
    shorter = min(height, width)
    return float(shorter) if ratio == 1 else ratio * shorter / 2


def _of_nyquist(radius: float, height: int, width: int) -> float:
    """Return the share of the Nyquist frequency that a radius is, at most 1."""
    return min(1.0, radius / (min(height, width) / 2))
