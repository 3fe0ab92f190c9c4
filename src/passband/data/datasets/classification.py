"""Training and validation sets of images and their classes. The number of a sample decides everything about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from passband.data.classifier_input import Preprocessing
from passband.data.cubes.views import Augmentation
from passband.data.datasets.order import usable
from passband.data.datasets.shard_order import order_of
from passband.data.images import class_folders, find_images
from passband.data.selection import evenly
from passband.io.image import ImageError
from passband.io.shards import data_folder
from passband.naming import composed, listed, suggestion

UNKNOWN = -1
"""The label of a sample whose file cannot be read."""
PARTS = ("train", "training", "val", "valid", "validation", "test")
"""Names of sub-folders that are parts of a data set rather than classes."""


@dataclass(frozen=True)
class LabeledImages:
    """Image files and their classes.

    Attributes:
        classes: names of all classes; their places are the labels.
        paths: image files.
        labels: label of each file.
    """

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.paths)

    def only(self, numbers: Sequence[int]) -> "LabeledImages":
        """Select files by their indices; the classes stay.

        Args:
            numbers: indices of the files to keep.
        """
        return LabeledImages(
            self.classes,
            tuple(self.paths[number] for number in numbers),
            tuple(self.labels[number] for number in numbers),
        )

    def spread(self, count: int | None) -> "LabeledImages":
        """Select files at equal distances. The files are sorted by class, so all classes are represented.

        Args:
            count: number of files to select; None, or more than there are, selects all.
        """
        if count is None or count >= len(self):
            return self
        return self.only(evenly(range(len(self)), count))


class ClassSample(TypedDict):
    """One image, ready for a network."""

    input: Float[Tensor, "K h w"]
    label: int
    name: str
    number: int
    problem: str
    """The reason why the file cannot be read; empty if it can be read."""


def find_classes(folder: Path, classes: Sequence[str] | None = None) -> LabeledImages:
    """Find the images in a folder that has a sub-folder for each class. The classes are sorted by name.

    Args:
        folder: folder that holds CLASS/*.jpg; images may lie at any depth below CLASS.
        classes: names of known classes, whose labels are kept; None uses the names of the sub-folders.

    Returns:
        The images and their labels.

    Raises:
        FileNotFoundError: if the folder, its sub-folders or their images are missing.
        ValueError: if there is only one class, or a sub-folder is not one of the known classes.
        OSError: if a folder cannot be read.
    """
    folder = data_folder(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: a folder with a sub-folder of images for each class is needed")
    folder_names = class_folders(folder)
    parts = [name for name in folder_names if name.lower() in PARTS]
    if folder_names and folder_names == parts:
        raise ValueError(
            f"a folder of classes is needed, but {folder} holds the parts of a data set ({', '.join(parts)}): train on "
            "one of them, and validate on another"
        )
    if not folder_names:
        raise FileNotFoundError(f"{folder} holds no sub-folders: a sub-folder of images is needed for each class")
    names = tuple(folder_names if classes is None else classes)
    if len(names) < 2:
        raise ValueError(f"at least 2 classes are needed, but {folder} holds one: {', '.join(names)}")
    known = {composed(name): label for label, name in enumerate(names)}
    if unknown := [name for name in folder_names if composed(name) not in known]:
        raise ValueError(
            f"{folder / unknown[0]} is not one of the {len(names)} known classes."
            f"{suggestion(unknown[0], names)} Name the folders like the classes of the training: {listed(names)}"
        )
    paths: list[Path] = []
    labels: list[int] = []
    for name in folder_names:
        images = find_images(folder / name)
        if not images and classes is None:
            raise FileNotFoundError(f"{folder / name} holds no images: add images of this class, or remove the folder")
        paths += images
        labels += [known[composed(name)]] * len(images)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no images in its sub-folders: add images")
    return LabeledImages(names, tuple(paths), tuple(labels))


class ClassificationTrainingSet(Dataset[ClassSample]):
    """Random views of images.

    Args:
        images: image files and their classes.
        preprocessing: preprocessing that makes the input of the network.
        seed: seed that decides order and view together with the number of the sample.
        scale: smallest and greatest share of an image's area that a view shows.
        flip: whether to mirror views half of the time.
        skip_bad: whether to use the next image instead of one that cannot be read.
        batch: samples of a step, over all processes, for the order of shards.
    """

    def __init__(
        self,
        images: LabeledImages,
        preprocessing: Preprocessing,
        seed: int,
        *,
        scale: tuple[float, float] = (0.08, 1.0),
        flip: bool = True,
        skip_bad: bool = False,
        batch: int = 1,
    ):
        self.images, self.preprocessing, self.seed = images, preprocessing, seed
        self.scale, self.flip, self.skip_bad = scale, flip, skip_bad
        self.order = order_of(images.paths, seed, batch)

    def __len__(self) -> int:
        """Return the number of images; one sample of each is an epoch."""
        return len(self.images)

    def __getitem__(self, number: int) -> ClassSample:
        """Return the sample of a number. Numbers continue after the first epoch.

        Raises:
            ImageError: if no image can be used.
        """

        def prepare(index: int) -> ClassSample:
            draw = Augmentation(np.random.default_rng([self.seed, number, 1]), self.scale, self.flip)
            return _sample(self.images, index, number, self.preprocessing, draw)

        return usable(prepare, number, self.order, skip_bad=self.skip_bad)


class ClassificationValidationSet(Dataset[ClassSample]):
    """The center view of every image, in order.

    Args:
        images: image files and their classes.
        preprocessing: preprocessing that makes the input of the network.
    """

    def __init__(self, images: LabeledImages, preprocessing: Preprocessing):
        self.images, self.preprocessing = images, preprocessing

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __getitem__(self, number: int) -> ClassSample:
        """Return the sample of a number. A file that cannot be read gives zeros and the label `UNKNOWN`."""
        if not 0 <= number < len(self.images):  # ends a `for` loop over the data set
            raise IndexError(f"there are {len(self.images)} images, numbered from 0; got {number}")
        return _sample(self.images, number, number, self.preprocessing, None)


def _sample(
    images: LabeledImages, index: int, number: int, preprocessing: Preprocessing, draw: Augmentation | None
) -> ClassSample:
    """Make the sample of an image, or of a file that cannot be read."""
    path, label, problem = images.paths[index], images.labels[index], ""
    try:
        values = preprocessing.prepare(path, draw)
    except (ImageError, OSError) as error:
        values, label, problem = torch.zeros(preprocessing.input_shape), UNKNOWN, str(error)
    return {"input": values, "label": label, "name": str(path), "number": number, "problem": problem}
