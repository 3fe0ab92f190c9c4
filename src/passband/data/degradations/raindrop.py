"""Simulates drops on a pane of glass, each a small lens that shows the scene turned, reduced and out of focus.

Light is added linearly. Sizes are in pixels, whatever the size of the image.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter

from passband.data.degradations.parts.draws import log_uniform
from passband.data.degradations.parts.fields import enlarge, fractal_map, reduce
from passband.ops.color import linear_to_srgb, srgb_to_linear

_BIN = 1.5  # drops within this ratio of radius are drawn together, each on a square of the largest one's size


@dataclass(frozen=True)
class Raindrop:
    """A wet pane of glass.

    Attributes:
        cover: share of the pane under drops, without runs, 0 to 1.
        smallest: radius of the smallest drop in pixels.
        largest: radius of the largest drop in pixels.
        falloff: exponent of the sizes: the number of drops of a radius falls as radius ** -falloff.
        uneven: deviation of outlines from an ellipse, as a share of the radius, 0 to 0.3.
        stretch: mean height of a drop relative to its width.
        reduction: factor by which the scene is smaller in a drop than beside it.
        blur: defocus of the pane, as the standard deviation of a point in pixels.
        opacity: share of a drop's light that goes through its lens, 0 to 1; the rest passes unchanged.
        gain: brightness of the scene in a drop relative to that beside it, in linear light.
        sky: share of sky in the lower half of a drop, which looks up, 0 to 1.
        skylight: linear brightness of the sky.
        rim: darkness of the upper rim, where light comes from below the scene or not at all, 0 to 1.
        sparkle: linear brightness of a lamp or the sun in a drop.
        runs: number of trails of drops that ran down, per 100 pixels of width and 1000 of height.
        mist: opacity of the mist of droplets on the pane where it is thickest, 0 to 1.
        mist_share: share of the pane that is misty, 0 to 1.
    """

    cover: float
    smallest: float
    largest: float
    falloff: float
    uneven: float
    stretch: float
    reduction: float
    blur: float
    opacity: float
    gain: float
    sky: float
    skylight: float
    rim: float
    sparkle: float
    runs: float
    mist: float
    mist_share: float


def sample_raindrop(rng: np.random.Generator) -> Raindrop:
    """Draw a wet pane.

    Args:
        rng: generator of the random numbers.

    Returns:
        cover 0.5 % to 40 % log-uniform; radii from 1.5 to 30 px, so that drops are 3 to 60 px wide, the largest at
        least 1.3 times the smallest; falloff 0.5 to 3; uneven 0 to 0.25; stretch 0.9 to 1.4; reduction 4 to 30 times,
        log-uniform; blur 0.4 to 5 px log-uniform, at most the largest radius over 2; opacity 0.55 to 1; gain 0.6 to
        1.5; sky 0 to 0.9, more often little, of a brightness 0.1 to 1 log-uniform; rim 0 to 0.9; sparkle in 60 % of
        panes, 0.2 to 2; runs in 35 %, 0.3 to 4; mist in 40 %, opacity 0.1 to 0.8 on 20 % to 100 % of the pane.

    Source: the ranges cover the photographs of Qian et al., "Attentive GAN for raindrop removal", CVPR 2018 (drops
    of about 5 to 60 px of 720 x 480, more or less in focus) and of You et al., "Adherent raindrop modeling,
    detection and removal in video", IEEE TPAMI 2016. The latter also derives that a drop shows the scene turned,
    reduced by 10 to 30 times and about as bright as the scene. Drops on wind screens are stretched and run.
    """
    smallest = log_uniform(rng, 1.5, 12)
    largest = log_uniform(rng, max(3.0, 1.3 * smallest), 30)
    blur = log_uniform(rng, 0.4, 5)
    return Raindrop(
        cover=log_uniform(rng, 0.005, 0.4),
        smallest=smallest,
        largest=largest,
        falloff=rng.uniform(0.5, 3),
        uneven=rng.uniform(0, 0.25),
        stretch=rng.uniform(0.9, 1.4),
        reduction=log_uniform(rng, 4, 30),
        blur=min(blur, largest / 2),
        opacity=rng.uniform(0.55, 1),
        gain=rng.uniform(0.6, 1.5),
        sky=0.9 * rng.random() ** 1.5,
        skylight=log_uniform(rng, 0.1, 1),
        rim=rng.uniform(0, 0.9),
        sparkle=rng.uniform(0.2, 2) if rng.random() < 0.6 else 0.0,
        runs=rng.uniform(0.3, 4) if rng.random() < 0.35 else 0.0,
        mist=rng.uniform(0.1, 0.8) if rng.random() < 0.4 else 0.0,
        mist_share=rng.uniform(0.2, 1),
    )


def raindrop(
    image: Float32[np.ndarray, "3 H W"], glass: Raindrop, rng: np.random.Generator
) -> Float32[np.ndarray, "3 H W"]:
    """Put a wet pane of glass before an image.

    Args:
        image: sRGB in [0, 1].
        glass: drops, runs and mist.
        rng: generator of each of them.

    Returns:
        sRGB in [0, 1]; pixels beside all drops and mist are unchanged.
    """
    height, width = image.shape[-2:]
    light = _to_linear(image)
    lens = _Lens(height, width)
    _draw_drops(lens, glass, rng)
    if glass.runs > 0:
        _draw_runs(lens, glass, rng)
    film = _seen_through(light, lens, glass)
    covered = lens.opacity * glass.opacity
    layer = np.concatenate([film * covered, covered[None]])
    layer = gaussian_filter(layer, (0, glass.blur, glass.blur), mode="nearest", truncate=3)
    behind = _misty(light, glass, lens.opacity, rng) if glass.mist > 0 else light
    wet = _to_srgb(behind * (1 - layer[3]) + layer[:3])
    return wet if glass.mist > 0 else np.where(layer[3] > 0, wet, image)


class _Lens:
    """The effect of each pixel of the pane: the share of a drop there, and the position within the drop.

    `u` and `v` go from -1 to 1 across a drop, to the right and down; `radius` is the drop's radius in pixels.
    """

    def __init__(self, height: int, width: int):
        self.height, self.width = height, width
        shape = (height, width)
        self.opacity, self.u, self.v = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        self.radius, self.light = np.ones(shape, dtype=np.float32), np.ones(shape, dtype=np.float32)

    def stamp(self, y: np.ndarray, x: np.ndarray, opacity: np.ndarray, **values: np.ndarray) -> None:
        """Draw drops over the existing ones; arrays have one shape, or can be broadcast to it."""
        seen = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width) & (opacity > 0)
        place = (y * self.width + x)[seen]
        old = self.opacity.ravel()[place]
        self.opacity.ravel()[place] = np.maximum(old, opacity[seen])
        for name, value in values.items():
            getattr(self, name).ravel()[place] = np.broadcast_to(value, seen.shape)[seen]


def _draw_drops(lens: _Lens, glass: Raindrop, rng: np.random.Generator) -> None:
    """Draw the drops, small ones first, because large ones absorb them."""
    margin = glass.largest
    space = (lens.height + 2 * margin) * (lens.width + 2 * margin)
    sizes = np.geomspace(glass.smallest, glass.largest, 64)
    weight = sizes ** (1 - glass.falloff)  # the sizes are equally spaced in their logarithm
    weight /= weight.sum()
    count = rng.poisson(-math.log1p(-min(glass.cover, 0.95)) * space / (math.pi * float(weight @ sizes**2)))
    radius = np.sort(sizes[rng.choice(64, count, p=weight)] * rng.uniform(0.95, 1.05, count)).astype(np.float32)
    y = rng.uniform(-margin, lens.height + margin, count).astype(np.float32)
    x = rng.uniform(-margin, lens.width + margin, count).astype(np.float32)
    for chosen in np.split(np.arange(count), _bounds(radius)):
        if chosen.size:
            _draw_alike(lens, glass, y[chosen], x[chosen], radius[chosen], rng)


def _bounds(radius: np.ndarray) -> np.ndarray:
    """Return the places at which sorted radii are cut, so that the radii of a part differ by at most `_BIN`."""
    if radius.size == 0:
        return np.zeros(0, dtype=int)
    return np.searchsorted(radius, radius[0] * _BIN ** np.arange(1, 12))


def _draw_alike(
    lens: _Lens, glass: Raindrop, y: np.ndarray, x: np.ndarray, radius: np.ndarray, rng: np.random.Generator
) -> None:
    """Draw drops of similar radius: ellipses with wavy outlines, heavier at their lower end."""
    count = len(radius)
    shape = (count, 1, 1)
    y, x, radius = (one.reshape(shape) for one in (y, x, radius))
    tall = np.sqrt(np.float32(glass.stretch)) * np.exp(rng.normal(0, 0.08, shape)).astype(np.float32)
    reach = math.ceil(float(radius.max()) * 1.4 * max(float(tall.max()), 1 / float(tall.min()))) + 1
    offset = np.arange(-reach, reach + 1)
    row, column = np.floor(y).astype(int) + offset[:, None], np.floor(x).astype(int) + offset
    v, u = (row - y) / (radius * tall), (column - x) / radius * tall
    v, u = np.broadcast_arrays(v.astype(np.float32), u.astype(np.float32))
    distance = np.hypot(u, v)
    angle = np.arctan2(v, u)
    outline = np.ones_like(distance)
    for lobes in (2, 3, 5):
        phase = rng.uniform(0, 2 * math.pi, shape).astype(np.float32)
        part = np.float32(glass.uneven / lobes**0.5) * rng.uniform(0, 1, shape).astype(np.float32)
        outline += part * np.cos(lobes * angle + phase)
    outline *= 1 + np.float32(0.4 * glass.uneven) * np.sin(angle)
    inside = np.clip((outline - distance) * radius + 0.5, 0, 1)
    scale = np.minimum(1, 0.99 / np.maximum(outline, 1e-3))
    light = np.exp(rng.normal(0, 0.15, shape)).astype(np.float32)
    row, column = np.broadcast_arrays(row, column)
    lens.stamp(row, column, inside, u=u * scale, v=v * scale, radius=radius, light=light)


def _draw_runs(lens: _Lens, glass: Raindrop, rng: np.random.Generator) -> None:
    """Draw trails of water: cylindrical lenses that wander downward, thinner toward their upper end."""
    longest = 500
    count = rng.poisson(glass.runs * (lens.width + 40) / 100 * (lens.height + longest) / 1000)
    for _ in range(count):
        length = int(log_uniform(rng, 30, longest))
        radius = rng.uniform(max(1.0, 0.3 * glass.largest), max(1.5, 0.6 * glass.largest))
        bottom = int(rng.integers(0, lens.height + longest))
        steps = np.cumsum(rng.normal(0, 0.25, length + 1))
        path = gaussian_filter(steps, 6, mode="nearest") * rng.uniform(0.2, 1.5) + rng.uniform(-20, lens.width + 20)
        wet = np.interp(np.arange(length + 1), np.linspace(0, length, 12), rng.uniform(0.5, 1, 12))
        taper = np.linspace(0.25, 1, length + 1) * wet
        row = np.arange(bottom - length, bottom + 1)
        kept = (row >= 0) & (row < lens.height)
        if not kept.any():
            continue
        half = (radius * taper)[kept, None].astype(np.float32)
        reach = math.ceil(float(half.max())) + 1
        middle = path[kept, None].astype(np.float32)
        column = np.floor(middle).astype(int) + np.arange(-reach, reach + 1)
        u = ((column - middle) / half).astype(np.float32)
        inside = np.clip((1 - np.abs(u)) * half + 0.5, 0, 1).astype(np.float32) * np.float32(rng.uniform(0.4, 1))
        rows = np.broadcast_to(row[kept, None], column.shape)
        zero, one = np.zeros((), dtype=np.float32), np.ones((), dtype=np.float32)
        lens.stamp(rows, column, inside, u=np.clip(u, -0.99, 0.99), v=zero, radius=half, light=one)


def _seen_through(light: np.ndarray, lens: _Lens, glass: Raindrop) -> np.ndarray:
    """Return the linear light that reaches each pixel through its drop."""
    height, width = lens.height, lens.width
    factor = max(1, min(round(glass.reduction / 2), max(height, width)))
    small = reduce(light, factor)
    below, beside = (factor * side for side in small.shape[-2:])
    # rays are bent more toward the rim, so that a drop shows nearly the whole scene
    bent = glass.reduction * lens.radius / np.sqrt(np.maximum(1.2 - lens.u**2 - lens.v**2, 0.15))
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    film = _looked_up(small, (rows - bent * lens.v + 0.5) / below, (columns - bent * lens.u + 0.5) / beside)
    film *= lens.light * np.float32(glass.gain)
    upward = np.clip(0.5 + lens.v, 0, 1)
    upward = np.float32(glass.sky) * upward * upward * (3 - 2 * np.minimum(upward, 1))
    sky = np.float32(glass.skylight) * np.array([0.97, 1, 1.03], dtype=np.float32)[:, None, None]
    film += upward * (sky * lens.light - film)
    rim = np.clip(lens.u**2 + lens.v**2, 0, 1) ** 2 * np.clip(0.6 - 0.6 * lens.v, 0, 1)
    film *= 1 - np.float32(glass.rim) * rim
    if glass.sparkle > 0:
        spot = np.exp(-((lens.u + 0.25) ** 2 + (lens.v + 0.4) ** 2) / np.float32(2 * 0.16**2))
        film += np.float32(glass.sparkle) * spot
    return film


def _misty(light: np.ndarray, glass: Raindrop, wet: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the light through a pane with mist: a wide blur and a veil, except where drops removed the mist."""
    height, width = light.shape[-2:]
    patches = fractal_map(height, width, rng, rng.uniform(60, 400), octaves=3)
    share = np.clip((patches - (1 - glass.mist_share)) / np.float32(0.25) + np.float32(0.5), 0, 1)
    grain = gaussian_filter(rng.random((height, width), dtype=np.float32), max(0.5, 0.6 * glass.blur), mode="nearest")
    grain = np.clip(1 + np.float32(1.5 * max(0.5, glass.blur)) * (grain - 0.5), 0, 1.5)
    opacity = np.clip(glass.mist * share * grain * (1 - wet), 0, 1).astype(np.float32)
    wide = enlarge(reduce(light, int(rng.integers(4, 13))), height, width)
    veil = np.float32(rng.uniform(0.1, 0.6)) * np.float32(glass.skylight)
    scattered = wide + np.float32(rng.uniform(0.1, 0.5)) * (veil - wide)
    return light + opacity * (scattered - light)


def _looked_up(small: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sample a small image at positions in units of its sides, mirrored beyond them, bilinearly."""
    height, width = small.shape[-2:]
    y = np.abs((y + 1) % 2 - 1) * height - 0.5
    x = np.abs((x + 1) % 2 - 1) * width - 0.5
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    rows = [np.clip(top.astype(int) + step, 0, height - 1) for step in (0, 1)]
    columns = [np.clip(left.astype(int) + step, 0, width - 1) for step in (0, 1)]
    flat = small.reshape(len(small), -1)
    upper, lower = (
        flat[:, row * width + columns[0]] * (1 - right) + flat[:, row * width + columns[1]] * right for row in rows
    )
    return upper * (1 - down) + lower * down


def _to_linear(image: np.ndarray) -> np.ndarray:
    """Undo the sRGB curve."""
    return srgb_to_linear(torch.from_numpy(image)).numpy()


def _to_srgb(light: np.ndarray) -> np.ndarray:
    """Clip linear light to [0, 1] and convert it to sRGB."""
    return linear_to_srgb(torch.from_numpy(light).clamp(0, 1)).clamp(0, 1).numpy()
