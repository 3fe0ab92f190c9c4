"""Reads data sets in COCO's format: images with boxes, masks and categories, which are checked while they are read.

Contradictions raise an error that names the file and the image: a missing image, an unknown category or image, an id
that is used twice, a box without four numbers, or a mask whose code is damaged or has another size than its image.
Common defects of real data sets are left out of training and counted in `skipped`, by the reasons in
`annotation.SKIPS`. Scores count them as COCO's own tool does.

Polygons may reach beyond the image; the part outside does not count. Boxes are kept as the file has them for scores,
and are cut at the image's edges for training. Crowds are regions of many instances that are not separated. They are not
trained on, and detections inside them do not count as wrong.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

from passband.data.coco.annotation import EMPTY, SKIPS, Instance, read_instance
from passband.data.coco.entries import CocoError, checked_entries, read_json, unique
from passband.data.selection import evenly
from passband.io.hidden import is_hidden
from passband.io.shards import data_folder
from passband.naming import composed, listed, printable, shortened, suggestion

PREFIX = "instances_"
"""The beginning of COCO's names of annotation files, before the name of the part such as `train2017`."""


@dataclass(frozen=True, slots=True, eq=False)
class CocoImage:
    """An image and its instances.

    Attributes:
        number: id of the image in the file, COCO's `image_id`.
        path: path of the image.
        height: height in pixels, as given in the file.
        width: width in pixels, as given in the file.
        instances: all instances, in the order of the file.
    """

    number: int
    path: Path
    height: int
    width: int
    instances: tuple[Instance, ...]

    @property
    def trained(self) -> tuple[Instance, ...]:
        """The instances to train on."""
        return tuple(instance for instance in self.instances if not instance.skip)


@dataclass(frozen=True)
class CocoImages:
    """A data set of images with instances.

    Attributes:
        source: annotation file.
        images: images in the order of the file.
        categories: name of each category by its id, in ascending order.
        classes: names of the labels. The first has label 1, because 0 is the background.
        has_masks: whether masks were read. If so, instances without a mask are not trained on.
        skipped: number of instances and images that are left out of training, by the reasons in `SKIPS`.
        notes: sentences about other entries of the file that were ignored.
    """

    source: Path
    images: tuple[CocoImage, ...]
    categories: Mapping[int, str]
    classes: tuple[str, ...]
    has_masks: bool = True
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __iter__(self) -> Iterator[CocoImage]:
        return iter(self.images)

    def __getitem__(self, place: int) -> CocoImage:
        """Return the image at a place, from 0. The place is not COCO's id."""
        return self.images[place]

    @cached_property
    def labels(self) -> dict[int, int]:
        """The label of each category id."""
        places = {composed(name): place + 1 for place, name in enumerate(self.classes)}
        return {number: places[composed(name)] for number, name in self.categories.items()}

    @cached_property
    def category_ids(self) -> dict[int, int]:
        """The category id of each label that the file has."""
        return {label: number for number, label in self.labels.items()}

    def only(self, numbers: Sequence[int]) -> "CocoImages":
        """Select images by their places; the categories stay.

        Args:
            numbers: places of the images to keep, from 0. These are not COCO's ids.
        """
        images = tuple(self.images[number] for number in numbers)
        return replace(self, images=images, skipped=_skipped(images))

    def spread(self, count: int | None) -> "CocoImages":
        """Select images at equal distances.

        Args:
            count: number of images to select; None, or more than there are, selects all.
        """
        if count is None or count >= len(self):
            return self
        return self.only(evenly(range(len(self)), count))

    def for_training(self) -> "CocoImages":
        """Select the images that have instances to train on; `skipped` also counts the other images.

        Raises:
            CocoError: if no image is left.
        """
        images = tuple(image for image in self.images if image.trained)
        if not images:
            reason = self.skipped_text() or "it has no annotations"
            raise CocoError(f"{self.source} has no instances to train on: {reason}")
        return replace(self, images=images, skipped=_skipped(self.images))

    def skipped_text(self) -> str:
        """Describe what is left out of training; the text is empty if nothing is."""
        return ", ".join(f"{count} x {reason}" for reason, count in self.skipped.items())

    def ground_truth(self) -> dict[str, Any]:
        """Return the content of the file for these images, as COCO's tools take it for scoring."""
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
    image_folder: Path | None = None,
    *,
    part: str | None = None,
    masks: bool = True,
    classes: Sequence[str] | None = None,
) -> CocoImages:
    """Read a data set in COCO's format.

    Args:
        source: annotation file, or a folder that holds one: `annotations/instances_PART.json` as in COCO, or a file
            directly in the folder or in its sub-folder PART.
        image_folder: folder of the images; None looks in `PART`, `images/PART`, `images`, the folder itself and beside
            the annotations.
        part: name of one of several parts, such as `train2017` of `instances_train2017.json`; None for the only one.
        masks: whether to read masks. Without masks, training uses only boxes.
        classes: names of known classes, whose labels are kept; None takes those of the file in the order of their ids.

    Returns:
        The images with their instances.

    Raises:
        FileNotFoundError: if the file, the folder or an image is missing.
        CocoError: if the file is damaged, ambiguous or contradicts itself; the message names the file and the image.
        ImportError: if masks need the package faster-coco-eval and it is not installed.
        OSError: if a file or folder cannot be read.
    """
    annotations, root, part = _annotations(data_folder(source), part)
    content = read_json(annotations)
    categories, notes = _categories(content, annotations)
    names = tuple(categories.values() if classes is None else classes)
    known = set(map(composed, names))
    for name in categories.values():
        if composed(name) not in known:
            raise CocoError(
                f"{annotations} has the category {name!r}, which is none of the {len(names)} known categories."
                f"{suggestion(name, names)} Name the categories like those of the training: {listed(names)}"
            )
    entries = checked_entries(content, "images", ("id", "file_name", "height", "width"), annotations)
    unique(entries, "images", annotations)
    folder = Path(image_folder) if image_folder is not None else _image_folder(annotations, root, part, entries)
    instances = _instances(content, entries, categories, masks, annotations)
    images = tuple(_image(entry, folder, tuple(instances[entry["id"]]), annotations) for entry in entries)
    return CocoImages(annotations, images, categories, names, masks, _skipped(images), notes)


def _annotations(source: Path, part: str | None) -> tuple[Path, Path, str | None]:
    """Return the annotation file, the folder of the data set, and the name of the part."""
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
    """Return the name of the part that an annotation file belongs to."""
    return path.stem.removeprefix(PREFIX)


def _image_folder(annotations: Path, root: Path, part: str | None, entries: Sequence[Mapping[str, Any]]) -> Path:
    """Return the folder that holds the first image."""
    parts = [root / part, root / "images" / part] if part else []
    folders = list(dict.fromkeys([*parts, root / "images", root, annotations.parent]))
    for folder in folders:
        if entries and _named_file(folder, entries[0]["file_name"]):
            return folder
    if not entries:
        return annotations.parent
    looked = ", ".join(printable(shortened(str(folder))) for folder in folders)
    named = printable(shortened(entries[0]["file_name"]))
    raise FileNotFoundError(
        f"{annotations} names the image {named} (id {entries[0]['id']}), which is in none of {looked}: name the folder "
        f"of the images"
    )


def _named_file(folder: Path, name: str) -> Path | None:
    """Return the file that a name leads to; None if there is none, or if the system does not allow the name.

    Programs on Windows separate folders by a backslash. Accents may be stored otherwise than in the file system.
    """
    slashed = name.replace("\\", "/")
    for spelling in dict.fromkeys((name, slashed, normalize("NFC", slashed), normalize("NFD", slashed))):
        with suppress(OSError):
            if (folder / spelling).is_file():
                return folder / spelling
    return None


def _categories(content: Mapping[str, Any], annotations: Path) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return category names by their ids in ascending order, and notes on the categories that are left out."""
    entries = checked_entries(content, "categories", ("id", "name"), annotations)
    if not entries:
        raise CocoError(f"{annotations} names no categories; at least one is needed")
    unique(entries, "categories", annotations)
    used = _used_categories(content.get("annotations"))
    categories = sorted(entries, key=lambda entry: entry["id"])
    notes = []
    for entry in [category for category in categories if used is not None and category["id"] not in used]:
        others = [category for category in categories if category is not entry]
        if any(entry["name"] in (category["name"], category.get("supercategory")) for category in others):
            categories = others
            notes.append(
                f"{annotations}: the category {entry['id']} ({entry['name']!r}) has no annotations and only names a "
                "group of categories, or repeats the name of one; it is left out."
            )
    names = Counter(entry["name"] for entry in categories)
    if repeated := [name for name, count in names.items() if count > 1]:
        raise CocoError(
            f"{annotations} has {names[repeated[0]]} categories that are called {repeated[0]!r}; give them names of "
            "their own"
        )
    return {entry["id"]: entry["name"] for entry in categories}, tuple(notes)


def _used_categories(annotations: Any) -> set[int] | None:
    """Return the ids of the categories that annotations use; None if the annotations are invalid."""
    if not isinstance(annotations, list):
        return None
    ids = [entry.get("category_id") if isinstance(entry, dict) else None for entry in annotations]
    whole_ids = {number for number in ids if isinstance(number, int)}
    return None if any(not isinstance(number, int) for number in ids) else whole_ids


def _image(entry: Mapping[str, Any], folder: Path, instances: tuple[Instance, ...], annotations: Path) -> CocoImage:
    """Make an image, whose file must exist."""
    path = _named_file(folder, entry["file_name"])
    if path is None:
        named = printable(shortened(str(folder / entry["file_name"])))
        raise FileNotFoundError(f"{annotations} names the image {named} (id {entry['id']}), which does not exist")
    return CocoImage(entry["id"], path, entry["height"], entry["width"], instances)


def _instances(
    content: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    categories: Mapping[int, str],
    masks: bool,
    annotations: Path,
) -> dict[int, list[Instance]]:
    """Read the instances of each image."""
    keys = ("id", "image_id", "category_id", "bbox")
    instances: dict[int, list[Instance]] = {entry["id"]: [] for entry in entries}
    sizes = {entry["id"]: (entry["height"], entry["width"]) for entry in entries}
    names = {entry["id"]: entry["file_name"] for entry in entries}
    listed = checked_entries(content, "annotations", keys, annotations)
    unique(listed, "annotations", annotations)
    for entry in listed:
        image = entry["image_id"]
        about = f"{annotations}: annotation {printable(str(entry['id']))} of image {image}"
        if image not in instances:
            raise CocoError(f"{about} is of an image that the file does not list")
        about = f"{about} ({printable(str(names[image]))})"
        if entry["category_id"] not in categories:
            raise CocoError(
                f"{about} has the category {entry['category_id']}, which is none of the {len(categories)} that the "
                "file lists"
            )
        instances[image].append(read_instance(entry, *sizes[image], masks, about))
    return instances


def _skipped(images: Sequence[CocoImage]) -> dict[str, int]:
    """Count the instances and images that are left out of training, by reason."""
    counts = Counter(instance.skip for image in images for instance in image.instances if instance.skip)
    counts[EMPTY] = sum(not image.trained for image in images)
    return {reason: counts[reason] for reason in SKIPS if counts[reason]}
