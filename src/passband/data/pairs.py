"""Folders of degraded and clean pictures, and what belongs together in them."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passband.data.images import NAMED, Report, find_images, is_file, is_hidden, walk, warn_unreadable
from passband.data.pair_layouts import DUAL_LAYOUTS, IN_ORDER, LAYOUTS, SHARED_LAYOUTS, is_clean, scene
from passband.io.image import SUFFIXES
from passband.naming import listed

Folders = list[Path]
"""The folders of a layout: the degraded one, or those of the left and the right view; then the clean one."""


@dataclass(frozen=True)
class Pair:
    """A degraded picture and the clean one it came from."""

    degraded: Path
    clean: Path
    name: str
    """What to call it: the path of the degraded file within the set, without suffix and layout folder."""
    right: Path | None = None
    """The right view of a dual-pixel photograph, whose left view is then `degraded`."""


def find_pairs(root: Path, views: int = 1, unreadable: Report = warn_unreadable) -> list[Pair]:
    """Pair the pictures of a folder by name.

    Args:
        root: a folder with sub-folders named as in `LAYOUTS`, or else with folders of such (as one per scene); or with
            pairs side by side in one folder (`01_hazy.png`, `01_GT.png`), or in one folder per scene; or a part of a
            set as in `SHARED_LAYOUTS`.
        views: 2 for left and right views of each scene, in sub-folders named as in `DUAL_LAYOUTS`.
        unreadable: called with the error of each folder below it that cannot be read.

    Returns:
        Pairs in the order of the degraded files. Files belong together when they have the same path below the
        sub-folders but for the suffix; or else the same but for the words that say which of a pair a file is, see
        `pair_layouts.scene`; or else when the clean file is called as the degraded one is before one of its `_`
        (`1400_3.png` and `1400.png`): a clean picture may have several degraded ones. Where the clean folder has no
        sub-folders, those of the degraded folder do not count.

    Raises:
        FileNotFoundError: if the folder, a layout or pictures in it are missing.
        ValueError: listing the files without a partner, or with more than one, or the layouts if several fit.
    """
    root = Path(root)
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
            f"{root} holds no pairs of pictures{_hint(root, views)}: expected sub-folders named {known}{together}"
        )
    names_seen = Counter(pair.name for pair in pairs)
    twice = [str(pair.degraded) for pair in pairs if names_seen[pair.name] > 1]
    if twice:
        raise ValueError(f"degraded pictures of one name are ambiguous, keep one of each: {listed(twice, NAMED)}")
    return pairs


def _layouts(root: Path, names: Sequence[tuple[str, ...]], unreadable: Report) -> list[Folders]:
    """The folders of the layouts at `root`, or, where there are none, of those anywhere below it."""
    if layouts := _layouts_of(root, names):
        return layouts
    return [layout for folder in _folders_below(root, unreadable) for layout in _layouts_of(folder, names)]


def _folders_below(root: Path, unreadable: Report) -> list[Path]:
    """All folders below one that can be read, in order."""
    closed: list[OSError] = []
    found = {parent / name for parent, folders, _ in walk(root, closed.append) for name in folders}
    for error in closed:
        unreadable(error)
    return sorted(found - {Path(str(error.filename)) for error in closed})


def _layouts_of(parent: Path, names: Sequence[tuple[str, ...]]) -> list[Folders]:
    """The folders of each layout that fits in `parent`; several have one clean folder."""
    inside = _folders_in(parent)
    found = [[folder for name in layout if (folder := _folder(parent, name, inside))] for layout in names]
    fitting = [folders for folders, layout in zip(found, names, strict=True) if len(folders) == len(layout)]
    if len({folders[-1] for folders in fitting}) > 1:
        several = " or ".join("/".join(str(folder.relative_to(parent)) for folder in folders) for folders in fitting)
        raise ValueError(f"{parent} is ambiguous, it holds {several}: move the folders that are not meant elsewhere")
    return fitting


def _folders_in(parent: Path) -> list[str]:
    """Names of the folders in a folder, sorted; looked up once, because a folder may hold very many files."""
    with os.scandir(parent) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def _folder(parent: Path, name: str, inside: Sequence[str]) -> Path | None:
    """The folder of this name, in any case, in a folder that holds those inside; an exact one goes first."""
    first, _, rest = name.partition("/")
    alike = [one for one in inside if one.lower() == first.lower()]
    if not alike:
        return None
    found = parent / (first if first in alike else alike[0])
    return _folder(found, rest, _folders_in(found)) if rest else found


def _match(root: Path, unreadable: Report, *folders: Path) -> list[Pair]:
    """Pairs of the folders of a layout: the degraded one, or the left and the right; then the clean one."""
    first, *others = folders
    paths = find_images(first, unreadable=unreadable)
    partners = [_partners(paths, first, find_images(other, unreadable=unreadable), other) for other in others]
    place = _place(root, folders)
    return [
        Pair(path, found[-1], (place / _stem(path, first)).as_posix(), *found[:-1])
        for path, *found in zip(paths, *partners, strict=True)
    ]


def _place(root: Path, folders: Sequence[Path]) -> Path:
    """What the names of pairs in the folders of a layout begin with."""
    parent = Path(os.path.commonpath(folders))
    several = len(folders) == 2 and len(_layouts_of(parent, LAYOUTS)) > 1
    return (folders[0] if several else parent).relative_to(root)


def _shared(root: Path, unreadable: Report) -> list[Pair]:
    """Pairs of sets at `root` or below it, or of the part of one at `root`, whose parts share their clean pictures."""
    names = {part for degraded, _ in SHARED_LAYOUTS for part in degraded.split("/")}
    above = [root]
    while above[-1].name.lower() in names:  # a part, whose clean pictures lie further up
        above.append(above[-1].parent)
    pairs: list[Pair] = []
    for parent in (*above, *([] if len(above) > 1 else _folders_below(root, _say_nothing))):
        inside = _folders_in(parent)
        for degraded, clean in SHARED_LAYOUTS:
            folder, other = _folder(parent, degraded, inside), _folder(parent, clean, inside)
            if folder and other and folder.is_relative_to(root):
                paths = find_images(folder, unreadable=unreadable)
                partners = _partners(paths, folder, find_images(other, unreadable=unreadable), other, are_shared=True)
                pairs += _named_within(root, paths, partners)
    return pairs


def _side_by_side(root: Path, unreadable: Report) -> list[Pair]:
    """Pairs whose two files lie in one folder, at `root` or else anywhere below it."""
    return _within(root, root, unreadable) or [
        pair for folder in _folders_below(root, _say_nothing) for pair in _within(root, folder, unreadable)
    ]


def _within(root: Path, folder: Path, unreadable: Report) -> list[Pair]:
    """Pairs in a folder itself; its clean pictures may also belong to those of a degraded folder in it."""
    clean, degraded = [], []
    for path in sorted(folder.iterdir()):
        side = is_clean(path.stem)
        if side is not None and _is_picture(path, unreadable):
            (clean if side else degraded).append(path)
    place = folder
    if clean and not degraded:
        names = _folders_in(folder)
        inside = {one.name: one for name, _ in LAYOUTS if (one := _folder(folder, name, names))}
        if len(inside) == 1:
            (place,) = inside.values()
            degraded = find_images(place, unreadable=unreadable)
    known = {scene(_stem(path, folder)) for path in clean}
    if not any(scene(_stem(path, place)) in known for path in degraded):
        return []  # names say this and that, but no two belong together
    partners = _partners(degraded, place, clean, folder)
    return _named_within(root, degraded, partners)


def _named_within(root: Path, paths: list[Path], partners: list[Path]) -> list[Pair]:
    """Pairs that are called as their degraded pictures are within a folder."""
    return [Pair(path, partner, _stem(path, root).as_posix()) for path, partner in zip(paths, partners, strict=True)]


def _is_picture(path: Path, unreadable: Report) -> bool:
    """Whether a path is a picture file that is not hidden."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path.name) and is_file(path, unreadable)


def _partners(
    paths: list[Path], folder: Path, others: list[Path], other_folder: Path, *, are_shared: bool = False
) -> list[Path]:
    """What belongs to each path, among the pictures of another folder, which may have more of them if they are shared.

    Raises:
        ValueError: listing the files without a partner, or with more than one.
    """
    by_name: dict[str, list[Path]] = {}
    by_scene: dict[str, list[Path]] = {}
    for other in others:
        stem = _stem(other, other_folder)
        by_name.setdefault(stem.as_posix(), []).append(other)
        by_scene.setdefault(scene(stem), []).append(other)
    is_flat = all(other.parent == other_folder for other in others)
    partners: list[Path] = []
    alone: list[str] = []
    for path in paths:
        stem = _stem(path, folder)
        stems = [stem, Path(stem.name)] if is_flat and stem.parent.name else [stem]
        found = next((found for one in stems if (found := _named(one, by_name, by_scene))), [])
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
            f"{len(alone)} pictures in {Path(os.path.commonpath([folder, other_folder]))} have no partner of the same "
            f"name in {places}: {listed(alone, NAMED)}"
        )
    return partners


def _named(stem: Path, by_name: dict[str, list[Path]], by_scene: dict[str, list[Path]]) -> list[Path]:
    """The files that are called as a name is, or but for its role, or as one of its beginnings up to a `_`."""
    found = by_name.get(stem.as_posix()) or by_scene.get(scene(stem))
    words = stem.name.split("_")
    for count in range(1, len(words)):
        beginning = stem.with_name("_".join(words[:count]) or stem.name)
        called = scene(beginning)
        if called != beginning.parent.as_posix():  # else nothing of it is left but its folder
            found = found or by_name.get(beginning.as_posix()) or by_scene.get(called)
    return found or []


def _stem(path: Path, folder: Path) -> Path:
    """A path within a folder, without suffix."""
    return path.relative_to(folder).with_suffix("")


def _hint(root: Path, views: int) -> str:
    """What may have been meant by a folder without pairs."""
    if views == 2 and _layouts(root, LAYOUTS, _say_nothing):
        return " with two views, which this network takes (6 input channels)"
    if views == 1 and _layouts(root, DUAL_LAYOUTS, _say_nothing):
        return " with one view (its left and right views are for a network with 6 input channels)"
    if root.parent.is_dir() and any(root in layout for layout in _layouts_of(root.parent, LAYOUTS)):
        return f" but is one half of {root.parent}, which does"
    return ""


def _say_nothing(error: OSError) -> None:
    """What is told of a folder that has been told of."""
