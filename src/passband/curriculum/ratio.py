"""The frequency ratio: the kept share of a picture's spectrum, by four definitions, and the disc that keeps it.

The definition changes everything: half of a photograph of 256 pixels lies within 30 to 61 cycles by magnitude, within 0
by energy unless the mean is taken out, and within 64 by radius. So it is always named:

- `magnitude`: the share of the summed spectrum magnitude, with the mean; the radius is the smallest whole one whose
  disc holds it. This is the definition of "Adaptive Frequency Ratio Scheduler" (lab slides, 2023), whose search stops
  at a radius of 127; here a ratio of 1 is the whole picture.
- `energy`: the share of the energy of the picture without its mean; the smallest whole radius, too.
- `radius`: the share of the Nyquist frequency, min(H, W) / 2 cycles.
- `area`: the share of the frequencies, each counted once; the smallest whole radius.

By each, a ratio of 1 keeps everything, corners included, and one of 0 each channel's mean. Spectra are summed over the
channels of a picture, which share a radius. Radii are in cycles per shorter side, as in `ops.fourier`.
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
"""Name to what a ratio is a share of."""


@dataclass(frozen=True)
class RadialProfile:
    """The share that discs hold in a set of pictures of one size, so that a ratio is one radius for all of them."""

    definition: str
    """A key of `DEFINITIONS`."""
    shares: tuple[float, ...]
    """Of the disc of radius 0, 1, ..., rising to 1."""
    size: tuple[int, int]
    """Height and width of the pictures, pixels."""
    pictures: int
    """How many were summed."""

    @classmethod
    def of(cls, images: Iterable[Float[Tensor, "_ _ _ _"]], definition: str = "magnitude") -> "RadialProfile":
        """Sum the spectra of pictures, batch by batch.

        Args:
            images: batches B C H W of any range; all of one size.
            definition: a key of `DEFINITIONS`.

        Raises:
            ValueError: for no pictures, sizes that differ, pictures that are not finite, or an unknown definition.
        """
        entry(definition, DEFINITIONS, "definition of the frequency ratio")
        total, size, pictures = torch.zeros(0, dtype=torch.float64), (0, 0), 0
        for batch in images:
            check_images(batch, "RadialProfile.of")
            height, width = batch.shape[-2:]
            if pictures and (height, width) != size:
                raise ValueError(f"pictures of a profile are of one size; got {size[0]}x{size[1]} and {height}x{width}")
            rings = _rings(batch, definition).double().sum(0).cpu()
            total = rings if not pictures else total + rings
            size, pictures = (height, width), pictures + len(batch)
        if not pictures:
            raise ValueError("a profile is of one picture or more; got none")
        return cls(definition, tuple(_shares(total[None])[0].tolist()), size, pictures)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RadialProfile":
        """The profile that `to_config` wrote."""
        height, width = config["size"]
        return cls(config["definition"], tuple(config["shares"]), (height, width), config["pictures"])

    def to_config(self) -> dict[str, Any]:
        """The profile for JSON."""
        return {
            "definition": self.definition,
            "shares": list(self.shares),
            "size": list(self.size),
            "pictures": self.pictures,
        }

    def radius(self, ratio: float) -> float:
        """The radius that keeps a ratio, in cycles per shorter side.

        Raises:
            ValueError: for a ratio that is not from 0 to 1.
        """
        _check(ratio)
        if self.definition == "radius":
            return _share_of_nyquist(ratio, *self.size)
        return _smallest(torch.tensor([self.shares], dtype=torch.float64), ratio).item()

    def ratio(self, radius: float) -> float:
        """The ratio that a radius keeps."""
        if self.definition == "radius":
            return _of_nyquist(radius, *self.size)
        return self.shares[min(int(radius), len(self.shares) - 1)]


def radii_of(images: Float[Tensor, "B C H W"], ratio: float, definition: str = "magnitude") -> Float[Tensor, " B"]:
    """The radius for each picture of a batch that keeps a ratio.

    Args:
        images: any range and size.
        ratio: the share to keep, from 0 to 1.
        definition: a key of `DEFINITIONS`.

    Returns:
        Radii in cycles per shorter side, whole ones but for the definition `radius`.

    Raises:
        ValueError: for a ratio that is not from 0 to 1, an unknown definition, or pictures that are not finite.
    """
    check_images(images, "radii_of")
    entry(definition, DEFINITIONS, "definition of the frequency ratio")
    _check(ratio)
    if definition == "radius":
        height, width = images.shape[-2:]
        return torch.full((len(images),), _share_of_nyquist(ratio, height, width), device=images.device)
    return _smallest(_shares(_rings(images, definition)), ratio)


def ratios_of(images: Float[Tensor, "B C H W"], radius: float, definition: str = "magnitude") -> Float[Tensor, " B"]:
    """The ratio that a disc keeps of each picture of a batch.

    Args:
        images: any range and size.
        radius: in cycles per shorter side.
        definition: a key of `DEFINITIONS`.

    Raises:
        ValueError: for an unknown definition, or pictures that are not finite.
    """
    check_images(images, "ratios_of")
    entry(definition, DEFINITIONS, "definition of the frequency ratio")
    if definition == "radius":
        return torch.full((len(images),), _of_nyquist(radius, *images.shape[-2:]), device=images.device)
    shares = _shares(_rings(images, definition))
    return shares[:, min(int(radius), shares.shape[1] - 1)].float()


def low_pass_ratio(
    images: Float[Tensor, "B C H W"], ratio: float, definition: str = "magnitude", profile: RadialProfile | None = None
) -> Float[Tensor, "B C H W"]:
    """Keep a share of the spectrum of each picture: a ratio of 1 is the identity, 0 each channel's mean.

    Args:
        images: any range and size.
        ratio: the share to keep, from 0 to 1.
        definition: a key of `DEFINITIONS`.
        profile: of the pictures' data set and size, whose definition is then taken; None measures each picture.

    Raises:
        ValueError: as `radii_of`, or for a profile of another size.
    """
    check_images(images, "low_pass_ratio")
    _check(ratio)
    if ratio == 1:
        return images
    if profile is None:
        return low_pass(images, radii_of(images, ratio, definition))
    height, width = images.shape[-2:]
    if (height, width) != profile.size:
        raise ValueError(f"the profile is of {profile.size[0]}x{profile.size[1]} pixels; got {height}x{width}")
    return low_pass(images, profile.radius(ratio))


def _check(ratio: float) -> None:
    """Refuse what is no share."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"a frequency ratio is a share from 0 to 1; got {ratio}")


def _rings(images: Float[Tensor, "B C H W"], definition: str) -> Float[Tensor, "B rings"]:
    """What each ring of each picture counts for."""
    images = images.detach().double()
    if definition == "magnitude":
        rings = radial_spectrum(images).sum(1)
    elif definition == "energy":
        rings = radial_spectrum(images - images.mean((-2, -1), keepdim=True), power=2).sum(1)
    else:
        impulse = torch.zeros(1, 1, *images.shape[-2:], dtype=torch.float64, device=images.device)
        impulse[..., 0, 0] = 1  # has all frequencies alike
        rings = radial_spectrum(impulse).sum(1) + 0 * images.sum((-3, -2, -1))[:, None]
    finite = rings.isfinite().all(1)  # as one value that is not makes all of a spectrum
    if not finite.all():
        raise ValueError(f"picture {int((~finite).nonzero()[0, 0])} of the batch has values that are not finite")
    return rings


def _shares(rings: Float[Tensor, "B rings"]) -> Float[Tensor, "B rings"]:
    """The share of the whole in the disc of each radius; all of nothing is 1."""
    discs = rings.cumsum(1)
    whole = discs[:, -1:]
    return torch.where(whole > 0, discs / whole.clamp(min=torch.finfo(discs.dtype).tiny), 1.0)


def _smallest(shares: Float[Tensor, "B rings"], ratio: float) -> Float[Tensor, " B"]:
    """The smallest whole radius whose disc holds a share; 0 where none is wanted."""
    wanted = shares.new_full((len(shares), 1), ratio)
    return torch.searchsorted(shares.contiguous(), wanted)[:, 0].clamp(max=shares.shape[1] - 1).float()


def _share_of_nyquist(ratio: float, height: int, width: int) -> float:
    """The radius of a share of the Nyquist frequency; that of the whole lies beyond the corners."""
    shorter = min(height, width)
    return float(shorter) if ratio == 1 else ratio * shorter / 2


def _of_nyquist(radius: float, height: int, width: int) -> float:
    """The share of the Nyquist frequency that a radius is, at most the whole."""
    return min(1.0, radius / (min(height, width) / 2))
