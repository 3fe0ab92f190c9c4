"""Splitting pictures with masks into parts that share no scene, by lists, shares or sequences."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from passband.data.duplicates import duplicates
from passband.data.masks import NAMED, MaskPair
from passband.naming import suggestion

NUMBER = re.compile(r"(\d+)(?!.*\d)")
"""The last number in a name, which counts the frames of a video."""


def split_pairs(
    pairs: Sequence[MaskPair],
    shares: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    sequences: Sequence[str] | None = None,
) -> tuple[list[MaskPair], ...]:
    """Split pairs into parts, such as those to learn from, to choose weights by, and to score on.

    What belongs together is never parted: pictures that are the same file, byte for byte, and those of one sequence.
    Which part gets what depends on the names and the seed alone.

    Args:
        pairs: of a set.
        shares: of each part, above 0, adding to 1. Whole sequences may make a part smaller; what fits no other part
            goes to the first.
        seed: another one splits otherwise.
        sequences: what each pair is a part of, see `sequences_by_pattern`, `sequences_by_frames` and
            `data.leaks.sequences_by_likeness`; None where each picture stands for itself.

    Returns:
        As many lists as shares, each in the order given, none of them empty.

    Raises:
        ValueError: for shares that add to something else, or fewer sequences than parts.
    """
    if len(shares) < 2 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares are two or more numbers above 0 that add to 1; got {tuple(shares)}")
    scenes = connected(len(pairs), [*_same_files(pairs), *_in_sequences(pairs, sequences)])
    if len(scenes) < len(shares):
        raise ValueError(
            f"{len(pairs)} pictures of {len(scenes)} scenes cannot be split into {len(shares)} parts: add pictures of "
            "other scenes, or name what belongs together more narrowly"
        )
    drawn = sorted(scenes, key=lambda scene: _draw(min(pairs[index].name for index in scene), seed))
    parts: list[list[int]] = []
    for share in shares[1:]:
        wanted = max(1, round(share * len(pairs)))
        part: list[int] = []
        # each part that is still to come, the first one too, needs a scene
        spare = len(shares) - len(parts) - 1
        for scene in list(drawn):
            if len(part) + len(scene) <= wanted and len(drawn) > spare:
                part += scene
                drawn.remove(scene)
        if not part:  # every scene has more pictures than wanted
            smallest = min(drawn, key=len)
            part += smallest
            drawn.remove(smallest)
        parts.append(part)
    parts.insert(0, [index for scene in drawn for index in scene])
    return tuple([pairs[index] for index in sorted(part)] for part in parts)


def named_pairs(pairs: Sequence[MaskPair], listing: Path) -> list[MaskPair]:
    """The pairs that a text file names.

    Args:
        pairs: of a set.
        listing: a name on each line, with or without folders above it and suffix; empty lines and what follows a `#`
            are passed over.

    Returns:
        Pairs in the order of the file.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for names that are not in the set, or not in it alone, or twice in the file; or for none at all.
    """
    listing = Path(listing)
    if not listing.is_file():
        raise FileNotFoundError(f"no file {listing}: one is needed with the name of a picture on each line")
    lines = [line.split("#")[0].strip() for line in listing.read_text(encoding="utf-8-sig").splitlines()]
    names = [line.replace("\\", "/") for line in lines if line]
    if not names:
        raise ValueError(f"{listing} names no pictures: one name a line is needed")
    known: dict[str, list[MaskPair]] = defaultdict(list)
    for pair in pairs:
        parts = (pair.name.split("/"), pair.image.name.split("/"))
        for key in {"/".join(part[start:]) for part in parts for start in range(len(part))}:
            known[key].append(pair)
    found = [_lookup(name, known) for name in names]
    if lost := [name for name, matches in zip(names, found, strict=True) if not matches]:
        raise ValueError(
            f"{len(lost)} names in {listing} are of no picture of the {len(pairs)}: {_some(lost)}."
            f"{suggestion(lost[0], [pair.name for pair in pairs])}"
        )
    if several := [name for name, matches in zip(names, found, strict=True) if len(matches) > 1]:
        raise ValueError(f"names in {listing} are of several pictures each, add their folders: {_some(several)}")
    chosen = [matches[0] for matches in found]
    if twice := [name for name, pair in zip(names, chosen, strict=True) if chosen.count(pair) > 1]:
        raise ValueError(f"names in {listing} are there twice: {_some(twice)}")
    return chosen


def sequences_by_pattern(names: Sequence[str], pattern: str) -> list[str]:
    """The sequence of each picture, from its name.

    Args:
        names: of pairs.
        pattern: a regular expression that is searched for in them; its groups, or all of the match where it has none,
            are the sequence. A name without a match is a sequence of its own.

    Raises:
        ValueError: for a pattern that is none, or that no name matches.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    found = [compiled.search(name) for name in names]
    if not any(found):
        raise ValueError(f"{pattern!r} matches none of {len(names)} names, such as {_some(names)}")
    return [
        f"alone {name}" if match is None else "sequence " + "/".join(map(str, match.groups() or (match[0],)))
        for name, match in zip(names, found, strict=True)
    ]


def sequences_by_frames(names: Sequence[str], gap: int = 1, starts: Iterable[int] = ()) -> list[str]:
    """The sequence of each picture, from the frame's number: the last number in its name.

    Frames are of one sequence when their names are equal before and after the number, and no number is missing by more
    than `gap`.

    Args:
        names: of pairs; one without a number is a sequence of its own.
        gap: greatest difference of the numbers of neighbors, at least 1.
        starts: numbers that begin a sequence all the same, for sets that count on through their sequences.

    Raises:
        ValueError: for a gap below 1.
    """
    if gap < 1:
        raise ValueError(f"gap is at least 1; got {gap}")
    firsts = sorted(set(starts))
    runs: dict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
    labels = [f"alone {name}" for name in names]
    for index, name in enumerate(names):
        if match := NUMBER.search(name):
            number = int(match[1])
            begun = sum(first <= number for first in firsts)
            runs[name[: match.start()], name[match.end() :], begun].append((number, index))
    for (before, after, _), frames in runs.items():
        frames.sort()
        label = f"sequence {before}{frames[0][0]}{after}"
        labels[frames[0][1]] = label
        for (previous, _), (number, index) in pairwise(frames):
            if number - previous > gap:
                label = f"sequence {before}{number}{after}"
            labels[index] = label
    return labels


def connected(count: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The items that are linked, directly or through others.

    Args:
        count: how many items there are, numbered from 0.
        links: pairs of items.

    Returns:
        Numbers of the items of each group, ascending, the groups in the order of their first.
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


def _same_files(pairs: Sequence[MaskPair]) -> list[tuple[int, int]]:
    """Numbers of the pairs whose pictures are the same, byte for byte."""
    paths = [pair.image for pair in pairs]
    sizes = defaultdict(list)
    for path in paths:
        sizes[path.stat().st_size].append(path)
    numbers = {path: number for number, path in enumerate(paths)}
    return [
        (numbers[original], numbers[path])
        for alike in sizes.values()
        if len(alike) > 1
        # of each, the first among those of its size that is equal: itself, or an earlier one
        for path, original in duplicates(alike, alike)
    ]


def _in_sequences(pairs: Sequence[MaskPair], sequences: Sequence[str] | None) -> list[tuple[int, int]]:
    """Numbers of the pairs of one sequence."""
    if sequences is None:
        return []
    if len(sequences) != len(pairs):
        raise ValueError(f"each of {len(pairs)} pairs needs its sequence; got {len(sequences)}")
    first: dict[str, int] = {}
    return [(first.setdefault(sequence, index), index) for index, sequence in enumerate(sequences)]


def _lookup(name: str, known: dict[str, list[MaskPair]]) -> list[MaskPair]:
    """The pairs that a name may be of: as it is, without suffix, and without the folders above."""
    parts = name.split("/")
    for start in range(len(parts)):
        rest = "/".join(parts[start:])
        if matches := known.get(rest) or known.get(Path(rest).with_suffix("").as_posix()):
            return matches
    return []


def _draw(name: str, seed: int) -> str:
    """What puts names into an order of the seed's own."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()


def _some(names: Sequence[str]) -> str:
    """The first few of a list of names."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
