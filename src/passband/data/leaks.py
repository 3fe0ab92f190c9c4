"""Finds validation images that are also training images: the same files, and nearly the same images.

Frames of one video are nearly the same image, and a network that is trained on one of them knows the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from passband.data.duplicates import duplicates
from passband.data.images import NAMED
from passband.data.masks import MaskPair
from passband.data.near_duplicates import ALIKE, hash_distances, image_hashes
from passband.naming import listed


@dataclass(frozen=True)
class LeakReport:
    """The validation images that are also training images, by name."""

    scored: int
    """Number of validation images that were checked."""
    identical: tuple[tuple[str, str], ...]
    """Names of validation images, each with the training image that is the same file."""
    alike: tuple[tuple[str, str, int], ...]
    """Names of validation images, each with the nearest training image and the bits by which they differ. Identical
    images are not listed again."""

    def lines(self, most: int = NAMED) -> list[str]:
        """Describe the leaks in sentences; the list is empty if there are none.

        Args:
            most: largest number of pairs to name of each kind.
        """
        sentences = []
        if self.identical:
            pairs = [f"{one} is {other}" for one, other in self.identical]
            sentences.append(
                f"{len(pairs)} of {self.scored} validation images are also training images, byte for byte: "
                f"{listed(pairs, most, '; ')}"
            )
        if self.alike:
            pairs = [f"{one} is like {other}" for one, other, _ in self.alike]
            sentences.append(
                f"{len(pairs)} of {self.scored} validation images are nearly the same as training images, like frames "
                f"of one video: {listed(pairs, most, '; ')}"
            )
        return sentences


def leak_report(learned: Sequence[MaskPair], scored: Sequence[MaskPair]) -> LeakReport:
    """Look for validation images among training images. Files that cannot be read are ignored.

    Args:
        learned: training pairs.
        scored: validation pairs.

    Returns:
        The images found.
    """
    by_path = {pair.image: pair.name for pair in learned}
    same = {
        path: by_path[original]
        for path, original in duplicates([pair.image for pair in scored], [pair.image for pair in learned])
    }
    ours, theirs = image_hashes([pair.image for pair in learned]), image_hashes([pair.image for pair in scored])
    alike: list[tuple[str, str, int]] = []
    if ours and theirs:
        codes = torch.stack(list(ours.values()))
        names = [learned[number].name for number in ours]
        for number, code in theirs.items():
            differing = hash_distances(code[None], codes)[0]
            nearest = int(differing.argmin())
            if scored[number].image not in same and differing[nearest] <= ALIKE:
                alike.append((scored[number].name, names[nearest], int(differing[nearest])))
    identical = tuple((pair.name, same[pair.image]) for pair in scored if pair.image in same)
    return LeakReport(len(scored), identical, tuple(alike))
