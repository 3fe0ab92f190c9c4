"""Finds the samples of a folder that is packed into shards: images, pairs, images with masks, COCO or classes."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.data.coco import CocoImages, find_coco
from passband.data.datasets.classification import find_classes
from passband.data.images import find_images, walk, warn_unreadable
from passband.data.masks import find_mask_pairs
from passband.data.pairs import Pair, find_pairs
from passband.io.hidden import is_hidden
from passband.io.image import SUFFIXES
from passband.naming import suggestion

CONTENTS = ("coco", "masks", "pairs", "classes", "images")
"""Kinds of folders, in the order in which they are tried."""


class ContentError(ValueError):
    """A folder does not hold what is to be packed. The message says what was found."""


@dataclass(frozen=True)
class Sample:
    """Files that belong together and get one key.

    Attributes:
        name: name of the sample within the folder, without a suffix.
        files: files, each with the word that tells its role, such as `clean`; the word is empty for the main image.
        label: number of its class; None without classes.
        made: further members, by the ends of their names.
    """

    name: str
    files: tuple[tuple[str, Path], ...]
    label: int | None = None
    made: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class FolderContent:
    """The samples of a folder.

    Attributes:
        kind: one of `CONTENTS`.
        samples: the samples, sorted by name.
        beside: files that stay beside the shards as they are, such as annotations.
        classes: names of the classes.
    """

    kind: str
    samples: tuple[Sample, ...]
    beside: tuple[Path, ...] = ()
    classes: tuple[str, ...] = ()


def find_content(folder: Path, content: str = "auto") -> FolderContent:
    """Find the samples of a folder.

    Args:
        folder: folder to pack.
        content: one of `CONTENTS`; `auto` takes the first one that fits.

    Raises:
        ContentError: if the content is unknown, or the folder does not hold it.
        FileNotFoundError: if the folder does not exist, or holds no images.
        ValueError: if files have no partner; the message lists them.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: a folder of images is needed")
    if content != "auto":
        if content not in CONTENTS:
            near = suggestion(content, CONTENTS)
            raise ContentError(f"content is auto or one of {', '.join(CONTENTS)}; got {content!r}.{near}")
        return _FINDERS[content](folder)
    for kind in CONTENTS[:-1]:
        try:
            return _FINDERS[kind](folder)
        except FileNotFoundError:
            continue  # the folder has another layout
        except ValueError:
            if kind != "classes":  # the folder has this layout, with a fault that has to be mended
                raise
    return _images(folder)


def _coco(folder: Path) -> FolderContent:
    """Find the images that annotations in COCO's format name."""
    if not any(_is_coco(path) for path in [*folder.glob("*.json"), *(folder / "annotations").glob("*.json")]):
        raise FileNotFoundError(f"{folder} holds no annotations in COCO's format")
    images = find_coco(folder, masks=False)
    content = json.loads(images.source.read_bytes())
    annotations: dict[int, list[Any]] = defaultdict(list)
    for annotation in content["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    entries = {entry["id"]: entry for entry in content["images"]}

    def about(number: int) -> bytes:
        entry = {"image": entries[number], "annotations": annotations[number], "categories": content["categories"]}
        return json.dumps(entry).encode()

    samples = [
        Sample(_name(image.path, folder), (("", image.path),), made=(("json", about(image.number)),))
        for image in _each_once(images)
    ]
    return FolderContent("coco", _sorted(samples), (images.source,))


def _each_once(images: CocoImages) -> list[Any]:
    """Return the images of a data set, of which two may name the same file."""
    return list({image.path: image for image in images}.values())


def _is_coco(path: Path) -> bool:
    """Tell whether a JSON file may hold annotations in COCO's format."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content)


def _masks(folder: Path) -> FolderContent:
    """Find images with masks."""
    pairs = find_mask_pairs(folder)
    return FolderContent("masks", _sorted(Sample(pair.name, (("", pair.image), ("mask", pair.mask))) for pair in pairs))


def _pairs(folder: Path) -> FolderContent:
    """Find restoration pairs, with one or two views; pairs with the same clean image are one sample."""
    try:
        pairs = find_pairs(folder)
    except FileNotFoundError as error:
        try:
            pairs = find_pairs(folder, views=2)
        except FileNotFoundError:
            raise error from None
    by_clean: dict[Path, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_clean[pair.clean].append(pair)
    return FolderContent("pairs", _sorted(_sample_of_pairs(group) for group in by_clean.values()))


def _sample_of_pairs(pairs: Sequence[Pair]) -> Sample:
    """Return the sample of pairs with the same clean image."""
    if pairs[0].right is not None:
        first = pairs[0]
        return Sample(first.name, (("left", first.degraded), ("right", pairs[0].right), ("target", first.clean)))
    numbers = ("", *(f"-{number}" for number in range(2, len(pairs) + 1)))
    degraded = [(f"degraded{number}", pair.degraded) for number, pair in zip(numbers, pairs, strict=True)]
    return Sample(pairs[0].name, (*degraded, ("clean", pairs[0].clean)))


def _classes(folder: Path) -> FolderContent:
    """Find the images of classes."""
    images = find_classes(folder)
    _, _, files = next(walk(folder, warn_unreadable))
    if any(Path(name).suffix.lower() in SUFFIXES and not is_hidden(name) for name in files):
        raise FileNotFoundError(f"{folder} holds images outside its sub-folders, so these are not classes")
    samples = [
        Sample(_name(path, folder), (("", path),), label, (("cls", str(label).encode()),))
        for path, label in zip(images.paths, images.labels, strict=True)
    ]
    return FolderContent("classes", _sorted(samples), classes=images.classes)


def _images(folder: Path) -> FolderContent:
    """Find all images."""
    paths = find_images(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no images")
    return FolderContent("images", _sorted(Sample(_name(path, folder), (("", path),)) for path in paths))


_FINDERS: dict[str, Callable[[Path], FolderContent]] = {
    "coco": _coco,
    "masks": _masks,
    "pairs": _pairs,
    "classes": _classes,
    "images": _images,
}


def _sorted(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda sample: (sample.name, str(sample.files[0][1]))))


def _name(path: Path, folder: Path) -> str:
    """Return a path within a folder, without its suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()
