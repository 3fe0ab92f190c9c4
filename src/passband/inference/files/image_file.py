"""Restores one image file into another, page by page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch

from passband.drawing.before_after import write_comparison
from passband.inference.restoration.chain import NetworkChain
from passband.inference.restoration.change_check import Change, blended
from passband.inference.restoration.network import RestorationNetwork
from passband.io.files import copy_whole
from passband.io.image import StoredImage, kind_of_file, open_images, write_images
from passband.io.image.kinds import KINDS
from passband.naming import by_kind
from passband.ops.progress import Report, part_of


@dataclass(frozen=True)
class ImageFile:
    """An image file with its target. `Restorer.restore_file` describes the attributes.

    Attributes:
        source: path of the degraded image.
        target: path of the restored image.
        compare: path of an image that shows both, or None.
        compare_pixels: largest number of pixels of that image; None keeps every pixel.
        quality: quality of lossy types, 1 to 100.
        max_pixels: number of pixels above which the image is refused before it is decoded.
    """

    source: Path
    target: Path
    compare: Path | None
    compare_pixels: int | None
    quality: int
    max_pixels: int

    def leave_alone(self) -> tuple[str, ...]:
        """Copy the file to the target, or write its pixels if the target has another type.

        Returns:
            Sentences about losses and damage; none if the file was copied, because a copy loses nothing.

        Raises:
            ImageError: if the file is not an image, damaged or too large.
            OSError: if a file cannot be read or written.
        """
        file = open_images(self.source, max_pixels=self.max_pixels)
        first = next(file.images)  # fails for a damaged file
        notes: tuple[str, ...] = ()
        if kind_of_file(self.source) == KINDS.get(self.target.suffix.lower()):
            copy_whole(self.source, self.target)
        else:
            every = replace(file, images=chain([first], file.images))
            notes = write_images(self.target, every, quality=self.quality)
        self._show_both(first)
        return notes

    def restore(
        self, network: RestorationNetwork | NetworkChain, strength: float, *, name_weights: bool, report: Report | None
    ) -> tuple[str, ...]:
        """Restore all pages of a TIFF or all frames of an animation, one by one.

        Args:
            network: network or networks that restore them.
            strength: share of the network's change that is kept, 0 to 1.
            name_weights: whether the metadata name passband and the weights as the program that made the image.
            report: function that is called after each band or tile with the share that is done.

        Returns:
            Sentences about losses and damage, and about unexpected changes.

        Raises:
            ImageError: if the file is not an image, damaged or too large.
            OSError: if a file cannot be read or written.
            MemoryError: if the image does not fit.
        """
        network.check_room(self.source, self.max_pixels)
        file = open_images(self.source, max_pixels=self.max_pixels)
        software = network.signature() if name_weights else None
        first: list[StoredImage] = []
        changes: list[str] = []

        def restored() -> Iterator[StoredImage]:
            for index, picture in enumerate(file.images):
                if self.compare is not None and not first:
                    first.append(picture)
                progress = part_of(report, index / file.count, (index + 1) / file.count)
                with torch.no_grad():
                    degraded = picture.image[None].to(network.device, torch.float32)
                    image = blended(degraded, network.predict(degraded, progress)[0], strength)
                    changes.extend(Change.between(degraded, image).notes(network.weights) if strength else ())
                meta = replace(picture.meta, software=software)
                yield replace(picture, image=image[0].clamp(0, 1).cpu(), meta=meta)

        notes = write_images(self.target, replace(file, images=restored()), quality=self.quality)
        if first:
            self._show_both(first[0])
        images = "pages" if file.animation is None else "frames"
        return (*notes, *(_for_all(own, file.count, images) for own in by_kind(changes).values()))

    def _show_both(self, degraded: StoredImage) -> None:
        """Write the image that shows the degraded and the restored image, if one is wanted."""
        if self.compare is not None:
            write_comparison(
                degraded, self.target, self.compare, pixels=self.compare_pixels, max_pixels=self.max_pixels
            )


def _for_all(notes: Sequence[str], count: int, images: str) -> str:
    """Return one warning for the images of a file that have it, whose numbers are those of the first of them.

    Args:
        notes: the warning of each of these images.
        count: number of all images of the file.
        images: name of the images in the plural, such as `frames`.
    """
    return notes[0] if len(notes) == count else f"in {len(notes)} of {count} {images}, {notes[0]}"
