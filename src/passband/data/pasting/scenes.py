"""Pastes objects on a background, and keeps the mask of every part that stays visible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from PIL import Image, ImageEnhance
from torch import Tensor

from passband.io.image import from_pil

PARTS = ("train", "validation")
"""Names of the parts of a set. No object and no background is in both."""
TRIES = 30
"""Number of places that are tried for an object before it is left out."""
SHRINKING, ENLARGING = 0.93, 1.25
"""Factors of the size of an object from one try to the next, and of the size of an object that has too few pixels."""
INSIDE = 128
"""Opacity of 255 from which a pixel belongs to the mask of an object."""
LEAST_PIXELS = 24
"""Smallest number of visible pixels of an object."""


@runtime_checkable
class ObjectSource(Protocol):
    """Source of cut-out objects and backgrounds, which keeps those of the two parts apart."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    def cutout(self, label: int, part: str, rng: np.random.Generator) -> Image.Image:
        """Return a random object with alpha, of mode RGBA, without an empty border.

        Args:
            label: place of the class in `classes`, from 0.
            part: one of `PARTS`.
            rng: generator of the random choices.
        """
        ...

    def background(self, part: str, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        """Return a random background of mode RGB.

        Args:
            part: one of `PARTS`.
            size: height and width, in pixels.
            rng: generator of the random choices.
        """
        ...


@dataclass(frozen=True)
class PasteSettings:
    """Random choices for each image.

    Attributes:
        size: height and width of the images, in pixels.
        count: smallest and largest number of objects in an image.
        scale: smallest and largest ratio of the longer side of an object to the shorter side of the image. The ratios
            between them are equally likely on a logarithmic scale.
        turn: largest angle by which an object is turned to either side, in degrees.
        light: largest change of the brightness of an object: the factor is random from 1 - this to 1 + this.
        visible: smallest share of an object's pixels that is neither hidden by other objects nor outside the image.

    Raises:
        ValueError: if a setting is out of its range.
    """

    size: tuple[int, int] = (256, 256)
    count: tuple[int, int] = (1, 6)
    scale: tuple[float, float] = (0.15, 0.55)
    turn: float = 25.0
    light: float = 0.25
    visible: float = 0.5

    def __post_init__(self):
        if min(self.size) < 32:
            raise ValueError(f"the images need sides of at least 32 pixels; got {self.size[0]} x {self.size[1]}")
        if not 1 <= self.count[0] <= self.count[1]:
            raise ValueError(f"count must be the smallest and the largest number of objects, from 1; got {self.count}")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be two shares of the side, 0 < smallest <= largest <= 1; got {self.scale}")
        if not 0 <= self.turn <= 180 or not 0 <= self.light < 1 or not 0 < self.visible <= 1:
            raise ValueError(
                "turn is 0 to 180 degrees, light is at least 0 and below 1, visible is above 0 and at most 1; got "
                f"{self.turn}, {self.light} and {self.visible}"
            )


@dataclass(frozen=True)
class PastedObject:
    """An object in an image.

    Attributes:
        label: place of its class, from 0.
        mask: visible pixels of the object.
    """

    label: int
    mask: Bool[Tensor, "H W"]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The box around the visible pixels: x, y, width and height, in whole pixels."""
        rows, columns = (self.mask.any(axis).nonzero().flatten() for axis in (1, 0))
        left, top = int(columns[0]), int(rows[0])
        return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


@dataclass(frozen=True)
class Scene:
    """An image with the objects in it."""

    image: Float[Tensor, "3 H W"]
    """RGB in [0, 1]."""
    objects: tuple[PastedObject, ...]
    """The objects, from the farthest to the nearest."""

    def labels(self) -> Int64[Tensor, "H W"]:
        """Return the class of each pixel, from 1; 0 is the background."""
        mask = torch.zeros(self.image.shape[-2:], dtype=torch.int64)
        for one in self.objects:
            mask[one.mask] = one.label + 1
        return mask


def paste_scene(
    source: ObjectSource, labels: Sequence[int], part: str, settings: PasteSettings, rng: np.random.Generator
) -> Scene:
    """Paste objects on a background, one after the other.

    An object is put where it and all earlier ones stay visible enough (`PasteSettings.visible`). If no such place is
    found in `TRIES` tries, it is left out, so that an image never shows an object without its annotation. An object
    that is too small to keep `LEAST_PIXELS` visible pixels is enlarged.

    Args:
        source: source of objects and backgrounds.
        labels: class of each object, from 0, in the order of pasting.
        part: one of `PARTS`.
        settings: random choices.
        rng: generator of the random choices.

    Returns:
        The image with the objects that found a place.
    """
    height, width = settings.size
    canvas = np.asarray(source.background(part, settings.size, rng), dtype=np.float32)
    visible: list[np.ndarray] = []
    whole: list[int] = []
    pasted: list[int] = []
    for label in labels:
        cutout = source.cutout(label, part, rng)
        side = min(height, width) * np.exp(rng.uniform(*np.log(settings.scale)))
        smaller = larger = 0
        for _ in range(TRIES):
            size = min(side * SHRINKING**smaller * ENLARGING**larger, *settings.size)
            view = _changed(cutout, size, settings, rng)
            left, top = (int(rng.integers(-here // 4, full - 3 * here // 4 + 1)) for here, full in _sides(view, canvas))
            layer = np.zeros((height, width, 4), np.float32)
            area = _paste(layer, np.asarray(view, dtype=np.float32), left, top)
            inside = layer[..., 3] >= INSIDE
            hidden = [mask & ~inside for mask in visible]
            masks = [*hidden, inside]
            least = [max(LEAST_PIXELS, settings.visible * pixels) for pixels in (*whole, area)]
            if all(mask.sum() >= enough for mask, enough in zip(masks, least, strict=True)):
                opacity = layer[..., 3:] / 255
                canvas = canvas * (1 - opacity) + layer[..., :3] * opacity
                visible, whole, pasted = masks, [*whole, area], [*pasted, label]
                break
            if area < 2 * LEAST_PIXELS:  # half of an object may be hidden or outside
                larger += 1
            else:
                smaller += 1
    picture = Image.fromarray(canvas.round().clip(0, 255).astype(np.uint8))
    objects = tuple(PastedObject(label, torch.from_numpy(mask)) for label, mask in zip(pasted, visible, strict=True))
    return Scene(from_pil(picture).image, objects)


def _changed(cutout: Image.Image, side: float, settings: PasteSettings, rng: np.random.Generator) -> Image.Image:
    """Mirror, brighten, resize and turn an object at random."""
    if rng.random() < 0.5:
        cutout = cutout.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    factor = side / max(cutout.size)
    size = max(2, round(cutout.width * factor)), max(2, round(cutout.height * factor))
    cutout = cutout.resize(size, Image.Resampling.BICUBIC)
    light = 1 + settings.light * rng.uniform(-1, 1)
    alpha = cutout.getchannel("A")
    cutout = ImageEnhance.Brightness(cutout.convert("RGB")).enhance(light)
    cutout.putalpha(alpha)
    return cutout.rotate(settings.turn * rng.uniform(-1, 1), Image.Resampling.BICUBIC, expand=True)


def _sides(view: Image.Image, canvas: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the widths, then the heights, of an object and of the image."""
    return (view.width, canvas.shape[1]), (view.height, canvas.shape[0])


def _paste(layer: np.ndarray, view: np.ndarray, left: int, top: int) -> int:
    """Copy an object into an empty layer, and return the number of its pixels, those outside the image included."""
    height, width = view.shape[:2]
    rows = slice(max(0, top), min(layer.shape[0], top + height))
    columns = slice(max(0, left), min(layer.shape[1], left + width))
    if rows.start < rows.stop and columns.start < columns.stop:
        layer[rows, columns] = view[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return int((view[..., 3] >= INSIDE).sum())
