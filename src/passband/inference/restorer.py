"""Restoring one picture, in memory or from file to file."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from passband.analysis.comparison import before_after
from passband.io.arrays import from_array, to_array
from passband.io.image import DEFAULT_MAX_PIXELS, from_pil, read_picture, to_pil, write_image, write_picture
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
