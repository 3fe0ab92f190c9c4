"""Finds pairs of degraded and clean images in folders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passband.data.images import (
    NAMED,
    Report,
    find_images,
    folders_in,
    is_file,
    name_within,
    walk,
    warn_unreadable,
)
from passband.data.pair_layouts import DUAL_LAYOUTS, IN_ORDER, LAYOUTS, SHARED_LAYOUTS, is_clean, scene
from passband.io.hidden import is_hidden
from passband.io.image import SUFFIXES
from passband.io.shards import data_folder
from passband.naming import counted, listed

Folders = list[Path]
"""The folders of a layout: the degraded folder, or those of the left and the right view; then the clean folder."""


@dataclass(frozen=True)
class Pair:
    """A degraded image and the clean image that belongs to it."""

    degraded: Path
    clean: Path
    name: str
    """Name of the pair: path of the degraded file within the data set, without suffix and layout folder."""
    right: Path | None = None
    """The right view of a dual-pixel photograph; `degraded` is then its left view."""


def find_pairs(root: Path, views: int = 1, unreadable: Report = warn_unreadable) -> list[Pair]:
    """Pair the images of a folder by name.

    Args:
        root: folder with sub-folders named as in `LAYOUTS`, or with folders that hold such sub-folders, for example one
            per scene. Or a folder, or one per scene, in which pairs lie side by side (`01_hazy.png`, `01_GT.png`); or a
            part of a data set as in `SHARED_LAYOUTS`.
        views: 2 for left and right views of each scene, in sub-folders named as in `DUAL_LAYOUTS`.
        unreadable: function that is called with the error of each folder below it that cannot be read.

    Returns:
        Pairs in the order of the degraded files. Files are paired if they have the same path below the sub-folders,
        apart from the suffix; or else the same path apart from words such as `hazy` and `GT`, see `pair_layouts.scene`;
        or else if the clean name is the degraded name up to one of its `_` (`1400_3.png` with `1400.png`), so that a
        clean image may have several degraded ones. If the clean folder has no sub-folders, those of the degraded folder
        are ignored.

    Raises:
        FileNotFoundError: if the folder, a layout or its images are missing.
        ValueError: if files have no partner or several, or several layouts fit; the message lists them.
        OSError: if a folder cannot be read.
    """
    root = data_folder(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    names = LAYOUTS if views == 1 else DUAL_LAYOUTS
    layouts = _layouts(root, names, unreadable)
    pairs = [pair for folders in layouts for pair in _match(root, unreadable, *folders)]
    if not pairs and views == 1:
        pairs = _shared(root, unreadable) or _side_by_side(root, unreadable)
    if not pairs:
        known = ", ".join("/".join(layout) if views == 1 else " + ".join(layout) for layout in names)
        together = ", or pairs in one folder named as 01_hazy.png and 01_GT.png" if views == 1 else ""
        raise FileNotFoundError(
            f"{root} holds no pairs of images{_hint(root, views)}: expected sub-folders named {known}{together}"
        )
    names_seen = Counter(pair.name for pair in pairs)
    repeated = [str(pair.degraded) for pair in pairs if names_seen[pair.name] > 1]
    if repeated:
        raise ValueError(f"degraded images have the same name; keep one of each: {listed(repeated, NAMED)}")
    return pairs


def match_images(first: Path, *others: Path) -> list[tuple[str, list[Path]]]:
    """Match images, or the images of folders, by name.

    Args:
        first: an image, or a folder of images in any sub-folders.
        others: images, or folders with one image for each image of the first folder. Names are compared as in
            `find_pairs`. Single images may have any names.

    Returns:
        The name of each image, which is its path in the first folder without suffix, and its files in the order of the
        arguments.

    Raises:
        FileNotFoundError: if a path does not exist, or a folder holds no images.
        ValueError: if an image is given with a folder, or if files have no partner or several; the message lists them.
        OSError: if a folder cannot be read.
    """
    paths = [data_folder(path) for path in (first, *others)]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no file or folder {path}")
    if not any(path.is_dir() for path in paths):
        return [(paths[0].stem, paths)]
    if not all(path.is_dir() for path in paths):
        raise ValueError(f"these must be images or folders, but not both: {listed(paths)}")
    images = [find_images(path) for path in paths]
    for path, found in zip(paths, images, strict=True):
        if not found:
            raise FileNotFoundError(f"{path} holds no images")
    partners = [_partners(images[0], paths[0], *one) for one in zip(images[1:], paths[1:], strict=True)]
    names = [name_within(path, paths[0]).as_posix() for path in images[0]]
    return [(name, list(files)) for name, files in zip(names, zip(images[0], *partners, strict=True), strict=True)]


def _layouts(root: Path, names: Sequence[tuple[str, ...]], unreadable: Report) -> list[Folders]:
    """Return the folders of the layouts at `root`, or else of those anywhere below it."""
    if layouts := _layouts_of(root, names):
        return layouts
    return [layout for folder in _folders_below(root, unreadable) for layout in _layouts_of(folder, names)]


def _folders_below(root: Path, unreadable: Report) -> list[Path]:
    """Return all readable folders below a folder, in order."""
    closed: list[OSError] = []
    found = {parent / name for parent, folders, _ in walk(root, closed.append) for name in folders}
    for error in closed:
        unreadable(error)
    return sorted(found - {Path(str(error.filename)) for error in closed})


def _layouts_of(parent: Path, names: Sequence[tuple[str, ...]]) -> list[Folders]:
    """Return the folders of each layout that fits in `parent`. Several layouts may share a clean folder."""
    inside = folders_in(parent)
    found = [[folder for name in layout if (folder := _folder(parent, name, inside))] for layout in names]
    fitting = [folders for folders, layout in zip(found, names, strict=True) if len(folders) == len(layout)]
    if len({folders[-1] for folders in fitting}) > 1:
        several = " or ".join("/".join(str(folder.relative_to(parent)) for folder in folders) for folders in fitting)
        raise ValueError(f"{parent} is ambiguous, it holds {several}: move the folders that are not meant elsewhere")
    return fitting


def _folder(parent: Path, name: str, inside: Sequence[str]) -> Path | None:
    """Find a folder by its name, in any case, among the given names; an exact match is preferred."""
    first, _, rest = name.partition("/")
    alike = [one for one in inside if one.lower() == first.lower()]
    if not alike:
        return None
    found = parent / (first if first in alike else alike[0])
    return _folder(found, rest, folders_in(found)) if rest else found


def _match(root: Path, unreadable: Report, *folders: Path) -> list[Pair]:
    """Pair the files of a layout's folders: the degraded folder, or the left and the right one; then the clean one."""
    first, *others = folders
    paths = find_images(first, unreadable=unreadable)
    partners = [_partners(paths, first, find_images(other, unreadable=unreadable), other) for other in others]
    place = _name_prefix(root, folders)
    return [
        Pair(path, found[-1], (place / name_within(path, first)).as_posix(), *found[:-1])
        for path, *found in zip(paths, *partners, strict=True)
    ]


def _name_prefix(root: Path, folders: Sequence[Path]) -> Path:
    """Return the folder that the names of pairs in a layout begin with."""
    parent = _common_folder(folders)
    several = len(folders) == 2 and len(_layouts_of(parent, LAYOUTS)) > 1
    return (folders[0] if several else parent).relative_to(root)


def _common_folder(folders: Sequence[Path]) -> Path:
    """Return the innermost folder that holds all given ones."""
    parent = folders[0]
    while not all(folder.is_relative_to(parent) for folder in folders):
        parent = parent.parent
    return parent


def _shared(root: Path, unreadable: Report) -> list[Pair]:
    """Pair the parts of data sets at `root` or below it whose parts share clean images; `root` may be one part."""
    names = {part for degraded, _ in SHARED_LAYOUTS for part in degraded.split("/")}
    above = [root]
    while (
        above[-1].name.lower() in names and above[-1].parent != above[-1]
    ):  # this folder is a part, whose clean images lie further up
        above.append(above[-1].parent)
    pairs: list[Pair] = []
    for parent in (*above, *([] if len(above) > 1 else _folders_below(root, _ignore))):
        inside = folders_in(parent)
        for degraded, clean in SHARED_LAYOUTS:
            folder, other = _folder(parent, degraded, inside), _folder(parent, clean, inside)
            if folder and other and folder.is_relative_to(root):
                paths = find_images(folder, unreadable=unreadable)
                partners = _partners(paths, folder, find_images(other, unreadable=unreadable), other, are_shared=True)
                pairs += _named_within(root, paths, partners)
    return pairs


def _side_by_side(root: Path, unreadable: Report) -> list[Pair]:
    """Pair files that lie in one folder, at `root` or else anywhere below it."""
    return _pairs_in_folder(root, root, unreadable) or [
        pair for folder in _folders_below(root, _ignore) for pair in _pairs_in_folder(root, folder, unreadable)
    ]


def _pairs_in_folder(root: Path, folder: Path, unreadable: Report) -> list[Pair]:
    """Pair the files of one folder; its clean images may also belong to a degraded folder inside it."""
    clean, degraded = [], []
    for path in sorted(folder.iterdir()):
        side = is_clean(path.stem)
        if side is not None and _is_image(path, unreadable):
            (clean if side else degraded).append(path)
    place = folder
    if clean and not degraded:
        names = folders_in(folder)
        inside = {one.name: one for name, _ in LAYOUTS if (one := _folder(folder, name, names))}
        if len(inside) == 1:
            (place,) = inside.values()
            degraded = find_images(place, unreadable=unreadable)
    known = {scene(name_within(path, folder)) for path in clean}
    if not any(scene(name_within(path, place)) in known for path in degraded):
        return []  # the names have such words, but no two files form a pair
    partners = _partners(degraded, place, clean, folder)
    return _named_within(root, degraded, partners)


def _named_within(root: Path, paths: list[Path], partners: list[Path]) -> list[Pair]:
    """Name pairs by the paths of their degraded images within a folder."""
    return [
        Pair(path, partner, name_within(path, root).as_posix()) for path, partner in zip(paths, partners, strict=True)
    ]


def _is_image(path: Path, unreadable: Report) -> bool:
    """Tell whether a path is an image file that is not hidden."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path.name) and is_file(path, unreadable)


def _partners(
    paths: list[Path], folder: Path, others: list[Path], other_folder: Path, *, are_shared: bool = False
) -> list[Path]:
    """Find the partner of each path among the images of another folder, which may hold more images if they are shared.

    Raises:
        ValueError: if files have no partner, or more than one; the message lists them.
    """
    by_name: dict[str, list[Path]] = {}
    by_scene: dict[str, list[Path]] = {}
    for other in others:
        stem = name_within(other, other_folder)
        by_name.setdefault(stem.as_posix(), []).append(other)
        by_scene.setdefault(scene(stem), []).append(other)
    is_flat = all(other.parent == other_folder for other in others)
    partners: list[Path] = []
    alone: list[str] = []
    for path in paths:
        stem = name_within(path, folder)
        stems = [stem, Path(stem.name)] if is_flat and stem.parent.name else [stem]
        matches = (_files_named(one, by_name, by_scene) for one in stems)
        found = next(filter(None, matches), [])
        if len(found) > 1:
            raise ValueError(f"{path} is ambiguous, keep one of its partners: {listed(found, NAMED)}")
        partners += found
        if not found:
            alone.append(str(path))
    if not partners and len(paths) == len(others) and folder.name.lower() == IN_ORDER:
        return others
    used = set(partners)
    if not are_shared:
        alone += [str(other) for other in others if other not in used]
    if alone:
        places = " or ".join(dict.fromkeys((folder.name, other_folder.name)))
        raise ValueError(
            f"{counted(len(alone), 'image')} in {_common_folder([folder, other_folder])} "
            f"{'has' if len(alone) == 1 else 'have'} no partner of the same name in {places}: {listed(alone, NAMED)}"
        )
    return partners


def _files_named(stem: Path, by_name: dict[str, list[Path]], by_scene: dict[str, list[Path]]) -> list[Path]:
    """Return the files with a name, or with the same scene, or with a beginning of the name up to a `_`."""
    found = by_name.get(stem.as_posix()) or by_scene.get(scene(stem))
    words = stem.name.split("_")
    for count in range(1, len(words)):
        beginning = stem.with_name("_".join(words[:count]) or stem.name)
        found = found or by_name.get(beginning.as_posix())
        called = scene(beginning)
        if called != beginning.parent.as_posix():  # otherwise only the folder is left of the name
            found = found or by_scene.get(called)
    return found or []


def _hint(root: Path, views: int) -> str:
    """Say why a folder without pairs may have been given."""
    if views == 2 and _layouts(root, LAYOUTS, _ignore):
        return " with two views, which this network takes (6 input channels)"
    if views == 1 and _layouts(root, DUAL_LAYOUTS, _ignore):
        return " with one view (its left and right views are for a network with 6 input channels)"
    if root.parent.is_dir() and any(root in layout for layout in _layouts_of(root.parent, LAYOUTS)):
        return f" but is one half of {root.parent}, which does"
    return ""


def _ignore(error: OSError) -> None:
    """Ignore an error that was reported before."""
