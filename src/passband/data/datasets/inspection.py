"""Pictures of which it is known what is wrong with them, for an inspector to learn from.

A sample's number decides everything about it. Clean pictures are resized, developed and compressed like degraded ones,
so that nothing but the degradation tells them apart.
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

from passband.data.cubes.fixed_size import read_pixels
from passband.data.datasets.order import shuffled
from passband.data.datasets.restoration import CLEAN, UNUSABLE, ImageCache, crop_and_flip, read_pair
from passband.data.degradations import KINDS, degrade, degrade_and_develop
from passband.data.degradations.parts.camera import develop, sample_camera
from passband.data.gains import GainTable
from passband.data.inspection_views import Views, file_views
from passband.data.pairs import Pair
from passband.data.splits import is_held_out, numbered_side
from passband.io.image import to_pil
from passband.naming import entry

BEST = 60.0
"""PSNR in dB that counts at most: that of a picture which lost nothing is infinite."""
_REDUCED = 1.6  # how much at most pictures are reduced after they were degraded
_BEST_QUALITY = 98


class InspectionSample(TypedDict):
    """One picture, ready for an inspector."""

    windows: Float[Tensor, "W K h w"]
    overview: Float[Tensor, "M n n"]
    kinds: Float[Tensor, " K"]
    """1 for each kind that the picture has, `clean` being the last."""
    psnr: Float[Tensor, ""]
    """In dB, against the clean form."""
    gains: Float[Tensor, " N"]
    """Of each restoration network in dB; NaN where it is not known."""
    kind: str
    number: int
    problem: str
    """Why a file could not be used; empty where all could. The views are then zero."""


@dataclass(frozen=True)
class InspectionFiles:
    """Photographs or pairs to learn from.

    Attributes:
        files: photographs, or pairs.
        weight: share of the samples, relative to the other sources.
        kind: what is wrong with the degraded pictures of pairs.
    """

    files: Sequence[Path] | Sequence[Pair]
    weight: float = 1.0
    kind: str = ""


@dataclass(frozen=True)
class InspectionImageSettings:
    """How pictures are made; the fields are those of the same names of `config.inspection.InspectionData`."""

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
    """A picture of which everything is known.

    Attributes:
        content: of its file, JPEG or PNG.
        clean: the same without the degradation.
        kind: one of `KINDS` or two, joined by `+`; or `clean`.
    """

    content: bytes
    clean: Float[Tensor, "3 S S"]
    kind: str

    def psnr(self) -> float:
        """Of the file against the clean form, at most `BEST`."""
        error = (read_pixels(self.content) - self.clean).double().square().mean().item()
        return min(BEST, -10 * math.log10(max(error, 1e-12)))


class InspectionImages:
    """Makes the picture of a number, whole.

    Args:
        sources: what to make pictures of; at least one with files.
        making: how.
        seed: with the number decides everything.

    Raises:
        ValueError: for an unknown kind, naming the nearest.
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
        """The picture of this number.

        Raises:
            ImageError, ValueError, OSError: for a file that cannot be used.
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
        """One kind of degradation, or now and then two."""
        kind = self.kinds[rng.choice(len(self.kinds), p=self.chances)]
        others = [other for other in self.kinds if other != kind]
        if not others or rng.random() >= self.making.mixtures:
            return kind
        return f"{kind}+{others[rng.integers(len(others))]}"

    def _stored(self, image: Float[Tensor, "3 S S"], rng: np.random.Generator) -> bytes:
        """A picture as a file of many a kind."""
        file, picture = io.BytesIO(), to_pil(image)
        if rng.random() < self.making.compressed:
            quality = int(rng.integers(self.making.least_quality, _BEST_QUALITY + 1))
            picture.save(file, "JPEG", quality=quality, subsampling="4:2:0" if rng.random() < 0.7 else "4:4:4")
        else:
            picture.save(file, "PNG", compress_level=1)
        return file.getvalue()


class InspectionSet(Dataset[InspectionSample]):
    """Pictures with their views and with all that an inspector is to say of them.

    Args:
        pictures: makes them.
        numbers: of the pictures, an epoch of which has each once in an order of its own.
        table: what restoration networks gain on some of them; None where nothing is known.
        networks: names of the networks whose gains samples have.
        training: shuffle, mirror at random, and go on past the first epoch.
        skip_bad: take the next picture instead of one whose file cannot be used.
    """

    def __init__(
        self,
        pictures: InspectionImages,
        numbers: Sequence[int],
        table: GainTable | None,
        networks: Sequence[str],
        *,
        training: bool,
        skip_bad: bool = False,
    ):
        self.pictures, self.numbers, self.table, self.networks = pictures, list(numbers), table, list(networks)
        self.training, self.skip_bad = training, skip_bad
        self.kept: dict[int, tuple[Views, str, float]] = {}

    def __len__(self) -> int:
        """Pictures of an epoch."""
        return len(self.numbers)

    def __getitem__(self, place: int) -> InspectionSample:
        """The sample at a place; of a training, places go on past the first epoch."""
        count = len(self.numbers)
        if not self.training and not 0 <= place < count:  # what ends a `for` over the data set
            raise IndexError(f"there are {count} pictures, numbered from 0; got {place}")
        first = shuffled(place, count, self.pictures.seed) if self.training else place
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
        """The sample of a picture."""
        try:
            if number not in self.kept:
                made = self.pictures(number)
                views = file_views(made.content)
                # whole coefficients up to 2048 are exact in half precision, and larger ones to a thousandth
                halves = Views(views.windows.half(), views.overview.half())
                self.kept[number] = (halves, made.kind, made.psnr())
            halves, kind, strength = self.kept[number]
            views, problem = Views(halves.windows.float(), halves.overview.float()), ""
        except UNUSABLE as error:
            return self._unread(number, str(error))
        if self.training and np.random.default_rng([self.pictures.seed, place, 4]).random() < 0.5:
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

    def _unread(self, number: int, problem: str) -> InspectionSample:
        """What stands for a picture that cannot be made."""
        side = self.pictures.making.crop
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
    """1 for each of `KINDS` and, last, `clean` that a kind of picture has, 0 for the others."""
    names = kind.split("+")
    return torch.tensor([float(name in names) for name in (*KINDS, CLEAN)])


def _cut(
    images: list[Float[Tensor, "3 H W"]], side: int, making: InspectionImageSettings, rng: np.random.Generator
) -> list[Float[Tensor, "3 S S"]]:
    """The same square of pictures of one size, from a random scale."""
    factor = math.exp(rng.uniform(-math.log(making.enlarged), math.log(making.zoom)))
    taken = min(max(8, round(side * factor)), max(side, min(images[0].shape[-2:])))
    return [_resized(image, side) for image in crop_and_flip(images, taken, rng)]


def _resized(image: Float[Tensor, "3 H H"], side: int) -> Float[Tensor, "3 S S"]:
    """A square picture of another size."""
    if image.shape[-1] == side:
        return image
    return F.interpolate(image[None], (side, side), mode="bicubic", antialias=True)[0].clamp(0, 1)


def _developed(
    degraded: Float[Tensor, "3 S S"], clean: Float[Tensor, "3 S S"], rng: np.random.Generator
) -> list[Float[Tensor, "3 S S"]]:
    """Both pictures, taken with one random camera."""
    taken = develop(degraded.numpy(), clean.numpy(), sample_camera(rng), rng)
    return [torch.from_numpy(np.ascontiguousarray(picture)) for picture in taken]
