"""Which pairs are learned from and which are held out, decided by names and a seed."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from passband.data.pairs import Pair


def split_pairs(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Hold some pairs out, so that no scene is on both sides.

    Pairs show one scene when they have the same clean picture (the same file, or another of the same bytes), or lie in
    the same sub-folder where there are several. Which scenes are held out depends on the pairs' names within their
    set and on the seed alone, not on where the set lies.

    Args:
        pairs: at least two.
        share: of the pairs to hold out, above 0 and below 1. At least one pair is, and at least one is not; whole
            scenes may make it more or less.
        seed: another one holds out others.

    Returns:
        The pairs to learn from and those held out, each in the order given.

    Raises:
        ValueError: for fewer than two pairs, or pairs that all show one scene.
    """
    if len(pairs) < 2:
        raise ValueError(
            f"at least 2 pairs are needed, one to learn from and one held out to score on; got {len(pairs)}: add some, "
            "or give a folder to score on"
        )
    scenes = _scenes(pairs)
    if len(scenes) < 2:
        raise ValueError(
            f"all {len(pairs)} pairs have the same clean picture ({pairs[0].clean}), so that none can be held out: add "
            "pairs of other scenes, or give a folder to score on"
        )
    wanted = max(1, min(len(pairs) - 1, round(share * len(pairs))))
    drawn = sorted(scenes, key=lambda scene: _draw(min(pairs[index].name for index in scene), seed))
    held: set[int] = set()
    for scene in drawn:
        if len(held) + len(scene) <= wanted:
            held.update(scene)
    if not held:  # every scene has more pairs than wanted
        held.update(min(drawn, key=len))
    return (
        [pair for index, pair in enumerate(pairs) if index not in held],
        [pair for index, pair in enumerate(pairs) if index in held],
    )


def shared_scenes(first: Sequence[Pair], second: Sequence[Pair]) -> list[str]:
    """Names of the pairs of `second` whose clean picture is one of `first`'s, too."""
    marks = _clean_pictures([*first, *second])
    seen = set(marks[: len(first)])
    return [pair.name for pair, mark in zip(second, marks[len(first) :], strict=True) if mark in seen]


def _scenes(pairs: Sequence[Pair]) -> list[list[int]]:
    """Indices of the pairs of each scene."""
    pictures = _clean_pictures(pairs)
    folders = [str(PurePosixPath(pair.name).parent) for pair in pairs]
    together = _connected([(picture, f"in {folder}") for picture, folder in zip(pictures, folders, strict=True)])
    # one folder, or folders of the same scenes (one per degradation), tell nothing
    return together if len(together) > 1 else _connected([(picture, picture) for picture in pictures])


def _clean_pictures(pairs: Sequence[Pair]) -> list[str]:
    """A mark of each pair's clean picture, equal for files of the same bytes."""
    paths = {pair.clean for pair in pairs}
    sizes = {path: path.stat().st_size for path in paths}
    count = Counter(sizes.values())
    # files of a size of their own are like no other, so that large sets are not read
    marks = {path: _digest(path) if count[size] > 1 else str(path) for path, size in sizes.items()}
    return [marks[pair.clean] for pair in pairs]


def _connected(labels: Sequence[tuple[str, str]]) -> list[list[int]]:
    """Indices of the items that share a label, directly or through others, in the order of their first."""
    parents: dict[str, str] = {}

    def root(label: str) -> str:
        while (parent := parents.setdefault(label, label)) != label:
            parents[label] = label = parents[parent]
        return label

    for first, second in labels:
        parents[root(first)] = root(second)
    groups: dict[str, list[int]] = {}
    for index, (first, _) in enumerate(labels):
        groups.setdefault(root(first), []).append(index)
    return list(groups.values())


def _digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _draw(name: str, seed: int) -> str:
    """What puts names into an order of the seed's own."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
