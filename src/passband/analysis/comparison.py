"""Pictures side by side, with captions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.io.image import from_pil

GAP = 4
"""Pixels of white between pictures."""
LETTERS = 24
"""A caption of so many letters fills a picture's width, if its size is within `TEXT_SIZES`."""
TEXT_SIZES = (9, 18)
"""Least and greatest height of a caption's letters, in pixels."""


def comparison_rows(
    rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]], captions: Sequence[Sequence[str]] = ()
) -> Float[Tensor, "3 H W"]:
    """Rows of pictures on white; within a row all have one size, rows may differ in width.

    Args:
        rows: pictures in [0, 1], at least one in each row.
        captions: for each row a text above each of its pictures, cut where it is too long for it, or none for the
            row; none at all leaves the pictures alone.

    Returns:
        One picture, with `GAP` pixels between two; the shorter rows end in white.
    """
    shown = rows
    if captions:
        shown = [
            [captioned(image, text) for image, text in zip(row, texts, strict=True)] if texts else row
            for row, texts in zip(rows, captions, strict=True)
        ]
    joined = [_join(row, dim=-1) for row in shown]
    width = max(row.shape[-1] for row in joined)
    return _join([F.pad(row, (0, width - row.shape[-1]), value=1.0) for row in joined], dim=-2)


def captioned(image: Float[Tensor, "3 H W"], text: str) -> Float[Tensor, "3 h W"]:
    """A picture in [0, 1] below a strip of white with a text, which is cut where it is too long."""
    from PIL import Image, ImageDraw, ImageFont

    width = image.shape[-1]
    least, greatest = TEXT_SIZES
    # letters are about half as wide as high
    size = max(least, min(greatest, 2 * width // LETTERS))
    strip = Image.new("RGB", (width, size + size // 2), "white")
    ImageDraw.Draw(strip).text((0, 0), text, fill="black", font=ImageFont.load_default(size))
    return torch.cat([from_pil(strip).image.to(image), image], dim=-2)


def restoration_captions(name: str, before: float, after: float) -> tuple[str, str, str]:
    """Captions of a degraded, a restored and a clean picture, with the PSNR of the first two in dB."""
    return f"{name}: {before:.1f} dB", f"restored: {after:.1f} dB", "clean"


def before_after(before: Float[Tensor, "3 H W"], after: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 h w"]:
    """A picture before and after: side by side, or one above the other where it is wide."""
    return _join([before, after], dim=-2 if before.shape[-1] > 1.6 * before.shape[-2] else -1)


def zoomed_crop(
    images: Sequence[Float[Tensor, "3 H W"]], reference: Float[Tensor, "3 H W"], side: int = 64
) -> list[Float[Tensor, "3 _ _"]]:
    """The square where `reference` has most detail, from each picture, enlarged to the picture's height.

    Args:
        images: pictures of one size.
        reference: of that size, decides where to look.
        side: of the square, in pixels; smaller where the pictures are. It is looked for in steps of a quarter of it.

    Returns:
        Crops enlarged by repeating pixels, so that nothing is smoothed; as high as the pictures.
    """
    height, width = reference.shape[-2:]
    side = min(side, height, width)
    gray = reference.mean(0)
    # zeros counted as neighbors would make an edge of a bright picture's border
    around = F.avg_pool2d(gray[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    step = max(1, side // 4)
    energy = F.avg_pool2d((gray - around).abs()[None], side, stride=step)[0]
    position = int(energy.argmax())
    top, left = position // energy.shape[1] * step, position % energy.shape[1] * step
    crops = [image[:, top : top + side, left : left + side] for image in images]
    return [F.interpolate(crop[None], (height, height), mode="nearest")[0] for crop in crops]


def _join(images: Sequence[Float[Tensor, "3 _ _"]], dim: int) -> Float[Tensor, "3 _ _"]:
    """Pictures along a direction, with gaps."""
    shape = list(images[0].shape)
    shape[dim] = GAP
    gap = images[0].new_ones(shape)
    return torch.cat([part for image in images for part in (gap, image)][1:], dim=dim)
