"""Arranges images in rows and aligned columns, with titles and captions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.lettering import text_strip

GAP = 8
"""White space between images in pixels."""
MARGIN = 12
"""White space around a sheet with text, in pixels."""
LETTERS = 20
"""Ratio of the width of the narrowest column to the size of letters, within the limits of `TEXT_SIZES`."""
TEXT_SIZES = (11, 20)
"""Smallest and largest size of letters in pixels."""
NARROWEST = 220
"""Smallest width in pixels of a column with captions. Smaller images are enlarged by a whole factor."""


def comparison_rows(
    rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]],
    captions: Sequence[Sequence[str]] = (),
    titles: Sequence[str] = (),
) -> Float[Tensor, "3 H W"]:
    """Arrange rows of images on white, in columns that are aligned in all rows.

    Neighboring images are `GAP` pixels apart. A sheet with text has a margin of `MARGIN` pixels, and its images are
    enlarged by repeating pixels if all of them are small.

    Args:
        rows: images in [0, 1], at least one per row. Their sizes may differ.
        captions: captions above the images of each row. A row may have none. Captions that are too long are shortened
            in the middle. An empty sequence draws no captions.
        titles: titles above the rows. An empty title is not drawn. An empty sequence draws no titles.

    Returns:
        RGB image in [0, 1].
    """
    captions, titles = list(captions) or [()] * len(rows), list(titles) or [""] * len(rows)
    if not any(captions) and not any(titles):
        widths = _widths(rows)
        return _below([_beside(row, widths) for row in rows], GAP)
    times = max(1, -(-NARROWEST // max(_widths(rows))))
    enlarged = [[_enlarged(image, times) for image in row] for row in rows]
    widths = [max(width, NARROWEST) for width in _widths(enlarged)]
    size, whole = text_size(min(widths)), sum(widths) + GAP * (len(widths) - 1)
    groups = []
    for row, texts, title in zip(enlarged, captions, titles, strict=True):
        lines = [text_strip(title, whole, size, bold=True)] if title else []
        if texts:
            strips = [text_strip(text, width, size) for text, width in zip(texts, widths, strict=False)]
            lines.append(_beside(strips, widths))
        group = torch.cat([*lines, _beside(row, widths)], -2)
        if title or not groups or not any(titles):
            groups.append(group)
        else:  # a row without a title belongs to the row above
            groups[-1] = _below([groups[-1], group], GAP)
    return F.pad(_below(groups, 3 * GAP if any(titles) else GAP), (MARGIN,) * 4, value=1.0)


def paired_rows(rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]], captions: Sequence[str]) -> Float[Tensor, "3 H W"]:
    """Arrange rows of images with the same captions, two rows side by side.

    Args:
        rows: images in [0, 1], as for `comparison_rows`. The number of rows is even.
        captions: captions above the images of each row.

    Returns:
        RGB image in [0, 1].
    """
    pairs = [[*first, *second] for first, second in zip(rows[::2], rows[1::2], strict=True)]
    return comparison_rows(pairs, [[*captions, *captions]] * len(pairs))


def restoration_captions(before: float, after: float, kind: str = "") -> tuple[str, str, str]:
    """Return the captions of a degraded, a restored and a clean image.

    Args:
        before: PSNR of the degraded image in dB.
        after: PSNR of the restored image in dB.
        kind: name of the degradation, if the sheet shows several; otherwise empty.
    """
    return f"degraded{f' ({kind})' if kind else ''}: {before:.1f} dB", f"restored: {after:.1f} dB", "clean"


def text_size(width: int) -> int:
    """Return the size in pixels of the letters above a column of images.

    Args:
        width: width of the column in pixels.
    """
    least, greatest = TEXT_SIZES
    return max(least, min(greatest, width // LETTERS))


def _beside(images: Sequence[Float[Tensor, "3 _ _"]], widths: Sequence[int]) -> Float[Tensor, "3 H W"]:
    """Arrange images side by side, in columns of the given widths, on white."""
    row = torch.ones(3, max(image.shape[-2] for image in images), sum(widths) + GAP * (len(widths) - 1))
    left = 0
    for image, width in zip(images, widths, strict=False):
        row[:, : image.shape[-2], left : left + image.shape[-1]] = image
        left += width + GAP
    return row


def _below(rows: Sequence[Float[Tensor, "3 _ W"]], gap: int) -> Float[Tensor, "3 H W"]:
    """Arrange rows of the same width below each other, with white space between them."""
    return torch.cat([part for row in rows for part in (row.new_ones(3, gap, row.shape[-1]), row)][1:], -2)


def _widths(rows: Sequence[Sequence[Tensor]]) -> list[int]:
    """Return the width of each column, which is that of its widest image."""
    count = max(len(row) for row in rows)
    return [max(row[column].shape[-1] for row in rows if len(row) > column) for column in range(count)]


def _enlarged(image: Float[Tensor, "3 h w"], times: int) -> Float[Tensor, "3 H W"]:
    """Enlarge an image by repeating every pixel."""
    return image if times == 1 else image.repeat_interleave(times, -2).repeat_interleave(times, -1)
