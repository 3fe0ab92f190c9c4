"""Folders of degraded and clean pictures, and what belongs together in them."""

from dataclasses import dataclass
from pathlib import Path

from passband.io.image import SUFFIXES

LAYOUTS = (
    ("degraded", "clean"),
    ("hazy", "gt"),
    ("hazy", "clear"),
    ("hazy", "GT"),
    ("blur", "sharp"),
    ("input", "target"),
    ("Snow", "Gt"),
    ("inputC", "target"),
    ("lq", "gt"),
)
"""Names of the degraded and the clean folder, as this library and the published data sets have them."""


@dataclass(frozen=True)
class Pair:
    """A degraded picture and the clean one it came from."""

    degraded: Path
    clean: Path
    name: str
    """What to call it: the path of the degraded file within the set, without suffix and layout folder."""


def find_images(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted by path; hidden files and what lies in hidden folders are left out.

    Raises:
        FileNotFoundError: if there is no such folder.
        NotADirectoryError: if it is a file.
        PermissionError: if it cannot be read.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; a folder of pictures is needed")
    next(folder.iterdir(), None)  # rglob passes over what it may not read; this does not
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not _is_hidden(path, folder) and path.is_file()
    )


def find_pairs(root: Path) -> list[Pair]:
    """Pair the pictures of a folder by name.

    Args:
        root: a folder with two sub-folders named as in `LAYOUTS`, or else with folders of such (as one per scene).

    Returns:
        Pairs in the order of the degraded files. Files belong together when they have the same path below the two
        folders but for the suffix, or, where there is none such, when the clean file is called as the degraded one
        is before its first `_` (`1400_3.png` and `1400.png`): a clean picture may have several degraded ones.

    Raises:
        FileNotFoundError: if the folder, a layout or pictures in it are missing.
        ValueError: listing the files without a partner.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    pairs = [pair for degraded, clean in _layouts(root) for pair in _match(root, degraded, clean)]
    if not pairs:
        known = ", ".join(f"{degraded}/{clean}" for degraded, clean in LAYOUTS)
        raise FileNotFoundError(f"{root} holds no pairs of pictures: expected sub-folders named {known}")
    return pairs


def _is_hidden(path: Path, folder: Path) -> bool:
    """Whether a path is hidden itself, or within a hidden folder below `folder`."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _layouts(root: Path) -> list[tuple[Path, Path]]:
    """Pairs of folders at `root`, or, where there are none, anywhere below it."""
    if layout := _layout(root):
        return [layout]
    folders = sorted(path for path in root.rglob("*") if path.is_dir() and not _is_hidden(path, root))
    return [layout for folder in folders if (layout := _layout(folder))]


def _layout(parent: Path) -> tuple[Path, Path] | None:
    """The degraded and the clean folder in `parent`, by the first names that fit."""
    for degraded, clean in LAYOUTS:
        if (parent / degraded).is_dir() and (parent / clean).is_dir():
            return parent / degraded, parent / clean
    return None


def _match(root: Path, degraded_folder: Path, clean_folder: Path) -> list[Pair]:
    """Pairs of two folders."""
    clean_paths = find_images(clean_folder)
    clean = {path.relative_to(clean_folder).with_suffix("").as_posix(): path for path in clean_paths}
    scene = degraded_folder.parent.relative_to(root)
    pairs, alone = [], []
    for path in find_images(degraded_folder):
        stem = path.relative_to(degraded_folder).with_suffix("")
        prefix = stem.with_name(stem.name.split("_")[0] or stem.name)
        partner = clean.get(stem.as_posix()) or clean.get(prefix.as_posix())
        pairs.append(Pair(path, partner, (scene / stem).as_posix())) if partner else alone.append(str(path))
    used = {pair.clean for pair in pairs}
    alone += [str(path) for path in clean_paths if path not in used]
    if alone:
        more = f" and {len(alone) - 10} more" if len(alone) > 10 else ""
        raise ValueError(
            f"{len(alone)} pictures in {degraded_folder.parent} have no partner of the same name in "
            f"{degraded_folder.name} or {clean_folder.name}: {', '.join(alone[:10])}{more}"
        )
    return pairs
