"""Parts of an image's spectrum: discs of low frequencies, what is left of them, and smaller images with just these.

The spectrum is `torch.fft.rfft2(norm="backward")` of each channel. Distances from its center are in cycles per shorter
side, sqrt((v/H)^2 + (u/W)^2) * min(H, W): sqrt(v^2 + u^2) on square images, and a circle in cycles per pixel on all
others, whose Nyquist frequency is min(H, W) / 2. The corners lie beyond it, up to sqrt(2) times as far.

Transforms are computed in float32, or in float64 for such images, whatever autocast says: in half precision they are
inexact, and on GPUs bound to powers of two.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from passband.ops.checks import check_floats


def low_pass(
    image: Float[Tensor, "*B C H W"],
    radius: float | Float[Tensor, " B"] | Float[Tensor, ""],
    *,
    softness: float = 0.0,
) -> Float[Tensor, "*B C H W"]:
    """Keep the frequencies within a disc.

    Args:
        image: any range and size.
        radius: of the disc, which holds its border, in cycles per shorter side; 0 keeps each channel's mean. One for
            all, or one for each image of a batch.
        softness: 0 for a hard border; otherwise the tau of sigmoid((radius - distance) / tau), in that unit. Through
            a soft one gradients reach the radius.

    Returns:
        The low-passed image, of the image's type.

    Raises:
        ValueError: for a negative or undefined radius or softness, or radii that are not one for each image.
    """
    check_floats(image, "low_pass")
    height, width = image.shape[-2:]
    distance = frequency_distance(height, width, image.device, _precision(image))
    radius = torch.as_tensor(radius, dtype=distance.dtype, device=image.device)
    if not bool((radius >= 0).all()):
        raise ValueError(f"a radius is 0 or more cycles; got {radius.tolist()}")
    if not softness >= 0:
        raise ValueError(f"softness is 0 or more cycles; got {softness}")
    if radius.ndim:
        if image.ndim != 4 or len(radius) != len(image):
            raise ValueError(f"one radius for each of {len(image)} images is needed; got {len(radius)}")
        radius = radius.view(-1, 1, 1, 1)
    mask = torch.sigmoid((radius - distance) / softness) if softness else (distance <= radius).to(distance.dtype)
    return _inverse(_spectrum(image) * mask, (height, width)).to(image.dtype)


def band_split(
    image: Float[Tensor, "*B C H W"],
    radius: float | Float[Tensor, " B"] | Float[Tensor, ""],
    *,
    softness: float = 0.0,
) -> tuple[Float[Tensor, "*B C H W"], Float[Tensor, "*B C H W"]]:
    """Split an image into low frequencies and all others.

    Args:
        image: as for `low_pass`.
        radius: as for `low_pass`.
        softness: as for `low_pass`.

    Returns:
        `low` and `high`, with low + high == image. With a hard border the two are orthogonal.

    Raises:
        ValueError: as `low_pass`.
    """
    low = low_pass(image, radius, softness=softness)
    return low, image - low


def spectral_crop(image: Float[Tensor, "*B C H W"], size: tuple[int, int]) -> Float[Tensor, "*B C h w"]:
    """A smaller image with just the frequencies that it can hold.

    What is kept is unchanged: the mean stays, and what lies in both images' spectra has the same amplitude. The two
    Nyquist frequencies of an even side fall on one, as they do when an image is sampled.

    Args:
        image: any range and size.
        size: height and width of the result, each from 1 to the image's.

    Raises:
        ValueError: for a size that is larger than the image, or below 1.
    """
    check_floats(image, "spectral_crop")
    full = image.shape[-2:]
    if not (1 <= size[0] <= full[0] and 1 <= size[1] <= full[1]):
        raise ValueError(f"a crop of the spectrum of {full[0]}x{full[1]} is from 1x1 to that; got {size[0]}x{size[1]}")
    height, width = size
    spectrum = _spectrum(image)
    if height < full[0]:
        below = (height - 1) // 2  # negative frequencies that have a positive one for a partner
        rows = [spectrum[..., : below + 1, :], spectrum[..., full[0] - below :, :]]
        if height % 2 == 0:
            nyquist = height // 2
            both = spectrum[..., nyquist, :] + spectrum[..., full[0] - nyquist, :]
            rows.insert(1, both.unsqueeze(-2))
        spectrum = torch.cat(rows, dim=-2)
    if width < full[1]:
        spectrum = spectrum[..., : width // 2 + 1]
        if width % 2 == 0:
            column = spectrum[..., -1:]
            # the negative frequency, which a half spectrum leaves out, is the conjugate of its mirror image
            mirrored = column.flip(-2).roll(1, -2).conj()
            spectrum = torch.cat([spectrum[..., :-1], column + mirrored], dim=-1)
    return _inverse(spectrum * (height * width / (full[0] * full[1])), size).to(image.dtype)


def spectral_pad(image: Float[Tensor, "*B C H W"], size: tuple[int, int]) -> Float[Tensor, "*B C h w"]:
    """A larger image with the same frequencies and no others; `spectral_crop` gives the image back.

    An image whose frequencies lie within a disc that the smaller one holds, without its Nyquist frequencies, comes
    back from `spectral_crop` and this as it was.

    Args:
        image: any range and size.
        size: height and width of the result, each at least the image's.

    Raises:
        ValueError: for a size that is smaller than the image.
    """
    check_floats(image, "spectral_pad")
    height, width = image.shape[-2:]
    if size[0] < height or size[1] < width:
        raise ValueError(f"a spectrum of {height}x{width} is padded to that or more; got {size[0]}x{size[1]}")
    spectrum = _spectrum(image)
    if size[1] > width:
        if width % 2 == 0:  # half of it; the other half is at the negative frequency, which is not stored
            spectrum = torch.cat([spectrum[..., :-1], spectrum[..., -1:] / 2], dim=-1)
        spectrum = torch.nn.functional.pad(spectrum, (0, size[1] // 2 + 1 - spectrum.shape[-1]))
    if size[0] > height:
        below = (height - 1) // 2
        low, high = spectrum[..., : below + 1, :], spectrum[..., height - below :, :]
        nyquist = [spectrum[..., height // 2 : height // 2 + 1, :] / 2] if height % 2 == 0 else []
        empty = spectrum.new_zeros(*spectrum.shape[:-2], size[0] - height - len(nyquist), spectrum.shape[-1])
        spectrum = torch.cat([low, *nyquist, empty, *nyquist, high], dim=-2)
    return _inverse(spectrum * (size[0] * size[1] / (height * width)), size).to(image.dtype)


def frequency_distance(
    height: int, width: int, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "H u"]:
    """How far each frequency of `torch.fft.rfft2` is from 0, in cycles per shorter side.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels; u is width // 2 + 1.
        device: of the result.
        dtype: of the result; whole distances are exact in either precision.
    """
    shorter = min(height, width)
    v = torch.fft.fftfreq(height, 1 / height, device=device, dtype=torch.float64) * (shorter / height)
    u = torch.fft.rfftfreq(width, 1 / width, device=device, dtype=torch.float64) * (shorter / width)
    return (v[:, None].square() + u.square()).sqrt().to(dtype)


def radial_spectrum(image: Float[Tensor, "*B C H W"], power: int = 1) -> Float[Tensor, "*B C rings"]:
    """Sum the spectrum over rings: ring R holds the frequencies that a disc of radius R has and one of R - 1 has not.

    Args:
        image: any range and size.
        power: 1 for magnitudes, 2 for energy. The energy of all rings is H W times the image's sum of squares
            (Parseval).

    Returns:
        In float32, or float64 for such images; ring 0 is the mean's.

    Raises:
        ValueError: for another power.
    """
    check_floats(image, "radial_spectrum")
    if power not in (1, 2):
        raise ValueError(f"power is 1 for magnitudes or 2 for energy; got {power}")
    height, width = image.shape[-2:]
    rings = frequency_distance(height, width, image.device, torch.float64).ceil().long().flatten()
    # a half spectrum leaves out the mirror images of all columns but that of 0 and of an even width's Nyquist frequency
    copies = torch.full((width // 2 + 1,), 2.0, device=image.device)
    copies[0] = 1
    if width % 2 == 0:
        copies[-1] = 1
    parts = torch.view_as_real(_spectrum(image))  # several times as fast as the absolute value of complex numbers
    magnitude = torch.linalg.vector_norm(parts, dim=-1) if power == 1 else parts.square().sum(-1)
    values = (magnitude * copies).flatten(-2)
    sums = values.new_zeros(*values.shape[:-1], int(rings.max()) + 1)
    return sums.index_add(-1, rings, values)


def _precision(image: Tensor) -> torch.dtype:
    """What the transforms of an image are computed in."""
    return torch.float64 if image.dtype == torch.float64 else torch.float32


def _spectrum(image: Tensor) -> Tensor:
    """The half spectrum of each channel."""
    with torch.autocast(image.device.type, enabled=False):
        return torch.fft.rfft2(image.to(_precision(image)), norm="backward")


def _inverse(spectrum: Tensor, size: tuple[int, int]) -> Tensor:
    """The image of a half spectrum."""
    with torch.autocast(spectrum.device.type, enabled=False):
        return torch.fft.irfft2(spectrum, s=size, norm="backward")
