"""Pictures with instances, as COCO's files have them: boxes, masks and categories, checked while they are read.

What cannot be meant stops with an error that names the file and the picture: a missing picture, an unknown category or
picture, numbers given twice, boxes that are no four numbers, a mask's code of another size than its picture. What real
data sets have here and there is left out of training and counted in `skipped`, by the reasons of
`coco_instances.SKIPS`. Scores count it as COCO's own tool does.

Masks reach beyond their picture where polygons do; what lies outside does not count. Boxes are kept as the file has
them, for scores, and are cut at the picture's edges for training. Crowds, regions of many instances that are not told
apart, are not trained on; what is found in them is not counted as wrong.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from passband.data.coco.annotation import EMPTY, SKIPS, Instance, read_instance
from passband.data.coco.entries import CocoError, checked_entries, read_json, unique
from passband.data.images import is_hidden
from passband.naming import listed, printable, shortened, suggestion

PREFIX = "instances_"
"""What COCO's names of annotation files begin with, before the name of their part such as `train2017`."""


@dataclass(frozen=True, slots=True, eq=False)
class CocoImage:
    """A picture and what is in it.

    Attributes:
        number: of the picture in the file, COCO's `image_id`.
        path: of the picture.
        height: in pixels, as the file has it.
        width: in pixels, as the file has it.
        instances: all of them, in the order of the file.
    """

    number: int
    path: Path
    height: int
    width: int
    instances: tuple[Instance, ...]

    @property
    def trained(self) -> tuple[Instance, ...]:
        """The instances that are trained on."""
        return tuple(instance for instance in self.instances if not instance.skip)


@dataclass(frozen=True)
class CocoImages:
    """A data set of pictures with instances.

    Attributes:
        source: the file of annotations.
        images: the pictures, in the order of the file.
        categories: name of each of the file's categories by its number, ascending.
        classes: names of the labels, the first of which is 1; 0 is the background.
        has_masks: masks were read, and instances without one are not trained on.
        skipped: how many instances and pictures are left out of training, by the reasons of `SKIPS`.
        notes: what else was passed over in the file, a sentence each.
    """

    source: Path
    images: tuple[CocoImage, ...]
    categories: Mapping[int, str]
    classes: tuple[str, ...]
    has_masks: bool = True
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.images)

    @cached_property
    def labels(self) -> dict[int, int]:
        """The label of each category's number."""
        places = {name: place + 1 for place, name in enumerate(self.classes)}
        return {number: places[name] for number, name in self.categories.items()}

    @cached_property
    def category_ids(self) -> dict[int, int]:
        """The category's number of each label; of none that this file has not."""
        return {label: number for number, label in self.labels.items()}

    def only(self, numbers: Sequence[int]) -> "CocoImages":
        """The pictures at these places, of all categories.

        Args:
            numbers: from 0, not COCO's numbers.
        """
        images = tuple(self.images[number] for number in numbers)
        return replace(self, images=images, skipped=_skipped(images))

    def spread(self, count: int | None) -> "CocoImages":
        """So many pictures, evenly spread.

        Args:
            count: how many; None, or more than there are, for all.
        """
        if count is None or count >= len(self):
            return self
        return self.only([number * len(self) // count for number in range(count)])

    def for_training(self) -> "CocoImages":
        """The pictures that have instances to train on; `skipped` counts the others, too.

        Raises:
            CocoError: where none is left, naming the file.
        """
        images = tuple(image for image in self.images if image.trained)
        if not images:
            why = self.skipped_text() or "it has no annotations"
            raise CocoError(f"{self.source} has no instances to train on: {why}")
        return replace(self, images=images, skipped=_skipped(self.images))

    def skipped_text(self) -> str:
        """What is left out of training, in words; empty where nothing is."""
        return ", ".join(f"{count} x {reason}" for reason, count in self.skipped.items())

    def ground_truth(self) -> dict[str, Any]:
        """What to score with: the file's own content, as COCO's tools take it, of these pictures."""
        return {
            "images": [
                {"id": image.number, "file_name": image.path.name, "height": image.height, "width": image.width}
                for image in self.images
            ],
            "annotations": [instance.annotation(image.number) for image in self.images for instance in image.instances],
            "categories": [{"id": number, "name": name} for number, name in self.categories.items()],
        }


def find_coco(
    source: Path,
    pictures: Path | None = None,
    *,
    part: str | None = None,
    masks: bool = True,
    classes: Sequence[str] | None = None,
) -> CocoImages:
    """Read a data set in COCO's format.

    Args:
        source: a file of annotations, or a folder with one as COCO has them (`annotations/instances_PART.json`), or
            with one directly in it or in its sub-folder PART.
        pictures: the folder of the pictures; None to look for them, in `PART`, `images/PART`, `images`, the folder
            itself and beside the annotations.
        part: which of several files: `train2017` of `instances_train2017.json`.
        masks: read masks, too; without them boxes alone are trained on.
        classes: names that are known already, whose labels are kept; None for those of the file, in the order of their
            categories' numbers.

    Raises:
        FileNotFoundError: where the file, the folder or a picture is missing, naming it.
        CocoError: where the file is damaged, is ambiguous or contradicts itself, naming it and the picture.
        ImportError: for masks that need the package faster-coco-eval, where it is missing.
    """
    annotations, root, part = _annotations(Path(source), part)
    content = read_json(annotations)
    categories, notes = _categories(content, annotations)
    names = tuple(categories.values() if classes is None else classes)
    for name in categories.values():
        if name not in names:
            raise CocoError(
                f"{annotations} has the category {name!r}, which is none of the {len(names)} that are known."
                f"{suggestion(name, names)} Name categories as those that were learned: {listed(names)}"
            )
    entries = checked_entries(content, "images", ("id", "file_name", "height", "width"), annotations)
    unique(entries, "images", annotations)
    folder = Path(pictures) if pictures is not None else _pictures(annotations, root, part, entries)
    found = _instances(content, entries, categories, masks, annotations)
    images = tuple(_image(entry, folder, tuple(found[entry["id"]]), annotations) for entry in entries)
    return CocoImages(annotations, images, categories, names, masks, _skipped(images), notes)


def _annotations(source: Path, part: str | None) -> tuple[Path, Path, str | None]:
    """The file of annotations, the folder that it belongs to, and the name of its part."""
    if source.is_file():
        root = source.parent.parent if source.parent.name == "annotations" else source.parent
        return source, root, part or _part(source)
    if not source.is_dir():
        raise FileNotFoundError(f"no file or folder {source}: annotations in COCO's format are needed")
    folders = [source / "annotations", source, *([source / part] if part else [])]
    files = [path for folder in folders for path in sorted(folder.glob("*.json")) if not is_hidden(path.name)]
    if part:
        fitting = [path for path in files if _part(path) == part or path.parent == source / part]
    else:
        fitting = [path for path in files if path.name.startswith(PREFIX)] or files
    names = ", ".join(str(path.relative_to(source)) for path in files) or "no .json files"
    if not fitting:
        wanted = f"{PREFIX}{part}.json" if part else f"annotations/{PREFIX}*.json"
        parts = sorted({path.parent.name for path in source.glob("*/*.json") if not is_hidden(path.parent.name)})
        hint = f"; its folders {', '.join(parts)} have some: name one of them" if parts and not files else ""
        raise FileNotFoundError(
            f"{source} holds no annotations in COCO's format: {wanted} is needed, it has {names}{hint}"
        )
    if len(fitting) > 1:
        raise CocoError(f"{source} holds several files of annotations ({names}): name one of them, or its part")
    return fitting[0], source, part or _part(fitting[0])


def _part(path: Path) -> str:
    """The part of a data set that a file of annotations is of."""
    return path.stem.removeprefix(PREFIX)


def _pictures(annotations: Path, root: Path, part: str | None, entries: Sequence[Mapping[str, Any]]) -> Path:
    """The folder in which the first picture lies."""
    parts = [root / part, root / "images" / part] if part else []
    folders = list(dict.fromkeys([*parts, root / "images", root, annotations.parent]))
    for folder in folders:
        if entries and _is_there(folder / entries[0]["file_name"]):
            return folder
    if not entries:
        return annotations.parent
    looked = ", ".join(map(str, folders))
    raise FileNotFoundError(
        f"{annotations} names the picture {entries[0]['file_name']} (image {entries[0]['id']}), which is in none of "
        f"{looked}: name the folder of the pictures"
    )


def _is_there(path: Path) -> bool:
    """Whether a name that a file says leads to a file; one that no system takes, such as a longer one, does not."""
    try:
        return path.is_file()
    except OSError:
        return False


def _categories(content: Mapping[str, Any], annotations: Path) -> tuple[dict[int, str], tuple[str, ...]]:
    """Names of categories by their numbers, ascending, and notes on those that are left out."""
    entries = checked_entries(content, "categories", ("id", "name"), annotations)
    if not entries:
        raise CocoError(f"{annotations} names no categories; at least one is needed")
    unique(entries, "categories", annotations)
    used = _used(content.get("annotations"))
    kept = sorted(entries, key=lambda entry: entry["id"])
    notes = []
    for entry in [one for one in kept if used is not None and one["id"] not in used]:
        others = [one for one in kept if one is not entry]
        if any(entry["name"] in (one["name"], one.get("supercategory")) for one in others):
            kept = others
            notes.append(
                f"{annotations}: the category {entry['id']} ({entry['name']!r}) has no annotations and only names a "
                "group of categories, or repeats the name of one; it is left out."
            )
    names = Counter(entry["name"] for entry in kept)
    if twice := [name for name, count in names.items() if count > 1]:
        raise CocoError(f"{annotations} has {names[twice[0]]} categories that are called {twice[0]!r}; give them names")
    return {entry["id"]: entry["name"] for entry in kept}, tuple(notes)


def _used(annotations: Any) -> set[int] | None:
    """The numbers of the categories that annotations have; None where they are wrong, which is refused elsewhere."""
    if not isinstance(annotations, list):
        return None
    found = [one.get("category_id") if isinstance(one, dict) else None for one in annotations]
    numbers = {number for number in found if isinstance(number, int)}
    return None if any(not isinstance(number, int) for number in found) else numbers


def _image(entry: Mapping[str, Any], folder: Path, instances: tuple[Instance, ...], annotations: Path) -> CocoImage:
    """A picture, which has to be there."""
    path = folder / entry["file_name"]
    if not _is_there(path):
        named = printable(shortened(str(path)))
        raise FileNotFoundError(f"{annotations} names the picture {named} (image {entry['id']}), which is not there")
    return CocoImage(entry["id"], path, entry["height"], entry["width"], instances)


def _instances(
    content: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    categories: Mapping[int, str],
    masks: bool,
    annotations: Path,
) -> dict[int, list[Instance]]:
    """The instances of each picture."""
    keys = ("id", "image_id", "category_id", "bbox")
    found: dict[int, list[Instance]] = {entry["id"]: [] for entry in entries}
    sizes = {entry["id"]: (entry["height"], entry["width"]) for entry in entries}
    names = {entry["id"]: entry["file_name"] for entry in entries}
    listed = checked_entries(content, "annotations", keys, annotations)
    unique(listed, "annotations", annotations)
    for entry in listed:
        image = entry["image_id"]
        about = f"{annotations}: annotation {entry['id']} of image {image}"
        if image not in found:
            raise CocoError(f"{about} is of a picture that the file does not list")
        about = f"{about} ({names[image]})"
        if entry["category_id"] not in categories:
            raise CocoError(
                f"{about} has the category {entry['category_id']}, which is none of the {len(categories)} that the "
                "file lists"
            )
        found[image].append(read_instance(entry, *sizes[image], masks, about))
    return found


def _skipped(images: Sequence[CocoImage]) -> dict[str, int]:
    """How many instances and pictures are left out of training, by reason."""
    counts = Counter(instance.skip for image in images for instance in image.instances if instance.skip)
    counts[EMPTY] = sum(not image.trained for image in images)
    return {reason: counts[reason] for reason in SKIPS if counts[reason]}
