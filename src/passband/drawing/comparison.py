"""Pictures side by side in columns that are aligned, with titles and captions in letters of one size."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.drawing.lettering import text_strip

GAP = 8
"""Pixels of white between pictures."""
MARGIN = 12
"""Pixels of white around a sheet that has letters."""
LETTERS = 20
"""The size of captions is the width of the narrowest column over this, if that is within `TEXT_SIZES`."""
TEXT_SIZES = (11, 20)
"""Least and greatest size of letters, in pixels."""
NARROWEST = 220
"""Width in pixels that a captioned column has at least: smaller pictures are enlarged by whole numbers of pixels."""


def comparison_rows(
    rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]],
    captions: Sequence[Sequence[str]] = (),
    titles: Sequence[str] = (),
) -> Float[Tensor, "3 H W"]:
    """Rows of pictures on white, in columns that begin at the same place in every row.

    Args:
        rows: pictures in [0, 1], at least one in each row; sizes may differ.
        captions: for each row a text above each of its pictures, or none for the row; none at all leaves the pictures
            alone. A text that is too long loses letters in its middle.
        titles: for each row a text above all of it, empty for none; none at all where no row has any.

    Returns:
        One picture, with `GAP` pixels between two, and with `MARGIN` pixels around it where there are letters. Where
        there are letters, pictures of a sheet that are all small are enlarged by repeating pixels.
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
        else:  # belongs to the titled row above
            groups[-1] = _below([groups[-1], group], GAP)
    return F.pad(_below(groups, 3 * GAP if any(titles) else GAP), (MARGIN,) * 4, value=1.0)


def restoration_captions(before: float, after: float, kind: str = "") -> tuple[str, str, str]:
    """Captions of a degraded, a restored and a clean picture.

    Args:
        before: PSNR of the degraded picture, dB.
        after: PSNR of the restored one, dB.
        kind: of the degradation, if there are several.
    """
    return f"degraded{f' ({kind})' if kind else ''}: {before:.1f} dB", f"restored: {after:.1f} dB", "clean"


def text_size(width: int) -> int:
    """The size of letters above a column of pictures, in pixels.

    Args:
        width: of the column, in pixels.
    """
    least, greatest = TEXT_SIZES
    return max(least, min(greatest, width // LETTERS))


def _beside(images: Sequence[Float[Tensor, "3 _ _"]], widths: Sequence[int]) -> Float[Tensor, "3 H W"]:
    """Pictures in columns of these widths, on white."""
    row = torch.ones(3, max(image.shape[-2] for image in images), sum(widths) + GAP * (len(widths) - 1))
    left = 0
    for image, width in zip(images, widths, strict=False):
        row[:, : image.shape[-2], left : left + image.shape[-1]] = image
        left += width + GAP
    return row


def _below(rows: Sequence[Float[Tensor, "3 _ W"]], gap: int) -> Float[Tensor, "3 H W"]:
    """Rows of one width below each other, with white between them."""
    return torch.cat([part for row in rows for part in (row.new_ones(3, gap, row.shape[-1]), row)][1:], -2)


def _widths(rows: Sequence[Sequence[Tensor]]) -> list[int]:
    """The width of each column."""
    count = max(len(row) for row in rows)
    return [max(row[place].shape[-1] for row in rows if len(row) > place) for place in range(count)]


def _enlarged(image: Float[Tensor, "3 h w"], times: int) -> Float[Tensor, "3 H W"]:
    """A picture with every pixel repeated."""
    return image if times == 1 else image.repeat_interleave(times, -2).repeat_interleave(times, -1)
