"""Simulates scratches, hairs, dust, stains and folds on a scan or on a surface, in stored values.

Sizes are in pixels, whatever the size of the image.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from passband.data.degradations.parts.draws import log_uniform
from passband.data.degradations.parts.fields import fractal_map
from passband.data.degradations.parts.strokes import Marks, draw_strokes

_BROWN = (0.62, 0.47, 0.28)  # color of white paper stained by tea, rust or old glue


@dataclass(frozen=True)
class Stain:
    """Patches left by a liquid, rust or light.

    Attributes:
        share: share of the image under them, 0 to 1.
        scale: size in pixels.
        strength: degree to which the image takes the color, 0 to 1.
        rim: additional strength of the rim relative to the middle, 0 to 3.
        edge: width of the rim in units of the map that draws them, 0.01 (sharp) to 0.2.
        color: sRGB that white becomes; values above 1 bleach.
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
        count: number of folds per 1000 pixels of height and of width.
        width: width of the broken line in pixels.
        opacity: opacity of the line, 0 to 1.
        value: gray of the line, 0 to 1.
        shade: light on one side and shadow on the other, as a share of the image's value, 0 to 0.5.
        reach: distance that light and shadow reach, in pixels.
    """

    count: float
    width: float
    opacity: float
    value: float
    shade: float
    reach: float


@dataclass(frozen=True)
class Scratch:
    """A worn image or surface.

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
    """Draw a worn image: at least one of scratches (55 %), hairs (35 %), dust (50 %), stains (25 %), folds (20 %).

    Args:
        rng: generator of the random numbers.

    Returns:
        Scratches: cover 0.2 % to 10 %, length 15 to 1500 px, width 0.5 to 4 px, all log-uniform, opacity 0.15 to 1; one
        direction or any; bends up to a quarter turn in 300 px. Hairs: cover 0.05 % to 2 %, 20 to 200 px by 0.7 to 3 px,
        curled. Dust: cover 0.05 % to 4 %, specks of 0.8 to 9 px. Each is bright, dark or mixed. Stains: 5 % to 60 % of
        the image, 20 to 500 px, strength 0.1 to 0.8. Folds: 0.5 to 6 per 1000 px, lines of 1 to 6 px. Relief in 30 %,
        0.1 to 0.6.

    Source: the defects named by Wan et al., "Bringing old photos back to life", CVPR 2020 (scratches, holes,
    stains, folds), and by Iizuka & Simo-Serra, "DeepRemaster", SIGGRAPH Asia 2019 (film: long scratches along the
    motion, dust, hairs); the widths are those of scans with 300 to 2400 dots per inch.
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
    """Add wear to an image.

    Args:
        image: sRGB in [0, 1].
        wear: marks, stains and folds.
        rng: generator of each of them.

    Returns:
        sRGB in [0, 1]; pixels beside all marks are unchanged.
    """
    height, width = image.shape[-2:]
    worn = image.copy()
    if wear.stain is not None:
        worn = _stained(worn, wear.stain, rng)
    if wear.folds is not None:
        worn = _folded(worn, wear.folds, rng)
    for marks in wear.marks:
        for bright in (False, True):
            opacity = draw_strokes(marks, marks.bright if bright else 1 - marks.bright, height, width, rng)
            if opacity is None:
                continue
            gray = marks.value if bright else 1 - marks.value
            color = np.clip(gray + marks.tint * rng.uniform(-1, 1, 3), 0, 1).astype(np.float32)[:, None, None]
            worn = worn + opacity * (color - worn)
            if wear.relief > 0:
                lit = np.roll(opacity, tuple(rng.integers(-1, 2, 2).tolist()), axis=(0, 1))
                worn = worn + np.float32(wear.relief) * (opacity - lit)
    return np.clip(worn, 0, 1)


def _stained(image: np.ndarray, stain: Stain, rng: np.random.Generator) -> np.ndarray:
    """Shift patches toward a color, most strongly at their rims."""
    height, width = image.shape[-2:]
    field = fractal_map(height, width, rng, stain.scale, octaves=5) - (1 - stain.share)
    patch = np.clip(field / np.float32(stain.edge) + np.float32(0.5), 0, 1)
    rim = np.exp(-((field / np.float32(1.5 * stain.edge)) ** 2) / 2) * patch
    strength = np.clip(stain.strength * (patch + stain.rim * rim) / (1 + stain.rim), 0, 1).astype(np.float32)
    color = np.array(stain.color, dtype=np.float32)[:, None, None]
    return np.clip(image * (1 + strength * (color - 1)), 0, 1)


def _folded(image: np.ndarray, folds: Folds, rng: np.random.Generator) -> np.ndarray:
    """Draw folds: a broken line with light on one side and shadow on the other."""
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
        cover=log_uniform(rng, 0.002, 0.1),
        length=log_uniform(rng, 15, 1500),
        width=log_uniform(rng, 0.5, 4),
        opacity=rng.uniform(0.15, 1),
        bright=_brightness(rng),
        value=rng.uniform(0.7, 1),
        tint=rng.uniform(0, 0.3) if rng.random() < 0.3 else 0.0,
        direction=rng.uniform(0, math.pi),
        spread=log_uniform(rng, 0.005, 0.3) if parallel else 3.0,
        bend=log_uniform(rng, 0.00005, 0.005),
        wander=log_uniform(rng, 0.003, 0.15),
        broken=rng.uniform(0.1, 0.7) if rng.random() < 0.5 else 0.0,
        soft=rng.uniform(0.3, 1.2) if rng.random() < 0.5 else 0.0,
    )


def _hairs(rng: np.random.Generator) -> Marks:
    """Draw curled fibers."""
    return Marks(
        cover=log_uniform(rng, 0.0005, 0.02),
        length=log_uniform(rng, 20, 200),
        width=log_uniform(rng, 0.7, 3),
        opacity=rng.uniform(0.3, 1),
        bright=_brightness(rng),
        value=rng.uniform(0.6, 1),
        tint=rng.uniform(0, 0.15),
        direction=0.0,
        spread=3.0,
        bend=log_uniform(rng, 0.005, 0.06),
        wander=rng.uniform(0.1, 1.2),
        broken=0.0,
        soft=rng.uniform(0.3, 2) if rng.random() < 0.5 else 0.0,
    )


def _dust(rng: np.random.Generator) -> Marks:
    """Draw specks: strokes about as long as they are wide."""
    width = log_uniform(rng, 0.8, 9)
    return Marks(
        cover=log_uniform(rng, 0.0005, 0.04),
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
        share=log_uniform(rng, 0.05, 0.6),
        scale=log_uniform(rng, 20, 500),
        strength=rng.uniform(0.1, 0.8),
        rim=rng.uniform(0, 3),
        edge=log_uniform(rng, 0.01, 0.2),
        color=(red, green, blue),
    )


def _folds(rng: np.random.Generator) -> Folds:
    """Draw creases."""
    return Folds(
        count=log_uniform(rng, 0.5, 6),
        width=log_uniform(rng, 1, 6),
        opacity=rng.uniform(0.2, 1),
        value=rng.uniform(0.6, 1) if rng.random() < 0.8 else rng.uniform(0, 0.3),
        shade=rng.uniform(0, 0.4),
        reach=log_uniform(rng, 3, 40),
    )


def _brightness(rng: np.random.Generator) -> float:
    """Draw the share of bright marks: none, all, or some."""
    kind = rng.random()
    return 1.0 if kind < 0.4 else 0.0 if kind < 0.75 else rng.random()
