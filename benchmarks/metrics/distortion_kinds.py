"""Makes eight graded distortions of photos, each at a wanted peak signal-to-noise ratio.

Images are float arrays H W 3 in [0, 1]; every distorted image is rounded to 8 bits. The strength of each kind grows
with the distortion, and `at_psnr` searches for the strength that reaches a PSNR. The kinds follow the descriptions of
TID2013 (Ponomarenko et al., "Image database TID2013: Peculiarities, results and perspectives", Signal Processing: Image
Communication 30, 2015). The parameters of that database are not all known, so the kinds are alike, and not the same.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter

LEVELS = (33.0, 30.0, 27.0, 24.0, 21.0)
"""PSNR of the five levels in dB, from weak to strong, as the levels of TID2013 are assumed to have it."""
TOLERANCE, STEPS = 0.03, 14
"""Deviation from the wanted PSNR at which the search ends, in dB, and its largest number of steps."""
MOST = 60.0
"""PSNR that counts as that of equal images in the search, in dB."""
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
_LUMA_SHARE = 0.25


@dataclass(frozen=True)
class Kind:
    """A kind of distortion."""

    distort: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    """Function of an image, a strength and a generator that returns the distorted image."""
    weakest: float
    """Smallest strength of the search."""
    strongest: float
    """Largest strength of the search."""
    strength: str
    """Meaning of the strength, with its unit."""
    number: int
    """Number of the kind in TID2013."""
    scored: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Levels whose human scores belong to this kind."""


def white_noise(image: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Add independent normal noise to R, G and B."""
    return image + sigma * random.standard_normal(image.shape)


def high_frequency_noise(image: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Add normal noise without its frequencies below a quarter of a cycle per pixel."""
    spectrum = np.fft.rfft2(random.standard_normal(image.shape), axes=(0, 1))
    height, width = image.shape[:2]
    spectrum[np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) < 0.25] = 0
    noise = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
    return image + sigma * noise / noise.std()


def low_frequency_noise(image: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Add normal noise after a mean over 3 x 3 pixels: low frequencies remain, and high ones nearly vanish."""
    noise = uniform_filter(random.standard_normal(image.shape), 3, mode="wrap", axes=(0, 1))
    return image + sigma * noise / noise.std()


def chroma_noise(image: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Add normal noise to Cb and Cr, and a quarter of it to Y."""
    return image + sigma * (random.standard_normal(image.shape) * (_LUMA_SHARE, 1, 1)) @ _TO_RGB.T


def blur(image: np.ndarray, sigma: float, _: np.random.Generator) -> np.ndarray:
    """Blur with a Gaussian."""
    return gaussian_filter(image, (sigma, sigma, 0), mode="reflect")


def jpeg(image: np.ndarray, coarseness: float, _: np.random.Generator) -> np.ndarray:
    """Compress as JPEG with color at half the size, at the quality 101 minus the coarseness."""
    return _compressed(image, "JPEG", quality=101 - round(coarseness))


def jpeg2000(image: np.ndarray, ratio: float, _: np.random.Generator) -> np.ndarray:
    """Compress as JPEG 2000 with the irreversible wavelet, to one of `ratio` bytes."""
    return _compressed(image, "JPEG2000", quality_layers=[ratio], irreversible=True)


def contrast_loss(image: np.ndarray, loss: float, _: np.random.Generator) -> np.ndarray:
    """Move every value towards the mean color."""
    mean = image.mean((0, 1))
    return mean + (1 - loss) * (image - mean)


KINDS = {
    "white noise": Kind(white_noise, 1e-3, 1, "sigma, share of the range", 1),
    "high-frequency noise": Kind(high_frequency_noise, 1e-3, 1, "sigma, share of the range", 5),
    "low-frequency noise": Kind(low_frequency_noise, 1e-3, 1, "sigma, share of the range", 3),
    "chroma noise": Kind(chroma_noise, 1e-3, 2, "sigma of Cb and Cr, share of the range", 2),
    "blur": Kind(blur, 0.2, 60, "sigma, pixels", 8),
    "JPEG": Kind(jpeg, 1, 100, "101 minus quality", 10),
    "JPEG 2000": Kind(jpeg2000, 2, 2000, "compression ratio", 11),
    # TID2013 raises the contrast at its second and fourth level, which observers like
    "contrast loss": Kind(contrast_loss, 0.01, 0.99, "lost share of the contrast", 17, (0, 2, 4)),
}
"""Kinds of distortions by name."""


def psnr_of(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the PSNR of R, G and B in dB, infinity for equal images."""
    error = float(np.square(image - reference).mean())
    return -10 * math.log10(error) if error else math.inf


def at_psnr(image: np.ndarray, kind: Kind, wanted: float, seed: int) -> tuple[np.ndarray, float]:
    """Distort an image so that its PSNR is as near to a wanted one as the kind allows.

    Args:
        image: image H W 3 in [0, 1].
        kind: kind of the distortion.
        wanted: PSNR in dB.
        seed: seed of the noise. Every strength adds the same noise, multiplied.

    Returns:
        The distorted image, and the strength.
    """
    nearest, deviation = (image, kind.weakest), math.inf

    def difference_at(log_strength: float) -> float:
        nonlocal nearest, deviation
        strength = math.exp(log_strength)
        distorted = kind.distort(image, strength, np.random.default_rng(seed))
        distorted = np.clip(distorted * 255, 0, 255).round() / 255
        difference = min(psnr_of(distorted, image), MOST) - wanted
        if abs(difference) < deviation:
            nearest, deviation = (distorted, strength), abs(difference)
        return difference

    low, high = math.log(kind.weakest), math.log(kind.strongest)
    above, below = difference_at(low), difference_at(high)
    for step in range(STEPS):
        if deviation < TOLERANCE or above <= 0 or below >= 0:
            break
        share = 0.5 if step % 3 == 2 else above / (above - below)  # a line through both ends, at times the middle
        between = low + share * (high - low)
        difference = difference_at(between)
        if difference > 0:
            low, above = between, difference
        else:
            high, below = between, difference
    return nearest


def _compressed(image: np.ndarray, file_type: str, **options: object) -> np.ndarray:
    """Write and read an image in memory."""
    file = io.BytesIO()
    Image.fromarray(np.clip(image * 255, 0, 255).round().astype(np.uint8)).save(file, file_type, **options)
    return np.asarray(Image.open(file).convert("RGB")) / 255
