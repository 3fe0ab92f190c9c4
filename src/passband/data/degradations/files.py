"""Folders of pairs, made of clean photographs."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from passband.data.degradations.kinds import check_kind, degrade
from passband.data.pictures import find_images
from passband.io.image import read_image, write_image


def degrade_files(source: Path, output: Path, kind: str, *, seed: int = 0) -> Iterator[tuple[Path, int]]:
    """Make a folder of pairs: `output/degraded` and `output/clean`, in PNG so that nothing else is lost.

    Args:
        source: a picture, or a folder of them (with all below it, but for the pairs of an earlier run); a picture's
            index is its place among the sorted paths.
        output: the folder; what it holds under the same names is replaced.
        kind: a key of `KINDS`.
        seed: names the set.

    Yields:
        The path of each degraded picture when its pair is written, and the number of pairs.

    Raises:
        ValueError: for an unknown kind, two pictures that would get one name, or a source that would be replaced.
        FileNotFoundError: if there is no picture.
        ImageError: for a file that cannot be read.
    """
    check_kind(kind)
    root = source.parent if source.is_file() else source
    made = [(output / name).resolve() for name in ("degraded", "clean")]
    if root.resolve() in made:
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
        raise ValueError(f"pictures that differ by suffix alone would become one pair: {', '.join(twice[:6])}")
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        clean = read_image(path)
        write_image(output / "degraded" / name, degrade(clean, kind, seed=seed, index=index))
        write_image(output / "clean" / name, clean)
        yield output / "degraded" / name, len(paths)
