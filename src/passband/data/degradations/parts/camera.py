"""Simulates the camera and the file after weather and lens: exposure, color, noise, sharpening, JPEG."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from passband.data.degradations.parts.arrays import ImageArray
from passband.data.degradations.parts.draws import log_uniform


@dataclass(frozen=True)
class Camera:
    """The development and storage of an image.

    The clean image gets the same exposure and color, because they belong to the photograph. Noise and compression are
    faults that only the degraded image gets.

    Attributes:
        exposure: factor of the light, 0.4 to 1.6.
        gamma: exponent of the tone curve, 0.7 to 1.5.
        balance: factors of red, green and blue, 0.88 to 1.14.
        read_noise: standard deviation in the dark, 0 to 0.02 of full scale.
        shot_noise: variance per unit of light, 0 to 0.001.
        sharpening: strength of an unsharp mask of 1 pixel, 0 to 0.8, applied to both images.
        quality: JPEG quality with chroma at half resolution, 40 to 100; None stores the pixels without losses.
    """

    exposure: float
    gamma: float
    balance: tuple[float, float, float]
    read_noise: float
    shot_noise: float
    sharpening: float
    quality: int | None


def sample_camera(rng: np.random.Generator) -> Camera:
    """Draw a camera.

    Args:
        rng: generator of the random numbers.

    Returns:
        The ranges are those of `Camera`. Exposure, tone and color change in half of the images. A third has noise, a
        seventh sharpening, and a third JPEG compression.

    Source: noise as Foi et al., "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008, measured for phones
    and cameras in good to dim light.
    """
    exposed, noisy = rng.random() < 0.5, rng.random() < 0.33
    red, green, blue = (np.exp(rng.uniform(-0.13, 0.13, 3)) if exposed and rng.random() < 0.5 else np.ones(3)).tolist()
    return Camera(
        exposure=log_uniform(rng, 0.4, 1.6) if exposed else 1.0,
        gamma=log_uniform(rng, 0.7, 1.5) if exposed else 1.0,
        balance=(red, green, blue),
        read_noise=rng.uniform(0, 0.02) if noisy else 0.0,
        shot_noise=rng.uniform(0, 0.001) if noisy else 0.0,
        sharpening=rng.uniform(0.1, 0.8) if rng.random() < 0.15 else 0.0,
        quality=int(rng.integers(40, 101)) if rng.random() < 0.33 else None,
    )


def develop(
    degraded: ImageArray, clean: ImageArray, camera: Camera, rng: np.random.Generator
) -> tuple[ImageArray, ImageArray]:
    """Develop a pair with one camera.

    Args:
        degraded: sRGB in [0, 1].
        clean: sRGB in [0, 1], of the same size.
        camera: settings of the camera.
        rng: generator of the noise.

    Returns:
        The degraded and the clean image, sRGB in [0, 1].
    """
    degraded, clean = (_expose(image, camera) for image in (degraded, clean))
    if camera.read_noise or camera.shot_noise:
        deviation = np.sqrt(camera.read_noise**2 + camera.shot_noise * degraded)
        degraded = degraded + deviation * rng.standard_normal(degraded.shape, np.float32)
    if camera.sharpening:
        degraded, clean = (_sharpen(image, camera.sharpening) for image in (degraded, clean))
    degraded = np.clip(degraded, 0, 1, dtype=np.float32)
    if camera.quality is not None:
        degraded = _compressed(degraded, camera.quality)
    return degraded, np.clip(clean, 0, 1, dtype=np.float32)


def _expose(image: ImageArray, camera: Camera) -> ImageArray:
    """Apply exposure, white balance and tone curve to an image."""
    gain = np.array(camera.balance, np.float32)[:, None, None] * np.float32(camera.exposure)
    if camera.exposure == 1 and camera.gamma == 1 and camera.balance == (1, 1, 1):
        return image
    return np.clip(image * gain, 0, 1) ** np.float32(camera.gamma)


def _sharpen(image: ImageArray, strength: float) -> ImageArray:
    """Add the detail that a Gaussian of one pixel removes."""
    return image + np.float32(strength) * (image - ndimage.gaussian_filter(image, (0, 1, 1)))


def _compressed(image: ImageArray, quality: int) -> ImageArray:
    """Store an image as JPEG and read it again."""
    file = io.BytesIO()
    Image.fromarray((image.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32).transpose(2, 0, 1) / np.float32(255)
