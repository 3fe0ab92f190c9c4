"""Folders of pairs, made of clean photographs."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from passband.data.degradations.kinds import NEWEST, degrade, split_kind
from passband.data.images import NAMED, find_images
from passband.io.files import write_whole
from passband.io.image import ImageError, read_image, write_image
from passband.naming import listed

SET_FILE = "degradation.json"
"""Says of a folder of pairs what they were made with."""
PARTS = ("degraded", "clean")
"""Folders of a set."""


def degrade_files(
    source: Path,
    output: Path,
    kind: str,
    *,
    seed: int = 0,
    version: int = NEWEST,
    overwrite: bool = False,
    failed: Callable[[Path, Exception], None] | None = None,
) -> Iterator[tuple[Path, int]]:
    """Make a folder of pairs: `output/degraded` and `output/clean`, in PNG so that nothing else is lost.

    Beside them, degradation.json says the kind, the seed, the version of the simulators, the names of the pairs and
    the pictures that could not be used. A picture that cannot be used does not keep the others from being done.

    Args:
        source: a picture, or a folder of them (with all below it, but for the pairs of an earlier run); a picture's
            index is its place among the sorted paths.
        output: the folder.
        kind: a key of `KINDS`, or several joined by `+`.
        seed: names the set.
        version: of the simulators, a key of `VERSIONS`.
        overwrite: replace the pairs that are there. Pairs of the earlier set that degradation.json names, and that the
            new one has not, are removed; other files stay.
        failed: called with each picture that cannot be used and the reason; None to raise an error that names them
            when the others are done.

    Yields:
        The path of each degraded picture when its pair is written, and the number of pictures.

    Raises:
        ValueError: for an unknown kind or version, two pictures that would get one name, or a source that would be
            replaced.
        FileNotFoundError: if there is no picture.
        FileExistsError: if the folder holds pairs, unless they are to be replaced.
        ImageError: naming the pictures that cannot be used, see `failed`.
    """
    split_kind(kind, version)
    root = source.parent if source.is_file() else source
    made = [(output / part).resolve() for part in PARTS]
    if any(root.resolve().is_relative_to(folder) for folder in made):
        raise ValueError(
            f"{root} is where the pairs in {output} go, so its pictures would be replaced: choose another output"
        )
    # what an earlier run left below the source is no source
    earlier = [folder for folder in made if folder.is_relative_to(root.resolve())]
    paths = [source] if source.is_file() else find_images(source)
    paths = [path for path in paths if not any(path.resolve().is_relative_to(folder) for folder in earlier)]
    if not paths:
        raise FileNotFoundError(f"{source} holds no pictures")
    names = [path.relative_to(root).with_suffix(".png") for path in paths]
    count = Counter(names)
    twice = [str(path) for path, name in zip(paths, names, strict=True) if count[name] > 1]
    if twice:
        raise ValueError(f"pictures that differ by suffix alone would become one pair: {listed(twice, NAMED)}")
    _make_room(output, names, overwrite)

    about = {
        "kind": kind,
        "seed": seed,
        "version": version,
        "passband": version_of("passband"),
        "source": str(source.resolve()),
        "pairs": [name.as_posix() for name in names],
    }
    problems: dict[Path, str] = {}
    _describe(output, {**about, "status": "running", "failed": {}})
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        files = [output / part / name for part in PARTS]
        try:
            clean = read_image(path)
            write_image(files[0], degrade(clean, kind, seed=seed, index=index, version=version))
            write_image(files[1], clean)
        except Exception as error:  # whatever it is, the other pictures are done
            for file in files:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
            reason = str(error) or type(error).__name__
            problems[path] = reason if str(path) in reason else f"{path}: {reason}"
            if failed is not None:
                failed(path, error)
            continue
        yield files[0], len(paths)
    written = [name.as_posix() for path, name in zip(paths, names, strict=True) if path not in problems]
    failures = {path.relative_to(root).as_posix(): reason for path, reason in problems.items()}
    _describe(output, {**about, "pairs": written, "status": "finished", "failed": failures})
    if problems and failed is None:
        raise ImageError(
            f"{len(problems)} of {len(paths)} pictures cannot be used: {listed(problems.values(), NAMED, '; ')}"
        )


def _make_room(output: Path, names: Sequence[Path], overwrite: bool) -> None:
    """Refuse a folder that holds pairs, or remove those of the earlier set that will not be written again."""
    about = _earlier(output)
    held = [part for part in PARTS if (output / part).is_dir() and find_images(output / part)]
    if held and not overwrite:
        of = f" of {about['kind']} with the seed {about['seed']}" if about else ""
        raise FileExistsError(
            f"{output} holds pairs already{of}: choose another folder, or replace them with --overwrite"
        )
    for old in {Path(str(name)) for name in about.get("pairs", ())} - {*names}:
        if not old.is_absolute() and ".." not in old.parts and old.suffix == ".png":
            for part in PARTS:
                (output / part / old).unlink(missing_ok=True)


def _earlier(output: Path) -> dict[str, Any]:
    """What degradation.json says of the set that is there; nothing where it does not say all."""
    try:
        about = json.loads((output / SET_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    is_whole = (
        isinstance(about, dict) and {"kind", "seed", "pairs"} <= about.keys() and isinstance(about["pairs"], list)
    )
    return about if is_whole else {}


def _describe(output: Path, about: dict[str, Any]) -> None:
    """Write degradation.json."""
    with write_whole(output / SET_FILE) as path:
        path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
