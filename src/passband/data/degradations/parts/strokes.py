"""Draws strokes, each a chain of discs along a path: specks, curled hairs, and scratches across a whole sheet."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter

_STEP = 0.6  # pixels between the discs of a stroke


@dataclass(frozen=True)
class Marks:
    """Strokes of one sort.

    Attributes:
        cover: share of the image under them, before gaps and overlaps.
        length: mean length in pixels; each has 0.5 to 1.5 times the mean.
        width: mean width in pixels; each has 0.6 to 1.4 times the mean.
        opacity: opacity of the most opaque one, 0 to 1; each has 0.5 to 1 times this.
        bright: share of bright strokes, as where the coating is gone; the others are dark.
        value: distance of bright ones from black and of dark ones from white, 0 to 1.
        tint: difference of red, green and blue of their color, 0 to 0.5.
        direction: common direction in radians.
        spread: standard deviation of the directions in radians; 3 is any direction.
        bend: turn per pixel of length in radians, standard deviation.
        wander: swing of the direction along a stroke in radians.
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


def draw_strokes(
    marks: Marks, share: float, height: int, width: int, rng: np.random.Generator
) -> Float32[np.ndarray, "_ _"] | None:
    """Draw strokes of one brightness.

    Args:
        marks: properties of the strokes.
        share: share of the strokes that has this brightness, 0 to 1.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        rng: generator of each stroke.

    Returns:
        Opacity of each pixel, height x width, 0 to 1; None if there are no strokes.
    """
    # the area from which strokes of this length reach into the image
    reached = height * width + marks.length * (height + width) * 2 / math.pi
    count = rng.poisson(share * marks.cover / (marks.length * marks.width) * reached)
    if count == 0:
        return None
    shape = (count, 1)
    y, x = rng.uniform(0, height, shape), rng.uniform(0, width, shape)  # a point on each stroke
    length = marks.length * rng.uniform(0.5, 1.5, shape)
    before = length * rng.random(shape)
    furthest = min(1.5 * marks.length, 1.6 * math.hypot(height, width))  # farther away, a stroke has left the image
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
    """Draw the presence of each stroke along its length: smooth noise, cut where it is low."""
    spacing = max(3.0, marks.length * rng.uniform(0.03, 0.2))
    place = (along - along[0]) / spacing
    node = place.astype(int)
    nodes = rng.random((count, int(node[-1]) + 2))
    noise = nodes[:, node] + (nodes[:, node + 1] - nodes[:, node]) * (place - node)
    return np.clip((noise - marks.broken) / 0.15, 0, 1)


def _discs(
    y: np.ndarray, x: np.ndarray, half: np.ndarray, opacity: np.ndarray, soft: float, height: int, width: int
) -> np.ndarray:
    """Draw discs on a map, where each pixel gets the value of the most opaque one, and blur it."""
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
