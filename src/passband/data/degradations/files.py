"""Makes folders of pairs from clean photographs."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from passband.data.degradations.kinds import NEWEST, degrade, split_kind
from passband.data.images import NAMED, find_images
from passband.io.files import results_folder
from passband.io.image import ImageError, read_image, write_image
from passband.io.json_files import write_json
from passband.io.signatures import named_folder
from passband.naming import listed, package_version

SET_FILE = "degradation.json"
"""Name of the file that describes how a folder of pairs was made."""
PARTS = ("degraded", "clean")
"""Folders of a set of pairs."""


def degrade_files(
    source: Path,
    output: str | Path,
    kind: str,
    *,
    seed: int = 0,
    version: int = NEWEST,
    overwrite: bool = False,
    failed: Callable[[Path, Exception], None] | None = None,
) -> Iterator[tuple[Path, int]]:
    """Make a folder of pairs: `output/degraded` and `output/clean`, in PNG so that nothing else is lost.

    Beside them, degradation.json holds the kind, the seed, the version of the simulators, the names of the pairs and
    the images that could not be used. An image that cannot be used does not stop the others.

    Args:
        source: image, or folder of images in any sub-folders, without the pairs of an earlier run; an image's index is
            its place among the sorted paths.
        output: folder of the pairs.
        kind: degradation, a key of `KINDS`, or several joined by `+`.
        seed: seed of the set.
        version: version of the simulators, a key of `VERSIONS`.
        overwrite: whether to replace existing pairs. Pairs of the earlier set that degradation.json lists and the new
            set does not have are removed; other files stay. A set that was interrupted is replaced in any case by the
            same set.
        failed: function that is called with each image that cannot be used and the reason; None raises an error that
            names these images after the others are done.

    Yields:
        The path of each degraded image when its pair is written, and the number of images.

    Raises:
        ValueError: if the kind or version is unknown, the output names a file, two images would get the same name, or
            the source would be replaced.
        FileNotFoundError: if there is no image.
        FileExistsError: if the folder holds other pairs and `overwrite` is false.
        ImageError: if images cannot be used, see `failed`; the message names them.
        WriteError: if the folder cannot be written to.
    """
    split_kind(kind, version)
    output = results_folder(named_folder(output))
    root = source.parent if source.is_file() else source
    made = [(output / part).resolve() for part in PARTS]
    if any(root.resolve().is_relative_to(folder) for folder in made):
        raise ValueError(
            f"the output must not replace the source, but the pairs in {output} would be written to {root}: choose "
            "another output"
        )
    # pairs of an earlier run below the source are not sources
    earlier = [folder for folder in made if folder.is_relative_to(root.resolve())]
    paths = [source] if source.is_file() else find_images(source)
    paths = [path for path in paths if not any(path.resolve().is_relative_to(folder) for folder in earlier)]
    if not paths:
        raise FileNotFoundError(f"{source} holds no images")
    names = [path.relative_to(root).with_suffix(".png") for path in paths]
    count = Counter(names)
    twice = [str(path) for path, name in zip(paths, names, strict=True) if count[name] > 1]
    if twice:
        raise ValueError(
            f"images whose names differ only in the suffix would become one pair; rename them: {listed(twice, NAMED)}"
        )
    about = {
        "kind": kind,
        "seed": seed,
        "version": version,
        "passband": package_version(),
        "source": str(source.resolve()),
        "pairs": [name.as_posix() for name in names],
    }
    problems: dict[Path, str] = {}
    unfinished = {**about, "status": "running", "failed": {}}
    _make_room(output, names, overwrite or _earlier(output) == unfinished)
    _describe(output, unfinished)
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        files = [output / part / name for part in PARTS]
        try:
            clean = read_image(path)
            write_image(files[0], degrade(clean, kind, seed=seed, index=index, version=version))
            write_image(files[1], clean)
        except BaseException as error:  # whatever the error is, no image stays without its partner
            for file in files:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
            if not isinstance(error, Exception):
                raise
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
            f"{len(problems)} of {len(paths)} images cannot be used: {listed(problems.values(), NAMED, '; ')}"
        )


def _make_room(output: Path, names: Sequence[Path], overwrite: bool) -> None:
    """Raise an error for a folder that holds pairs, or remove those that the new set will not overwrite."""
    about = _earlier(output)
    held = [part for part in PARTS if (output / part).is_dir() and find_images(output / part)]
    if held and not overwrite:
        of = f" of {about['kind']} with the seed {about['seed']}" if about else ""
        raise FileExistsError(
            f"{output} already holds pairs{of}: choose another folder, or replace them with --overwrite"
        )
    for old in {Path(str(name)) for name in about.get("pairs", ())} - {*names}:
        if not old.is_absolute() and ".." not in old.parts and old.suffix == ".png":
            for part in PARTS:
                (output / part / old).unlink(missing_ok=True)


def _earlier(output: Path) -> dict[str, Any]:
    """Return the content of degradation.json in a folder; empty if it is missing or incomplete."""
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
    write_json(output / SET_FILE, about)
