"""Splits data sets into images to train on and images to hold out.

Images that show the same scene stay on the same side. Names and the seed alone decide a split, so that a run that is
resumed, also on another machine, holds out the same images.
"""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from passband.data.coco import CocoImages
from passband.data.datasets.classification import LabeledImages
from passband.data.duplicates import without_duplicates
from passband.data.images import NAMED
from passband.data.masks import MaskPair
from passband.data.pairs import Pair
from passband.data.scenes import connected, links_by_label, links_by_same_file, scenes_of_pairs
from passband.naming import composed, counted, listed, suggestion

HELD_OUT_EVERY = 10
"""One of this many images is held out where images are numbered and not named."""

File = TypeVar("File", bound=Hashable)


def split_scenes(
    names: Sequence[str], scenes: Sequence[Sequence[int]], shares: Sequence[float], seed: int
) -> list[list[int]]:
    """Split images into parts without dividing a scene.

    The scenes are put into an order that their first names and the seed decide. Each part but the first takes the
    scenes that still fit into its share; the first part gets the rest.

    Args:
        names: name of each image.
        scenes: indices of the images of each scene; at least one scene for each part.
        shares: share of each part, above 0. The shares add to 1. Whole scenes may make a part smaller than its share.
        seed: seed of the order.

    Returns:
        Ascending indices of the images of each part. No part is empty.
    """
    remaining = sorted(scenes, key=lambda scene: _order_key(min(names[index] for index in scene), seed))
    parts: list[list[int]] = []
    for share in shares[1:]:
        size = max(1, round(share * len(names)))
        part: list[int] = []
        # each part that follows needs a scene, and so does the first part
        reserved = len(shares) - len(parts) - 1
        for scene in list(remaining):
            if len(part) + len(scene) <= size and len(remaining) > reserved:
                part += scene
                remaining.remove(scene)
        if not part:  # every scene is larger than this part's share
            smallest = min(remaining, key=len)
            part += smallest
            remaining.remove(smallest)
        parts.append(part)
    parts.insert(0, [index for scene in remaining for index in scene])
    return [sorted(part) for part in parts]


def split_pairs(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Hold some restoration pairs out.

    Pairs show one scene if their clean images are the same file or have the same bytes, or if they lie in the same
    sub-folder of several.

    Args:
        pairs: pairs to split, at least two.
        share: share of the pairs to hold out, above 0 and below 1. At least one pair is held out, and at least one is
            not.
        seed: seed of the split.

    Returns:
        The pairs to train on and the pairs held out, each in the order of `pairs`.

    Raises:
        ValueError: if there are fewer than two pairs, or all pairs show one scene.
    """
    if len(pairs) < 2:
        raise ValueError(
            f"at least 2 pairs are needed, one to train on and one to hold out; got {len(pairs)}: add pairs, or give "
            "a validation folder"
        )
    scenes = scenes_of_pairs(pairs)
    if len(scenes) < 2:
        raise ValueError(
            "pairs of at least 2 scenes are needed to hold some out, but "
            f"all {len(pairs)} pairs have the same clean image ({pairs[0].clean}): add pairs of other scenes, or give "
            "a validation folder"
        )
    training, held_out = split_scenes([pair.name for pair in pairs], scenes, (1 - share, share), seed)
    return [pairs[index] for index in training], [pairs[index] for index in held_out]


def split_mask_pairs(
    pairs: Sequence[MaskPair],
    shares: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    sequences: Sequence[str] | None = None,
) -> tuple[list[MaskPair], ...]:
    """Split images with masks into parts, for example to train, to validate and to test.

    Files with the same bytes stay in one part, and so do the images of one sequence.

    Args:
        pairs: images and their masks.
        shares: share of each part, above 0. The shares add to 1. Whole sequences may make a part smaller than its
            share; images that fit into no other part go to the first.
        seed: seed of the split.
        sequences: label of each pair's sequence, see `data.scenes.sequences_by_pattern`,
            `data.scenes.sequences_by_frames` and `data.near_duplicates.sequences_by_likeness`; None if each image is
            alone.

    Returns:
        One list of pairs for each share, in the order of `pairs`. No list is empty.

    Raises:
        ValueError: if the shares do not add to 1, or there are fewer scenes than parts.
        OSError: if an image cannot be read.
    """
    if len(shares) < 2 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares must be two or more numbers above 0 that add to 1; got {tuple(shares)}")
    links = links_by_same_file([pair.image for pair in pairs])
    if sequences is not None:
        if len(sequences) != len(pairs):
            raise ValueError(f"each of the {len(pairs)} pairs needs the label of its sequence; got {len(sequences)}")
        links += links_by_label(sequences)
    scenes = connected(len(pairs), links)
    if len(scenes) < len(shares):
        raise ValueError(
            f"{counted(len(pairs), 'image')} of {counted(len(scenes), 'scene')} cannot be split into {len(shares)} "
            "parts: add images of other scenes, or group the images into smaller sequences"
        )
    parts = split_scenes([pair.name for pair in pairs], scenes, shares, seed)
    return tuple([pairs[index] for index in part] for part in parts)


def split_classes(images: LabeledImages, folder: Path, share: float, seed: int) -> tuple[LabeledImages, LabeledImages]:
    """Hold some images of each class out.

    An image with the same bytes as a training image is also used for training.

    Args:
        images: labeled images to split.
        folder: folder that holds the images; their paths below it are their names.
        share: share of each class to hold out, above 0 and below 1. At least one image is held out, and at least one
            is not.
        seed: seed of the split.

    Returns:
        The images to train on and the images held out.

    Raises:
        ValueError: if a class has fewer than two images.
        OSError: if an image cannot be read.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(images.labels):
        members[label].append(index)
    held_out: set[int] = set()
    for label, indices in members.items():
        if len(indices) < 2:
            raise ValueError(
                f"each class needs at least 2 images to hold one out, but {folder / images.classes[label]} holds one "
                "image: add images, or give a validation folder"
            )
        names = [images.paths[index].relative_to(folder).as_posix() for index in indices]
        _, part = split_scenes(names, [[place] for place in range(len(names))], (1 - share, share), seed)
        held_out.update(indices[place] for place in part)
    training_paths = [path for index, path in enumerate(images.paths) if index not in held_out]
    unique = set(without_duplicates([images.paths[index] for index in sorted(held_out)], training_paths))
    held_out = {index for index in held_out if images.paths[index] in unique}
    return (
        images.only([index for index in range(len(images)) if index not in held_out]),
        images.only(sorted(held_out)),
    )


def split_coco(images: CocoImages, share: float, seed: int) -> tuple[CocoImages, CocoImages]:
    """Hold some images of a COCO file out.

    The images are drawn by their places in the file, because a COCO file numbers its images.

    Args:
        images: annotated images to split.
        share: share of the images to hold out, above 0 and below 1. At least one image is held out.
        seed: seed of the split.

    Returns:
        The images to train on and the images held out, each in the order of the file.

    Raises:
        ValueError: if no image would be left to train on.
    """
    count = max(1, round(share * len(images)))
    if count >= len(images):
        raise ValueError(
            f"data.held_out = {share:g} of {len(images)} images leaves none to train on: hold out a smaller share, or "
            "give a validation folder"
        )
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    return images.only(sorted(order[count:])), images.only(sorted(order[:count]))


def is_held_out(number: int) -> bool:
    """Tell whether the image of a number is held out: one of `HELD_OUT_EVERY` is.

    Args:
        number: number of the image, from 0.
    """
    return number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def numbered_side(files: Sequence[File], held_out: bool) -> list[File]:
    """Return the files of one side of a split by number.

    Args:
        files: files, numbered by their places.
        held_out: whether to return the files that are held out rather than those to train on.

    Returns:
        The files of that side in order; all files if there are too few for both sides.
    """
    side = [file for place, file in enumerate(files) if is_held_out(place) == held_out]
    return side or list(files)


def named_pairs(pairs: Sequence[MaskPair], listing: Path) -> list[MaskPair]:
    """Return the pairs that a text file lists.

    Args:
        pairs: all pairs of a data set.
        listing: text file with one name on each line, with or without its folders and its suffix. Empty lines and
            text after a `#` are ignored.

    Returns:
        The listed pairs in the order of the file.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file lists no names, a name fits no pair or several pairs, or a pair is listed twice.
    """
    listing = Path(listing)
    if not listing.is_file():
        raise FileNotFoundError(f"no file {listing}: a text file with the name of an image on each line is needed")
    lines = [line.split("#")[0].strip() for line in listing.read_text(encoding="utf-8-sig").splitlines()]
    names = [composed(line.replace("\\", "/")) for line in lines if line]
    if not names:
        raise ValueError(f"{listing} names no images: put one name on each line")
    by_name: dict[str, list[MaskPair]] = defaultdict(list)
    for pair in pairs:
        both = (pair.name.split("/"), composed(pair.image.name).split("/"))
        for key in {"/".join(parts[start:]) for parts in both for start in range(len(parts))}:
            by_name[key].append(pair)
    matches = [_matching_pairs(name, by_name) for name in names]
    if unknown := [name for name, match in zip(names, matches, strict=True) if not match]:
        raise ValueError(
            f"{len(unknown)} names in {listing} fit none of the {len(pairs)} images: {listed(unknown, NAMED)}."
            f"{suggestion(unknown[0], [pair.name for pair in pairs])}"
        )
    if ambiguous := [name for name, match in zip(names, matches, strict=True) if len(match) > 1]:
        raise ValueError(f"names in {listing} fit several images; add their folders: {listed(ambiguous, NAMED)}")
    chosen = [match[0] for match in matches]
    if repeated := [name for name, pair in zip(names, chosen, strict=True) if chosen.count(pair) > 1]:
        raise ValueError(f"{listing} lists images twice; list each once: {listed(repeated, NAMED)}")
    return chosen


def _matching_pairs(name: str, by_name: dict[str, list[MaskPair]]) -> list[MaskPair]:
    """Return the pairs that a listed name fits: as it is, without its suffix, or without its first folders."""
    parts = name.split("/")
    for start in range(len(parts)):
        rest = "/".join(parts[start:])
        if matches := by_name.get(rest) or by_name.get(Path(rest).with_suffix("").as_posix()):
            return matches
    return []


def _order_key(name: str, seed: int) -> str:
    """Return the key that puts names into an order which the seed decides."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
