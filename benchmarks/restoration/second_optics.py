"""Simulates motion blur, defocus, drops and scratches for the second generators: in the camera, on glass or on a print.

Images are H W 3, sRGB in [0, 1], float64.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from second_weather import FINE, Canvas, log_uniform, to_light, to_srgb

SHOTS = 24
"""Number of instants of an exposure that are averaged."""


def second_motion(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Average many views of a camera in shaking hands, whose rotation is that of a gyroscope's record.

    The rate about each axis is a slow walk that is pulled back, with the tremor of hands at 6 to 12 per second; each
    instant is a homography of the picture. The longest path over the picture is 3 to 26 pixels.
    """
    height, width = image.shape[:2]
    focal = rng.uniform(0.9, 2) * max(height, width)
    exposure = float(log_uniform(rng, 1 / 60, 1 / 3))
    time = np.linspace(0, exposure, SHOTS)
    angles = np.zeros((SHOTS, 3))
    rate = rng.normal(0, 1, 3)
    tremor = [(rng.uniform(6, 12), rng.uniform(0, 2 * math.pi), rng.uniform(0, 1.2)) for _ in range(3)]
    for shot in range(1, SHOTS):
        step = time[shot] - time[shot - 1]
        rate += -3 * rate * step + 2.5 * math.sqrt(step) * rng.normal(0, 1, 3)
        swing = np.array([size * math.sin(2 * math.pi * beat * time[shot] + phase) for beat, phase, size in tremor])
        angles[shot] = angles[shot - 1] + (rate + swing) * step * (1, 1, rng.uniform(0.8, 1.2))
    angles[:, 2] *= rng.uniform(0, 1.5)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height], [width / 2, height / 2]], dtype=float)
    wanted = float(log_uniform(rng, 3, 26))
    scale = 1e-3
    for _ in range(3):  # small angles are nearly linear
        paths = np.stack([_turned(corners, scale * (one - angles.mean(0)), focal, height, width) for one in angles])
        scale *= wanted / max(1e-9, np.ptp(paths, axis=0).max())
    light = torch.from_numpy(to_light(image)).permute(2, 0, 1)[None].float()
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1).reshape(-1, 2)
    total = torch.zeros_like(light)
    for one in angles:
        places = _turned(grid, scale * (one - angles.mean(0)), focal, height, width)
        normed = torch.from_numpy((2 * places / (width, height) - 1).astype(np.float32)).reshape(1, height, width, 2)
        total += F.grid_sample(light, normed, "bicubic", "reflection", align_corners=False)
    return to_srgb((total[0] / SHOTS).permute(1, 2, 0).double().numpy())


def second_defocus(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Focus before or behind layers, each gathered over a disc with a soft rim, and lay them over each other.

    Layers are regions of like brightness and height in the picture; those behind shine past the rims of those before.
    """
    height, width = image.shape[:2]
    light = to_light(image)
    gray = gaussian_filter(image.mean(2), max(height, width) / 60, mode="nearest")
    tilt = np.linspace(0, 1, height)[:, None] * rng.choice((-1, 1)) * rng.uniform(0, 1)
    depth = gray * rng.choice((-1, 1)) * rng.uniform(0.3, 1.5) + tilt
    count = int(rng.integers(2, 6))
    layer_of = np.digitize(depth, np.quantile(depth, np.linspace(0, 1, count + 1)[1:-1]))
    inverse = np.sort(rng.uniform(0.1, 1, count))  # far layers first
    focus = rng.uniform(-0.2, 1.2)
    wide = float(log_uniform(rng, 2, 8)) / np.abs(inverse - focus).max()
    total, passing = np.zeros_like(light), np.zeros((height, width))
    for layer in range(count):
        kernel = _spot(wide * abs(inverse[layer] - focus))
        reach = len(kernel) // 2
        mask = (layer_of == layer).astype(np.float64)
        stacked = np.pad(np.dstack([light * mask[..., None], mask]), ((reach,) * 2, (reach,) * 2, (0, 0)), "symmetric")
        spread = np.stack([fftconvolve(stacked[..., c], kernel, "valid") for c in range(4)], -1)
        alpha = np.clip(spread[..., 3], 0, 1)
        total = total * (1 - alpha[..., None]) + spread[..., :3]
        passing = passing * (1 - alpha) + alpha
    return to_srgb(total / np.maximum(passing, 1e-3)[..., None])


def second_raindrop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Refract the picture at a film of water: a field of heights whose slopes bend each ray, out of focus.

    Drops are balls that flow into each other where they touch; steep slopes lose light.
    """
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    water = np.zeros((height, width))
    largest = float(log_uniform(rng, 6, 28))
    for _ in range(int(log_uniform(rng, 90, 900) * (height * width / 393216) * min(1, 12 / largest)) + 1):
        radius = 2 + (largest - 2) * rng.random() ** 2.5
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        top, left = max(0, int(y - 3 * radius)), max(0, int(x - 3 * radius))
        box = slice(top, int(y + 3 * radius) + 1), slice(left, int(x + 3 * radius) + 1)
        for blob in range(int(rng.integers(1, 4))):
            off = rng.normal(0, 0.35 * radius, 2) if blob else np.zeros(2)
            square = (rows[box] - y - off[0]) ** 2 / rng.uniform(1, 1.6) + (columns[box] - x - off[1]) ** 2
            water[box] += 0.9 * radius * np.exp(-square / (0.55 * radius * radius))
    # surface tension: a rim with an angle where the sum of balls is thick enough, and dry glass where it is not
    film = np.sqrt(np.maximum(water - 1.2, 0)) * rng.uniform(1.2, 2)
    film = gaussian_filter(film, 0.7)
    slope_y, slope_x = np.gradient(film)
    distance = rng.uniform(30, 120)
    reach = distance / (1 + 0.33 * np.hypot(slope_y, slope_x))
    light = to_light(image)
    soft = np.stack([gaussian_filter(light[..., c], 3.0, mode="nearest") for c in range(3)], -1)
    places = np.stack([columns + slope_x * reach + 0.5, rows + slope_y * reach + 0.5], -1) / (width, height) * 2 - 1
    seen = F.grid_sample(
        torch.from_numpy(soft).permute(2, 0, 1)[None], torch.from_numpy(places)[None], "bilinear", "reflection",
        align_corners=False,
    )[0].permute(1, 2, 0).numpy()  # fmt: skip
    loss = np.clip(1.15 - 0.35 * np.hypot(slope_y, slope_x), 0.25, 1.15)
    around = light.mean() * rng.uniform(0.2, 0.6)  # of all that the picture does not show
    seen = seen * loss[..., None] + around + rng.uniform(0, 0.5) * np.clip(-slope_y, 0, 1)[..., None]
    alpha = np.clip(film / 0.8, 0, 1) * rng.uniform(0.75, 1)
    blur = float(log_uniform(rng, 0.5, 4.5))
    kernel = _spot(blur)
    reach = len(kernel) // 2
    stacked = np.pad(np.dstack([seen * alpha[..., None], alpha]), ((reach,) * 2, (reach,) * 2, (0, 0)), "symmetric")
    spread = np.stack([fftconvolve(stacked[..., c], kernel, "valid") for c in range(4)], -1)
    return to_srgb(light * np.clip(1 - spread[..., 3:], 0, 1) + np.maximum(spread[..., :3], 0))


def second_scratch(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw random walks, polygons and blurred spots on a print: scratches, hairs, dust, stains and a fold."""
    height, width = image.shape[:2]
    worn = image.copy()
    if rng.random() < 0.35:
        spot = np.zeros((height, width))
        for _ in range(int(rng.integers(1, 7))):
            canvas = Canvas(height, width)
            canvas.polygon(_blob(rng, rng.uniform(0, width), rng.uniform(0, height), float(log_uniform(rng, 10, 120))))
            area = gaussian_filter(canvas.cover(), rng.uniform(1, 12))
            spot = np.maximum(spot, rng.uniform(0.15, 0.6) * (area + 1.5 * area * (1 - area)))
        color = np.array((0.6, 0.45, 0.25) if rng.random() < 0.7 else (0.5, 0.5, 0.5))
        worn = worn * (1 - np.clip(spot, 0, 1)[..., None] * (1 - color))
    if rng.random() < 0.3:
        ends = rng.uniform(0, 1, (2, 2)) * (width, height)
        ends[:, int(rng.integers(0, 2))] = (0, width) if rng.random() < 0.5 else (0, height)
        canvas = Canvas(height, width)
        points = np.linspace(*ends, 60) + rng.normal(0, 0.6, (60, 2))
        canvas.line(points, rng.uniform(0.7, 4))
        crease = canvas.cover() * (gaussian_filter(rng.normal(0, 1, (height, width)), 2) > -0.1)
        wide = gaussian_filter(canvas.cover(), rng.uniform(2, 8))
        worn = (
            worn * (1 - rng.uniform(0.2, 1) * np.clip(wide, 0, 1)[..., None]) + rng.uniform(0.4, 1) * crease[..., None]
        )
    for kind, share in (("scratch", 1), ("hair", 0.5), ("dust", 0.6)):
        if rng.random() > share:
            continue
        canvas = Canvas(height, width)
        many = {"scratch": (10, 300), "hair": (6, 60), "dust": (20, 900)}[kind]
        common, loose = rng.uniform(0, math.pi), rng.choice((0.05, 3.0))
        for _ in range(int(log_uniform(rng, *many) * height * width / 393216) + 1):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            if kind == "dust":
                canvas.polygon(_blob(rng, x, y, float(log_uniform(rng, 0.5, 2.5)), 8))
                continue
            steps = int(log_uniform(rng, 12, 400 if kind == "scratch" else 40))
            turn = 0.02 if kind == "scratch" else 0.3
            heading = common + loose * rng.normal() + np.cumsum(rng.normal(0, turn, steps))
            walk = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), axis=0) * rng.uniform(1.5, 4)
            canvas.line(walk - walk.mean(0) + (x, y), float(log_uniform(rng, 1 / FINE, 2.5)))
        cover = gaussian_filter(canvas.cover(), rng.uniform(0.2, 0.9))[..., None] * rng.uniform(0.35, 1)
        target = rng.uniform(0.75, 1) if rng.random() < 0.6 else rng.uniform(0, 0.25)
        worn = worn + cover * (target + rng.normal(0, 0.03, 3) - worn)
    return np.clip(worn, 0, 1)


def _turned(points: np.ndarray, angles: np.ndarray, focal: float, height: int, width: int) -> np.ndarray:
    """Return the positions of points (x, y) after the camera turns by small angles about x, y and its axis."""
    rx, ry, rz = angles
    x, y = (points[:, 0] - width / 2) / focal, (points[:, 1] - height / 2) / focal
    x, y = x * math.cos(rz) - y * math.sin(rz), x * math.sin(rz) + y * math.cos(rz)
    x, z = x * math.cos(ry) + math.sin(ry), math.cos(ry) - x * math.sin(ry)
    y, z = y * math.cos(rx) - z * math.sin(rx), y * math.sin(rx) + z * math.cos(rx)
    return np.stack([x / z * focal + width / 2, y / z * focal + height / 2], -1)


def _spot(radius: float) -> np.ndarray:
    """Return a point out of focus: a disc, drawn four times larger, with a Gaussian rim of 1/4 of its radius."""
    reach = math.ceil(1.6 * radius) + 1
    fine = (np.arange((2 * reach + 1) * 4) + 0.5) / 4 - reach - 0.5
    disc = (np.hypot(fine[:, None], fine) <= max(radius, 0.3)).astype(np.float64)
    disc = gaussian_filter(disc, 4 * 0.25 * radius)
    side = 2 * reach + 1
    kernel = disc.reshape(side, 4, side, 4).sum(axis=(1, 3))
    return kernel / kernel.sum()


def _blob(rng: np.random.Generator, x: float, y: float, radius: float, corners: int = 24) -> np.ndarray:
    """Return the corners of an irregular spot."""
    angle = np.linspace(0, 2 * math.pi, corners + 1)[:-1]
    uneven = np.convolve(np.tile(rng.uniform(0.6, 1.4, corners), 3), np.ones(3) / 3, "same")[corners : 2 * corners]
    return np.array([x, y]) + (radius * uneven)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
