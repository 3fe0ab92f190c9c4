"""Segments images in memory or in files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from passband.data.finding import IMAGES, Pass, find_sources
from passband.drawing.overlay import overlay
from passband.inference.engines.exported import load_network
from passband.inference.files.jobs import Work, run_jobs
from passband.inference.files.naming import Job, Jobs, Naming
from passband.inference.files.pieces import Executor, in_this_process
from passband.inference.files.plan import plan
from passband.inference.rebuilding import Rebuilt
from passband.io.conversion import AnyImage, as_tensor
from passband.io.image import SUFFIXES, read_image, write_image
from passband.io.mask import write_mask
from passband.io.records import OutputSettings, Records
from passband.metrics.mask_scores import resized_logits
from passband.models.class_names import class_names, mask_names
from passband.naming import described, listed
from passband.provenance import weights_checksum
from passband.state_dicts import CheckpointError

MASK_SUFFIX = ".png"
"""Suffix of mask files: PNG files keep the numbers of the classes."""

MASKS = Naming(
    tag="_mask",
    folder="_masks",
    companion="_overlay.png",
    becomes="its mask",
    written=lambda _: MASK_SUFFIX,
    targets=frozenset((MASK_SUFFIX,)),
    sources=SUFFIXES,
)
"""Names of mask files; their companions are the images with their masks over them."""


@dataclass(frozen=True)
class Segmented:
    """The result for one file."""

    job: Job
    shares: tuple[float, ...] = ()
    """Shares of the image that the classes cover, the background first; empty if no mask was made."""
    skipped: bool = False
    """Whether an earlier run had made the mask."""
    error: str | None = None
    """The reason why the file failed."""
    notes: tuple[str, ...] = ()
    """Sentences that the user should read."""
    again: str = ""
    """The reason why a mask of an earlier run was made again, such as `other weights`."""


class Segmenter(Rebuilt):
    """Segments images of any size with one network, which gets them as its weights say.

    An image is resized to the square that the network was trained on, and the mask back to the image's size. A large
    image therefore costs no more than a small one, and details smaller than a pixel of that square are lost.

    Args:
        weights: weights to load: a folder that training made, such as RUN/weights/best, a shipped name, a hub id, or an
            .onnx file of `passband export`.
        device: name of a device, see `models.pick_device`.
        provider: execution provider of ONNX Runtime for an exported file; None for the CPU.

    Attributes:
        model: the network, on its device and ready for evaluation.
        size: side of the square that the network gets, in pixels.
        maps: number of maps of logits: 1 for foreground or not, else one for each class with the background.
        classes: names of the classes, the background first; a mask holds their positions in this tuple.
        preprocessing: entries of the config about the images that the network was trained on.

    Raises:
        CheckpointError: if the weights cannot be used, do not segment, or do not say how images are prepared.
        ExportError: if an exported file cannot be run.
        ValueError: if this machine does not have the device.
    """

    def __init__(self, weights: str | Path, device: str = "auto", provider: str | None = None):
        model, config, self.device = load_network(weights, "segmentation", device, provider)
        self.weights, self._device_name, self._provider = str(weights), device, provider
        stored = config.get("preprocessing")
        self.preprocessing: dict[str, Any] = stored if isinstance(stored, dict) else {}
        size, multiple = self.preprocessing.get("size"), int(model.multiple)  # type: ignore[arg-type]
        if not isinstance(size, int) or size < 1 or size % multiple:
            raise CheckpointError(
                f"{weights} does not say how images become its input: its config.json needs `preprocessing` with "
                f"`size`, a multiple of {multiple} pixels, which `passband train` writes; got {size!r}"
            )
        self.size, self.maps = size, int(model.classes)  # type: ignore[arg-type]
        self.classes = class_names(config, mask_names(self.maps), weights)
        self.model = model.to(self.device, torch.float32)

    def __repr__(self) -> str:
        return described(self, self.weights, {"classes": f"[{listed(self.classes, 6)}]", "device": self.device})

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"weights": self.weights, "device": self._device_name, "provider": self._provider}

    def __call__(self, image: AnyImage) -> Int64[Tensor, "H W"]:
        """Return the class of each pixel.

        Args:
            image: a path, the bytes of an image file, a PIL image, an array H W or H W 3 of uint8, uint16 or float in
                [0, 1], or a tensor 3 H W in [0, 1].

        Returns:
            Numbers of classes, in the size of the upright image; of two classes the foreground is 1.

        Raises:
            ImageError: if the file is not an image.
            OSError: if the file cannot be read.
            ValueError: if a tensor or array has another shape.
        """
        return self.segment_image(as_tensor(image))

    def segment_image(self, image: Float[Tensor, "3 H W"]) -> Int64[Tensor, "H W"]:
        """Return the class of each pixel.

        Args:
            image: RGB in [0, 1], of any size and finite.

        Returns:
            Numbers of the classes, from 0 for the background.

        Raises:
            ValueError: if a value is not finite.
        """
        logits, size = self._logits(image), image.shape[-2:]
        best = resized_logits(logits[:, :1], size)[0, 0]
        if logits.shape[1] == 1:
            return (best > 0).long()
        # one map of full size at a time: all of them would fill the memory for large images and many classes
        mask = torch.zeros(best.shape, dtype=torch.int64)
        for number in range(1, logits.shape[1]):
            other = resized_logits(logits[:, number : number + 1], size)[0, 0]
            mask[other > best] = number
            best = torch.maximum(best, other)
        return mask

    def probabilities(self, image: AnyImage) -> Float[Tensor, "K H W"]:
        """Return the probability of each class at each pixel, by the network's own estimate.

        Args:
            image: an image as `__call__` takes it.

        Returns:
            A map for each class in the size of the image, the background first; at each pixel they add up to 1.
        """
        pixels = as_tensor(image)
        logits = resized_logits(self._logits(pixels), pixels.shape[-2:])[0]
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
        executor: Executor = in_this_process,
    ) -> Iterator[Segmented]:
        """Write the masks of images; a bad image does not stop the others.

        Masks of foreground and background hold 0 and 255, others hold the numbers of their classes. Written files are
        recorded in `.passband.jsonl` in their folder: a mask is kept if the same image and weights would make it
        again, and replaced otherwise. A file that is not recorded, or has changed since, is never replaced.

        Args:
            jobs: jobs from `plan_masks`.
            overlays: whether the image with its mask over it is written also.
            overwrite: whether every mask is made again, and files of other programs are replaced.
            records: records of the folders that are written to; None for new ones.
            executor: executor that runs the jobs: this process, one after the other, or processes of the room `scale`.

        Yields:
            The result of each job, in their order or as other processes finish them; that of a failed job holds the
            reason.
        """
        work = SegmentWork(self, overlays).work()
        for outcome in run_jobs(jobs, work, overwrite=overwrite, records=records, executor=executor):
            yield Segmented(
                outcome.job,
                outcome.result or (),
                skipped=outcome.status == "skipped",
                error=outcome.reason or None,
                notes=outcome.notes,
                again=outcome.again,
            )

    def prepare(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 S S"]:
        """Return the network's input for an image: a square in 255 levels, as in training.

        Args:
            image: RGB in [0, 1], of any size.

        Returns:
            RGB in [0, 1], rounded to 255 levels, with S = `size`.
        """
        if image.shape[-2:] != (self.size, self.size):
            size = (self.size, self.size)
            image = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
        return image.mul(255).round().clamp(0, 255).div(255)

    @torch.no_grad()
    def logits(self, images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B K S S"]:
        """Return the logits of prepared images, on the network's device.

        Args:
            images: prepared images, on any device.

        Returns:
            Logits of each class in float32.
        """
        return self.model(images.to(self.device)).float()

    def _logits(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "1 K S S"]:
        """Return the logits of an image, in the network's own size."""
        if not image.isfinite().all():
            raise ValueError("the image has values that are not finite")
        return self.logits(self.prepare(image.cpu().float())[None]).cpu()


@dataclass(frozen=True)
class SegmentWork:
    """The work of segmentation; the arguments of `Segmenter.segment_files`."""

    segmenter: Segmenter
    overlays: bool

    def work(self) -> Work:
        """Return the work for `run_jobs`."""
        return Work(self.do, self.making, self.wants_companion, MASKS.ending)

    @cached_property
    def weights(self) -> str:
        """The checksum of the network."""
        return weights_checksum(self.segmenter.model)

    def making(self, job: Job) -> OutputSettings:
        """Return the settings of a mask.

        Args:
            job: job of the command, which makes no difference.
        """
        return OutputSettings("segment", self.weights, {})

    def wants_companion(self, job: Job) -> bool:
        """Tell whether a job gets an overlay.

        Args:
            job: job of the command, which makes no difference.
        """
        return self.overlays

    def do(self, job: Job, companion: Path | None) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Segment a file.

        Args:
            job: job of the command.
            companion: path of the overlay to write; None without one.

        Returns:
            No notes, and the share of the pixels of each class, from 0 to 1.
        """
        image = read_image(job.source)
        mask = self.segmenter.segment_image(image)
        write_mask(job.target, mask, self.segmenter.maps)
        if companion is not None:
            write_image(companion, overlay(image, mask, nothing="nothing found"))
        counts = torch.bincount(mask.flatten(), minlength=len(self.segmenter.classes))
        return (), tuple((counts / mask.numel()).tolist())


def plan_masks(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    passed: Pass = lambda _: None,
    records: Records | None = None,
) -> Jobs:
    """Decide the mask file of each image.

    Args:
        sources: image files, folders (with everything below them) and glob patterns.
        output: a folder, or for a single file a name that ends in .png. With None, the mask of a file is
            `NAME_mask.png` beside it, and the masks of a folder lie in `FOLDER_masks` in the same tree.
        passed: function that is called with each skipped file of another kind; see `data.finding.find_sources`.
        records: records of the folders that the sources lie in; None for new ones.

    Returns:
        Jobs, in the order of the sources. Files that an earlier run wrote are no sources. A missing source and a
        folder that cannot be read become jobs that fail.

    Raises:
        FileNotFoundError: if nothing can be done because a source is missing or a folder holds no images.
        PermissionError: if nothing can be done because a folder cannot be read.
        ValueError: if two images of different folders would become one mask, a mask would replace its image, or the
            output has another type.
    """
    records = records or Records()
    return plan(find_sources(sources, SUFFIXES, IMAGES, passed=passed, records=records), output, MASKS, records)
