"""Data sets of pictures and masks, in which a sample's number decides everything about it.

Pictures are resized to a square, whatever their shape, as the published polyp networks have it; so are the masks to
learn from. Where a mask gets smaller, each pixel gets the class with most of its area, and a class that would be lost
keeps one pixel. Measured on ellipses in masks of 352 pixels, made smaller and enlarged again bilinearly, the IoU with
the true shape is

| semi-axes | size | nearest pixel | most of the area |
|---|---|---|---|
| 3 to 12 | 96 | .61 | .79 |
| 3 to 12 | 128 | .70 | .85 |
| 3 to 12 | 256 | .83 | .93 |
| 12 to 60 | 256 | .96 | .99 |
"""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int32, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from passband.data.datasets.order import usable
from passband.data.masks import MaskPair, read_mask_pair
from passband.io.files import failure
from passband.io.image import ImageError

UNKNOWN = -1
"""The only value of the mask of a sample whose files cannot be used."""
MEMORY_SHARE = 0.4
"""Of the memory that is free, how much pictures may be kept in."""


class SegmentationSample(TypedDict):
    """One picture and its mask."""

    image: Float[Tensor, "3 h w"]
    mask: Int64[Tensor, "H W"]
    name: str
    number: int
    problem: str
    """Why its files could not be used; empty where they could."""


@dataclass(frozen=True)
class SegmentationAugmentation:
    """How a picture and its mask are changed together; what is off draws nothing.

    Attributes:
        flip: whether they are mirrored left to right and top to bottom, each half of the time.
        turn: whether they are turned by 0, 90, 180 or 270 degrees, each a quarter of the time.
        scale: least and greatest share of the area that a random square of them shows, enlarged to the whole; (1, 1)
            keeps to the whole.
        brightness: the picture's is multiplied by 1 - this to 1 + this.
        contrast: alike.
        saturation: alike.
        hue: the picture's is shifted by up to this share of the circle, at most 0.5.

    Raises:
        ValueError: for numbers out of range.
    """

    flip: bool = True
    turn: bool = True
    scale: tuple[float, float] = (0.5, 1.0)
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale is two shares of the area, 0 < least <= greatest <= 1; got {self.scale}")
        for name in ("brightness", "contrast", "saturation", "hue"):
            most = 0.5 if name == "hue" else 1.0
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is 0 (off) to {most:g}; got {getattr(self, name)}")

    def apply(
        self, image: UInt8[Tensor, "3 S S"], mask: UInt8[Tensor, "1 S S"], seed: int
    ) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "1 S S"]]:
        """Change a picture and its mask.

        Args:
            image: in levels of 255.
            mask: of the same size.
            seed: decides all that is random; the generators of the process are left as they were.
        """
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        steps: list[Any] = []
        if self.flip:
            steps += [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
        if self.scale != (1, 1):
            steps.append(v2.RandomResizedCrop(image.shape[-2:], self.scale, ratio=(1.0, 1.0), antialias=True))
        if self.brightness or self.contrast or self.saturation or self.hue:
            steps.append(v2.ColorJitter(self.brightness, self.contrast, self.saturation, self.hue))
        with _seeded(seed):
            if self.turn:
                turns = int(torch.randint(4, ()))
                image, mask = image.rot90(turns, (-2, -1)), mask.rot90(turns, (-2, -1))
            if steps:
                image, mask = v2.Compose(steps)(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)


class SegmentationTrainingSet(Dataset[SegmentationSample]):
    """Pictures and masks to learn from, both of one size.

    Args:
        pairs: the files.
        classes: as in `data.masks.read_mask`.
        size: side of the samples, in pixels.
        seed: another one gives another order and other changes.
        augmentation: None for none.
        cache: whether decoded and resized pictures are kept in memory, if they fit. That changes no sample.
        skip_bad: whether the next pair takes the place of one that cannot be used.

    Raises:
        ValueError: for more than 256 classes, which a byte does not hold.
    """

    def __init__(
        self,
        pairs: Sequence[MaskPair],
        classes: int,
        size: int,
        seed: int,
        *,
        augmentation: SegmentationAugmentation | None = None,
        cache: bool = True,
        skip_bad: bool = False,
    ):
        self.pairs, self.classes, self.size, self.seed = pairs, classes, size, seed
        self.augmentation, self.skip_bad = augmentation, skip_bad
        if classes > 256:
            raise ValueError(f"masks of at most 256 classes can be learned from; got {classes}")
        self.kept = _Kept(len(pairs), (4, size, size)) if cache and _fits(4 * size * size * len(pairs)) else None

    def __len__(self) -> int:
        """Pairs, one sample of each being an epoch."""
        return len(self.pairs)

    def __getitem__(self, number: int) -> SegmentationSample:
        """The sample of this number; numbers go on past the first epoch.

        Raises:
            ImageError: where no pair can be used at all.
        """
        prepare = partial(self._sample, number=number)
        return usable(prepare, number, len(self.pairs), self.seed, skip_bad=self.skip_bad)

    def _sample(self, index: int, number: int) -> SegmentationSample:
        """A pair of files as a sample, or why it is none."""
        name, problem = self.pairs[index].name, ""
        try:
            planes = self._planes(index)
            image, mask = planes[:3], planes[3:]
            if self.augmentation is not None:
                image, mask = self.augmentation.apply(image, mask, self.seed * 1_000_003 + number)
            pixels, classes = image.float() / 255, mask[0].long()
        except (ImageError, OSError) as error:
            pixels, problem = torch.zeros(3, self.size, self.size), str(error)
            classes = torch.full((self.size, self.size), UNKNOWN)
        return {"image": pixels, "mask": classes, "name": name, "number": number, "problem": problem}

    def _planes(self, index: int) -> UInt8[Tensor, "4 S S"]:
        """R, G, B and the mask of a pair, resized."""
        if self.kept is not None and (known := self.kept.get(index)) is not None:
            return known
        image, mask = read_mask_pair(self.pairs[index], self.classes)
        small = shrunk_mask(mask, max(self.classes, 2), (self.size, self.size))
        planes = torch.cat([_levels(image, self.size), small[None].to(torch.uint8)])
        if self.kept is not None:
            self.kept.put(index, planes)
        return planes


class SegmentationValidationSet(Dataset[SegmentationSample]):
    """Pictures of one size and masks of their own, in order, to score on.

    Args:
        pairs: the files.
        classes: as in `data.masks.read_mask`.
        size: side of the pictures, in pixels.
        cache: whether decoded and resized pictures are kept in memory, with their masks, if they fit. That changes no
            sample.
    """

    def __init__(self, pairs: Sequence[MaskPair], classes: int, size: int, *, cache: bool = True):
        self.pairs, self.classes, self.size = pairs, classes, size
        # that masks are as large as pictures is the common case; the true sizes are known when they are read
        self.kept: dict[int, tuple[Tensor, Tensor]] | None = {} if cache and _fits(5 * size**2 * len(pairs)) else None

    def __len__(self) -> int:
        """Pairs."""
        return len(self.pairs)

    def __getitem__(self, number: int) -> SegmentationSample:
        """The sample of this number; of files that cannot be used a picture of zeros and a mask of one `UNKNOWN`."""
        if not 0 <= number < len(self.pairs):  # what ends a `for` over the data set
            raise IndexError(f"there are {len(self.pairs)} pairs, numbered from 0; got {number}")
        problem = ""
        try:
            levels, stored = self._pair(number)
            image, mask = levels.float() / 255, stored.long()
        except Exception as error:  # of any kind: a bad file may break what reads it in any way
            image, mask = torch.zeros(3, self.size, self.size), torch.full((1, 1), UNKNOWN)
            problem = failure(error, self.pairs[number].image, self.pairs[number].mask)
        return {"image": image, "mask": mask, "name": self.pairs[number].name, "number": number, "problem": problem}

    def _pair(self, number: int) -> tuple[UInt8[Tensor, "3 S S"], UInt8[Tensor, "H W"] | Int32[Tensor, "H W"]]:
        """A picture, resized, and its mask as it is."""
        if self.kept is not None and number in self.kept:
            return self.kept[number]
        image, mask = read_mask_pair(self.pairs[number], self.classes)
        found = _levels(image, self.size), mask.to(torch.uint8 if self.classes <= 256 else torch.int32)
        if self.kept is not None and _fits(found[1].nbytes):
            self.kept[number] = found
        return found


def collate_masks(samples: Sequence[SegmentationSample]) -> dict[str, Any]:
    """Make a batch of samples whose masks may differ in size.

    Args:
        samples: of one picture size.

    Returns:
        `image` B 3 h w; `mask` a list of H W, one for each; `name` and `problem` lists; `number` B.
    """
    return {
        "image": torch.stack([sample["image"] for sample in samples]),
        "mask": [sample["mask"] for sample in samples],
        "name": [sample["name"] for sample in samples],
        "number": torch.tensor([sample["number"] for sample in samples]),
        "problem": [sample["problem"] for sample in samples],
    }


def shrunk_mask(mask: Int64[Tensor, "H W"], classes: int, size: tuple[int, int]) -> Int64[Tensor, "h w"]:
    """A mask of another size: the class with most of the area of each new pixel, the lower number of equal ones.

    A class that has most of no pixel gets the one of which it has most.

    Args:
        mask: numbers of classes.
        classes: how many there are with the background.
        size: height and width wanted.

    Raises:
        ValueError: for numbers that are no classes.
    """
    if mask.shape == size:
        return mask
    rows, columns = (_overlaps(old, new) for old, new in zip(mask.shape, size, strict=True))
    present = mask.unique()
    if present.max() >= classes or present.min() < 0:
        raise ValueError(f"classes are 0 to {classes - 1}; the mask has {present.min()} to {present.max()}")
    areas = torch.stack([rows @ (mask == number).double() @ columns.mT for number in present])
    # shares that are equal in truth may differ by rounding
    winners = (areas > areas.amax(0) - 1e-9).int().argmax(0)
    for lost in (number for number in range(len(present)) if not (winners == number).any()):
        winners.view(-1)[areas[lost].argmax()] = lost
    return present[winners]


@lru_cache(maxsize=64)
def _overlaps(old: int, new: int) -> Float[Tensor, "new old"]:
    """Which share of each new pixel's side lies on each old one's."""
    edges = torch.arange(new + 1, dtype=torch.float64) * old / new
    pixels = torch.arange(old, dtype=torch.float64)
    ends = torch.minimum(edges[1:, None], pixels + 1)
    return (ends - torch.maximum(edges[:-1, None], pixels)).clamp(min=0) * new / old


def _levels(image: Float[Tensor, "3 H W"], size: int) -> UInt8[Tensor, "3 S S"]:
    """A picture as a square of 255 levels."""
    if image.shape[-2:] != (size, size):
        image = F.interpolate(image[None], (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
    return image.mul(255).round().clamp(0, 255).to(torch.uint8)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from the CPU's generator as seeded, and leave it as it was; those of devices are not touched."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed % 2**63)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def _fits(size: int) -> bool:
    """Whether so many bytes can be kept in memory beside the rest."""
    import psutil

    return size <= MEMORY_SHARE * psutil.virtual_memory().available


class _Kept:
    """Arrays that the processes of a loader share where they are forked; others keep their own.

    Memory that is mapped and not named has no limit but the machine's, unlike /dev/shm.
    """

    def __init__(self, count: int, shape: tuple[int, ...]):
        self.count, self.shape = count, shape
        size = int(np.prod(shape))
        self.flags = np.frombuffer(mmap.mmap(-1, max(count, 1)), np.uint8)
        self.values = np.frombuffer(mmap.mmap(-1, max(count * size, 1)), np.uint8)[: count * size]
        self.values = self.values.reshape(count, *shape)

    def __reduce__(self) -> tuple[type["_Kept"], tuple[int, tuple[int, ...]]]:
        return _Kept, (self.count, self.shape)

    def get(self, index: int) -> Tensor | None:
        """What was put, to be changed freely."""
        return torch.from_numpy(self.values[index].copy()) if self.flags[index] else None

    def put(self, index: int, values: Tensor) -> None:
        """Keep values; what two processes put at once is the same."""
        self.values[index] = values.numpy()
        self.flags[index] = 1
