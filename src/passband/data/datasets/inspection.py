"""A data set of images with known degradations, from which an inspector learns.

The number of a sample decides everything about it. Clean images are resized, developed and compressed like degraded
ones, so that they differ only in the degradation.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from passband.data.cubes.inspection import Views, file_views
from passband.data.datasets.crops import CLEAN, UNUSABLE, ImageCache, crop_and_flip, read_pair
from passband.data.datasets.order import shuffled
from passband.data.degradations import KINDS, degrade, degrade_and_develop
from passband.data.degradations.parts.camera import develop, sample_camera
from passband.data.gains import GainTable
from passband.data.pairs import Pair
from passband.data.splits import is_held_out, numbered_side
from passband.io.image import read_image, to_pil
from passband.naming import entry

BEST = 60.0
"""The highest PSNR in dB that counts; an undamaged image would have an infinite one."""
_REDUCED = 1.6  # greatest factor by which degraded images are reduced
_BEST_QUALITY = 98


class InspectionSample(TypedDict):
    """One image, ready for an inspector."""

    windows: Float[Tensor, "W K h w"]
    overview: Float[Tensor, "M n n"]
    kinds: Float[Tensor, " K"]
    """1 for each kind of degradation that the image has, else 0; the last entry stands for `clean`."""
    psnr: Float[Tensor, ""]
    """PSNR against the clean image, in dB."""
    gains: Float[Tensor, " N"]
    """Gain in PSNR of each restoration network, in dB; NaN if it is not known."""
    kind: str
    number: int
    problem: str
    """The reason why a file cannot be used; empty if all can be used. The views of an unusable file are zero."""


@dataclass(frozen=True)
class InspectionFiles:
    """Photographs or pairs from which images are made.

    Attributes:
        files: paths of photographs, or pairs.
        weight: share of the samples, relative to the other sources.
        kind: degradation of the pairs.
    """

    files: Sequence[Path] | Sequence[Pair]
    weight: float = 1.0
    kind: str = ""


@dataclass(frozen=True)
class InspectionImageSettings:
    """The settings by which images are made; `config.inspection.InspectionData` explains the fields."""

    degradations: Mapping[str, float]
    clean: float = 0.25
    mixtures: float = 0.15
    camera: float = 0.5
    crop: int = 192
    zoom: float = 3.0
    enlarged: float = 1.25
    reduced: float = 0.25
    compressed: float = 0.75
    least_quality: int = 30


@dataclass(frozen=True, eq=False)
class InspectionImage:
    """An image whose degradation and clean form are known.

    Attributes:
        content: bytes of a JPEG or PNG file.
        clean: the image without the degradation.
        kind: one of `KINDS`, two of them joined by `+`, or `clean`.
    """

    content: bytes
    clean: Float[Tensor, "3 S S"]
    kind: str

    def psnr(self) -> float:
        """Return the PSNR of the file against the clean image in dB, at most `BEST`."""
        error = (read_image(self.content) - self.clean).double().square().mean().item()
        return min(BEST, -10 * math.log10(max(error, 1e-12)))


class InspectionImages:
    """Makes the image of a number.

    Args:
        sources: files to make images from; at least one source has files.
        making: settings of the images.
        seed: seed that decides everything together with the number.

    Raises:
        ValueError: if a kind is unknown; the message suggests the nearest one.
    """

    def __init__(self, sources: Sequence[InspectionFiles], making: InspectionImageSettings, seed: int):
        for kind in (*making.degradations, *(source.kind for source in sources if source.kind)):
            entry(kind, KINDS, "degradation")
        self.sources, self.making, self.seed = list(sources), making, seed
        weights = np.array([source.weight for source in sources])
        self.shares = weights / weights.sum()
        self.kinds = list(making.degradations)
        chances = np.array([making.degradations[kind] for kind in self.kinds], np.float64)
        self.chances = chances / chances.sum()
        self.read = ImageCache()

    def __call__(self, number: int) -> InspectionImage:
        """Make the image of a number.

        Raises:
            ImageError, ValueError, OSError: if a file cannot be used.
        """
        making, rng = self.making, np.random.default_rng([self.seed, number, 3])
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        files = numbered_side(source.files, is_held_out(number))
        file = files[rng.integers(len(files))]
        kind = CLEAN if rng.random() < making.clean else source.kind or self._kind(rng)
        after = math.exp(rng.uniform(0, math.log(_REDUCED))) if rng.random() < making.reduced else 1.0
        side = round(making.crop * after)
        developed = rng.random() < making.camera
        if isinstance(file, Pair):
            degraded, clean = read_pair(file, self.read)
            degraded, clean = _cut([clean if kind == CLEAN else degraded, clean], side, making, rng)
            if developed:
                degraded, clean = _developed(degraded, clean, rng)
        else:
            (clean,) = _cut([self.read(file)], side, making, rng)
            if kind == CLEAN:
                degraded, clean = _developed(clean, clean, rng) if developed else (clean, clean)
            elif developed:
                degraded, clean = degrade_and_develop(clean, kind, seed=self.seed, index=number)
            else:
                degraded = degrade(clean, kind, seed=self.seed, index=number)
        degraded, clean = (_resized(image, making.crop) for image in (degraded, clean))
        return InspectionImage(self._stored(degraded, rng), clean, kind)

    def _kind(self, rng: np.random.Generator) -> str:
        """Draw one kind of degradation, or two with the probability `mixtures`."""
        kind = self.kinds[rng.choice(len(self.kinds), p=self.chances)]
        others = [other for other in self.kinds if other != kind]
        if not others or rng.random() >= self.making.mixtures:
            return kind
        return f"{kind}+{others[rng.integers(len(others))]}"

    def _stored(self, image: Float[Tensor, "3 S S"], rng: np.random.Generator) -> bytes:
        """Store an image as a JPEG or PNG file with random settings."""
        file, picture = io.BytesIO(), to_pil(image)
        if rng.random() < self.making.compressed:
            quality = int(rng.integers(self.making.least_quality, _BEST_QUALITY + 1))
            picture.save(file, "JPEG", quality=quality, subsampling="4:2:0" if rng.random() < 0.7 else "4:4:4")
        else:
            picture.save(file, "PNG", compress_level=1)
        return file.getvalue()


class InspectionSet(Dataset[InspectionSample]):
    """Images with their views and with all that an inspector predicts about them.

    Args:
        images: maker of the images.
        numbers: numbers of the images; an epoch uses each number once in its own order.
        table: gains of restoration networks on some of the images; None if no gains are known.
        networks: names of the networks whose gains the samples hold.
        training: whether to shuffle, to mirror at random, and to continue after the first epoch.
        skip_bad: whether to use the next image instead of one whose file cannot be used.
    """

    def __init__(
        self,
        images: InspectionImages,
        numbers: Sequence[int],
        table: GainTable | None,
        networks: Sequence[str],
        *,
        training: bool,
        skip_bad: bool = False,
    ):
        self.images, self.numbers, self.table, self.networks = images, list(numbers), table, list(networks)
        self.training, self.skip_bad = training, skip_bad
        self.cached: dict[int, tuple[Views, str, float]] = {}

    def __len__(self) -> int:
        """Return the number of images of an epoch."""
        return len(self.numbers)

    def __getitem__(self, place: int) -> InspectionSample:
        """Return the sample at a place. In training, places continue after the first epoch."""
        count = len(self.numbers)
        if not self.training and not 0 <= place < count:  # ends a `for` loop over the data set
            raise IndexError(f"there are {count} images, numbered from 0; got {place}")
        first = shuffled(place, count, self.images.seed) if self.training else place
        problems: list[str] = []
        sample = None
        for step in range(count if self.skip_bad else 1):
            sample = self._sample(self.numbers[(first + step) % count], place)
            if not sample["problem"]:
                break
            problems.append(sample["problem"])
        assert sample is not None
        sample["problem"] = "\n".join(problems)
        return sample

    def _sample(self, number: int, place: int) -> InspectionSample:
        """Make the sample of an image."""
        try:
            if number not in self.cached:
                made = self.images(number)
                views = file_views(made.content)
                # half precision keeps integer coefficients up to 2048 exactly, and larger ones to 0.1 %
                halves = Views(views.windows.half(), views.overview.half())
                self.cached[number] = (halves, made.kind, made.psnr())
            halves, kind, strength = self.cached[number]
            views, problem = Views(halves.windows.float(), halves.overview.float()), ""
        except UNUSABLE as error:
            return self._unusable_sample(number, str(error))
        if self.training and np.random.default_rng([self.images.seed, place, 4]).random() < 0.5:
            views = views.mirrored()
        gains = self.table.gains(number, self.networks) if self.table else [math.nan] * len(self.networks)
        return {
            "windows": views.windows,
            "overview": views.overview,
            "kinds": kinds_of(kind),
            "psnr": torch.tensor(strength),
            "gains": torch.tensor(gains),
            "kind": kind,
            "number": number,
            "problem": problem,
        }

    def _unusable_sample(self, number: int, problem: str) -> InspectionSample:
        """Make the sample of an image whose file cannot be used."""
        side = self.images.making.crop
        content = io.BytesIO()
        Image.new("RGB", (side, side)).save(content, "PNG")
        views = file_views(content.getvalue())
        return {
            "windows": views.windows,
            "overview": views.overview,
            "kinds": kinds_of(CLEAN),
            "psnr": torch.tensor(BEST),
            "gains": torch.full((len(self.networks),), math.nan),
            "kind": CLEAN,
            "number": number,
            "problem": problem,
        }


def kinds_of(kind: str) -> Float[Tensor, " K"]:
    """Return 1 for each of `KINDS`, and last for `clean`, that a kind of image has, and 0 for the others.

    Args:
        kind: name of a degradation, several names joined by `+`, or `clean`.

    Returns:
        K = len(KINDS) + 1 numbers, 0 or 1.
    """
    names = kind.split("+")
    return torch.tensor([float(name in names) for name in (*KINDS, CLEAN)])


def _cut(
    images: list[Float[Tensor, "3 H W"]], side: int, making: InspectionImageSettings, rng: np.random.Generator
) -> list[Float[Tensor, "3 S S"]]:
    """Cut the same square at a random scale from images of one size."""
    factor = math.exp(rng.uniform(-math.log(making.enlarged), math.log(making.zoom)))
    taken = min(max(8, round(side * factor)), max(side, min(images[0].shape[-2:])))
    return [_resized(image, side) for image in crop_and_flip(images, taken, rng)]


def _resized(image: Float[Tensor, "3 H H"], side: int) -> Float[Tensor, "3 S S"]:
    """Resize a square image."""
    if image.shape[-1] == side:
        return image
    return F.interpolate(image[None], (side, side), mode="bicubic", antialias=True)[0].clamp(0, 1)


def _developed(
    degraded: Float[Tensor, "3 S S"], clean: Float[Tensor, "3 S S"], rng: np.random.Generator
) -> list[Float[Tensor, "3 S S"]]:
    """Develop both images with one random camera."""
    taken = develop(degraded.numpy(), clean.numpy(), sample_camera(rng), rng)
    return [torch.from_numpy(np.ascontiguousarray(picture)) for picture in taken]
