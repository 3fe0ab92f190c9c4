"""Training and validation sets of degraded and clean images. The number of a sample decides everything about it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from passband.data.datasets.crops import (
    CACHE_BYTES,
    CLEAN,
    UNUSABLE,
    ImageCache,
    crop_and_flip,
    degraded_as_file,
    degraded_crop,
    read_pair,
)
from passband.data.datasets.order import usable
from passband.data.datasets.shard_order import order_of
from passband.data.degradations import NEWEST, VERSIONS
from passband.data.images import find_images
from passband.data.pairs import Pair, find_pairs
from passband.io.image import read_image
from passband.naming import suggestion


class RestorationSample(TypedDict):
    """A degraded and a clean image, ready for a network."""

    degraded: Float[Tensor, "C H W"]
    clean: Float[Tensor, "3 H W"]
    kind: str
    name: str
    problem: str
    """The reason why a file cannot be used; empty if there is no problem. The images of an unusable file are black."""


@dataclass(frozen=True)
class Simulation:
    """The settings of a simulated degradation besides its kind.

    Attributes:
        version: version of the simulators, a key of `degradations.VERSIONS`.
        camera: share of the samples that a random camera develops and stores, see `degradations.parts.camera`.
        mixtures: share of the degraded samples that get a second kind of degradation.
        zoom: greatest factor, at least 1, by which photographs are reduced at random before they are cropped.
    """

    version: int = NEWEST
    camera: float = 0.0
    mixtures: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class CropSchedule:
    """Crop sizes that change in the course of a run.

    Attributes:
        sides: sides of the crops in pixels, in the order of their use.
        ends: number of the first sample after each of them; the last side is used until the run ends.
    """

    sides: tuple[int, ...]
    ends: tuple[int, ...]

    def __call__(self, number: int) -> int:
        """Return the side of the crop of a sample, in pixels."""
        return next((side for side, end in zip(self.sides, self.ends, strict=True) if number < end), self.sides[-1])


class PhotographTrainingSet(Dataset[RestorationSample]):
    """Clean photographs that are cropped, flipped and degraded when they are read.

    Args:
        folder: folder of clean images, which may lie in sub-folders.
        degradations: weight of each kind in the mixture; a kind is a key of `degradations.KINDS` or `"clean"`.
        crop: side of the square crops in pixels, the same for all samples or by the number of the sample. Smaller
            images are padded by reflection.
        seed: seed that decides order, crop, flip and degradation together with the number of the sample.
        simulation: settings of the degradations.
        skip_bad: whether to use the next photograph instead of one that cannot be read.
        batch: samples of a step, over all processes, for the order of shards.

    Raises:
        FileNotFoundError: if the folder does not exist or holds no images.
        ValueError: if a kind is unknown.
    """

    def __init__(
        self,
        folder: Path,
        degradations: Mapping[str, float],
        crop: int | CropSchedule,
        seed: int,
        *,
        simulation: Simulation = Simulation(),
        skip_bad: bool = False,
        batch: int = 1,
    ):
        known = (*VERSIONS[simulation.version], CLEAN)
        unknown = set(degradations) - {*known}
        if unknown:
            near = suggestion(min(unknown), known)
            raise ValueError(f"unknown degradations {sorted(unknown)}; known: {', '.join(known)}.{near}")
        self.paths = _images_in(folder)
        self.kinds = list(degradations)
        weights = np.array([degradations[kind] for kind in self.kinds], dtype=np.float64)
        self.probabilities = weights / weights.sum()
        self.crop, self.seed, self.skip_bad = crop, seed, skip_bad
        self.simulation = simulation
        self.order = order_of(self.paths, seed, batch)
        self.read = ImageCache()

    def __len__(self) -> int:
        """Return the number of photographs; one sample of each is an epoch."""
        return len(self.paths)

    def __getitem__(self, number: int) -> RestorationSample:
        """Return the sample of a number. Numbers continue after the first epoch.

        Raises:
            ImageError: if no photograph can be used.
        """

        def prepare(index: int) -> RestorationSample:
            path = self.paths[index]
            rng = np.random.default_rng([self.seed, number, 1])
            kind = self.kinds[rng.choice(len(self.kinds), p=self.probabilities)]
            side = self.crop if isinstance(self.crop, int) else self.crop(number)
            try:
                image = self.read(path)
            except UNUSABLE as error:
                return _unusable_sample(3, side, kind, path.stem, error)
            zoomed_side = _zoomed_side(image, side, self.simulation.zoom, rng)
            (clean,) = crop_and_flip([image], zoomed_side, rng)
            if zoomed_side > side:
                clean = F.interpolate(clean[None], (side, side), mode="bicubic", antialias=True)[0].clamp(0, 1)
            kind = self._mixed(kind, rng)
            developed = rng.random() < self.simulation.camera
            degraded, clean = degraded_crop(clean, kind, self.simulation.version, developed, self.seed, number)
            return {"degraded": degraded, "clean": clean, "kind": kind, "name": path.stem, "problem": ""}

        return usable(prepare, number, self.order, skip_bad=self.skip_bad)

    def _mixed(self, kind: str, rng: np.random.Generator) -> str:
        """Return the kind, joined by a second kind with the probability `Simulation.mixtures`."""
        others = [other for other in self.kinds if other not in (kind, CLEAN)]
        if kind == CLEAN or not others or rng.random() >= self.simulation.mixtures:
            return kind
        return f"{kind}+{others[rng.integers(len(others))]}"


class PairTrainingSet(Dataset[RestorationSample]):
    """Pairs of degraded and clean images that are cropped and flipped alike.

    Args:
        source: folder of pairs, see `pairs.find_pairs`, or a sequence of pairs.
        crop: side of the square crops in pixels, the same for all samples or by the number of the sample; None returns
            whole images in the order of the pairs.
        seed: seed that decides order, crop and flip together with the number of the sample.
        skip_bad: whether to use the next pair instead of one that cannot be used. Whole images are never skipped.
        batch: samples of a step, over all processes, for the order of shards.

    Raises:
        FileNotFoundError: if the folder does not exist or has no known layout.
        ValueError: if files have no partner; the message lists them.
    """

    def __init__(
        self,
        source: Path | Sequence[Pair],
        crop: int | CropSchedule | None,
        seed: int = 0,
        *,
        skip_bad: bool = False,
        batch: int = 1,
    ):
        self.pairs = find_pairs(source) if isinstance(source, Path) else list(source)
        self.crop, self.seed, self.skip_bad = crop, seed, skip_bad
        self.order = order_of((pair.clean for pair in self.pairs), seed, batch)
        self.read = ImageCache() if crop else read_image

    def __len__(self) -> int:
        """Return the number of pairs; one sample of each is an epoch."""
        return len(self.pairs)

    def __getitem__(self, number: int) -> RestorationSample:
        """Return the sample of a number. If there is a crop size, numbers continue after the first epoch.

        Raises:
            ImageError: if no pair can be used for a crop.
            ValueError: if the whole images of a pair differ in size or cannot be read.
        """
        if self.crop is None:
            degraded, clean = read_pair(self.pairs[number], self.read)
            return _pair_sample(self.pairs[number], degraded, clean)
        side = self.crop if isinstance(self.crop, int) else self.crop(number)

        def prepare(index: int) -> RestorationSample:
            pair = self.pairs[index]
            try:
                images = read_pair(pair, self.read)
            except UNUSABLE as error:
                return _unusable_sample(_degraded_channels(pair), side, "pair", pair.name, error)
            return _pair_sample(pair, *crop_and_flip(images, side, np.random.default_rng([self.seed, number, 1])))

        return usable(prepare, number, self.order, skip_bad=self.skip_bad)


class RestorationValidationSet(Dataset[RestorationSample]):
    """Center crops that are the same at every validation.

    Args:
        source: folder of clean photographs; if `kinds` is empty, a folder of pairs or a sequence of pairs.
        kinds: degradations, applied in turn.
        crop: side of the crops, in pixels.
        count: number of crops; of pairs, at most one crop of each.
        seed: seed of the degradations.
        version: version of the simulators, a key of `degradations.VERSIONS`.

    Raises:
        FileNotFoundError: if the folder does not exist, holds no images, or has no known layout of pairs.
        ValueError: if files have no partner, or, when a sample is read, if a kind is unknown.
    """

    def __init__(
        self, source: Path | Sequence[Pair], kinds: list[str], crop: int, count: int, seed: int, version: int = NEWEST
    ):
        self.kinds, self.crop, self.seed, self.version = kinds, crop, seed, version
        self.sources: list[Path] | list[Pair]
        if isinstance(source, Path):
            self.sources = _images_in(source) if kinds else find_pairs(source)
        else:
            self.sources = list(source)
        self.count = count if kinds else min(count, len(self.sources))
        self.cached: dict[int, RestorationSample] = {}

    def __len__(self) -> int:
        """Return the number of crops."""
        return self.count

    def __getitem__(self, number: int) -> RestorationSample:
        """Return the crop of a number. Its `problem` says why a file cannot be used."""
        if not 0 <= number < self.count:  # ends a `for` loop over the data set
            raise IndexError(f"there are {self.count} crops, numbered from 0; got {number}")
        if number not in self.cached:
            sample = self._cut(number)
            if (len(self.cached) + 1) * (sample["degraded"].nbytes + sample["clean"].nbytes) > CACHE_BYTES:
                return sample
            self.cached[number] = sample
        return self.cached[number]

    def _cut(self, number: int) -> RestorationSample:
        source = self.sources[number % len(self.sources)]
        if isinstance(source, Pair):
            try:
                images = read_pair(source, read_image)
            except UNUSABLE as error:
                return _unusable_sample(_degraded_channels(source), self.crop, "pair", source.name, error)
            return _pair_sample(source, *crop_and_flip(images, self.crop, None))
        kind = self.kinds[number % len(self.kinds)]
        try:
            image = read_image(source)
        except UNUSABLE as error:
            return _unusable_sample(3, self.crop, kind, source.stem, error)
        (clean,) = crop_and_flip([image], self.crop, None)
        degraded = degraded_as_file(clean, kind, seed=self.seed, index=number, version=self.version)
        return {"degraded": degraded, "clean": clean, "kind": kind, "name": source.stem, "problem": ""}


def _zoomed_side(image: Float[Tensor, "3 H W"], side: int, zoom: float, rng: np.random.Generator) -> int:
    """Return the side of the square that is reduced to a crop; it lies within the image if possible."""
    factor = math.exp(rng.uniform(0, math.log(zoom))) if zoom > 1 else 1.0
    return max(side, min(round(side * factor), *image.shape[-2:]))


def _pair_sample(pair: Pair, degraded: Float[Tensor, "C H W"], clean: Float[Tensor, "3 H W"]) -> RestorationSample:
    """Make the sample of a pair that can be used."""
    return {"degraded": degraded, "clean": clean, "kind": "pair", "name": pair.name, "problem": ""}


def _degraded_channels(pair: Pair) -> int:
    """Return the number of channels of the degraded image of a pair."""
    return 3 if pair.right is None else 6


def _unusable_sample(channels: int, side: int, kind: str, name: str, error: Exception) -> RestorationSample:
    """Make the sample of files that cannot be used: black squares and the reason."""
    degraded, clean = torch.zeros(channels, side, side), torch.zeros(3, side, side)
    return {"degraded": degraded, "clean": clean, "kind": kind, "name": name, "problem": str(error)}


def _images_in(folder: Path) -> list[Path]:
    """Return the images of a folder, which must hold at least one."""
    paths = find_images(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no images")
    return paths
