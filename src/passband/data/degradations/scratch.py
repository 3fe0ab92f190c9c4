"""Scratches, hairs, dust, stains and folds on a scan or on a surface, in the values of the file as a scanner sees them.

Every mark is a stroke: a chain of discs along a path. Sizes are in pixels whatever the size of the picture.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter

from passband.data.degradations.fields import fractal_map

_STEP = 0.6  # pixels between the discs of a stroke
_BROWN = (0.62, 0.47, 0.28)  # what tea, rust and old glue leave of white


@dataclass(frozen=True)
class Marks:
    """Strokes of one sort.

    Attributes:
        cover: share of the picture under them, before what is broken out of them and where they overlap.
        length: mean length in pixels; each has half to one and a half of it.
        width: mean width in pixels; each has 0.6 to 1.4 of it.
        opacity: of the most opaque, 0 to 1; each has half to all of it.
        bright: share of them that is bright, where the coating is gone; the others are dark.
        value: how far bright ones are from black and dark ones from white, 0 to 1.
        tint: how far red, green and blue of their color differ, 0 to 0.5.
        direction: their common direction in radians.
        spread: standard deviation of their directions about it in radians; 3 is any direction.
        bend: turn per pixel of length in radians, standard deviation.
        wander: how far the direction swings along a stroke in radians.
        broken: share of their length that is missing, 0 to 0.7.
        soft: standard deviation of their blur in pixels.
    """

    cover: float
    length: float
    width: float
    opacity: float
    bright: float
    value: float
    tint: float
    direction: float
    spread: float
    bend: float
    wander: float
    broken: float
    soft: float


@dataclass(frozen=True)
class Stain:
    """Patches that a liquid, rust or light left.

    Attributes:
        share: part of the picture under them, 0 to 1.
        scale: size in pixels.
        strength: 0 to 1, how far the picture is pulled to the color.
        rim: how much stronger the rim is than the middle, 0 to 3.
        edge: width of the rim in units of the map that draws them, 0.01 (sharp) to 0.2.
        color: sRGB that white becomes; above 1 bleaches.
    """

    share: float
    scale: float
    strength: float
    rim: float
    edge: float
    color: tuple[float, float, float]


@dataclass(frozen=True)
class Folds:
    """Creases across the sheet.

    Attributes:
        count: folds per 1000 pixels of height and of width.
        width: of the broken line in pixels.
        opacity: of the line, 0 to 1.
        value: gray of the line, 0 to 1.
        shade: light on one side and shadow on the other, as a share of the picture's value, 0 to 0.5.
        reach: how far light and shadow go, in pixels.
    """

    count: float
    width: float
    opacity: float
    value: float
    shade: float
    reach: float


@dataclass(frozen=True)
class Scratch:
    """A worn picture or surface.

    Attributes:
        marks: scratches, hairs and dust.
        relief: light and shadow at the sides of the marks, as on a surface lit from one side, 0 to 0.6.
        stain: patches, or None.
        folds: creases, or None.
    """

    marks: tuple[Marks, ...]
    relief: float
    stain: Stain | None
    folds: Folds | None


def sample_scratch(rng: np.random.Generator) -> Scratch:
    """Draw a worn picture: at least one of scratches (55 %), hairs (35 %), dust (50 %), stains (25 %), folds (20 %).

    Returns:
        Scratches: cover 0.2 % to 10 %, length 15 to 1500 px, width 0.5 to 4 px, opacity 0.15 to 1, all log-uniform but
        the last; one direction or any; bends up to a quarter turn in 300 px. Hairs: cover 0.05 % to 2 %, 20 to 200 px
        by 0.7 to 3 px, curled. Dust: cover 0.05 % to 4 %, specks of 0.8 to 9 px. Each bright, dark or of both. Stains:
        5 % to 60 % of the picture, 20 to 500 px, strength 0.1 to 0.8. Folds: 0.5 to 6 per 1000 px, lines of 1 to 6 px.
        Relief in 30 %, 0.1 to 0.6.

    Source: the defects named by Wan et al., "Bringing old photos back to life", CVPR 2020 (scratches, holes, stains,
    folds), and by Iizuka & Simo-Serra, "DeepRemaster", SIGGRAPH Asia 2019 (film: long scratches along the motion, dust,
    hairs); the widths are those of scans with 300 to 2400 dots per inch.
    """
    while True:
        scratches, hairs, dust, stained, folded = rng.random(5) < (0.55, 0.35, 0.5, 0.25, 0.2)
        if scratches or hairs or dust or stained or folded:
            break
    marks: list[Marks] = []
    if scratches:
        marks += [_scratches(rng) for _ in range(int(rng.integers(1, 3)))]
    if hairs:
        marks.append(_hairs(rng))
    if dust:
        marks += [_dust(rng) for _ in range(int(rng.integers(1, 3)))]
    return Scratch(
        marks=tuple(marks),
        relief=rng.uniform(0.1, 0.6) if rng.random() < 0.3 else 0.0,
        stain=_stain(rng) if stained else None,
        folds=_folds(rng) if folded else None,
    )


def scratch(
    image: Float32[np.ndarray, "3 H W"], wear: Scratch, rng: np.random.Generator
) -> Float32[np.ndarray, "3 H W"]:
    """Wear a picture.

    Args:
        image: sRGB in [0, 1].
        wear: marks, stains and folds.
        rng: draws each of them.

    Returns:
        sRGB in [0, 1]; beside all marks unchanged.
    """
    height, width = image.shape[-2:]
    worn = image.copy()
    if wear.stain is not None:
        worn = _stained(worn, wear.stain, rng)
    if wear.folds is not None:
        worn = _folded(worn, wear.folds, rng)
    for marks in wear.marks:
        for bright in (False, True):
            opacity = _strokes(marks, marks.bright if bright else 1 - marks.bright, height, width, rng)
            if opacity is None:
                continue
            gray = marks.value if bright else 1 - marks.value
            color = np.clip(gray + marks.tint * rng.uniform(-1, 1, 3), 0, 1).astype(np.float32)[:, None, None]
            worn = worn + opacity * (color - worn)
            if wear.relief > 0:
                lit = np.roll(opacity, tuple(rng.integers(-1, 2, 2).tolist()), axis=(0, 1))
                worn = worn + np.float32(wear.relief) * (opacity - lit)
    return np.clip(worn, 0, 1)


def _strokes(marks: Marks, share: float, height: int, width: int, rng: np.random.Generator) -> np.ndarray | None:
    """Draw the strokes of one brightness: their opacity at each pixel, or None where no stroke is."""
    # of strokes of a length, so many reach into a window, mostly from outside
    reached = height * width + marks.length * (height + width) * 2 / math.pi
    count = rng.poisson(share * marks.cover / (marks.length * marks.width) * reached)
    if count == 0:
        return None
    shape = (count, 1)
    y, x = rng.uniform(0, height, shape), rng.uniform(0, width, shape)  # a point that each passes
    length = marks.length * rng.uniform(0.5, 1.5, shape)
    before = length * rng.random(shape)
    furthest = min(1.5 * marks.length, 1.6 * math.hypot(height, width))  # beyond, a stroke has left the picture
    steps = math.ceil(furthest / _STEP)
    along = np.arange(-steps, steps + 1) * _STEP
    swing = marks.wander * rng.uniform(0.3, 1, shape)
    period = np.exp(rng.uniform(math.log(0.15), math.log(1), shape)) * marks.length + 4
    turned = rng.normal(0, marks.bend, shape) * along + swing * np.sin(
        2 * math.pi * along / period + rng.uniform(0, 2 * math.pi, shape)
    )
    heading = marks.direction + rng.normal(0, marks.spread, shape) + turned
    path_y, path_x = (np.cumsum(part, axis=1) * _STEP for part in (np.sin(heading), np.cos(heading)))
    path_y += y - path_y[:, steps, None]
    path_x += x - path_x[:, steps, None]
    half = marks.width / 2 * rng.uniform(0.6, 1.4, shape)
    opacity = marks.opacity * rng.uniform(0.5, 1, shape)
    ends = np.minimum(along + before, length - before - along)
    half = half * np.clip(0.4 + ends / (4 * half), 0, 1)
    if marks.broken > 0:
        opacity = opacity * _gaps(along, marks, count, rng)
    inside = (ends >= 0) & (opacity > 0) & (half > 0)
    inside &= (path_y > -half) & (path_y < height + half) & (path_x > -half) & (path_x < width + half)
    half, opacity = (np.broadcast_to(one, inside.shape)[inside] for one in (half, opacity))
    return _discs(path_y[inside], path_x[inside], half, opacity, marks.soft, height, width)


def _gaps(along: np.ndarray, marks: Marks, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw how much of each stroke is there along it: smooth noise, cut where it is low."""
    spacing = max(3.0, marks.length * rng.uniform(0.03, 0.2))
    place = (along - along[0]) / spacing
    node = place.astype(int)
    nodes = rng.random((count, int(node[-1]) + 2))
    noise = nodes[:, node] + (nodes[:, node + 1] - nodes[:, node]) * (place - node)
    return np.clip((noise - marks.broken) / 0.15, 0, 1)


def _discs(
    y: np.ndarray, x: np.ndarray, half: np.ndarray, opacity: np.ndarray, soft: float, height: int, width: int
) -> np.ndarray:
    """Lay discs on a map, each pixel having the most opaque one's value, and blur it."""
    drawn = np.zeros(height * width, dtype=np.float32)
    reaches = np.ceil(half + 0.5).astype(int)
    for reach in np.unique(reaches):
        chosen = reaches == reach
        offset = np.arange(-reach, reach + 1)
        top, left, radius = (one[chosen][:, None, None] for one in (y, x, half))
        row, column = np.floor(top).astype(int) + offset[:, None], np.floor(left).astype(int) + offset
        distance = np.hypot(row + 0.5 - top, column + 0.5 - left)
        value = np.clip(radius + 0.5 - distance, 0, np.minimum(1, 2 * radius)) * opacity[chosen][:, None, None]
        seen = (value > 0) & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        np.maximum.at(drawn, (row * width + column)[seen], value[seen].astype(np.float32))
    drawn = drawn.reshape(height, width)
    return gaussian_filter(drawn, soft, mode="nearest", truncate=3) if soft > 0 else drawn


def _stained(image: np.ndarray, stain: Stain, rng: np.random.Generator) -> np.ndarray:
    """Pull patches toward a color, most at their rims."""
    height, width = image.shape[-2:]
    field = fractal_map(height, width, rng, stain.scale, octaves=5) - (1 - stain.share)
    patch = np.clip(field / np.float32(stain.edge) + np.float32(0.5), 0, 1)
    rim = np.exp(-((field / np.float32(1.5 * stain.edge)) ** 2) / 2) * patch
    strength = np.clip(stain.strength * (patch + stain.rim * rim) / (1 + stain.rim), 0, 1).astype(np.float32)
    color = np.array(stain.color, dtype=np.float32)[:, None, None]
    return np.clip(image * (1 + strength * (color - 1)), 0, 1)


def _folded(image: np.ndarray, folds: Folds, rng: np.random.Generator) -> np.ndarray:
    """Fold and unfold: a broken line with light on one side of it and shadow on the other."""
    height, width = image.shape[-2:]
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    for _ in range(rng.poisson(folds.count * (height + width) / 1000)):
        angle = rng.integers(0, 2) * math.pi / 2 + rng.normal(0, 0.03) if rng.random() < 0.6 else rng.uniform(0, 3.2)
        across = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        wobble = (fractal_map(height, width, rng, 40, octaves=3) - np.float32(0.5)) * np.float32(folds.width)
        distance = (rows - rng.uniform(0, height)) * across[0] + (columns - rng.uniform(0, width)) * across[1] + wobble
        side = np.float32(rng.choice((-1, 1)) * folds.shade) * np.sign(distance)
        image = image * (1 + side * np.exp(-np.abs(distance) / np.float32(folds.reach)))
        there = np.clip((fractal_map(height, width, rng, 12, octaves=3) - np.float32(rng.uniform(0, 0.6))) / 0.2, 0, 1)
        line = np.clip(np.float32(folds.width / 2 + 0.5) - np.abs(distance), 0, 1) * there.astype(np.float32)
        image = image + np.float32(folds.opacity) * line * (np.float32(folds.value) - image)
    return np.clip(image, 0, 1)


def _scratches(rng: np.random.Generator) -> Marks:
    """Draw long thin marks: of one direction, as film and wiping leave them, or of any."""
    parallel = rng.random() < 0.5
    return Marks(
        cover=_log_uniform(rng, 0.002, 0.1),
        length=_log_uniform(rng, 15, 1500),
        width=_log_uniform(rng, 0.5, 4),
        opacity=rng.uniform(0.15, 1),
        bright=_brightness(rng),
        value=rng.uniform(0.7, 1),
        tint=rng.uniform(0, 0.3) if rng.random() < 0.3 else 0.0,
        direction=rng.uniform(0, math.pi),
        spread=_log_uniform(rng, 0.005, 0.3) if parallel else 3.0,
        bend=_log_uniform(rng, 0.00005, 0.005),
        wander=_log_uniform(rng, 0.003, 0.15),
        broken=rng.uniform(0.1, 0.7) if rng.random() < 0.5 else 0.0,
        soft=rng.uniform(0.3, 1.2) if rng.random() < 0.5 else 0.0,
    )


def _hairs(rng: np.random.Generator) -> Marks:
    """Draw curled fibers."""
    return Marks(
        cover=_log_uniform(rng, 0.0005, 0.02),
        length=_log_uniform(rng, 20, 200),
        width=_log_uniform(rng, 0.7, 3),
        opacity=rng.uniform(0.3, 1),
        bright=_brightness(rng),
        value=rng.uniform(0.6, 1),
        tint=rng.uniform(0, 0.15),
        direction=0.0,
        spread=3.0,
        bend=_log_uniform(rng, 0.005, 0.06),
        wander=rng.uniform(0.1, 1.2),
        broken=0.0,
        soft=rng.uniform(0.3, 2) if rng.random() < 0.5 else 0.0,
    )


def _dust(rng: np.random.Generator) -> Marks:
    """Draw specks: strokes about as long as they are wide."""
    width = _log_uniform(rng, 0.8, 9)
    return Marks(
        cover=_log_uniform(rng, 0.0005, 0.04),
        length=width * rng.uniform(0.8, 2.5),
        width=width,
        opacity=rng.uniform(0.3, 1),
        bright=_brightness(rng),
        value=rng.uniform(0.6, 1),
        tint=rng.uniform(0, 0.15),
        direction=0.0,
        spread=3.0,
        bend=rng.uniform(0, 1) / width,
        wander=rng.uniform(0, 1.5),
        broken=0.0,
        soft=rng.uniform(0.3, 1.5) if rng.random() < 0.6 else 0.0,
    )


def _stain(rng: np.random.Generator) -> Stain:
    """Draw patches: mostly brown or gray, some bleached."""
    kind = rng.random()
    base = _BROWN if kind < 0.5 else (0.4, 0.4, 0.4) if kind < 0.75 else (1.6, 1.6, 1.5)
    red, green, blue = (np.array(base) * rng.uniform(0.85, 1.15, 3)).tolist()
    return Stain(
        share=_log_uniform(rng, 0.05, 0.6),
        scale=_log_uniform(rng, 20, 500),
        strength=rng.uniform(0.1, 0.8),
        rim=rng.uniform(0, 3),
        edge=_log_uniform(rng, 0.01, 0.2),
        color=(red, green, blue),
    )


def _folds(rng: np.random.Generator) -> Folds:
    """Draw creases."""
    return Folds(
        count=_log_uniform(rng, 0.5, 6),
        width=_log_uniform(rng, 1, 6),
        opacity=rng.uniform(0.2, 1),
        value=rng.uniform(0.6, 1) if rng.random() < 0.8 else rng.uniform(0, 0.3),
        shade=rng.uniform(0, 0.4),
        reach=_log_uniform(rng, 3, 40),
    )


def _brightness(rng: np.random.Generator) -> float:
    """Draw the share of bright marks: none, all, or some."""
    kind = rng.random()
    return 1.0 if kind < 0.4 else 0.0 if kind < 0.75 else rng.random()


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
