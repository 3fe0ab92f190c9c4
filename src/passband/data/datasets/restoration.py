"""Data sets of degraded and clean pictures, in which a sample's number decides everything about it."""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from passband.data.datasets.order import usable
from passband.data.degradations import NEWEST, VERSIONS, degrade, degrade_and_develop
from passband.data.images import find_images
from passband.data.pairs import Pair, find_pairs
from passband.io.image import read_image
from passband.naming import suggestion
from passband.ops.tiling import pad_to_multiple

CLEAN = "clean"
"""The kind of a sample that is not degraded at all, so that a network learns to leave good pictures alone."""
CACHE_BYTES = 1_000_000_000
"""Decoded pictures kept in memory by each data set (and each worker of it)."""
UNUSABLE = (ValueError, OSError)
"""Errors of files that cannot be used: damaged or missing, or pairs of two sizes."""


class RestorationSample(TypedDict):
    """One pair, ready for a network."""

    degraded: Float[Tensor, "C H W"]
    clean: Float[Tensor, "3 H W"]
    kind: str
    name: str
    problem: str
    """Why a file could not be used; empty where all could. The images are then black."""


@dataclass(frozen=True)
class Simulation:
    """How photographs are degraded besides the kind of the degradation.

    Attributes:
        version: of the simulators, a key of `degradations.VERSIONS`.
        camera: share of the samples that a random camera develops and stores, see `degradations.camera`.
        mixtures: share of the degraded samples that get a second kind of degradation.
        zoom: photographs are reduced by a random factor of up to this before they are cropped, at least 1.
    """

    version: int = NEWEST
    camera: float = 0.0
    mixtures: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class CropSchedule:
    """Sides of crops that change in the course of a run.

    Attributes:
        sides: in pixels, one after the other.
        ends: number of the first sample after each of them; the last side goes on for ever.
    """

    sides: tuple[int, ...]
    ends: tuple[int, ...]

    def __call__(self, number: int) -> int:
        """The side of the crop of a sample."""
        return next((side for side, end in zip(self.sides, self.ends, strict=True) if number < end), self.sides[-1])


class PhotographTrainingSet(Dataset[RestorationSample]):
    """Clean photographs, cropped, flipped and degraded on the fly.

    Args:
        folder: clean pictures, in any sub-folders.
        degradations: kind (a key of `degradations.KINDS`, or `"clean"`) to its weight in the mixture.
        crop: side of the square crops in pixels, the same for all samples or by their number; smaller pictures are
            padded by reflection.
        seed: with the sample's number decides order, crop, flip and degradation.
        augment: flips at random.
        simulation: version of the simulators, and what else happens to the pictures.
        skip_bad: take the next photograph instead of one that cannot be read.

    Raises:
        FileNotFoundError: if the folder is missing or holds no picture.
        ValueError: for an unknown kind.
    """

    def __init__(
        self,
        folder: Path,
        degradations: Mapping[str, float],
        crop: int | CropSchedule,
        seed: int,
        *,
        augment: bool = True,
        simulation: Simulation = Simulation(),
        skip_bad: bool = False,
    ):
        known = (*VERSIONS[simulation.version], CLEAN)
        unknown = set(degradations) - {*known}
        if unknown:
            near = suggestion(min(unknown), known)
            raise ValueError(f"unknown degradations {sorted(unknown)}; known: {', '.join(known)}.{near}")
        self.paths = _some_images(folder)
        self.kinds = list(degradations)
        weights = np.array([degradations[kind] for kind in self.kinds], dtype=np.float64)
        self.probabilities = weights / weights.sum()
        self.crop, self.seed, self.augment, self.skip_bad = crop, seed, augment, skip_bad
        self.simulation = simulation
        self.read = ImageCache()

    def __len__(self) -> int:
        """Photographs, one sample of each being an epoch."""
        return len(self.paths)

    def __getitem__(self, number: int) -> RestorationSample:
        """The sample of this number; numbers go on past the first epoch.

        Raises:
            ImageError: where no photograph can be used at all.
        """

        def prepare(index: int) -> RestorationSample:
            path = self.paths[index]
            rng = np.random.default_rng([self.seed, number, 1])
            kind = self.kinds[rng.choice(len(self.kinds), p=self.probabilities)]
            side = self.crop if isinstance(self.crop, int) else self.crop(number)
            try:
                image = self.read(path)
            except UNUSABLE as error:
                return _unread(3, side, kind, path.stem, error)
            taken = _zoomed_side(image, side, self.simulation.zoom, rng)
            (clean,) = crop_and_flip([image], taken, rng, flip=self.augment)
            if taken > side:
                clean = F.interpolate(clean[None], (side, side), mode="bicubic", antialias=True)[0].clamp(0, 1)
            kind = self._mixed(kind, rng)
            developed = rng.random() < self.simulation.camera
            degraded, clean = _degraded(clean, kind, self.simulation.version, developed, self.seed, number)
            return {"degraded": degraded, "clean": clean, "kind": kind, "name": path.stem, "problem": ""}

        return usable(prepare, number, len(self.paths), self.seed, skip_bad=self.skip_bad)

    def _mixed(self, kind: str, rng: np.random.Generator) -> str:
        """The kind, joined now and then by a second one."""
        others = [other for other in self.kinds if other not in (kind, CLEAN)]
        if kind == CLEAN or not others or rng.random() >= self.simulation.mixtures:
            return kind
        return f"{kind}+{others[rng.integers(len(others))]}"


class PairTrainingSet(Dataset[RestorationSample]):
    """A folder of pairs, cropped and flipped alike.

    Args:
        source: a folder, see `pairs.find_pairs`, or some of its pairs.
        crop: side of the square crops in pixels, the same for all samples or by their number; None gives whole
            pictures, in order.
        seed: with the sample's number decides order, crop and flip.
        skip_bad: for crops, take the next pair instead of one that cannot be used.

    Raises:
        FileNotFoundError: if the folder or a layout is missing.
        ValueError: listing files without a partner.
    """

    def __init__(
        self,
        source: Path | Sequence[Pair],
        crop: int | CropSchedule | None,
        seed: int = 0,
        *,
        skip_bad: bool = False,
    ):
        self.pairs = find_pairs(source) if isinstance(source, Path) else list(source)
        self.crop, self.seed, self.skip_bad = crop, seed, skip_bad
        self.read = ImageCache() if crop else read_image

    def __len__(self) -> int:
        """Pairs, one sample of each being an epoch."""
        return len(self.pairs)

    def __getitem__(self, number: int) -> RestorationSample:
        """The sample of this number; with crops, numbers go on past the first epoch.

        Raises:
            ImageError: for crops, where no pair can be used at all.
            ValueError: for a whole pair of two sizes, or a file that cannot be read.
        """
        if self.crop is None:
            degraded, clean = read_pair(self.pairs[number], self.read)
            return _of_pair(self.pairs[number], degraded, clean)
        side = self.crop if isinstance(self.crop, int) else self.crop(number)

        def prepare(index: int) -> RestorationSample:
            pair = self.pairs[index]
            try:
                images = read_pair(pair, self.read)
            except UNUSABLE as error:
                return _unread(_channels(pair), side, "pair", pair.name, error)
            return _of_pair(pair, *crop_and_flip(images, side, np.random.default_rng([self.seed, number, 1])))

        return usable(prepare, number, len(self.pairs), self.seed, skip_bad=self.skip_bad)


class RestorationValidationSet(Dataset[RestorationSample]):
    """Center crops for validation, the same at every pass.

    Args:
        source: a folder of clean photographs; or, where `kinds` is empty, a folder of pairs or some of its pairs.
        kinds: degradations, taken in turn.
        crop: side of the crops in pixels.
        count: crops in all; of pairs, at most one of each.
        seed: names the degradations.
        version: of the simulators, a key of `degradations.VERSIONS`.

    Raises:
        FileNotFoundError: if the folder is missing, or holds no picture or no layout of pairs.
        ValueError: listing files without a partner; on access, for an unknown kind.
    """

    def __init__(
        self, source: Path | Sequence[Pair], kinds: list[str], crop: int, count: int, seed: int, version: int = NEWEST
    ):
        self.kinds, self.crop, self.seed, self.version = kinds, crop, seed, version
        self.sources: list[Path] | list[Pair]
        if isinstance(source, Path):
            self.sources = _some_images(source) if kinds else find_pairs(source)
        else:
            self.sources = list(source)
        self.count = count if kinds else min(count, len(self.sources))
        self.kept: dict[int, RestorationSample] = {}

    def __len__(self) -> int:
        """Crops."""
        return self.count

    def __getitem__(self, number: int) -> RestorationSample:
        """The crop of this number; its `problem` says why a file cannot be used."""
        if not 0 <= number < self.count:  # what ends a `for` over the data set
            raise IndexError(f"there are {self.count} crops, numbered from 0; got {number}")
        if number not in self.kept:
            sample = self._cut(number)
            if (len(self.kept) + 1) * (sample["degraded"].nbytes + sample["clean"].nbytes) > CACHE_BYTES:
                return sample
            self.kept[number] = sample
        return self.kept[number]

    def _cut(self, number: int) -> RestorationSample:
        source = self.sources[number % len(self.sources)]
        if isinstance(source, Pair):
            try:
                images = read_pair(source, read_image)
            except UNUSABLE as error:
                return _unread(_channels(source), self.crop, "pair", source.name, error)
            return _of_pair(source, *crop_and_flip(images, self.crop, None))
        kind = self.kinds[number % len(self.kinds)]
        try:
            image = read_image(source)
        except UNUSABLE as error:
            return _unread(3, self.crop, kind, source.stem, error)
        (clean,) = crop_and_flip([image], self.crop, None)
        degraded = degraded_as_file(clean, kind, seed=self.seed, index=number, version=self.version)
        return {"degraded": degraded, "clean": clean, "kind": kind, "name": source.stem, "problem": ""}


class NumberedSampler(Sampler[int]):
    """RestorationSample numbers from `start` to before `stop`, so that a run goes on where it was.

    Args:
        start: first sample.
        stop: one past the last.
    """

    def __init__(self, start: int, stop: int):
        self.numbers = range(start, stop)

    def __len__(self) -> int:
        """Samples to come."""
        return len(self.numbers)

    def __iter__(self) -> Iterator[int]:
        """The numbers in order; the data set shuffles."""
        return iter(self.numbers)


class ImageCache:
    """Reads pictures, keeping those used last in memory up to a number of bytes.

    Args:
        capacity: bytes of decoded pictures.
    """

    def __init__(self, capacity: int = CACHE_BYTES):
        self.capacity, self.size = capacity, 0
        self.images: OrderedDict[Path, Tensor] = OrderedDict()

    def __call__(self, path: Path) -> Float[Tensor, "3 H W"]:
        """The picture in this file."""
        if path in self.images:
            self.images.move_to_end(path)
            return _as_unit(self.images[path])
        image = read_image(path)
        levels = image.mul(255).round_().to(torch.uint8)
        # of an 8-bit file, a quarter of the memory and the same values
        kept = levels if torch.equal(_as_unit(levels), image) else image
        self.images[path] = kept
        self.size += kept.nbytes
        while self.size > self.capacity:  # a picture that does not fit at all goes itself
            self.size -= self.images.popitem(last=False)[1].nbytes
        return image


def _as_unit(image: Tensor) -> Float[Tensor, "3 H W"]:
    """A kept picture in [0, 1], by the same arithmetic as when it was read."""
    return image / 255 if image.dtype == torch.uint8 else image


def crop_and_flip(
    images: list[Float[Tensor, "_ H W"]], side: int, rng: np.random.Generator | None, *, flip: bool = True
) -> list[Float[Tensor, "_ S S"]]:
    """Cut the same square from pictures of one size, mirrored left to right half of the time.

    Args:
        images: pictures of one size; where smaller than the crop, padded as `ops.tiling.pad_to_multiple` does.
        side: side of the square in pixels.
        rng: draws place and flip; None for the center, unflipped.
        flip: whether to mirror at random.

    Returns:
        The squares, sharing no memory with the pictures.
    """
    images = [pad_to_multiple(image[None], 1, side)[0][0] for image in images]
    height, width = images[0].shape[-2:]
    if rng is None:
        top, left, mirrored = (height - side) // 2, (width - side) // 2, False
    else:
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        mirrored = bool(rng.integers(2)) and flip
    cut = [image[:, top : top + side, left : left + side] for image in images]
    return [image.flip(-1) if mirrored else image.clone() for image in cut]


def degraded_as_file(
    image: Float[Tensor, "3 H W"], kind: str, *, seed: int, index: int, version: int = NEWEST
) -> Float[Tensor, "3 H W"]:
    """Degrade and round to 8 bits, as the pictures that come in files are; `"clean"` changes nothing."""
    return _degraded(image, kind, version, False, seed, index)[0]


def _degraded(
    image: Float[Tensor, "3 H W"], kind: str, version: int, developed: bool, seed: int, index: int
) -> tuple[Float[Tensor, "3 H W"], Float[Tensor, "3 H W"]]:
    """The degraded picture in 8 bits and the clean one, both with a camera's exposure where it is developed."""
    if kind == CLEAN:
        return image, image
    if developed:
        degraded, image = degrade_and_develop(image, kind, seed=seed, index=index, version=version)
    else:
        degraded = degrade(image, kind, seed=seed, index=index, version=version)
    return degraded.mul(255).round_().div_(255), image


def _zoomed_side(image: Float[Tensor, "3 H W"], side: int, zoom: float, rng: np.random.Generator) -> int:
    """The side of the square that is reduced to a crop, at most that of the picture where this is larger."""
    factor = math.exp(rng.uniform(0, math.log(zoom))) if zoom > 1 else 1.0
    return max(side, min(round(side * factor), *image.shape[-2:]))


def read_pair(pair: Pair, read: Callable[[Path], Tensor] = read_image) -> list[Float[Tensor, "_ H W"]]:
    """The degraded and the clean picture of a pair.

    Args:
        pair: two files, or three with a right view.
        read: gives the picture in a file.

    Returns:
        The degraded picture, of 6 channels where there are a left and a right view, and the clean one, of 3.

    Raises:
        ValueError: if their sizes differ.
    """
    paths = [pair.degraded, pair.clean] if pair.right is None else [pair.degraded, pair.right, pair.clean]
    *views, clean = images = [read(path) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != clean.shape:
            sizes = [f"{shape[2]}x{shape[1]}" for shape in (image.shape, clean.shape)]
            raise ValueError(f"{path} is {sizes[0]} but {pair.clean} is {sizes[1]}: a pair has one size")
    return [views[0] if len(views) == 1 else torch.cat(views), clean]


def _of_pair(pair: Pair, degraded: Float[Tensor, "C H W"], clean: Float[Tensor, "3 H W"]) -> RestorationSample:
    """The sample of a pair that can be used."""
    return {"degraded": degraded, "clean": clean, "kind": "pair", "name": pair.name, "problem": ""}


def _channels(pair: Pair) -> int:
    """Channels of the degraded picture of a pair."""
    return 3 if pair.right is None else 6


def _unread(channels: int, side: int, kind: str, name: str, error: Exception) -> RestorationSample:
    """What stands for files that cannot be used: black squares, and why."""
    degraded, clean = torch.zeros(channels, side, side), torch.zeros(3, side, side)
    return {"degraded": degraded, "clean": clean, "kind": kind, "name": name, "problem": str(error)}


def _some_images(folder: Path) -> list[Path]:
    """The pictures of a folder that must have some."""
    paths = find_images(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no pictures")
    return paths
