"""Blur kernels, and convolution with a kernel that varies over the image."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32
from scipy import fft

_STEPS = 48  # time steps of a camera path: at 34 px, a turn every 0.7 of a pixel
_SPLATS = 512  # points along a path: less than a tenth of a pixel apart, so that the rasterized line has no beads


def camera_path(length: float, shake: float, jerk: float, rng: np.random.Generator) -> Float[np.ndarray, "points 2"]:
    """Draw the path of a still point on the sensor during the exposure, at constant speed.

    Args:
        length: path of the image on the sensor, in pixels along the path.
        shake: disturbance of the motion by the hand, 0 (a straight line) to 1 (mostly random turns).
        jerk: chance per time step (48 in all) of a sudden reversal, as when the shutter button is pressed.
        rng: generator of direction, turns and jerks.

    Returns:
        (y, x) in pixels, equally spaced in time, centered on their mean.

    Source: Boracchi & Foi, "Modeling the performance of image restoration from motion blur", IEEE TIP 2012
    (inertia, Gaussian disturbance, pull back to the start, impulses), speed kept constant as in Kupyn et al.,
    "DeblurGAN", CVPR 2018.
    """
    turns = rng.standard_normal((_STEPS, 2)) @ np.array([1, 1j])
    jerks = rng.random(_STEPS) < jerk
    bounces = np.exp(1j * (math.pi + rng.uniform(-0.5, 0.5, _STEPS)))
    velocity = complex(np.exp(2j * math.pi * rng.random()))
    position = [0j]
    for turn, jerks_now, bounce in zip(turns.tolist(), jerks.tolist(), bounces.tolist(), strict=True):
        pull = 0.7 * position[-1] / _STEPS
        velocity += shake * (turn - pull)
        if jerks_now:
            velocity += 2 * abs(velocity) * bounce
        velocity /= abs(velocity)
        position.append(position[-1] + velocity)
    scaled = np.array(position) * (length / _STEPS)
    times = np.linspace(0, _STEPS, _SPLATS)
    path = np.stack([np.interp(times, np.arange(_STEPS + 1), part) for part in (scaled.imag, scaled.real)], axis=-1)
    return path - path.mean(axis=0)


def rasterize(path: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "K K"]:
    """Draw a path as a blur kernel, with each point distributed bilinearly to its four pixels.

    Args:
        path: (y, x) in pixels from the kernel's middle.

    Returns:
        A kernel of odd side, 2 * ceil(largest coordinate) + 1, that sums to 1.
    """
    radius = math.ceil(np.abs(path).max())
    side = 2 * radius + 1
    corner = np.floor(path).astype(int)
    fraction = path - corner
    kernel = np.zeros(side * side)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - fraction[:, 0]) * np.abs(1 - dx - fraction[:, 1])
            # the clip reaches only pixels of weight 0, beside a point that lies on the last row or column
            y, x = np.clip(corner + radius + (dy, dx), 0, side - 1).T
            kernel += np.bincount(y * side + x, weights=weight, minlength=side * side)
    return kernel.reshape(side, side) / kernel.sum()


def disc_kernel(radius: float) -> Float[np.ndarray, "K K"]:
    """Build the image of a point out of focus: a disc with a rim one pixel wide.

    Args:
        radius: radius in pixels, at least 0; up to 0.5 there is no blur.

    Returns:
        A kernel of odd side, 2 * ceil(radius - 0.5) + 1, that sums to 1.
    """
    half = max(0, math.ceil(radius - 0.5))
    offset = np.arange(-half, half + 1)
    kernel = np.clip(radius + 0.5 - np.hypot(offset[:, None], offset), 0, 1) if half else np.ones((1, 1))
    return kernel / kernel.sum()


def aperture_kernel(
    radius: float,
    *,
    blades: int = 0,
    angle: float = 0.0,
    roundness: float = 0.0,
    rim: float = 0.0,
    cut: tuple[float, float] = (0.0, 0.0),
) -> Float[np.ndarray, "K K"]:
    """Build the image of a point out of focus behind a real aperture.

    Args:
        radius: distance from the middle to a corner of the aperture in pixels, at least 0; up to 0.5 there is no blur.
        blades: sides of the aperture; 0 is a disc.
        angle: rotation of the aperture in radians.
        roundness: curvature of the sides toward the circle, 0 (straight) to 1 (a disc).
        rim: brightness at the edge relative to the middle, minus 1: above 0 a bright ring, down to -1 a soft edge.
        cut: (y, x) by which the lens barrel is shifted before the aperture, as a share of the radius; a point near the
            corner of the image becomes a cat's eye.

    Returns:
        A kernel of odd side, 2 * ceil(radius - 0.5) + 1, that sums to 1.
    """
    half = max(0, math.ceil(radius - 0.5))
    if not half:
        return np.ones((1, 1))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    distance = np.hypot(y, x)
    edge = np.full(distance.shape, float(radius))
    if blades:
        sector = 2 * math.pi / blades
        polygon = math.cos(sector / 2) / np.cos((np.arctan2(y, x) - angle) % sector - sector / 2)
        edge *= polygon + roundness * (1 - polygon)
    kernel = np.clip(edge + 0.5 - distance, 0, 1)
    if any(cut):
        kernel *= np.clip(radius + 0.5 - np.hypot(y - cut[0] * radius, x - cut[1] * radius), 0, 1)
    kernel *= 1 + rim * np.minimum(distance / edge, 1) ** 2
    return kernel / kernel.sum()


def convolve_varying(
    planes: Float32[np.ndarray, "C H W"],
    kernel_at: Callable[[float, float], Float[np.ndarray, "*_ K K"]],
    rows: int,
    columns: int,
) -> Float32[np.ndarray, "C H W"]:
    """Convolve an image with a kernel that varies over the image.

    Args:
        planes: image with any number of channels, of any size.
        kernel_at: function that returns the kernel at a position (y, x) in pixels, with an odd side and a sum of 1. One
            for all channels, or one for each.
        rows: number of nodes from top to bottom at which the kernel is computed, at least 1.
        columns: number of nodes from left to right.

    Returns:
        The image of the same size. Between nodes it is the bilinear mix of the results of the four nodes around. The
        border is continued by reflection.

    Source: Hirsch et al., "Efficient filter flow for space-variant multiframe blind deconvolution", CVPR 2010.
    """
    height, width = planes.shape[-2:]
    out = np.zeros_like(planes)
    for top, middle_y, bottom, down in _nodes(height, rows):
        for left, middle_x, right, across in _nodes(width, columns):
            kernel = kernel_at(middle_y, middle_x)
            window = _window(planes, top, bottom, left, right, kernel.shape[-1] // 2)
            weight = (down[:, None] * across).astype(np.float32)
            out[:, top:bottom, left:right] += weight * _valid(window, kernel)
    return out


def _nodes(length: int, count: int) -> list[tuple[int, float, int, Float[np.ndarray, "_"]]]:
    """Place nodes along one side: the first pixel of each, its position, the pixel after its last, and its weights."""
    count = min(count, length)
    if count == 1:
        return [(0, (length - 1) / 2, length, np.ones(length))]
    positions = np.linspace(0, length - 1, count)
    step = positions[1]
    nodes = []
    for position in positions:
        weights = np.maximum(0, 1 - np.abs(np.arange(length) - position) / step)
        reached = np.flatnonzero(weights)
        first, end = int(reached[0]), int(reached[-1]) + 1
        nodes.append((first, float(position), end, weights[first:end]))
    return nodes


def _window(
    planes: Float32[np.ndarray, "C H W"], top: int, bottom: int, left: int, right: int, reach: int
) -> Float32[np.ndarray, "C h w"]:
    """Cut out a window with a margin, continued by reflection beyond the image's border."""
    height, width = planes.shape[-2:]
    outer_top, outer_left = max(0, top - reach), max(0, left - reach)
    outer_bottom, outer_right = min(height, bottom + reach), min(width, right + reach)
    if outer_bottom - outer_top <= reach or outer_right - outer_left <= reach:  # more than one reflection is needed
        padded = np.pad(planes, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
        return padded[:, top : bottom + 2 * reach, left : right + 2 * reach]
    window = planes[:, outer_top:outer_bottom, outer_left:outer_right]
    missing = (
        (0, 0),
        (reach - (top - outer_top), reach - (outer_bottom - bottom)),
        (reach - (left - outer_left), reach - (outer_right - right)),
    )
    return np.pad(window, missing, mode="reflect")


def _valid(window: Float32[np.ndarray, "C h w"], kernel: Float[np.ndarray, "*_ K K"]) -> Float32[np.ndarray, "C _ _"]:
    """Convolve where the kernel lies within the window."""
    side = kernel.shape[-1]
    if side == 1:
        return window
    shape = [fft.next_fast_len(length, real=True) for length in window.shape[-2:]]
    spectrum = np.asarray(fft.rfft2(window, s=shape, norm="backward"))
    spectrum *= np.asarray(fft.rfft2(kernel.astype(np.float32), s=shape, norm="backward"))
    full = np.asarray(fft.irfft2(spectrum, s=shape, norm="backward"))
    return full[:, side - 1 : window.shape[-2], side - 1 : window.shape[-1]]
