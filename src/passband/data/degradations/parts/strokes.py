"""Strokes, each a chain of discs along a path: specks, curled hairs, and scratches across a whole sheet."""

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


def draw_strokes(
    marks: Marks, share: float, height: int, width: int, rng: np.random.Generator
) -> Float32[np.ndarray, "_ _"] | None:
    """Draw strokes of one brightness.

    Args:
        marks: what they are like.
        share: part of the strokes that has this brightness, 0 to 1.
        height: of the picture in pixels.
        width: of the picture in pixels.
        rng: draws each stroke.

    Returns:
        Opacity of each pixel, height x width, 0 to 1; None where no stroke is.
    """
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
