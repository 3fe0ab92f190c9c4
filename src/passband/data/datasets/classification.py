"""Data sets of pictures and their classes, in which a sample's number decides everything about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from passband.data.cubes.views import Augmentation
from passband.data.datasets.order import usable
from passband.data.images import find_images, is_hidden
from passband.data.preprocessing import Preprocessing
from passband.io.image import ImageError
from passband.naming import listed, suggestion

UNKNOWN = -1
"""The label of a sample whose file cannot be read."""
PARTS = ("train", "training", "val", "valid", "validation", "test")
"""Names of sub-folders that are parts of a data set rather than classes."""


@dataclass(frozen=True)
class LabeledImages:
    """Picture files and their classes.

    Attributes:
        classes: names of all classes, by their number.
        paths: the files.
        labels: the class of each, a number.
    """

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.paths)

    def only(self, numbers: Sequence[int]) -> "LabeledImages":
        """Those of these numbers, of all classes.

        Args:
            numbers: indices of files.
        """
        return LabeledImages(
            self.classes,
            tuple(self.paths[number] for number in numbers),
            tuple(self.labels[number] for number in numbers),
        )

    def spread(self, count: int | None) -> "LabeledImages":
        """So many, evenly spread over the files, which are sorted by class.

        Args:
            count: how many; None, or more than there are, for all.
        """
        if count is None or count >= len(self):
            return self
        return self.only([number * len(self) // count for number in range(count)])


class ClassSample(TypedDict):
    """One picture, ready for a network."""

    input: Float[Tensor, "K h w"]
    label: int
    name: str
    number: int
    problem: str
    """Why a file could not be read; empty where it could."""


def find_classes(folder: Path, classes: Sequence[str] | None = None) -> LabeledImages:
    """The pictures of a folder with a sub-folder for each class; the classes are sorted by name.

    Args:
        folder: holds CLASS/*.jpg, at any depth below CLASS.
        classes: names that are known already, whose numbers are to be kept; None for those of the folder.

    Raises:
        FileNotFoundError: where the folder, its sub-folders or their pictures are missing.
        ValueError: for a single class, or one that is not among those known.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: one is needed that holds a sub-folder of pictures for each class")
    found = sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))
    parts = [name for name in found if name.lower() in PARTS]
    if found and found == parts:
        raise ValueError(
            f"{folder} holds the parts of a data set ({', '.join(parts)}), not classes: give one of them to train on, "
            "and another one to score on"
        )
    if not found:
        raise FileNotFoundError(f"{folder} holds no sub-folders: one with pictures is needed for each class")
    names = tuple(found if classes is None else classes)
    if len(names) < 2:
        raise ValueError(f"{folder} holds one class, {', '.join(names)}: at least 2 are needed to tell apart")
    if unknown := [name for name in found if name not in names]:
        raise ValueError(
            f"{folder / unknown[0]} is no class of the {len(names)} that are known."
            f"{suggestion(unknown[0], names)} Name folders as the classes that were learned: {listed(names)}"
        )
    paths: list[Path] = []
    labels: list[int] = []
    for name in found:
        images = find_images(folder / name)
        if not images and classes is None:
            raise FileNotFoundError(f"{folder / name} holds no pictures: add some of this class, or remove the folder")
        paths += images
        labels += [names.index(name)] * len(images)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no pictures in its sub-folders")
    return LabeledImages(names, tuple(paths), tuple(labels))


class ClassificationTrainingSet(Dataset[ClassSample]):
    """Random views of pictures.

    Args:
        pictures: files and their classes.
        preprocessing: makes what the network takes.
        seed: with the sample's number decides order and view.
        scale: least and greatest share of a picture's area that a view shows.
        flip: whether views are mirrored half of the time.
        skip_bad: take the next picture instead of one that cannot be read.
    """

    def __init__(
        self,
        pictures: LabeledImages,
        preprocessing: Preprocessing,
        seed: int,
        *,
        scale: tuple[float, float] = (0.08, 1.0),
        flip: bool = True,
        skip_bad: bool = False,
    ):
        self.pictures, self.preprocessing, self.seed = pictures, preprocessing, seed
        self.scale, self.flip, self.skip_bad = scale, flip, skip_bad

    def __len__(self) -> int:
        """Pictures, one sample of each being an epoch."""
        return len(self.pictures)

    def __getitem__(self, number: int) -> ClassSample:
        """The sample of this number; numbers go on past the first epoch.

        Raises:
            ImageError: where no picture can be used at all.
        """

        def prepare(index: int) -> ClassSample:
            draw = Augmentation(np.random.default_rng([self.seed, number, 1]), self.scale, self.flip)
            return _sample(self.pictures, index, number, self.preprocessing, draw)

        return usable(prepare, number, len(self.pictures), self.seed, skip_bad=self.skip_bad)


class ClassificationValidationSet(Dataset[ClassSample]):
    """The center view of every picture, in order, to score on.

    Args:
        pictures: files and their classes.
        preprocessing: makes what the network takes.
    """

    def __init__(self, pictures: LabeledImages, preprocessing: Preprocessing):
        self.pictures, self.preprocessing = pictures, preprocessing

    def __len__(self) -> int:
        """Pictures."""
        return len(self.pictures)

    def __getitem__(self, number: int) -> ClassSample:
        """The sample of this number; of a file that cannot be read it is zeros, with the label `UNKNOWN`."""
        if not 0 <= number < len(self.pictures):  # what ends a `for` over the data set
            raise IndexError(f"there are {len(self.pictures)} pictures, numbered from 0; got {number}")
        return _sample(self.pictures, number, number, self.preprocessing, None)


def _sample(
    pictures: LabeledImages, index: int, number: int, preprocessing: Preprocessing, draw: Augmentation | None
) -> ClassSample:
    """A picture ready for a network, or why it is not."""
    path, label, problem = pictures.paths[index], pictures.labels[index], ""
    try:
        values = preprocessing.prepare(path, draw)
    except (ImageError, OSError) as error:
        values, label, problem = torch.zeros(preprocessing.input_shape), UNKNOWN, str(error)
    return {"input": values, "label": label, "name": str(path), "number": number, "problem": problem}
