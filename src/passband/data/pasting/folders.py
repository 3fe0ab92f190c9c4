"""Cut-out objects and photographs from files."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from passband.data.images import NAMED, class_folders, find_images
from passband.data.pasting.scenes import INSIDE, PARTS
from passband.data.splits import split_scenes
from passband.io.image import ImageError, read_image, read_stored_image, to_pil
from passband.naming import counted, listed

CUTOUT_SIDE = 512
"""Longest side in pixels at which cut-outs are kept in memory."""
PHOTO_SIDE = 640
"""Shorter side in pixels at which photographs are kept in memory."""
KEPT_CUTOUTS, KEPT_PHOTOS = 2000, 400
"""Largest numbers of cut-outs and photographs that are kept in memory."""
LEAST_CROP = 0.6
"""Smallest share of a photograph's shorter side that a background shows, if the photograph is large enough."""


class CutoutFolders:
    """Objects from a folder of cut-outs with alpha, and backgrounds from a folder of photographs.

    Each sub-folder of the cut-outs is a class with the name of the folder. Cut-outs of a class whose names agree up to
    the first `_` show one object, such as `white-cat_1.png` and `white-cat_2.png`, and stay in one part.

    Args:
        objects: folder whose sub-folders hold cut-outs: PNG or WebP files with alpha.
        photos: folder of photographs, in any sub-folders.
        held_out: share of the objects of each class, and of the photographs, that only the validation part shows.
        seed: seed of the split.

    Attributes:
        classes: names of the classes, sorted.
        cutouts: paths of the cut-outs of each part and class.
        photos: paths of the photographs of each part.

    Raises:
        FileNotFoundError: if a folder is missing or empty, or the objects have no sub-folders.
        ValueError: if a class has fewer than two objects, there are fewer than two photographs, or the share is out of
            range.
    """

    def __init__(self, objects: Path, photos: Path, *, held_out: float = 0.2, seed: int = 0):
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is the share of objects for validation, above 0 and below 1; got {held_out}")
        files = _classes(Path(objects))
        self.classes = tuple(files)
        shares = (1 - held_out, held_out)
        self.cutouts: dict[str, dict[str, list[Path]]] = {part: {} for part in PARTS}
        for name, paths in files.items():
            for part, places in zip(PARTS, _split_objects(name, paths, shares, seed), strict=True):
                self.cutouts[part][name] = [paths[place] for place in places]
        images = find_images(Path(photos))
        if len(images) < 2:
            raise (FileNotFoundError if not images else ValueError)(
                f"{photos} holds {counted(len(images), 'photograph')}; at least 2 are needed, one for each part of "
                "the set"
            )
        names = [path.relative_to(photos).as_posix() for path in images]
        parts = split_scenes(names, [[place] for place in range(len(names))], shares, seed)
        self.photos = {part: [images[place] for place in places] for part, places in zip(PARTS, parts, strict=True)}

    def cutout(self, label: int, part: str, rng: np.random.Generator) -> Image.Image:
        """Return a random cut-out of a class, see `ObjectSource`.

        Raises:
            ImageError: if the file is damaged, has no alpha, or shows nothing.
            OSError: if the file cannot be read.
        """
        paths = self.cutouts[part][self.classes[label]]
        return _read_cutout(paths[int(rng.integers(len(paths)))])

    def background(self, part: str, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        """Return a random crop of a photograph, mirrored half of the time, see `ObjectSource`.

        Raises:
            ImageError: if the file is damaged.
            OSError: if the file cannot be read.
        """
        paths = self.photos[part]
        photo = _read_photo(paths[int(rng.integers(len(paths)))])
        height, width = size
        most = min(photo.height / height, photo.width / width)  # pixels of the photograph for one of the background
        factor = most * rng.uniform(LEAST_CROP, 1)
        down, across = height * factor, width * factor
        top, left = rng.uniform(0, photo.height - down), rng.uniform(0, photo.width - across)
        box = (left, top, min(photo.width, left + across), min(photo.height, top + down))
        view = photo.resize((width, height), Image.Resampling.BICUBIC, box=box)
        return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else view


def _classes(objects: Path) -> Mapping[str, list[Path]]:
    """Return the cut-outs of each class, sorted by the names of the classes."""
    if not objects.is_dir():
        raise FileNotFoundError(f"no folder {objects}: a folder with a sub-folder of cut-outs for each class is needed")
    files = {name: find_images(objects / name) for name in class_folders(objects)}
    if empty := [name for name, paths in files.items() if not paths]:
        raise FileNotFoundError(
            f"each sub-folder of {objects} is a class and needs cut-outs; without images: {listed(empty, NAMED)}. "
            "Remove these folders, or put cut-outs into them"
        )
    if not files:
        paths = find_images(objects)
        found = f"{counted(len(paths), 'image')} and no sub-folders" if paths else "nothing"
        raise FileNotFoundError(
            f"{objects} needs a sub-folder of cut-outs for each class, such as {objects / 'cat' / 'white.png'}; it "
            f"holds {found}"
        )
    return files


def _split_objects(name: str, paths: Sequence[Path], shares: tuple[float, float], seed: int) -> list[list[int]]:
    """Split the cut-outs of a class into parts; those of one object stay together."""
    objects: dict[str, list[int]] = defaultdict(list)
    for place, path in enumerate(paths):
        objects[path.stem.split("_")[0]].append(place)
    if len(objects) < 2:
        raise ValueError(
            f"the class {name} has cut-outs of one object ({listed([path.name for path in paths], NAMED)}); at least 2 "
            "objects are needed, one to train on and one to hold out. Cut-outs whose names agree up to the first _ "
            "show one object"
        )
    return split_scenes([path.name for path in paths], list(objects.values()), shares, seed)


@lru_cache(KEPT_CUTOUTS)
def _read_cutout(path: Path) -> Image.Image:
    stored = read_stored_image(path)
    if stored.alpha is None:
        raise ImageError(
            f"{path} has no alpha; a cut-out needs a transparent background. Save it as PNG or WebP with alpha"
        )
    image = to_pil(stored.image, stored.alpha)
    # faint pixels around the object are no part of it
    box = Image.fromarray(np.asarray(image.getchannel("A")) >= INSIDE).getbbox()
    if box is None:
        raise ImageError(f"{path} shows nothing: all of its pixels are nearly transparent")
    image = image.crop(box)
    image.thumbnail((CUTOUT_SIDE, CUTOUT_SIDE), Image.Resampling.BICUBIC)
    return image


@lru_cache(KEPT_PHOTOS)
def _read_photo(path: Path) -> Image.Image:
    image = to_pil(read_image(path))
    factor = PHOTO_SIDE / min(image.size)
    if factor >= 1:
        return image
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BOX)
