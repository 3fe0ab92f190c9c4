"""Simulates rain, snow and haze for the second generators: particles in three dimensions and a scene of planes.

Images are H W 3, sRGB in [0, 1], float64.
"""

import math

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

FINE = 3
"""Factor by which shapes are drawn larger before they are reduced, so that their edges are smooth."""
LEVELS = 6
"""Number of groups of similar opacity in which particles are drawn. Particles of a group do not add up."""


def to_light(image: np.ndarray) -> np.ndarray:
    """Turn sRGB into linear light by a power of 2.2, as simple viewers do."""
    return np.clip(image, 0, 1) ** 2.2


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Undo `to_light`."""
    return np.clip(light, 0, 1) ** (1 / 2.2)


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int | None = None) -> np.ndarray:
    """Return numbers whose logarithm is uniform."""
    return np.exp(rng.uniform(math.log(low), math.log(high), size))


class Canvas:
    """A mask that is drawn `FINE` times larger."""

    def __init__(self, height: int, width: int):
        self.size = (width, height)
        self.mask = Image.new("L", (width * FINE, height * FINE))
        self.draw = ImageDraw.Draw(self.mask)

    def polygon(self, points: np.ndarray) -> None:
        """Fill a polygon whose corners are (x, y) in pixels of the image."""
        self.draw.polygon([tuple(point) for point in (points * FINE).tolist()], fill=255)

    def line(self, points: np.ndarray, width: float) -> None:
        """Draw a line through (x, y) in pixels of the image. Its smallest width is a fraction of a pixel."""
        flat = [tuple(point) for point in (points * FINE).tolist()]
        self.draw.line(flat, fill=255, width=max(1, round(width * FINE)), joint="curve")

    def cover(self) -> np.ndarray:
        """Return the share of each pixel that is covered, H W, 0 to 1."""
        return np.asarray(self.mask.resize(self.size, Image.Resampling.BOX), dtype=np.float64) / 255


def second_rain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let drops of the sizes of real rain fall through a camera's view during its exposure.

    Sizes follow Marshall & Palmer 1948, speeds Atlas et al. 1973. A streak is as bright as the light that its drop
    gathers from all around, and as opaque as the time that the drop spends before a pixel.
    """
    height, width = image.shape[:2]
    focal = rng.uniform(0.8, 1.6) * max(height, width)
    exposure = float(log_uniform(rng, 1 / 300, 1 / 40))
    wind = rng.normal(0, 2.5, 3)
    pitch = rng.normal(0, 0.15)
    count = int(log_uniform(rng, 2500, 20000) * height * width / 393216) + 1
    far, near = rng.uniform(5, 14), rng.uniform(0.5, 1.5)
    z = rng.uniform(near**2, far**2, count) ** 0.5
    x = rng.uniform(-0.75, 0.75, count) * z * width / focal
    y = rng.uniform(-0.75, 0.75, count) * z * height / focal
    size = np.clip(rng.exponential(0.6, count) + 0.6, 0.6, 5) * 1e-3
    speed = 9.65 - 10.3 * np.exp(-600 * size)
    gust = wind + rng.normal(0, 0.4, (count, 3))
    moved = np.stack([gust[:, 0], speed * math.cos(pitch), speed * math.sin(pitch) + gust[:, 2] * 0.3], 1) * exposure
    start, end = np.stack([x, y, z], 1) - moved / 2, np.stack([x, y, z], 1) + moved / 2
    start[:, 2], end[:, 2] = np.maximum(start[:, 2], 0.3), np.maximum(end[:, 2], 0.3)
    middle = np.array([width / 2, height / 2])
    first, last = (focal * place[:, :2] / place[:, 2:] + middle for place in (start, end))
    thick = focal * size / z * rng.uniform(1, 2)  # close to the lens, and a little out of focus
    along = last - first
    reach = np.maximum(np.hypot(*along.T), 0.3)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / reach[:, None]
    boost = float(log_uniform(rng, 20, 100))
    opacity = np.clip(boost * thick / (reach + thick), 0.02, 0.95)
    opacity *= np.clip(thick / 0.8, 0.4, 1)
    half = np.maximum(thick, 0.8)[:, None] / 2
    shown = (reach < 0.8 * max(height, width)) & (opacity > 0.015)
    corners = np.stack(
        [first, first + 0.2 * along + half * across, last - 0.1 * along + half * across, last,
         last - 0.1 * along - half * across, first + 0.2 * along - half * across], 1
    )  # fmt: skip
    light = to_light(image)
    around = np.stack([gaussian_filter(light[..., c], max(height, width) / 6, mode="nearest") for c in range(3)], -1)
    gathered = around * rng.uniform(0.6, 1.2) + np.clip(light.mean() * rng.uniform(0.8, 2.5), 0.15, 0.9)
    veil = 0.04 * rng.random() ** 2 * np.linspace(1, rng.uniform(0.2, 1), height)[:, None, None]
    wet = light + veil * (light.mean() + 0.2 - light)
    edges = np.quantile(opacity[shown], np.linspace(0, 1, LEVELS + 1)) if shown.any() else np.zeros(LEVELS + 1)
    for level in range(LEVELS):
        group = shown & (opacity >= edges[level]) & (opacity <= edges[level + 1])
        if not group.any():
            continue
        canvas = Canvas(height, width)
        for polygon in corners[group]:
            canvas.polygon(polygon)
        soft = rng.uniform(0.2, 1.2) if level == LEVELS - 1 else 0.3
        alpha = gaussian_filter(canvas.cover(), soft)[..., None] * float(opacity[group].mean())
        wet = wet + alpha * (gathered - wet)
    return to_srgb(wet)


def second_snow(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let flakes fall through a camera's view, sharp at the distance in focus and wide, faint discs beside it."""
    height, width = image.shape[:2]
    focal = rng.uniform(0.8, 1.6) * max(height, width)
    exposure = float(log_uniform(rng, 1 / 400, 1 / 40))
    count = int(log_uniform(rng, 500, 12000) * height * width / 393216) + 1
    z = rng.uniform(0.5**2, rng.uniform(5, 25) ** 2, count) ** 0.5
    focus, aperture = float(log_uniform(rng, 3, 20)), float(log_uniform(rng, 0.0005, 0.006))
    radius = log_uniform(rng, 1.2e-3, 6e-3, count)
    seen = focal * radius / z
    confusion = np.minimum(focal * aperture * np.abs(1 / z - 1 / focus), 14)
    opacity = np.clip(1.3 * (seen / (seen + confusion)) ** 2 * np.minimum(1, seen / 0.5), 0, rng.uniform(0.7, 1))
    outer = np.clip(seen + confusion, 0.5, 13)
    x, y = rng.uniform(-20, width + 20, count), rng.uniform(-20, height + 20, count)
    velocity = rng.normal(0, 1, 2) * [1.2, 0.3] + [0, 1.2]
    shift = (velocity + rng.normal(0, 0.35, (count, 2))) * (exposure * focal / z)[:, None]
    shift *= np.minimum(1, 30 / np.maximum(np.hypot(*shift.T), 1e-6))[:, None]
    light = to_light(image)
    white = np.clip(light.mean() * rng.uniform(0.5, 1) + rng.uniform(0.25, 0.75), 0, 1)
    veil = 0.06 * rng.random() ** 2 * np.linspace(1, rng.uniform(0.3, 1), height)[:, None, None]
    snowy = light + veil * (0.8 * white - light)
    shown = opacity > 0.02
    edges = np.quantile(opacity[shown], np.linspace(0, 1, LEVELS + 1)) if shown.any() else np.zeros(LEVELS + 1)
    spin = np.linspace(0, 2 * math.pi, 11)[:-1]
    for level in range(LEVELS):
        group = np.nonzero(shown & (opacity >= edges[level]) & (opacity <= edges[level + 1]))[0]
        if group.size == 0:
            continue
        canvas = Canvas(height, width)
        for one in group:
            ragged = 1 + rng.uniform(-0.35, 0.35, 10) * (confusion[one] < seen[one])
            center = np.array([x[one], y[one]])
            outline = center + (outer[one] * ragged)[:, None] * np.stack([np.cos(spin), np.sin(spin)], 1)
            canvas.polygon(outline)
            if np.hypot(*shift[one]) > 0.5:
                canvas.polygon(outline + shift[one])
                canvas.line(np.stack([center, center + shift[one]]), 1.8 * outer[one])
        alpha = gaussian_filter(canvas.cover(), rng.uniform(0.3, 0.9))[..., None] * float(opacity[group].mean())
        snowy = snowy + alpha * (white - snowy)
    return to_srgb(snowy)


def second_haze(image: np.ndarray, rng: np.random.Generator, disparity: np.ndarray | None = None) -> np.ndarray:
    """Fill a scene with haze: of the true disparities where there are any, or of planes that rays meet.

    Args:
        image: the clean picture.
        rng: draws the scene and the air.
        disparity: H W, 0 where unknown; None for a scene of a ground, boxes and a sky, whose depth is then smoothed
            along the picture, but not across its edges.
    """
    height, width = image.shape[:2]
    depth = _diffuse(_scene(height, width, rng), image) if disparity is None else 1 / _filled(disparity)
    depth = depth / np.quantile(depth, 0.98)
    depth = depth ** rng.uniform(0.4, 1) if disparity is None else depth  # haze is less deep where it is thinner
    beta = rng.uniform(0.5, 1.8) if disparity is not None else -math.log(rng.uniform(0.08, 0.7))
    through = np.exp(-beta * depth)[..., None]
    gray = rng.uniform(0.55, 1)
    air = np.clip(gray + rng.normal(0, 0.025, 3), 0, 1)
    if rng.random() < 0.5 or disparity is not None:
        return np.clip(image * through + air * (1 - through), 0, 1)
    light, glow = to_light(image), to_light(air) * np.linspace(1.1, rng.uniform(0.7, 1.1), height)[:, None, None]
    spread = np.stack([gaussian_filter(light[..., c], 2 + 4 * rng.random(), mode="nearest") for c in range(3)], -1)
    return to_srgb((light + (1 - through) * 0.7 * (spread - light)) * through + glow * (1 - through))


def _scene(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return the depth in meters of a ground, boxes and a sky: the distance of the first plane that a ray meets."""
    focal, eye, far = rng.uniform(0.7, 1.5) * max(height, width), rng.uniform(1.2, 8), rng.uniform(40, 300)
    horizon = rng.uniform(0.2, 0.6) * height
    down = (np.arange(height)[:, None] - horizon) / focal
    right = (np.arange(width)[None] - width / 2) / focal
    depth = np.where(down > eye / far, eye / np.maximum(down, eye / far), far) + 0 * right
    for _ in range(int(rng.integers(2, 9))):
        front = float(log_uniform(rng, 3, 0.8 * far))
        left, wide = rng.uniform(-0.7, 0.7) * front * width / focal, front * rng.uniform(0.05, 0.5)
        deep, tall = front * rng.uniform(0.1, 1), front * rng.uniform(0.05, 0.6)
        bottom, top = eye, eye - tall
        for plane in (front, None):
            if plane is not None:
                z = np.full((height, width), plane)
            else:  # the side of the box that faces the middle
                side = left + wide if left + wide < 0 else left
                z = np.divide(side, right + 0 * down, out=np.full((height, width), far), where=(right + 0 * down) != 0)
            x, y = right * z, down * z
            on = (y >= top) & (y <= bottom) & (z > 0)
            on &= (x >= left) & (x <= left + wide) if plane is not None else (z >= front) & (z <= front + deep)
            depth = np.where(on & (z < depth), z, depth)
    return depth


def _diffuse(depth: np.ndarray, image: np.ndarray, steps: int = 300) -> np.ndarray:
    """Spread depth within regions of the image: each step mixes neighbors, weighted by the likeness of colors."""
    height, width = depth.shape
    small = (max(2, width // 4), max(2, height // 4))
    d = np.asarray(Image.fromarray(np.log(depth).astype(np.float32)).resize(small), dtype=np.float64)
    guide = np.stack([np.asarray(Image.fromarray(image[..., c].astype(np.float32)).resize(small)) for c in range(3)])
    down, right = (np.exp(-np.abs(np.diff(guide, axis=a)).sum(0) / 0.06) for a in (1, 2))
    for _ in range(steps):
        flow_y, flow_x = 0.24 * down * np.diff(d, axis=0), 0.24 * right * np.diff(d, axis=1)
        d[:-1] += flow_y
        d[1:] -= flow_y
        d[:, :-1] += flow_x
        d[:, 1:] -= flow_x
    return np.exp(np.asarray(Image.fromarray(d.astype(np.float32)).resize((width, height)), dtype=np.float64))


def _filled(disparity: np.ndarray) -> np.ndarray:
    """Fill unknown depths, which are mostly hidden from the other eye, with the smaller known value beside them."""
    known = np.where(disparity > 0, disparity, np.nan)
    sides = []
    for turned in (known, known[:, ::-1]):
        at = np.where(np.isnan(turned), 0, np.arange(turned.shape[1]))
        filled = np.take_along_axis(turned, np.maximum.accumulate(at, axis=1), axis=1)
        sides.append(filled if turned is known else filled[:, ::-1])
    both = np.fmin(*sides)
    return np.where(np.isnan(both), np.nanmin(known), both)
