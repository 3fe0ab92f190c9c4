"""Simulates rain as in photographs and public data sets: layers of various streaks before a veil of distant drops.

It is computed on stored sRGB values, as in the public training sets (Rain100, Rain800, Rain12). Sizes are in pixels.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from scipy import ndimage
from scipy.special import ndtri

from passband.data.degradations.parts.arrays import ImageArray, MapArray
from passband.data.degradations.parts.blending import Blend, blend, draw_blend, draw_light, mist
from passband.data.degradations.parts.draws import log_uniform
from passband.data.degradations.parts.fields import fractal_map, smooth_length

_SPACING = 0.7  # pixels between the points of a streak, close enough for a smooth line
_FWHM = 2.355  # full width at half maximum of a Gaussian, in standard deviations


@dataclass(frozen=True)
class Streaks:
    """One layer of streaks.

    Attributes:
        drawing: `"drops"` draws every streak by itself; `"noise"` smears and thresholds noise along the direction of
            fall, the usual recipe for image editors, by which Rain100 and Rain800 were made.
        angle: direction of fall in radians from the vertical.
        jitter: standard deviation of a single drop's direction in radians, 0 to 0.25.
        length: mean length in pixels, 4 to 80.
        width: full width at half opacity in pixels, 0.5 to 4.
        cover: share of the image that streaks cover, 0.005 to 0.6.
        opacity: opacity of the most opaque streak, 0.1 to 1.
        edge: gain of the profile before it is cut off at 1: 1 is soft, 3 is sharp.
        bend: sideways deviation of a streak's middle, as a share of its length, 0 to 0.08.
        broken: degree to which noise interrupts the streaks, 0 to 1.
    """

    drawing: Literal["drops", "noise"]
    angle: float
    jitter: float
    length: float
    width: float
    cover: float
    opacity: float
    edge: float
    bend: float
    broken: float


@dataclass(frozen=True)
class Rain:
    """A shower.

    Attributes:
        layers: one to five layers of streaks, whose directions differ.
        blend: blending of the streaks: added and clipped, as a screen, or as a partly transparent layer.
        light: sRGB of a streak, each 0 to 1.
        veil: share of the light that is replaced by drops too far away to be seen singly, 0 to 0.5.
        airlight: sRGB of the veil.
        softened: standard deviation in pixels of the blur of the image behind the veil, 0 to 1.
    """

    layers: tuple[Streaks, ...]
    blend: Blend
    light: tuple[float, float, float]
    veil: float
    airlight: tuple[float, float, float]
    softened: float


def sample_rain(rng: np.random.Generator) -> Rain:
    """Draw a shower.

    Args:
        rng: generator of the random numbers.

    Returns:
        One to five layers whose directions deviate by 0.03 to 0.4 radians (standard deviation) from a common one,
        mostly within 50 degrees of the vertical. The ranges of a layer are those of `Streaks`, with log-uniform
        lengths, widths and covers. Blends are added in 55 %, alpha in 25 % and screen in 20 %. The light is gray to
        white, tinted in 30 %. 30 % have a veil, half of them with blur.

    Source: the ranges span the images of Rain100L and Rain100H (Yang et al., CVPR 2017), Rain800 (Zhang et al.,
    TCSVT 2020), Rain12 (Li et al., CVPR 2016) and of real rain as Garg & Nayar (SIGGRAPH 2006) describe it.
    """
    count = int(rng.choice([1, 1, 1, 2, 2, 3, 4, 5]))
    common = float(np.clip(rng.normal(0, 0.4), -1.3, 1.3))
    spread = log_uniform(rng, 0.03, 0.4)
    strength = rng.uniform(0.1, 1)
    layers = tuple(_draw_layer(rng, common + rng.normal(0, spread), strength) for _ in range(count))
    veiled = rng.random() < 0.3
    return Rain(
        layers=layers,
        blend=draw_blend(rng, added=0.55, alpha=0.25),
        light=draw_light(rng, 0.6, 1.0, tinted=0.3),
        veil=rng.uniform(0.02, 0.5) if veiled else 0.0,
        airlight=draw_light(rng, 0.4, 0.95, tinted=0.3),
        softened=rng.uniform(0, 1) if veiled and rng.random() < 0.5 else 0.0,
    )


def rain(image: ImageArray, shower: Rain, rng: np.random.Generator) -> ImageArray:
    """Add rain to an image.

    Args:
        image: sRGB in [0, 1].
        shower: streaks, their light and the veil behind them.
        rng: generator of each streak and of the veil's density.

    Returns:
        sRGB in [0, 1].
    """
    behind = image
    if shower.softened:
        behind = ndimage.gaussian_filter(behind, (0, shower.softened, shower.softened))
    if shower.veil:
        behind = mist(behind, shower.veil, shower.airlight, rng)
    height, width = image.shape[-2:]
    for layer in shower.layers:
        behind = blend(behind, streak_opacity(layer, height, width, rng), shower.light, shower.blend)
    return behind


def streak_opacity(layer: Streaks, height: int, width: int, rng: np.random.Generator) -> MapArray:
    """Draw one layer of streaks.

    Args:
        layer: properties and number of the streaks.
        height: height in pixels.
        width: width in pixels.
        rng: generator of every streak.

    Returns:
        Opacity in [0, 1].
    """
    draw = _drops if layer.drawing == "drops" else _smeared_noise
    opacity = draw(layer, height, width, rng)
    if layer.broken:
        size = log_uniform(rng, 3, 40)
        holes = np.clip(3 * (fractal_map(height, width, rng, size, octaves=2) - 0.5) + 0.5, 0, 1)
        opacity = opacity * (1 - layer.broken * holes)
    return np.clip(layer.opacity * opacity, 0, 1).astype(np.float32)


def _draw_layer(rng: np.random.Generator, angle: float, strength: float) -> Streaks:
    """Draw one layer, with a similar strength as the others of its shower."""
    length = log_uniform(rng, 4, 80)
    width = min(log_uniform(rng, 0.5, 4), max(0.7, length / 4))
    return Streaks(
        drawing="noise" if rng.random() < 0.4 else "drops",
        angle=angle,
        jitter=rng.choice([0.01, 0.03, 0.08, 0.25], p=[0.4, 0.35, 0.2, 0.05]),
        length=length,
        width=width,
        cover=log_uniform(rng, 0.005, 0.6),
        opacity=float(np.clip(strength * rng.uniform(0.6, 1.2), 0.1, 1)),
        edge=rng.uniform(1, 3),
        bend=rng.uniform(0, 0.08) if rng.random() < 0.2 else 0.0,
        broken=rng.uniform(0.2, 1) if rng.random() < 0.4 else 0.0,
    )


def _drops(layer: Streaks, height: int, width: int, rng: np.random.Generator) -> MapArray:
    """Draw streaks one by one: points along each, distributed to four pixels, then widened by a Gaussian."""
    margin = math.ceil(0.8 * layer.length + 2 * layer.width) + 1
    rows, columns = height + 2 * margin, width + 2 * margin
    # streaks that fall at random cover 1 - exp(-n a) of the image, n of them to a pixel and each of area a
    density = -math.log1p(-min(layer.cover, 0.95)) / (layer.length * max(layer.width, 1.0))
    count = max(1, rng.poisson(density * rows * columns))
    steps = max(3, math.ceil(1.5 * layer.length / _SPACING))
    along = np.linspace(-0.5, 0.5, steps, dtype=np.float32)
    length = (layer.length * rng.uniform(0.5, 1.5, (count, 1))).astype(np.float32)
    angle = layer.angle + layer.jitter * rng.standard_normal((count, 1), np.float32)
    bend = layer.bend * length * rng.choice([-1, 1], (count, 1)) * (1 - 4 * along**2)
    y = rng.uniform(0, rows, (count, 1)) + length * along * np.cos(angle) - bend * np.sin(angle)
    x = rng.uniform(0, columns, (count, 1)) + length * along * np.sin(angle) + bend * np.cos(angle)
    taper = np.clip(rng.uniform(1, 4) * (1 - np.abs(2 * along)), 0, 1)
    head = 1 + rng.uniform(-0.6, 0.6) * 2 * along  # brighter at one end, like falling drops
    weight = taper * head * rng.uniform(0.3, 1, (count, 1)) * (length / (steps - 1))
    line = splat(y, x, np.broadcast_to(weight, y.shape), rows, columns)
    sigma = layer.width / _FWHM
    # peak of a line with 1 per pixel after widening; splatting itself widens to about a pixel
    peak = min(1.0, 1 / (math.sqrt(2 * math.pi) * max(sigma, 0.4)))
    if sigma > 0.3:
        line = ndimage.gaussian_filter(line, sigma, truncate=3)
    line = line[margin : margin + height, margin : margin + width] / peak
    return np.clip(layer.edge * line * min(1.0, layer.width), 0, 1)


def _smeared_noise(layer: Streaks, height: int, width: int, rng: np.random.Generator) -> MapArray:
    """Smear noise along the direction of fall, and stretch its highest part."""
    margin = math.ceil(0.5 * layer.length) + 2
    rows, columns = (smooth_length(side + 2 * margin) for side in (height, width))
    noise = rng.standard_normal((rows, columns), np.float32)
    sigma = layer.width / _FWHM
    v = np.fft.fftfreq(rows).astype(np.float32)[:, None]
    u = np.fft.rfftfreq(columns).astype(np.float32)
    phase = np.float32(math.pi * layer.length) * (v * math.cos(layer.angle) + u * math.sin(layer.angle))
    line = np.sinc(phase / np.float32(math.pi)) * np.exp(-2 * (math.pi * sigma) ** 2 * (v**2 + u**2))
    smeared = np.fft.irfft2(np.fft.rfft2(noise, norm="backward") * line, (rows, columns), norm="backward")
    smeared = smeared[margin : margin + height, margin : margin + width]
    smeared = smeared / max(1e-9, float(smeared.std()))
    # normal quantile above which a share `cover` of the image lies; a deviation higher is opaque
    threshold = float(ndtri(1 - min(layer.cover, 0.9)))
    return np.clip(layer.edge * (smeared - threshold) / 1.5, 0, 1)


def splat(
    y: np.ndarray, x: np.ndarray, weight: np.ndarray, height: int, width: int
) -> Float32[np.ndarray, "{height} {width}"]:
    """Add weights at points to a map, each distributed to its four pixels; points outside are left out.

    Args:
        y: row of each point.
        x: column of each point.
        weight: total that each point adds.
        height: height in pixels.
        width: width in pixels.

    Returns:
        The sum of the weights at each pixel.
    """
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    inside = (top >= 0) & (top < height - 1) & (left >= 0) & (left < width - 1)
    top, left = top[inside], left[inside]
    down, right = y[inside] - top, x[inside] - left
    given = weight[inside]
    corner = top * width + left
    places = np.concatenate([corner, corner + 1, corner + width, corner + width + 1])
    parts = np.concatenate([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    total = np.bincount(places, weights=parts * np.tile(given, 4), minlength=height * width)
    return total.reshape(height, width).astype(np.float32)
