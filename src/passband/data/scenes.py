"""Groups images that show the same scene, so that a split does not divide them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from passband.data.duplicates import duplicates
from passband.data.images import NAMED
from passband.data.pairs import Pair
from passband.io.files import file_checksum
from passband.naming import listed

NUMBER = re.compile(r"(\d+)(?!.*\d)")
"""The last number in a name, which counts the frames of a video."""


def connected(count: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Group items that are linked directly or through other items.

    Args:
        count: number of items, which are numbered from 0.
        links: pairs of linked items.

    Returns:
        Ascending numbers of the items of each group. The groups are in the order of their first items.
    """
    parents = list(range(count))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = item = parents[parents[item]]
        return item

    for one, other in links:
        parents[root(other)] = root(one)
    groups: dict[int, list[int]] = defaultdict(list)
    for item in range(count):
        groups[root(item)].append(item)
    return list(groups.values())


def links_by_label(labels: Sequence[str]) -> list[tuple[int, int]]:
    """Link each item to the first item that has the same label.

    Args:
        labels: label of each item.

    Returns:
        Pairs of places, from 0: that of the first item with the same label, and that of the item, which may be the
        same.
    """
    first: dict[str, int] = {}
    return [(first.setdefault(label, index), index) for index, label in enumerate(labels)]


def links_by_same_file(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Link files that have the same bytes.

    Args:
        paths: files to compare.

    Returns:
        Pairs of places, from 0: that of the first file with the same bytes, and that of the file, which may be the
        same.

    Raises:
        OSError: if a file cannot be read.
    """
    by_size = defaultdict(list)
    for path in paths:
        by_size[path.stat().st_size].append(path)
    numbers = {path: number for number, path in enumerate(paths)}
    return [
        (numbers[original], numbers[path])
        for candidates in by_size.values()
        if len(candidates) > 1
        # the original of a file is the first file with its bytes, which may be the file itself
        for path, original in duplicates(candidates, candidates)
    ]


def scenes_of_pairs(pairs: Sequence[Pair]) -> list[list[int]]:
    """Group restoration pairs by scene.

    Pairs show one scene if their clean images have the same bytes, or if they lie in the same sub-folder. Sub-folders
    are ignored if they would put all pairs into one scene: one folder per degradation says nothing about scenes.

    Args:
        pairs: pairs to group.

    Returns:
        Ascending indices of the pairs of each scene.
    """
    same_image = links_by_label(_clean_image_keys(pairs))
    same_folder = links_by_label([str(PurePosixPath(pair.name).parent) for pair in pairs])
    scenes = connected(len(pairs), [*same_image, *same_folder])
    return scenes if len(scenes) > 1 else connected(len(pairs), same_image)


def shared_scenes(first: Sequence[Pair], second: Sequence[Pair]) -> list[str]:
    """Return the names of the pairs of `second` whose clean image is also a clean image of `first`.

    Args:
        first: pairs of one data set, such as those to train on.
        second: pairs of the other data set.

    Raises:
        OSError: if an image cannot be read.
    """
    keys = _clean_image_keys([*first, *second])
    known = set(keys[: len(first)])
    return [pair.name for pair, key in zip(second, keys[len(first) :], strict=True) if key in known]


def sequences_by_pattern(names: Sequence[str], pattern: str) -> list[str]:
    """Label the sequence of each image by a part of its name.

    Args:
        names: names of the images.
        pattern: regular expression that is searched for in each name. Its groups are the label, or the whole match if
            it has no groups. A name without a match is a sequence of its own.

    Returns:
        The label of each image's sequence.

    Raises:
        ValueError: if the pattern is not a regular expression, or matches no name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"a regular expression is needed, but {pattern!r} is none: {error}") from error
    matches = [compiled.search(name) for name in names]
    if not any(matches):
        raise ValueError(f"{pattern!r} matches none of {len(names)} names, such as {listed(names, NAMED)}")
    return [
        f"alone {name}" if match is None else "sequence " + "/".join(map(str, match.groups() or (match[0],)))
        for name, match in zip(names, matches, strict=True)
    ]


def sequences_by_frames(names: Sequence[str], gap: int = 1, starts: Iterable[int] = ()) -> list[str]:
    """Label the sequence of each image by the number of its frame, which is the last number in its name.

    Frames belong to one sequence if their names are equal before and after the number, and the numbers of neighboring
    frames differ by at most `gap`.

    Args:
        names: names of the images. A name without a number is a sequence of its own.
        gap: greatest difference between the numbers of neighboring frames, at least 1.
        starts: numbers that begin a new sequence, for data sets that number their frames through all sequences.

    Returns:
        The label of each image's sequence.

    Raises:
        ValueError: if `gap` is below 1.
    """
    if gap < 1:
        raise ValueError(f"gap must be at least 1; got {gap}")
    sorted_starts = sorted(set(starts))
    frames_by_name: dict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
    labels = [f"alone {name}" for name in names]
    for index, name in enumerate(names):
        if match := NUMBER.search(name):
            number = int(match[1])
            starts_before = sum(start <= number for start in sorted_starts)
            frames_by_name[name[: match.start()], name[match.end() :], starts_before].append((number, index))
    for (before, after, _), frames in frames_by_name.items():
        frames.sort()
        label = f"sequence {before}{frames[0][0]}{after}"
        labels[frames[0][1]] = label
        for (previous, _), (number, index) in pairwise(frames):
            if number - previous > gap:
                label = f"sequence {before}{number}{after}"
            labels[index] = label
    return labels


def _clean_image_keys(pairs: Sequence[Pair]) -> list[str]:
    """Return a key for each pair's clean image, equal for files of the same bytes."""
    paths = {pair.clean for pair in pairs}
    sizes = {path: path.stat().st_size for path in paths}
    count = Counter(sizes.values())
    # a file whose size is unique equals no other file, so large data sets are not read
    keys = {path: file_checksum(path) if count[size] > 1 else str(path) for path, size in sizes.items()}
    return [keys[pair.clean] for pair in pairs]
