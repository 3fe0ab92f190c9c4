"""Simulates a photograph out of focus: apertures of real lenses, depth with edges, and near things before far ones.

Light is added as the sensor adds it. A scene has one or two layers; within a layer the radius changes smoothly.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter

from passband.data.degradations.parts.depth import scene_depth
from passband.data.degradations.parts.draws import log_large, log_uniform
from passband.data.degradations.parts.kernels import aperture_kernel, convolve_varying
from passband.data.degradations.parts.layers import cover, expand_highlights, fill, split
from passband.ops.color import linear_to_srgb, srgb_to_linear

_MOST_LEVELS = 5  # radii computed in a layer
_WIDE_PX = 256  # images with a longer side above this have cat's eyes that turn over the image


@dataclass(frozen=True)
class Defocus:
    """A lens and a scene that is out of focus.

    Radii are in pixels; a negative radius is behind the plane of focus, a positive one in front of it.

    Attributes:
        far: radius of the disc of confusion of the farthest thing, -12 to 12.
        near: radius of the nearest thing, -12 to 12.
        outdoors: whether the depth is that of a scene outdoors rather than of a room.
        split: nearness, from 0 (far) to 1 (near), from which on things form a layer of their own that covers the rest;
            None for a single layer.
        blades: sides of the aperture, 5 to 9; 0 is a disc.
        angle: rotation of the aperture in radians.
        roundness: curvature of the sides, 0 (straight) to 1 (a disc).
        rim: relative brightness of the edge of a disc in front of the focus against its middle, minus 1; behind the
            focus it has the opposite sign, as with spherical aberration.
        gaussian: whether the image of a point is a Gaussian whose standard deviation is half the radius.
        cat_eye: depth to which the barrel cuts into the aperture at the corners of the scene, 0 to 0.8 of the radius.
        axis: (y, x) of the middle of the scene as shares of the image; outside the image if that is a crop.
        fringe: radius in red minus that in blue, in signed pixels: longitudinal chromatic aberration.
        highlights: brightness of the brightest places before the sensor clipped them, relative to white, minus 1.
        linear: whether to add linear light rather than stored values.
    """

    far: float
    near: float
    outdoors: bool
    split: float | None
    blades: int
    angle: float
    roundness: float
    rim: float
    gaussian: bool
    cat_eye: float
    axis: tuple[float, float]
    fringe: float
    highlights: float
    linear: bool


def sample_defocus(rng: np.random.Generator) -> Defocus:
    """Draw a lens and its focus.

    Args:
        rng: generator of the random numbers.

    Returns:
        The larger radius is 0.8 to 12 px, large ones more often. The whole image has nearly one radius in 20 % of
        draws. The far is out of focus and the near within a fifth of that in 30 %, and the reverse in 15 %. The focus
        lies between them in 15 %. Otherwise both are out of focus to different degrees on the same side (radii of the
        dual-pixel photographs of Abuolaim & Brown, "Defocus deblurring using dual-pixel data", ECCV 2020, at 1 to 2
        megapixels). Two layers in 60 %. A Gaussian in 20 %; otherwise a disc in 35 %, or else 5 to 9 blades with
        roundness 0 to 1. rim -0.8 to 1 in 60 %, otherwise 0. Cat's eyes in 40 %, up to 0.8. Fringe in half of the
        draws, at most 0.8 px and a tenth of the larger radius. Clipped highlights in 40 %, up to 0.5 to 8 times above
        white, log-uniform. Stored values are added in 10 %.
    """
    large = log_large(rng, 0.8, 12)
    style, side = rng.random(), float(rng.choice([-1, 1]))
    if style < 0.2:
        far, near = side * large, side * large * rng.uniform(0.9, 1)
    elif style < 0.5:
        far, near = -large, large * rng.uniform(-0.2, 0.2)
    elif style < 0.65:
        far, near = large * rng.uniform(-0.2, 0.2), large
    elif style < 0.8:
        far, near = -large, large * rng.uniform(0.2, 1)
        if side > 0:
            far, near = -near, -far
    else:
        far, near = (-large, -large * rng.uniform(0.2, 0.9)) if side < 0 else (large * rng.uniform(0.2, 0.9), large)
    gaussian = bool(rng.random() < 0.2)
    axis_y, axis_x = rng.uniform(-2, 3, 2).tolist()
    return Defocus(
        far=far,
        near=near,
        outdoors=bool(rng.random() < 0.5),
        split=rng.uniform(0.2, 0.8) if rng.random() < 0.6 else None,
        blades=0 if rng.random() < 0.35 else int(rng.integers(5, 10)),
        angle=rng.uniform(0, 2 * math.pi),
        roundness=rng.random(),
        rim=rng.uniform(-0.8, 1) if rng.random() < 0.6 else 0.0,
        gaussian=gaussian,
        cat_eye=rng.uniform(0, 0.8) if rng.random() < 0.4 else 0.0,
        axis=(axis_y, axis_x),
        fringe=rng.uniform(-1, 1) * min(0.8, 0.1 * large) if rng.random() < 0.5 else 0.0,
        highlights=log_uniform(rng, 0.5, 8) if rng.random() < 0.4 else 0.0,
        linear=bool(rng.random() < 0.9),
    )


def defocus(
    image: Float32[np.ndarray, "3 H W"], lens: Defocus, rng: np.random.Generator
) -> Float32[np.ndarray, "3 H W"]:
    """Put an image out of focus.

    Args:
        image: sRGB in [0, 1], any size.
        lens: aperture and focus.
        rng: generator of the depth.

    Returns:
        sRGB in [0, 1].

    Source: geometric optics; the radius is linear in 1 / depth. Layers after Kraus & Strengert, "Depth-of-field
    rendering by pyramidal image processing", 2007; blending between radii after Potmesil & Chakravarty, 1982.
    """
    light = srgb_to_linear(torch.from_numpy(image)).numpy() if lens.linear else image
    if lens.highlights:
        light = expand_highlights(light, lens.highlights)
    nearness = _nearness(image, lens, rng)
    radius = (lens.far + (lens.near - lens.far) * nearness).astype(np.float32)
    if lens.split is None:
        blurred = _blur(light, radius, lens)
    else:
        front = np.clip((nearness - np.float32(lens.split)) / np.float32(0.06) + np.float32(0.5), 0, 1)
        light, thing = split(light, front)
        if lens.fringe:
            thing = np.concatenate([thing[:3], np.broadcast_to(thing[3:], light.shape)])  # an outline for each channel
        blurred = _blur(light, _continued(radius, front), lens)
        blurred = cover(blurred, _blur(thing, _continued(radius, 1 - front), lens))
    blurred = np.clip(blurred, 0, 1)
    return np.clip(linear_to_srgb(torch.from_numpy(blurred)).numpy(), 0, 1) if lens.linear else blurred


def _nearness(
    image: Float32[np.ndarray, "3 H W"], lens: Defocus, rng: np.random.Generator
) -> Float32[np.ndarray, "H W"]:
    """Draw the nearness of each point: 1 / depth, scaled to 0 at the image's farthest point and 1 at the nearest."""
    near = 1 / scene_depth(image, rng, outdoors=lens.outdoors)
    constant = rng.random()
    least, most = near.min(), near.max()
    if most < 1.03 * least:  # the image shows a single plane
        return np.full_like(near, constant)
    return ((near - least) / (most - least)).astype(np.float32)


def _continued(radius: Float32[np.ndarray, "H W"], hole: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Continue the radius of a layer into the area where the layer is missing."""
    return gaussian_filter(fill(radius[None], hole)[0], 1.0, truncate=2.5)


def _blur(
    planes: Float32[np.ndarray, "C H W"], radius: Float32[np.ndarray, "H W"], lens: Defocus
) -> Float32[np.ndarray, "C H W"]:
    """Blur a layer by a radius that varies over it, as the linear mix of the two nearest computed radii."""
    least, most = float(radius.min()), float(radius.max())
    count = 1 if most - least < 0.3 else min(_MOST_LEVELS, 2 + int((most - least) / 1.5))
    if count == 1:
        return _convolve(planes, (least + most) / 2, lens)
    level = (radius - least) * np.float32((count - 1) / (most - least))
    out = np.zeros_like(planes)
    for k, here in enumerate(np.linspace(least, most, count)):
        weight = np.maximum(0, 1 - np.abs(level - np.float32(k)))
        if weight.max() > 0:
            out += weight * _convolve(planes, float(here), lens)
    return out


def _convolve(planes: Float32[np.ndarray, "C H W"], radius: float, lens: Defocus) -> Float32[np.ndarray, "C H W"]:
    """Blur a layer by one radius, or by one for each of red, green and blue."""
    height, width = planes.shape[-2:]
    radii = [radius + shift * lens.fringe for shift in (0.5, 0.0, -0.5)] if lens.fringe else [radius]
    if max(abs(one) for one in radii) <= 0.5:
        return planes

    def kernel_at(y: float, x: float) -> Float[np.ndarray, "_ K K"]:
        cut_y, cut_x = 0.0, 0.0
        if lens.cat_eye:
            cut_y, cut_x = (y + 0.5) / height - lens.axis[0], (x + 0.5) / width - lens.axis[1]
            longest = max(math.hypot(cut_y, cut_x), 1.0)
            cut_y, cut_x = -lens.cat_eye * cut_y / longest, -lens.cat_eye * cut_x / longest
        kernels = [_point(one, lens, (cut_y, cut_x)) for one in radii]
        half = max(len(kernel) for kernel in kernels) // 2
        kernels = [np.pad(kernel, half - len(kernel) // 2) for kernel in kernels]
        return np.stack(kernels * (len(planes) // len(kernels)) if lens.fringe else kernels)

    varies = lens.cat_eye and not lens.gaussian and max(height, width) > _WIDE_PX
    return convolve_varying(planes, kernel_at, *((3, 3) if varies else (1, 1)))


def _point(radius: float, lens: Defocus, cut: tuple[float, float]) -> Float[np.ndarray, "K K"]:
    """Build the image of a point. Behind the focus it is rotated by half a turn and its rim is inverted."""
    size, sign = abs(radius), math.copysign(1, radius)
    if lens.gaussian:
        reach = math.ceil(1.25 * size)
        offset = np.arange(-reach, reach + 1)
        profile = np.exp(-2 * (offset / max(size, 0.1)) ** 2)
        kernel = profile[:, None] * profile
        return kernel / kernel.sum()
    kernel = aperture_kernel(
        size,
        blades=lens.blades,
        angle=lens.angle,
        roundness=lens.roundness,
        rim=max(-0.9, sign * lens.rim),
        cut=(cut[0], cut[1]),
    )
    return kernel if sign > 0 else kernel[::-1, ::-1]
