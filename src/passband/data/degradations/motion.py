"""Simulates motion blur: a camera that moves, rotates and zooms, and objects that move by themselves.

Light is added as the sensor adds it. Blur is a convolution whose kernel changes over the image.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter

from passband.data.degradations.parts.depth import segment
from passband.data.degradations.parts.draws import log_large, log_uniform
from passband.data.degradations.parts.fields import enlarge, reduce
from passband.data.degradations.parts.kernels import camera_path, convolve_varying, rasterize
from passband.data.degradations.parts.layers import cover, expand_highlights, split
from passband.ops.color import linear_to_srgb, srgb_to_linear

_NODE_STEP = 2.0  # neighboring kernels differ by at most this many pixels of path
_MOST_NODES = 7  # a side
_FARTHEST_TURN = 30.0  # pixels that turn and zoom may add to the path at a corner of the image


@dataclass(frozen=True)
class MotionBlur:
    """An exposure during which camera and objects move.

    Attributes:
        length: path of the image on the sensor in pixels along the path, at the center of the rotation; at least 0.
        shake: disturbance of the motion by the hand, 0 (a straight line) to 1 (mostly random turns).
        jerk: chance per time step (48 in all) of a sudden reversal, as when the shutter button is pressed.
        uneven: change of the speed along the path, 0 (constant) to 0.9.
        turn: rotation about the line of sight over the exposure in degrees, limited so that a corner moves by at most
            30 px.
        zoom: growth of the image over the exposure, as of a camera that moves forward; 0.01 is 1 %. Limited as `turn`.
        center: (y, x) about which the camera rotates and zooms, as shares of the image; may lie outside.
        frames: number of video frames that are averaged; 0 if the shutter is open all the time.
        duty: part of each frame's time in which the shutter is open, above 0 to 1.
        middle: whether the sharp image is that of the middle of the exposure, as in data sets of averaged frames,
            rather than at the mean position of the blurred one.
        highlights: brightness of the brightest places before the sensor clipped them, relative to white, minus 1.
        linear: whether to add linear light rather than stored values, as some data sets do.
        objects: number of objects that move by themselves.
        own: path of an object in pixels; None for one that moves only because it is nearer or farther.
        parallax: path of such an object relative to that of the image; 0 stays sharp, as when the camera follows it.
    """

    length: float
    shake: float
    jerk: float
    uneven: float
    turn: float
    zoom: float
    center: tuple[float, float]
    frames: int
    duty: float
    middle: bool
    highlights: float
    linear: bool
    objects: int
    own: float | None
    parallax: float


def sample_motion_blur(rng: np.random.Generator) -> MotionBlur:
    """Draw an exposure.

    Args:
        rng: generator of the random numbers.

    Returns:
        length 2 to 40 px, long ones more often (as in GoPro and REDS: Nah et al., CVPR 2017; NTIRE 2019). Straight in
        25 % of draws, otherwise shake 0.01 to 1, log-uniform, and jerk 0 to 0.03 (Boracchi & Foi, IEEE TIP 2012);
        uneven 0 to 0.9. turn in half of the draws, 0.1 to 3 degrees, log-uniform, and zoom in 20 %, 0.1 % to 4 %,
        log-uniform (hand-held cameras rotate by a few degrees: Whyte et al., "Non-uniform deblurring for shaken
        images", IJCV 2012); their center within 1.5 sides of the image's middle. Averaged frames in 35 %: 7 to 15
        frames, open for 0.3 to 1 of their time. Clipped highlights in 35 %, up to 0.5 to 8 times above white,
        log-uniform. Stored values are added in 15 %. Objects, 1 or 2, in 35 %: half with a path of their own of 0 to 40
        px, half with 0 to 2 times the camera's.
    """
    straight = rng.random() < 0.25
    objects = int(rng.integers(1, 3)) if rng.random() < 0.35 else 0
    frames = int(rng.integers(7, 16)) if rng.random() < 0.35 else 0
    center_y, center_x = rng.uniform(-1, 2, 2).tolist()
    return MotionBlur(
        length=log_large(rng, 2, 40),
        shake=0.0 if straight else log_uniform(rng, 0.01, 1),
        jerk=0.0 if straight else rng.uniform(0, 0.03),
        uneven=rng.uniform(0, 0.9),
        turn=log_uniform(rng, 0.1, 3) if rng.random() < 0.5 else 0.0,
        zoom=log_uniform(rng, 0.001, 0.04) if rng.random() < 0.2 else 0.0,
        center=(center_y, center_x),
        frames=frames,
        duty=rng.uniform(0.3, 1) if frames else 1.0,
        middle=bool(rng.random() < (0.7 if frames else 0.2)),
        highlights=log_uniform(rng, 0.5, 8) if rng.random() < 0.35 else 0.0,
        linear=bool(rng.random() < 0.85),
        objects=objects,
        own=40 * rng.random() ** 2 if rng.random() < 0.5 else None,
        parallax=rng.uniform(0, 2),
    )


def motion_blur(
    image: Float32[np.ndarray, "3 H W"], motion: MotionBlur, rng: np.random.Generator
) -> Float32[np.ndarray, "3 H W"]:
    """Blur an image by the motion of the camera and of objects.

    Args:
        image: sRGB in [0, 1], any size.
        motion: motion of camera and objects.
        rng: generator of the paths and the objects.

    Returns:
        sRGB in [0, 1].
    """
    height, width = image.shape[-2:]
    light = srgb_to_linear(torch.from_numpy(image)).numpy() if motion.linear else image
    if motion.highlights:
        light = expand_highlights(light, motion.highlights)
    path = draw_path(motion, height, width, rng)
    layers = []  # from the front to the back
    for _ in range(motion.objects):
        soft = _object(image, rng)
        if motion.own is None:
            track = path.scaled(motion.parallax)
        else:
            alone = camera_path(motion.own, motion.shake * rng.random(), 0, rng)
            track = Path(alone, np.zeros((len(alone), 2)), (0.0, 0.0), height, width)
        light, thing = split(light, soft)
        layers.append(track.blur(thing))
    blurred = path.blur(light)
    for layer in reversed(layers):
        blurred = cover(blurred, layer)
    blurred = np.clip(blurred, 0, 1)
    return np.clip(linear_to_srgb(torch.from_numpy(blurred)).numpy(), 0, 1) if motion.linear else blurred


class Path:
    """The displacement of each point of the image during the exposure.

    Args:
        shift: displacement (y, x) of the center at each moment, in pixels.
        change: rotation in radians, counted from x to y, and growth, at each moment.
        center: (y, x) in pixels about which the image rotates and grows.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
    """

    def __init__(
        self,
        shift: Float[np.ndarray, "moments 2"],
        change: Float[np.ndarray, "moments 2"],
        center: tuple[float, float],
        height: int,
        width: int,
    ):
        self.shift = shift
        self.change = change
        self.center = center
        self.height = height
        self.width = width

    def at(self, y: float, x: float) -> Float[np.ndarray, "moments 2"]:
        """Return the path of one point, as (y, x) in pixels from its place in the sharp image.

        Args:
            y: row of the point, in pixels.
            x: column of the point, in pixels.
        """
        dy, dx = y - self.center[0], x - self.center[1]
        turn, growth = self.change.T
        return self.shift + np.stack([turn * dx + growth * dy, growth * dx - turn * dy], axis=-1)

    def scaled(self, factor: float) -> "Path":
        """Return a path whose displacements are `factor` times these.

        Args:
            factor: factor of shift, rotation and growth; 0 is a camera at rest.
        """
        return Path(factor * self.shift, factor * self.change, self.center, self.height, self.width)

    def blur(self, planes: Float32[np.ndarray, "C H W"]) -> Float32[np.ndarray, "C H W"]:
        """Average an image along the path.

        Args:
            planes: light of each channel, of the height and width of the path.

        Returns:
            The mean of the image along the path of each point, in the same unit.
        """
        spread = float(np.hypot(*np.ptp(self.change, axis=0)))  # pixels of path per pixel of distance
        rows, columns = (
            1 if spread * length < 0.3 else min(_MOST_NODES, 2 + int(spread * length / _NODE_STEP))
            for length in (self.height, self.width)
        )
        return convolve_varying(planes, lambda y, x: rasterize(self.at(y, x)), rows, columns)


def draw_path(motion: MotionBlur, height: int, width: int, rng: np.random.Generator) -> Path:
    """Draw the motion of the camera.

    Args:
        motion: length and character of the motion.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        rng: generator of direction, turns and speed.

    Returns:
        The path of each point of the image.
    """
    shift = camera_path(motion.length, motion.shake, motion.jerk, rng)
    count = len(shift)
    change = np.zeros((count, 2))
    center = (motion.center[0] * height, motion.center[1] * width)
    farthest = max(math.hypot(y - center[0], x - center[1]) for y in (0, height) for x in (0, width))
    for k, amount in enumerate((math.radians(motion.turn), motion.zoom)):
        if amount:
            course = camera_path(1, motion.shake, 0, rng)[:, 0]  # as unsteady as the hand
            course = course / max(np.ptp(course), 1e-9)
            change[:, k] = course * min(amount, _FARTHEST_TURN / farthest)
    phase = 2 * math.pi * rng.random()
    times = np.linspace(0, 1, count)
    if motion.frames:
        times = times[(times * motion.frames) % 1 < motion.duty]
        times = times[times < 1]
    # moments follow the path at a speed that changes once up and down; time 0 and 1 remain its ends
    along = times + motion.uneven * (np.sin(2 * math.pi * times + phase) - math.sin(phase)) / (2 * math.pi)
    moments = np.clip(along, 0, 1) * (count - 1)
    courses = np.concatenate([shift, change], axis=1)
    courses = np.stack([np.interp(moments, np.arange(count), course) for course in courses.T], axis=-1)
    courses -= courses[len(courses) // 2] if motion.middle else courses.mean(axis=0)
    return Path(courses[:, :2], courses[:, 2:], center, height, width)


def _object(image: Float32[np.ndarray, "3 H W"], rng: np.random.Generator) -> Float32[np.ndarray, "H W"]:
    """Choose one or several segments of the image as an object: 1 inside, 0 outside, soft at its outline."""
    height, width = image.shape[-2:]
    small = reduce(image, max(1, math.ceil(max(height, width) / 96)))
    parts = segment(small, int(rng.integers(3, 9)), rng)
    chosen = rng.random(parts.count) < 0.2
    chosen[rng.integers(parts.count)] = True
    if parts.share[chosen].sum() > 0.6:
        chosen = ~chosen
    mask = chosen[parts.labels].astype(np.float32)
    return np.clip(gaussian_filter(enlarge(mask, height, width), 0.7), 0, 1)
