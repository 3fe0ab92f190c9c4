"""Telling what is where in pictures: in memory, or file by file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from passband.analysis.overlay import overlay
from passband.data.pictures import expand, find_images
from passband.io.image import SUFFIXES, ImageError, read_image, write_image
from passband.io.mask import write_mask
from passband.io.pictures import AnyPicture, as_tensor
from passband.metrics.segmentation import resized_logits
from passband.naming import described, listed
from passband.tasks.segmenter import load_segmenter

MASK_SUFFIX = ".png"
"""Masks keep their numbers in PNG files."""


@dataclass(frozen=True)
class MaskJob:
    """A picture file and the mask that it becomes."""

    source: Path
    target: Path

    @property
    def overlay(self) -> Path:
        """Where the picture with its mask over it goes."""
        return self.target.with_name(f"{self.target.stem}_overlay.png")


@dataclass(frozen=True)
class Segmented:
    """What became of a file."""

    job: MaskJob
    shares: tuple[float, ...] = ()
    """Of the picture that each class covers, the background first; none where nothing was done."""
    skipped: bool = False
    """Whether the mask was there already."""
    error: str | None = None
    """Why it failed."""


class Segmenter:
    """Tells what is where in pictures of any size, with one network, prepared as its weights say.

    A picture is resized to the square that the network was trained on, and the answer back to the picture's size; a
    large picture costs no more than a small one, and details below a pixel of that square are lost.

    Args:
        weights: a folder that training made, such as RUN/weights/best, a shipped name, or a hub id.
        device: see `models.pick_device`.

    Attributes:
        classes: names, the background's first; a mask's numbers are places in it.

    Raises:
        CheckpointError: for weights that cannot be used, or that segment nothing.
        ValueError: for a device that is not here.
    """

    def __init__(self, weights: str | Path, device: str = "auto"):
        self.trained = load_segmenter(weights, device)
        self.weights = str(weights)
        self.classes = self.trained.class_names
        self.device = self.trained.device

    def __repr__(self) -> str:
        return described(self, self.weights, {"classes": f"[{listed(self.classes, 6)}]", "device": self.device})

    def __call__(self, picture: AnyPicture) -> Int64[Tensor, "H W"]:
        """Tell the class of each pixel.

        Args:
            picture: a path, a PIL picture, an array H W or H W 3 of uint8, uint16 or float in [0, 1], or a tensor 3 H W
                in [0, 1].

        Returns:
            Numbers of classes, of the picture's size, turned upright; 1 for the foreground where there are two.

        Raises:
            ImageError: for a file that is not a picture.
            OSError: for one that cannot be read.
            ValueError: for a tensor or array of another shape.
        """
        return self.segment_image(as_tensor(picture))

    def segment_image(self, image: Float[Tensor, "3 H W"]) -> Int64[Tensor, "H W"]:
        """Tell the class of each pixel.

        Args:
            image: RGB in [0, 1], of any size and finite.

        Raises:
            ValueError: for values that are not finite.
        """
        logits, size = self._logits(image), image.shape[-2:]
        best = resized_logits(logits[:, :1], size)[0, 0]
        if logits.shape[1] == 1:
            return (best > 0).long()
        # one map of full size at a time: all of them would fill the memory for large pictures and many classes
        mask = torch.zeros(best.shape, dtype=torch.int64)
        for number in range(1, logits.shape[1]):
            other = resized_logits(logits[:, number : number + 1], size)[0, 0]
            mask[other > best] = number
            best = torch.maximum(best, other)
        return mask

    def probabilities(self, picture: AnyPicture) -> Float[Tensor, "K H W"]:
        """The probability of each class at each pixel, by the network's own estimate.

        Args:
            picture: as in `__call__`.

        Returns:
            A map for each class, the background's first, of the picture's size; they add to 1.
        """
        image = as_tensor(picture)
        logits = resized_logits(self._logits(image), image.shape[-2:])[0]
        if len(logits) > 1:
            return logits.softmax(0)
        foreground = logits[0].sigmoid()
        return torch.stack([1 - foreground, foreground])

    def segment_files(
        self, jobs: Sequence[MaskJob], *, overlays: bool = False, overwrite: bool = False
    ) -> Iterator[Segmented]:
        """Write the masks of pictures one by one; a bad file does not keep the others from being done.

        Masks of foreground and background are 0 and 255, others the numbers of their classes.

        Args:
            jobs: from `plan_masks`.
            overlays: write the picture with its mask over it, too.
            overwrite: do again what is done; otherwise a mask that exists is kept.

        Yields:
            What became of each job, in their order. A failed one carries the reason.
        """
        for job in jobs:
            missing = [path for path in (job.target, *([job.overlay] if overlays else [])) if not path.exists()]
            if not missing and not overwrite:
                yield Segmented(job, skipped=True)
                continue
            try:
                image = read_image(job.source)
                mask = self.segment_image(image)
                if job.target in missing or overwrite:
                    write_mask(job.target, mask, self.trained.classes)
                if overlays:
                    write_image(job.overlay, overlay(image, mask, nothing="nothing found"))
            except (ImageError, OSError, MemoryError) as error:
                reason = str(error) or type(error).__name__
                yield Segmented(job, error=reason if str(job.source) in reason else f"{job.source}: {reason}")
            else:
                counts = torch.bincount(mask.flatten(), minlength=len(self.classes))
                yield Segmented(job, tuple((counts / mask.numel()).tolist()))

    def _logits(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "1 K S S"]:
        """What the network gives for a picture, in the size that it works in."""
        if not image.isfinite().all():
            raise ValueError("the picture has values that are not finite")
        return self.trained.logits(self.trained.prepare(image.cpu().float())[None]).cpu()


def plan_masks(sources: Sequence[str | Path], output: Path | None = None) -> list[MaskJob]:
    """Say which picture becomes which mask.

    Args:
        sources: picture files, folders (with all below them) and glob patterns.
        output: a folder, or for a single file a name that ends in .png. None puts `NAME_mask.png` beside a file and
            fills a folder `FOLDER_masks` for a folder, whose tree is kept.

    Raises:
        FileNotFoundError: for a source that is not there, or a folder without pictures.
        PermissionError: for a folder that cannot be read.
        ValueError: if two pictures would become one mask, or a mask would take a picture's place.
    """
    jobs: list[MaskJob] = []
    found = [path for given in sources for path in expand(given)]
    for source in found:
        if source.is_dir():
            folder = output or source.with_name(f"{source.resolve().name}_masks")
            # what an earlier run left below the source is no source
            pictures = [path for path in find_images(source) if not path.is_relative_to(folder)]
            if not pictures:
                raise FileNotFoundError(f"{source} holds no pictures ({', '.join(sorted(SUFFIXES))})")
            jobs += [MaskJob(path, (folder / path.relative_to(source)).with_suffix(MASK_SUFFIX)) for path in pictures]
        elif output is None:
            jobs.append(MaskJob(source, source.with_name(f"{source.stem}_mask{MASK_SUFFIX}")))
        elif output.suffix.lower() == MASK_SUFFIX and not output.is_dir():
            jobs.append(MaskJob(source, output))
        else:
            jobs.append(MaskJob(source, output / f"{source.stem}{MASK_SUFFIX}"))
    targets: dict[Path, Path] = {}
    for job in jobs:
        for target in (job.target, job.overlay):
            other = targets.setdefault(target, job.source)
            if other != job.source:
                raise ValueError(f"{other} and {job.source} would both become {target}: give them outputs of their own")
    pictures = {job.source.resolve(): job.source for job in jobs}
    for target, source in targets.items():
        if target.resolve() in pictures:
            raise ValueError(
                f"{pictures[target.resolve()]} would be replaced by what {source} becomes: choose another output"
            )
    return list(dict.fromkeys(jobs))
