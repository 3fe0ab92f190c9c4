"""Folders of degraded and clean pictures, and what belongs together in them."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passband.data.pictures import Report, find_images, walk, warn_unreadable

LAYOUTS = (
    ("degraded", "clean"),
    ("hazy", "gt"),
    ("hazy", "clear"),
    ("blur", "sharp"),
    ("blur", "gt"),
    ("real_blur", "gt"),
    ("input", "target"),
    ("input", "gt"),
    ("inputC", "target"),
    ("source", "target"),
    ("Snow", "Gt"),
    ("synthetic", "gt"),
    ("data", "gt"),
    ("lq", "gt"),
)
"""Names of the degraded and the clean folder, in any case, as this library and the published data sets have them:
RESIDE, O-HAZE and I-HAZE; GoPro, RealBlur, RSBlur; Rain13K and its test sets; DPDD (as Restormer and as its authors
have it); CSD and SRRS, Snow100K; DeRainDrop; BasicSR."""
DUAL_LAYOUTS = (
    ("inputL", "inputR", "target"),
    ("left", "right", "target"),
    *[(f"{part}_l/source", f"{part}_r/source", f"{part}_c/target") for part in ("train", "val", "test")],
)
"""Names of the folders of the left view, the right view and the clean picture of dual-pixel pairs (DPDD)."""
IN_ORDER = "source"
"""The degraded folder of a set whose files have unlike names and belong together in their order (DPDD as published)."""
ROLE = re.compile(
    "degraded|clean|hazy|haze|gt|clear|blur|blurry|blurred|sharp|real|input|target|source|snow|snowy|synthetic|rain|"
    "rainy|lq|hq|left|right|l|r|c",
    re.IGNORECASE,
)
"""Words that say which of a pair a file is, as in `01_outdoor_hazy` and `01_outdoor_GT`, or `blur_7` and `gt_7`."""


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
        root: a folder with sub-folders named as in `LAYOUTS`, or else with folders of such (as one per scene).
        views: 2 for left and right views of each scene, in sub-folders named as in `DUAL_LAYOUTS`.
        unreadable: called with the error of each folder below it that cannot be read.

    Returns:
        Pairs in the order of the degraded files. Files belong together when they have the same path below the
        sub-folders but for the suffix; or else the same but for the words of `ROLE`; or else when the clean file is
        called as the degraded one is before its first `_` (`1400_3.png` and `1400.png`): a clean picture may have
        several degraded ones.

    Raises:
        FileNotFoundError: if the folder, a layout or pictures in it are missing.
        ValueError: listing the files without a partner, or with more than one, or the layouts if several fit.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    names = LAYOUTS if views == 1 else DUAL_LAYOUTS
    pairs = [pair for folders in _layouts(root, names, unreadable) for pair in _match(root, unreadable, *folders)]
    if not pairs:
        known = ", ".join("/".join(layout) if views == 1 else " + ".join(layout) for layout in names)
        raise FileNotFoundError(
            f"{root} holds no pairs of pictures{_hint(root, views)}: expected sub-folders named {known}"
        )
    names_seen = Counter(pair.name for pair in pairs)
    twice = [str(pair.degraded) for pair in pairs if names_seen[pair.name] > 1]
    if twice:
        raise ValueError(f"degraded pictures of one name are ambiguous, keep one of each: {_some(twice)}")
    return pairs


def _layouts(root: Path, names: Sequence[tuple[str, ...]], unreadable: Report) -> list[list[Path]]:
    """The folders of a layout at `root`, or, where there is none, of those anywhere below it."""
    if layout := _layout(root, names):
        return [layout]
    closed: list[OSError] = []
    found = {parent / name for parent, folders, _ in walk(root, closed.append) for name in folders}
    for error in closed:
        unreadable(error)
    readable = sorted(found - {Path(str(error.filename)) for error in closed})
    return [layout for folder in readable if (layout := _layout(folder, names))]


def _layout(parent: Path, names: Sequence[tuple[str, ...]]) -> list[Path] | None:
    """The folders of the layout that fits in `parent`."""
    found = [[folder for name in layout if (folder := _folder(parent, name))] for layout in names]
    fitting = [folders for folders, layout in zip(found, names, strict=True) if len(folders) == len(layout)]
    if len(fitting) > 1:
        several = " or ".join("/".join(str(folder.relative_to(parent)) for folder in folders) for folders in fitting)
        raise ValueError(f"{parent} is ambiguous, it holds {several}: move the folders that are not meant elsewhere")
    return fitting[0] if fitting else None


def _folder(parent: Path, name: str) -> Path | None:
    """The folder of this name, in any case; an exact one goes first."""
    for part in name.split("/"):
        inside = sorted(path for path in parent.iterdir() if path.name.lower() == part.lower() and path.is_dir())
        if not inside:
            return None
        parent = next((path for path in inside if path.name == part), inside[0])
    return parent


def _match(root: Path, unreadable: Report, *folders: Path) -> list[Pair]:
    """Pairs of the folders of a layout: the degraded one, or the left and the right; then the clean one."""
    first, *others = folders
    paths = find_images(first, unreadable=unreadable)
    partners = [_partners(paths, first, find_images(other, unreadable=unreadable), other) for other in others]
    place = Path(os.path.commonpath(folders)).relative_to(root)
    return [
        Pair(path, found[-1], (place / _stem(path, first)).as_posix(), *found[:-1])
        for path, *found in zip(paths, *partners, strict=True)
    ]


def _partners(paths: list[Path], folder: Path, others: list[Path], other_folder: Path) -> list[Path]:
    """What belongs to each path, among the pictures of another folder."""
    by_name: dict[str, list[Path]] = {}
    by_scene: dict[str, list[Path]] = {}
    for other in others:
        stem = _stem(other, other_folder)
        by_name.setdefault(stem.as_posix(), []).append(other)
        by_scene.setdefault(_without_roles(stem), []).append(other)
    partners: list[Path] = []
    alone: list[str] = []
    for path in paths:
        stem = _stem(path, folder)
        prefix = stem.with_name(stem.name.split("_")[0] or stem.name)
        found = (
            by_name.get(stem.as_posix())
            or by_scene.get(_without_roles(stem))
            or by_name.get(prefix.as_posix())
            or by_scene.get(_without_roles(prefix))
            or []
        )
        if len(found) > 1:
            raise ValueError(f"{path} is ambiguous, keep one of its partners: {_some([str(one) for one in found])}")
        partners += found
        if not found:
            alone.append(str(path))
    if not partners and len(paths) == len(others) and folder.name.lower() == IN_ORDER:
        return others
    used = set(partners)
    alone += [str(other) for other in others if other not in used]
    if alone:
        raise ValueError(
            f"{len(alone)} pictures in {folder.parent} have no partner of the same name in "
            f"{folder.name} or {other_folder.name}: {_some(alone)}"
        )
    return partners


def _stem(path: Path, folder: Path) -> Path:
    """A path within a folder, without suffix."""
    return path.relative_to(folder).with_suffix("")


def _without_roles(stem: Path) -> str:
    """A name without the words that say which of a pair it is."""
    words = [word for word in stem.name.split("_") if not ROLE.fullmatch(word)]
    return (stem.parent / "_".join(words)).as_posix()


def _hint(root: Path, views: int) -> str:
    """What may have been meant by a folder without pairs."""
    if views == 2 and _layouts(root, LAYOUTS, _say_nothing):
        return " with two views, which this network takes (6 input channels)"
    if views == 1 and _layouts(root, DUAL_LAYOUTS, _say_nothing):
        return " with one view (its left and right views are for a network with 6 input channels)"
    if root.parent.is_dir() and (layout := _layout(root.parent, LAYOUTS)) and root in layout:
        return f" but is one half of {root.parent}, which does"
    return ""


def _say_nothing(error: OSError) -> None:
    """What is told of a folder that has been told of."""


def _some(names: list[str], most: int = 10) -> str:
    """The first few of a list of names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
