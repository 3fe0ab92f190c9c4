"""Folders of degraded and clean pictures, and what belongs together in them."""

from collections.abc import Iterable
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

    @property
    def name(self) -> str:
        """What to call the pair: the degraded file's stem."""
        return self.degraded.stem


def find_images(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted by path; hidden files are left out.

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
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def find_pairs(root: Path) -> list[Pair]:
    """Pair the pictures of a folder by name.

    Args:
        root: a folder with two sub-folders named as in `LAYOUTS`, or with folders of such (as one per scene).

    Returns:
        Pairs in the order of the degraded files. Files belong together when their stems are equal, or when the
        degraded stem before its first `_` is the clean stem (`1400_3.png` and `1400.png`), or when both have the
        same path below the two folders.

    Raises:
        FileNotFoundError: if the folder or a layout is missing.
        ValueError: listing the files without a partner.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    pairs = [pair for degraded, clean in _layouts(root) for pair in _match(degraded, clean)]
    if not pairs:
        known = ", ".join(f"{degraded}/{clean}" for degraded, clean in LAYOUTS)
        raise FileNotFoundError(f"{root} holds no pairs of pictures: expected sub-folders named {known}")
    return pairs


def _layouts(root: Path) -> Iterable[tuple[Path, Path]]:
    """Pairs of folders at `root`, or, where there are none, anywhere below it."""
    for parent in (root, *sorted(path for path in root.rglob("*") if path.is_dir())):
        for degraded, clean in LAYOUTS:
            if (parent / degraded).is_dir() and (parent / clean).is_dir():
                yield parent / degraded, parent / clean
                break


def _match(degraded_folder: Path, clean_folder: Path) -> list[Pair]:
    """Pairs of two folders."""
    clean = {path.relative_to(clean_folder).with_suffix("").as_posix(): path for path in find_images(clean_folder)}
    pairs, alone = [], []
    for path in find_images(degraded_folder):
        stem = path.relative_to(degraded_folder).with_suffix("")
        prefix = stem.with_name(stem.name.split("_")[0] or stem.name)
        partner = clean.get(stem.as_posix()) or clean.get(prefix.as_posix())
        pairs.append(Pair(path, partner)) if partner else alone.append(str(path))
    used = {pair.clean for pair in pairs}
    alone += [str(path) for path in clean.values() if path not in used]
    if alone:
        more = f" and {len(alone) - 10} more" if len(alone) > 10 else ""
        raise ValueError(
            f"{len(alone)} pictures in {degraded_folder.parent} have no partner of the same name in "
            f"{degraded_folder.name} or {clean_folder.name}: {', '.join(alone[:10])}{more}"
        )
    return pairs
