"""Telling what is where in pictures: in memory, or file by file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from passband.data.finding import PICTURES, Pass, find_sources
from passband.drawing.overlay import overlay
from passband.inference.files.jobs import Work, run_jobs
from passband.inference.files.plan import Job, Naming, plan
from passband.io.conversion import AnyPicture, as_tensor
from passband.io.image import SUFFIXES, read_image, write_image
from passband.io.mask import write_mask
from passband.io.records import Making, Records
from passband.metrics.mask_scores import resized_logits
from passband.naming import described, listed
from passband.provenance import weights_checksum
from passband.tasks.segmenter import load_segmenter

MASK_SUFFIX = ".png"
"""Masks keep their numbers in PNG files."""


MASKS = Naming(
    tag="_mask",
    folder="_masks",
    companion="_overlay.png",
    becomes="its mask",
    written=lambda _: MASK_SUFFIX,
    targets=frozenset((MASK_SUFFIX,)),
    sources=SUFFIXES,
)
"""How masks are named; their companions are the pictures with their masks over them."""


@dataclass(frozen=True)
class Segmented:
    """What became of a file."""

    job: Job
    shares: tuple[float, ...] = ()
    """Of the picture that each class covers, the background first; none where nothing was done."""
    skipped: bool = False
    """Whether the mask was there already."""
    error: str | None = None
    """Why it failed."""
    notes: tuple[str, ...] = ()
    """What the user should know of it."""
    again: str = ""
    """Why a mask that passband wrote before was made again: `other weights`."""


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
        self,
        jobs: Sequence[Job],
        *,
        overlays: bool = False,
        overwrite: bool = False,
        records: Records | None = None,
    ) -> Iterator[Segmented]:
        """Write the masks of pictures one by one; whatever is wrong with one, the others are done.

        Masks of foreground and background are 0 and 255, others the numbers of their classes. What was written is
        recorded in `.passband.jsonl` in its folder: a mask is kept where the same picture and weights would make it
        again, and replaced where they would not; a file that is not recorded, or has changed since, is never replaced.

        Args:
            jobs: from `plan_masks`.
            overlays: also write the picture with its mask over it.
            overwrite: make everything again, and replace files whoever wrote them.
            records: of the folders that are written to.

        Yields:
            What became of each job, in their order. A failed one carries the reason.
        """
        weights = cache(lambda: weights_checksum(self.trained.model))

        def do(job: Job, companion: Path | None) -> tuple[tuple[str, ...], tuple[float, ...]]:
            image = read_image(job.source)
            mask = self.segment_image(image)
            write_mask(job.target, mask, self.trained.classes)
            if companion is not None:
                write_image(companion, overlay(image, mask, nothing="nothing found"))
            counts = torch.bincount(mask.flatten(), minlength=len(self.classes))
            return (), tuple((counts / mask.numel()).tolist())

        work = Work(do, lambda _: Making("segment", weights(), {}), lambda _: overlays, MASKS.ending)
        for outcome in run_jobs(jobs, work, overwrite=overwrite, records=records):
            yield Segmented(
                outcome.job,
                outcome.result or (),
                skipped=outcome.status == "skipped",
                error=outcome.reason or None,
                notes=outcome.notes,
                again=outcome.again,
            )

    def _logits(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "1 K S S"]:
        """What the network gives for a picture, in the size that it works in."""
        if not image.isfinite().all():
            raise ValueError("the picture has values that are not finite")
        return self.trained.logits(self.trained.prepare(image.cpu().float())[None]).cpu()


def plan_masks(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    passed: Pass = lambda _: None,
    records: Records | None = None,
) -> list[Job]:
    """Say which picture becomes which mask.

    Args:
        sources: picture files, folders (with all below them) and glob patterns.
        output: a folder, or for a single file a name that ends in .png. None puts `NAME_mask.png` beside a file and
            fills a folder `FOLDER_masks` for a folder, whose tree is kept.
        passed: called with each file of another kind that is passed over; see `data.finding.find_sources`.
        records: of the folders that the sources lie in.

    Returns:
        Jobs, in the order of the sources. What an earlier run wrote is no source. A source that is not there and a
        folder that cannot be read are jobs that fail.

    Raises:
        FileNotFoundError: where there is nothing to do, because a source is not there or a folder holds no pictures.
        PermissionError: where there is nothing to do, because a folder cannot be read.
        ValueError: if two pictures of different folders would become one mask, a mask would take its picture's place,
            or an output is of another type.
    """
    records = records or Records()
    return plan(find_sources(sources, SUFFIXES, PICTURES, passed=passed, records=records), output, MASKS, records)
