"""Restoring pictures: in memory with `Restorer`, from files to files with `restore_files`."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from passband.analysis.comparison import before_after, comparison_rows
from passband.data.degrade import KINDS
from passband.data.pairs import find_images
from passband.data.restoration import degraded_as_file
from passband.io.arrays import from_array, to_array
from passband.io.image import (
    DEFAULT_MAX_PIXELS,
    SUFFIXES,
    ImageError,
    from_pil,
    read_picture,
    to_pil,
    write_image,
    write_picture,
)
from passband.metrics import psnr
from passband.models import load_model, pick_device
from passband.ops.tiling import map_tiles
from passband.tasks.restoration import restore_batch

TILE = 1536
"""Side of a tile in pixels: a square picture of 2.4 MP is whole."""
OVERLAP = 192
"""Pixels over which tiles blend."""

Pictured = TypeVar("Pictured", Image.Image, np.ndarray, Tensor)


class Restorer:
    """Restores pictures with one network.

    Args:
        weights: a shipped name such as `"general"`, a folder, a published SFNet pickle, or a hub id.
        device: see `models.pick_device`.
        tile: side in pixels above which a picture is restored in overlapping tiles, which bounds the memory it
            takes (about 2 KB per pixel of a tile in float32) but lets each tile see only its own statistics.
        overrides: keywords of the network's constructor that replace those of its config, such as
            `pool_window=210`.

    Raises:
        CheckpointError: for weights that cannot be used.
        ValueError: for a device or a tile that cannot be used.
    """

    def __init__(self, weights: str | Path = "general", device: str = "auto", tile: int = TILE, **overrides: Any):
        if tile < 2 * OVERLAP:
            raise ValueError(f"tile is at least {2 * OVERLAP} pixels, twice the overlap; got {tile}")
        self.tile = tile
        self.device = pick_device(device)
        self.model = load_model(weights, **overrides).to(self.device)

    def __call__(self, picture: Pictured | str | Path) -> Pictured | Image.Image:
        """Restore a picture and give back what was given.

        Args:
            picture: one of
                a PIL picture, whose mode comes back where it is L, LA, RGB or RGBA (others become RGB or RGBA);
                an array H W, H W 1, H W 3, or with alpha H W 2 or H W 4, uint8 or uint16 or float in [0, 1];
                a tensor 3 H W or B 3 H W, float in [0, 1];
                a path, which gives a PIL picture (8 bits; `restore_file` keeps more and the file's metadata).

        Returns:
            The restored picture, of the same kind, shape and dtype. Alpha is passed through.

        Raises:
            ImageError: for a file that is not a picture.
            TypeError: for another kind of thing.
            ValueError: for a shape or dtype that is none of these.
        """
        if isinstance(picture, Tensor):
            if picture.ndim not in (3, 4) or picture.shape[-3] != 3 or not picture.is_floating_point():
                raise ValueError(
                    f"a tensor is 3 H W or B 3 H W, float, in [0, 1]; got {tuple(picture.shape)} {picture.dtype}"
                )
            batch = picture if picture.ndim == 4 else picture[None]
            restored = self.restore(batch).to(picture)
            return restored if picture.ndim == 4 else restored[0]
        if isinstance(picture, np.ndarray):
            image, alpha = from_array(picture)
            return to_array(self.restore(image[None])[0].cpu(), alpha, like=picture)
        if isinstance(picture, Image.Image):
            source = from_pil(picture)
        elif isinstance(picture, str | Path):
            source = read_picture(Path(picture))
        else:
            raise TypeError(f"a picture is a path, a PIL picture, an array or a tensor; got {type(picture).__name__}")
        restored = to_pil(self.restore(source.image[None])[0].cpu(), source.alpha)
        mode = picture.mode if isinstance(picture, Image.Image) else restored.mode
        return restored.convert(mode) if mode in ("L", "LA") else restored

    @torch.inference_mode()
    def restore(self, degraded: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore a batch of any size from 1 x 1, in [0, 1] in and out, on the restorer's device.

        Raises:
            MemoryError: saying the size that did not fit.
        """
        try:
            restored = map_tiles(
                lambda tile: restore_batch(self.model, tile),
                degraded.to(self.device, torch.float32),
                self.tile,
                OVERLAP,
            )
        except RuntimeError as error:
            if "memory" not in str(error).lower():
                raise
            height, width = degraded.shape[-2:]
            raise MemoryError(
                f"{width}x{height} pixels in tiles of {self.tile} need more memory than {self.device} has free; "
                "choose a smaller tile"
            ) from error
        return restored.clamp(0, 1)

    def restore_file(
        self,
        source: Path,
        target: Path,
        *,
        compare: Path | None = None,
        quality: int = 95,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        """Restore a file into another, keeping bit depth, alpha, EXIF and color profile where its type can.

        Args:
            source: the degraded picture.
            target: where the restored one goes; its suffix says the type.
            compare: where a before/after picture goes, if anywhere.
            quality: of JPEG and lossy WebP, 1 to 100.
            max_pixels: larger pictures are refused before they are decoded.

        Raises:
            ImageError: for a file that is not a picture, is damaged or too large.
            OSError: for one that cannot be read or written.
            MemoryError: for one that does not fit.
        """
        picture = read_picture(source, max_pixels=max_pixels)
        restored = self.restore(picture.image[None])[0].cpu()
        write_picture(target, replace(picture, image=restored), quality=quality)
        if compare is not None:
            write_image(compare, before_after(picture.image, restored))


@dataclass(frozen=True)
class Job:
    """One file to restore."""

    source: Path
    target: Path

    @property
    def compare(self) -> Path:
        """Where its before/after picture goes."""
        return self.target.with_name(f"{self.target.stem}_compare.png")


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    status: Literal["restored", "skipped", "failed"]
    reason: str = ""


def plan_jobs(sources: Sequence[str | Path], output: Path | None = None) -> list[Job]:
    """Say which file becomes which.

    Args:
        sources: files, folders (with all below them) and glob patterns.
        output: a folder, or for a single file a name with a picture's suffix. None puts `NAME_restored.png` beside
            a file `NAME.png` and fills a folder `FOLDER_restored` for a folder.

    Returns:
        Jobs, in the order of the sources. The tree below a folder is kept.

    Raises:
        FileNotFoundError: for a source that is not there, or a folder without pictures.
        PermissionError: for a folder that cannot be read.
        ValueError: if two files would become one.
    """
    jobs: list[Job] = []
    for source in (path for given in sources for path in _expand(given)):
        if source.is_dir():
            folder = output or source.with_name(f"{source.resolve().name}_restored")
            # what an earlier run left below the source is no source
            images = [path for path in find_images(source) if not path.is_relative_to(folder)]
            if not images:
                raise FileNotFoundError(f"{source} holds no pictures ({', '.join(sorted(SUFFIXES))})")
            jobs += [Job(path, folder / path.relative_to(source)) for path in images]
        elif output is None:
            jobs.append(Job(source, source.with_name(f"{source.stem}_restored{source.suffix}")))
        elif output.suffix.lower() in SUFFIXES and not output.is_dir():
            jobs.append(Job(source, output))
        else:
            jobs.append(Job(source, output / source.name))
    targets: dict[Path, Path] = {}
    for job in jobs:
        other = targets.setdefault(job.target, job.source)
        if other != job.source:
            raise ValueError(f"{other} and {job.source} would both become {job.target}: give them outputs of their own")
        if job.target.resolve() == job.source.resolve():
            raise ValueError(f"{job.source} would be replaced by its restored picture: choose another output")
    return jobs


def restore_files(
    restorer: Restorer,
    jobs: Sequence[Job],
    *,
    compare: bool = False,
    overwrite: bool = False,
    quality: int = 95,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Iterator[Outcome]:
    """Restore files one by one; a bad one does not keep the others from being done.

    Args:
        restorer: the network.
        jobs: from `plan_jobs`.
        compare: write before/after pictures beside the restored ones.
        overwrite: do again what is done; otherwise a target that exists is skipped.
        quality: of JPEG and lossy WebP, 1 to 100.
        max_pixels: larger pictures fail before they are decoded.

    Yields:
        What became of each job, in their order. A failed one carries the reason.
    """
    for job in jobs:
        if job.target.exists() and not overwrite:
            yield Outcome(job, "skipped")
            continue
        try:
            restorer.restore_file(
                job.source, job.target, compare=job.compare if compare else None, quality=quality, max_pixels=max_pixels
            )
        except (ImageError, OSError, MemoryError) as error:
            yield Outcome(job, "failed", str(error))
        else:
            yield Outcome(job, "restored")


def _expand(source: str | Path) -> list[Path]:
    """The files or the folder that a source names."""
    path = Path(source).expanduser()
    if path.exists():
        return [path]
    matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []  # noqa: PTH207 (absolute patterns, too)
    if not matches:
        raise FileNotFoundError(f"no file, folder or match for {source}")
    return [Path(match) for match in matches]


def demonstrate(
    restorer: Restorer, output: Path, kinds: Sequence[str] | None = None, *, seed: int = 1
) -> dict[str, tuple[float, float]]:
    """Degrade a photograph that comes with scikit-image, restore it, and write the pictures.

    Args:
        restorer: the network.
        output: gets demo.png: a row per degradation, each degraded | restored | original.
        kinds: keys of `data.degrade.KINDS`; None for all.
        seed: of the degradations.

    Returns:
        Kind to PSNR in dB, degraded and restored.

    Raises:
        ValueError: for an unknown kind.
    """
    from skimage.data import chelsea

    clean = from_array(chelsea())[0]
    gains, rows = {}, []
    for kind in kinds or KINDS:
        degraded = degraded_as_file(clean, kind, seed=seed, index=0)
        restored = restorer.restore(degraded[None])[0].cpu()
        gains[kind] = (psnr(degraded[None], clean[None]).item(), psnr(restored[None], clean[None]).item())
        rows.append([degraded, restored, clean])
    write_image(output / "demo.png", comparison_rows(rows))
    return gains
