"""Draws a random depth for a photograph, with edges at the edges of the photograph.

The image is divided into a few segments of similar color and position. A layout gives each segment its distance: a room
with walls and things in it, or ground up to the horizon with things that stand on it and a sky. Everything is computed
on a reduced image; a guided filter restores the edges at full size.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy.ndimage import gaussian_filter, uniform_filter

from passband.data.degradations.parts.draws import log_uniform
from passband.data.degradations.parts.fields import enlarge, fractal_map, reduce

_WORKING_PX = 128  # longest side of the reduced image
_CROP_PX = 256  # an image with a longer side up to this counts as a crop that shows few things
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_NEAREST = 0.03  # least depth, where 1 is the farthest thing that is not sky


@dataclass(frozen=True)
class Segments:
    """An image divided into areas of similar color.

    Attributes:
        labels: number of the segment at each pixel of the reduced image, 0 to `count` - 1.
        count: number of segments.
        color: mean sRGB of each segment.
        texture: mean absolute difference of luma between neighbors in each segment.
        middle: mean (y, x) of each segment as a share of the image, 0 to 1.
        bottom: lowest point of each segment as a share of the height: 95 % of the segment lies above it.
        share: share of the image that each segment covers.
    """

    labels: Int[np.ndarray, "h w"]
    count: int
    color: Float32[np.ndarray, "count 3"]
    texture: Float32[np.ndarray, "count"]
    middle: Float32[np.ndarray, "count 2"]
    bottom: Float32[np.ndarray, "count"]
    share: Float32[np.ndarray, "count"]


def scene_depth(
    image: Float32[np.ndarray, "3 H W"], rng: np.random.Generator, *, outdoors: bool, softness: float | None = None
) -> Float32[np.ndarray, "H W"]:
    """Draw a plausible depth for an image.

    Args:
        image: sRGB in [0, 1], any size.
        rng: generator of segments and layout.
        outdoors: whether to draw ground, things on it and a sky rather than a room.
        softness: standard deviation in pixels of the blur over the edges of the depth. None draws 0.3 to 2.5 px.

    Returns:
        Distance from the camera, at least 0.03. The farthest thing is at 1; outdoors a sky may be at up to 3. The image
        may show only a part of the scene, so that its depth may be nearly constant at any value.

    Source: layouts by the rules of perspective; a plane is linear in 1 / depth. The guided filter is that of He &
    Sun, "Fast guided filter", 2015.
    """
    height, width = image.shape[-2:]
    factor = max(1 if min(height, width) < 32 else 2, math.ceil(max(height, width) / _WORKING_PX))
    small = reduce(image, factor)
    least, most = (1, 13) if max(height, width) <= _CROP_PX else (4, 25)
    parts = segment(small, int(rng.integers(least, most)), rng)
    depth = _outdoors(parts, rng) if outdoors else _room(parts, rng)
    if rng.random() < 0.5:  # surfaces are not flat
        rough = fractal_map(small.shape[-2], small.shape[-1], rng, log_uniform(rng, 6, 100)) - 0.5
        depth = depth * np.exp(np.float32(rng.uniform(0, 0.4)) * rough)
    highest = 3 if outdoors else 1
    depth = _guided(np.clip(depth, _NEAREST, highest), image, small, rng)
    sigma = rng.uniform(0.3, 2.5) if softness is None else softness
    return np.clip(gaussian_filter(depth, sigma, truncate=2.5), _NEAREST, highest)


def segment(small: Float32[np.ndarray, "3 h w"], count: int, rng: np.random.Generator) -> Segments:
    """Divide an image into segments by k-means over color and position, with smoothed borders.

    Args:
        small: sRGB in [0, 1], reduced to at most a few ten thousand pixels.
        count: largest number of segments, at least 1; there may be fewer.
        rng: generator of the starting points and of the weight of position against color.

    Returns:
        The segments and their properties.
    """
    height, width = small.shape[-2:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = (y + 0.5) / height, (x + 0.5) / width
    nearness = np.float32(log_uniform(rng, 0.25, 1.3))
    smooth = gaussian_filter(small, (0, 0.8, 0.8), truncate=2)
    features = np.stack([*smooth, nearness * y, nearness * x], axis=-1).reshape(-1, 5)
    centers = features[rng.integers(len(features), size=count)]
    for _ in range(4):
        labels = _nearest(features, centers)
        size = np.bincount(labels, minlength=count)
        sums = np.stack([np.bincount(labels, weights=column, minlength=count) for column in features.T], axis=-1)
        centers = np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], centers).astype(np.float32)
    labels = _nearest(features, centers).reshape(height, width)
    one_hot = (labels == np.arange(count)[:, None, None]).astype(np.float32)
    sigma = rng.uniform(0.7, 2.0)
    labels = gaussian_filter(one_hot, (0, sigma, sigma), truncate=2).argmax(axis=0)
    _, flat = np.unique(labels, return_inverse=True)
    flat = flat.reshape(-1)
    count = int(flat.max()) + 1
    size = np.bincount(flat)
    luma = np.tensordot(_LUMA, small, 1)
    steps = np.abs(np.diff(luma, axis=0, append=luma[-1:])) + np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))

    def mean(values: np.ndarray) -> np.ndarray:
        return (np.bincount(flat, weights=values.reshape(-1), minlength=count) / size).astype(np.float32)

    rows = np.sort(flat * height + np.repeat(np.arange(height), width))  # rows of each segment, from the top down
    last = np.cumsum(size) - 1
    lowest = rows[last - (0.05 * size).astype(int)] % height
    return Segments(
        labels=flat.reshape(height, width),
        count=count,
        color=np.stack([mean(channel) for channel in small], axis=-1),
        texture=mean(steps),
        middle=np.stack([mean(y), mean(x)], axis=-1),
        bottom=((lowest + 1) / height).astype(np.float32),
        share=(size / flat.size).astype(np.float32),
    )


def find_sky(parts: Segments) -> Bool[np.ndarray, "count"]:
    """Find the segments that may be sky: bright, smooth, gray or bluish, and not at the bottom, and clouds beside it.

    Args:
        parts: segments of an image.

    Returns:
        One boolean for each segment.
    """
    red, green, blue = parts.color.T
    brightness = parts.color.max(axis=-1)
    cool = (blue >= green - 0.03) & (blue >= red - 0.05)
    high = (parts.middle[:, 0] < 0.55) & (parts.bottom < 0.9)
    whole = (parts.middle[:, 0] < 0.62) & (parts.texture < 0.01) & (blue > red + 0.02)  # a crop of nothing but sky
    sky = (brightness > 0.45) & cool & (parts.texture < 0.03) & (high | whole)
    if sky.any():
        gray = brightness - parts.color.min(axis=-1) < 0.25
        among = parts.bottom <= parts.bottom[sky].max() + 0.05
        sky |= (brightness > 0.35) & gray & (blue >= red - 0.1) & (parts.texture < 0.04) & high & among
    return sky


def _room(parts: Segments, rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Place each segment in a room: on its walls or floor, or nearer as a thing."""
    height, width = parts.labels.shape
    zoom = np.float32(log_uniform(rng, 0.15, 1))  # part of the room that the image shows
    top, left = (1 - zoom) * rng.random(2)
    y = (2 * (top + zoom * (np.arange(height, dtype=np.float32) + 0.5) / height) - 1)[:, None]
    x = 2 * (left + zoom * (np.arange(width, dtype=np.float32) + 0.5) / width) - 1
    nearness = np.ones((height, width), np.float32)  # 1 / depth; the farthest point of the back wall has 1
    for side in (y, -y, x, -x):  # floor, ceiling, right and left wall
        if rng.random() < (0.8 if side is y else 0.4):
            start, slope = rng.uniform(-0.2, 0.9), rng.uniform(0.5, 6)
            tilt = rng.uniform(-0.3, 0.3) * (x if side is y else y)
            nearness = np.maximum(nearness, 1 + slope * (side * (1 + tilt) - start))
    # depth of each segment, in the wall's plane or in its own plane
    if rng.random() < 0.5:
        own = rng.uniform(1, 3.5, parts.count)
        loose = rng.random(parts.count) < rng.uniform(0.5, 1)
    else:
        scale = np.bincount(parts.labels.reshape(-1), weights=nearness.reshape(-1)) / (parts.share * parts.labels.size)
        own = scale * rng.uniform(1, 2.5, parts.count)
        loose = rng.random(parts.count) < rng.uniform(0.3, 0.9)
    own = own * np.exp(rng.uniform(-0.2, 1.2) * (parts.bottom - 0.5))  # nearer things reach lower
    planes = _planes(own, parts, rng, steepness=rng.uniform(0, 0.5))
    nearness = np.where(loose[parts.labels], planes, nearness)
    return (1 / np.clip(nearness, 1, 1 / _NEAREST)).astype(np.float32)


def _outdoors(parts: Segments, rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Place each segment outdoors: lying on the ground, standing on it, or sky."""
    height, width = parts.labels.shape
    sky = find_sky(parts) & (rng.random(parts.count) < 0.95)
    sky_bottom = float(parts.bottom[sky].max()) if sky.any() else None
    if sky_bottom is not None:
        horizon = sky_bottom - rng.uniform(-0.15, 0.35)
        end = log_uniform(rng, 0.06, 0.9)
    else:  # a cut-out below the sky, from just below the horizon to far below it
        horizon = -log_uniform(rng, 0.02, 10)
        end = log_uniform(rng, 0.1, 1)
    horizon = min(horizon, 0.9)  # and `end` is the depth of the ground at the bottom of the image

    def ground(y: np.ndarray) -> np.ndarray:
        return np.clip(end * (1 - horizon) / np.maximum(y - horizon, 1e-3), _NEAREST, 1)

    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    lying = np.broadcast_to(ground(y)[:, None], (height, width))
    foot = ground(parts.bottom) * np.exp(rng.normal(0, 0.1, parts.count))
    above = parts.bottom <= horizon + 0.02
    foot = np.where(above, rng.uniform(0.4, 1, parts.count), foot)
    floating = rng.random(parts.count) < 0.1  # things that stand outside the image, or whose foot is hidden
    foot = np.where(floating, np.exp(rng.uniform(math.log(0.05), 0, parts.count)), foot)
    standing = rng.random(parts.count) < rng.uniform(0.2, 1)
    depth = np.where(standing[parts.labels], 1 / _planes(1 / foot, parts, rng, steepness=rng.uniform(0, 0.3)), lying)
    depth = np.minimum(depth, 1)
    far = np.full(parts.count, rng.uniform(1, 3))
    return np.where(sky[parts.labels], far[parts.labels], depth).astype(np.float32)


def _planes(
    nearness: np.ndarray, parts: Segments, rng: np.random.Generator, *, steepness: float
) -> Float32[np.ndarray, "h w"]:
    """Tilt each segment about its middle: a plane in 1 / depth, at least a third of the middle's value."""
    height, width = parts.labels.shape
    slope = rng.normal(0, steepness, (2, parts.count))
    y = (np.arange(height) + 0.5)[:, None] / height - parts.middle[:, 0][parts.labels]
    x = (np.arange(width) + 0.5) / width - parts.middle[:, 1][parts.labels]
    tilt = 1 + slope[0][parts.labels] * y + slope[1][parts.labels] * x
    return (nearness[parts.labels] * np.maximum(tilt, 1 / 3)).astype(np.float32)


def _nearest(features: Float32[np.ndarray, "N F"], centers: Float32[np.ndarray, "K F"]) -> Int[np.ndarray, "N"]:
    """Find the nearest center of each point."""
    return (features @ (-2 * centers.T) + (centers * centers).sum(axis=1)).argmin(axis=1)


def _guided(
    depth: Float32[np.ndarray, "h w"],
    image: Float32[np.ndarray, "3 H W"],
    small: Float32[np.ndarray, "3 h w"],
    rng: np.random.Generator,
) -> Float32[np.ndarray, "H W"]:
    """Enlarge a depth so that its edges follow the luma of the image."""
    side = 2 * int(rng.integers(1, 4)) + 1
    smallest = log_uniform(rng, 3e-4, 1e-2)  # variance of luma that counts as an edge
    guide = np.tensordot(_LUMA, small, 1)
    mean_guide, mean_depth = _box(guide, side), _box(depth, side)
    covariance = _box(guide * depth, side) - mean_guide * mean_depth
    variance = np.maximum(_box(guide * guide, side) - mean_guide**2, 0)
    slope = covariance / (variance + np.float32(smallest))
    offset = mean_depth - slope * mean_guide
    slope, offset = enlarge(np.stack([_box(slope, side), _box(offset, side)]), *image.shape[-2:])
    return np.clip(slope * np.tensordot(_LUMA, image, 1) + offset, depth.min(), depth.max()).astype(np.float32)


def _box(values: Float32[np.ndarray, "h w"], side: int) -> Float32[np.ndarray, "h w"]:
    """Average over a square around each pixel."""
    return uniform_filter(values, side, mode="nearest")
