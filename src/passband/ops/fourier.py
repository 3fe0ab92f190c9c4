"""Filters and resizes images by their spectrum: low-pass, band split, cropping and padding of frequencies.

The spectrum is `torch.fft.rfft2(norm="backward")` of each channel. Distances from frequency 0 are in cycles per shorter
side: sqrt((v/H)^2 + (u/W)^2) * min(H, W). On square images this is sqrt(v^2 + u^2). On all images, equal distances are
equal frequencies in cycles per pixel. The Nyquist frequency is at min(H, W) / 2, and the corners of the spectrum are up
to sqrt(2) times as far away.

Transforms are computed in float32, or in float64 for float64 images, also inside autocast. In half precision they would
be inexact, and GPUs support only sizes that are powers of two.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from passband.ops.checks import check_floats
from passband.ops.precision import computing_dtype, widened


def low_pass(
    image: Float[Tensor, "*B C H W"],
    radius: float | Float[Tensor, " B"] | Float[Tensor, ""],
    *,
    softness: float = 0.0,
) -> Float[Tensor, "*B C H W"]:
    """Keep the frequencies inside a disc around frequency 0.

    Args:
        image: image of any size and range.
        radius: radius of the disc in cycles per shorter side; the border belongs to the disc. 0 keeps the mean of each
            channel. Either one number, or one for each image of the batch.
        softness: width tau of a soft border, sigmoid((radius - distance) / tau), in the same unit; 0 for a hard border.
            With a soft border, gradients flow to the radius.

    Returns:
        The filtered image, with the dtype of the input.

    Raises:
        ValueError: if radius or softness is negative or NaN, or if there is not one radius for each image.
    """
    check_floats(image, "low_pass")
    height, width = image.shape[-2:]
    distance = frequency_distance(height, width, image.device, computing_dtype(image))
    radius = torch.as_tensor(radius, dtype=distance.dtype, device=image.device)
    if not bool((radius >= 0).all()):
        raise ValueError(f"a radius must be 0 or more cycles; got {radius.tolist()}")
    if not softness >= 0:
        raise ValueError(f"softness must be 0 or more cycles; got {softness}")
    if radius.ndim:
        if image.ndim != 4 or len(radius) != len(image):
            raise ValueError(f"one radius for each of {len(image)} images is needed; got {len(radius)}")
        radius = radius.view(-1, 1, 1, 1)
    mask = torch.sigmoid((radius - distance) / softness) if softness else (distance <= radius).to(distance.dtype)
    return from_half_spectrum(half_spectrum(image) * mask, (height, width)).to(image.dtype)


def band_split(
    image: Float[Tensor, "*B C H W"],
    radius: float | Float[Tensor, " B"] | Float[Tensor, ""],
    *,
    softness: float = 0.0,
) -> tuple[Float[Tensor, "*B C H W"], Float[Tensor, "*B C H W"]]:
    """Split an image into low frequencies and the remaining high frequencies.

    Args:
        image: image of any size and range.
        radius: radius of the low frequencies, as in `low_pass`.
        softness: width of a soft border, as in `low_pass`.

    Returns:
        `low` and `high`, with low + high == image. With a hard border the two are orthogonal.

    Raises:
        ValueError: if radius or softness is invalid, as in `low_pass`.
    """
    low = low_pass(image, radius, softness=softness)
    return low, image - low


def spectral_crop(image: Float[Tensor, "*B C H W"], size: tuple[int, int]) -> Float[Tensor, "*B C h w"]:
    """Shrink an image by cropping its spectrum to the frequencies that the smaller size can hold.

    The remaining frequencies keep their amplitudes, so the mean does not change. If a side of the result is even, its
    positive and negative Nyquist frequencies become one coefficient, as in sampling.

    Args:
        image: image of any size and range.
        size: height and width of the result in pixels, from 1 to the size of the image.

    Returns:
        The image of the new size in the same unit. Values can lie outside the range of the original, because sharp
        edges ring.

    Raises:
        ValueError: if the size is larger than the image, or below 1.
    """
    check_floats(image, "spectral_crop")
    full = image.shape[-2:]
    if not (1 <= size[0] <= full[0] and 1 <= size[1] <= full[1]):
        raise ValueError(f"the size of a spectral crop must be 1x1 to {full[0]}x{full[1]}; got {size[0]}x{size[1]}")
    height, width = size
    spectrum = half_spectrum(image)
    if height < full[0]:
        below = (height - 1) // 2  # negative frequencies that have a positive counterpart
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
            # A half spectrum leaves out some negative frequencies. They are the conjugates of their mirror images.
            mirrored = column.flip(-2).roll(1, -2).conj()
            spectrum = torch.cat([spectrum[..., :-1], column + mirrored], dim=-1)
    return from_half_spectrum(spectrum * (height * width / (full[0] * full[1])), size).to(image.dtype)


def spectral_pad(image: Float[Tensor, "*B C H W"], size: tuple[int, int]) -> Float[Tensor, "*B C h w"]:
    """Enlarge an image by padding its spectrum with zeros; `spectral_crop` undoes it.

    Conversely, `spectral_crop` followed by this function returns the image unchanged if its frequencies lie inside a
    disc that the smaller size can hold, below the Nyquist frequencies.

    Args:
        image: image of any size and range.
        size: height and width of the result in pixels, at least the size of the image.

    Returns:
        The image of the new size in the same unit. Values can lie outside the range of the original, because sharp
        edges ring.

    Raises:
        ValueError: if the size is smaller than the image.
    """
    check_floats(image, "spectral_pad")
    height, width = image.shape[-2:]
    if size[0] < height or size[1] < width:
        raise ValueError(f"the size of a padded spectrum must be {height}x{width} or more; got {size[0]}x{size[1]}")
    spectrum = half_spectrum(image)
    if size[1] > width:
        if width % 2 == 0:  # the other half belongs to the negative frequency, which is not stored
            spectrum = torch.cat([spectrum[..., :-1], spectrum[..., -1:] / 2], dim=-1)
        spectrum = torch.nn.functional.pad(spectrum, (0, size[1] // 2 + 1 - spectrum.shape[-1]))
    if size[0] > height:
        below = (height - 1) // 2
        low, high = spectrum[..., : below + 1, :], spectrum[..., height - below :, :]
        nyquist = [spectrum[..., height // 2 : height // 2 + 1, :] / 2] if height % 2 == 0 else []
        empty = spectrum.new_zeros(*spectrum.shape[:-2], size[0] - height - len(nyquist), spectrum.shape[-1])
        spectrum = torch.cat([low, *nyquist, empty, *nyquist, high], dim=-2)
    return from_half_spectrum(spectrum * (size[0] * size[1] / (height * width)), size).to(image.dtype)


def frequency_distance(
    height: int, width: int, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "H u"]:
    """Return the distance of each frequency of `torch.fft.rfft2` from frequency 0, in cycles per shorter side.

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels. The result has width // 2 + 1 columns.
        device: device of the result; None for torch's default.
        dtype: dtype of the result. Whole distances are exact in float32 and float64.

    Returns:
        Distances from 0, with rows in the order of `torch.fft.fftfreq`. A whole number n is n periods along the shorter
        side.
    """
    shorter = min(height, width)
    v = torch.fft.fftfreq(height, 1 / height, device=device, dtype=torch.float64) * (shorter / height)
    u = torch.fft.rfftfreq(width, 1 / width, device=device, dtype=torch.float64) * (shorter / width)
    return (v[:, None].square() + u.square()).sqrt().to(dtype)


def radial_spectrum(image: Float[Tensor, "*B C H W"], power: int = 1) -> Float[Tensor, "*B C rings"]:
    """Sum the spectrum over rings.

    Ring R holds the frequencies that lie inside the disc of radius R but outside the disc of radius R - 1.

    Args:
        image: image of any size and range.
        power: 1 for magnitudes, 2 for energy. The energy of all rings is H W times the sum of squares of the image
            (Parseval).

    Returns:
        Sums in float32, or in float64 for float64 images. Ring 0 holds the mean.

    Raises:
        ValueError: if the power is not 1 or 2.
    """
    check_floats(image, "radial_spectrum")
    if power not in (1, 2):
        raise ValueError(f"power must be 1 for magnitudes or 2 for energy; got {power}")
    height, width = image.shape[-2:]
    rings = frequency_distance(height, width, image.device, torch.float64).ceil().long().flatten()
    copies = column_copies(width, image.device)
    parts = torch.view_as_real(half_spectrum(image))  # several times as fast as the absolute value of complex numbers
    magnitude = torch.linalg.vector_norm(parts, dim=-1) if power == 1 else parts.square().sum(-1)
    values = (magnitude * copies).flatten(-2)
    sums = values.new_zeros(*values.shape[:-1], int(rings.max()) + 1)
    return sums.index_add(-1, rings, values)


def half_spectrum(image: Float[Tensor, "*B C H W"]) -> Complex[Tensor, "*B C H u"]:
    """Return `torch.fft.rfft2(norm="backward")` of each channel.

    Args:
        image: image of any size and range.

    Returns:
        The columns of the spectrum from 0 to the Nyquist frequency, W // 2 + 1 of them, in single precision at least.
    """
    check_floats(image, "half_spectrum")
    with torch.autocast(image.device.type, enabled=False):
        return torch.fft.rfft2(widened(image), norm="backward")


def from_half_spectrum(spectrum: Complex[Tensor, "*B C H u"], size: tuple[int, int]) -> Float[Tensor, "*B C H W"]:
    """Return the image that has a spectrum; the inverse of `half_spectrum`.

    Args:
        spectrum: half spectrum of each channel.
        size: height and width of the image in pixels, because two widths have the same number of columns.

    Returns:
        The image, in the unit of the image whose spectrum this is.
    """
    with torch.autocast(spectrum.device.type, enabled=False):
        return torch.fft.irfft2(spectrum, s=size, norm="backward")


def column_copies(width: int, device: torch.device | str | None = None) -> Float[Tensor, " u"]:
    """Return how many columns of the whole spectrum each column of a half spectrum stands for.

    Args:
        width: width of the image in pixels.
        device: device of the result; None for torch's default.

    Returns:
        2 for a column whose mirror image is left out; 1 for column 0 and for the Nyquist column of an even width.
    """
    copies = torch.full((width // 2 + 1,), 2.0, device=device)
    copies[0] = 1
    if width % 2 == 0:
        copies[-1] = 1
    return copies
