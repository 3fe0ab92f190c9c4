"""How a video stores colors: Y'CbCr planes of 8 or 10 bits, by a matrix and a range that the file names.

Y'CbCr becomes RGB without changing primaries or transfer function. What a network leaves alone shall not change on
the way back, although chroma is stored at half size and RGB is clipped to [0, 1]: `change_planes` adds to the stored
planes what the network changed, instead of computing them anew.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# weights of red and blue in luma, by the code of the matrix; source: ITU-T H.273, table 4
_LUMA = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
}
_UNSPECIFIED = (2, 3)
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR, by their code in ITU-T H.273, table 3."""


@dataclass(frozen=True)
class Coding:
    """How planes hold colors.

    Attributes:
        red: weight of red in luma.
        blue: weight of blue in luma.
        full_range: 0 to 255 (1023) rather than 16 to 235 (64 to 940).
        bits: 8 or 10.
        subsampling: pixels per chroma sample, across and down; each 1 or 2.
    """

    red: float
    blue: float
    full_range: bool
    bits: int
    subsampling: tuple[int, int]

    @property
    def scales(self) -> tuple[float, float, float]:
        """Black, the span of luma, and the span of chroma, as stored."""
        unit = float(1 << (self.bits - 8))
        if self.full_range:
            top = float((1 << self.bits) - 1)
            return 0.0, top, top
        return 16 * unit, 219 * unit, 224 * unit

    @property
    def gray(self) -> float:
        """Chroma without color, as stored."""
        return float(1 << (self.bits - 1))


def luma_weights(matrix: int, width: int, height: int) -> tuple[float, float]:
    """The weights of red and blue in luma.

    Args:
        matrix: its code in ITU-T H.273; where it is unspecified, the size decides as in mpv and most other players:
            BT.709 from 1280 pixels across or 577 down, BT.601 below.
        width: of the frame, pixels.
        height: of the frame, pixels.

    Returns:
        Red and blue.

    Raises:
        KeyError: for a matrix that is no weighting of RGB, such as YCgCo, or of constant luminance.
    """
    if matrix in _UNSPECIFIED:
        matrix = 1 if width >= 1280 or height > 576 else 6
    return _LUMA[matrix]


def planes_to_rgb(
    luma: Float[Tensor, "B 1 H W"], chroma: Float[Tensor, "B 2 h w"], coding: Coding
) -> Float[Tensor, "B 3 H W"]:
    """Turn stored planes into RGB.

    Args:
        luma: Y', as stored.
        chroma: Cb and Cr, as stored; its samples sit on even columns, and midway between two rows.
        coding: how they hold colors.

    Returns:
        RGB in [0, 1], clipped.

    Source: ITU-R BT.601, BT.709 and BT.2020; siting: ITU-T H.264, annex E, chroma_sample_loc_type 0.
    """
    black, luma_span, chroma_span = coding.scales
    across, down = coding.subsampling
    if across == 2:
        chroma = _double_from_even(chroma)[..., : luma.shape[-1]]
    if down == 2:
        chroma = F.interpolate(chroma, scale_factor=(2.0, 1.0), mode="bilinear", align_corners=False)
        chroma = chroma[..., : luma.shape[-2], :]
    y = (luma - black) / luma_span
    blue_difference, red_difference = ((chroma - coding.gray) / chroma_span).split(1, dim=1)
    red = y + 2 * (1 - coding.red) * red_difference
    blue = y + 2 * (1 - coding.blue) * blue_difference
    green = (y - coding.red * red - coding.blue * blue) / (1 - coding.red - coding.blue)
    return torch.cat([red, green, blue], dim=1).clamp_(0, 1)


def rgb_to_planes(
    image: Float[Tensor, "B 3 H W"], coding: Coding
) -> tuple[Float[Tensor, "B 1 H W"], Float[Tensor, "B 2 h w"]]:
    """Turn RGB into planes, the inverse of `planes_to_rgb` where chroma is not subsampled.

    Args:
        image: RGB in [0, 1].
        coding: how the planes hold colors.

    Returns:
        Luma and chroma as stored, before rounding.
    """
    black, luma_span, chroma_span = coding.scales
    red, green, blue = image.split(1, dim=1)
    y = coding.red * red + (1 - coding.red - coding.blue) * green + coding.blue * blue
    chroma = torch.cat([(blue - y) / (2 * (1 - coding.blue)), (red - y) / (2 * (1 - coding.red))], dim=1)
    across, down = coding.subsampling
    if across == 2:
        chroma = _halve_at_even(chroma)
    if down == 2:
        chroma = F.avg_pool2d(chroma, (2, 1), ceil_mode=True)
    return y * luma_span + black, chroma * chroma_span + coding.gray


def change_planes(
    luma: Float[Tensor, "B 1 H W"],
    chroma: Float[Tensor, "B 2 h w"],
    degraded: Float[Tensor, "B 3 H W"],
    restored: Float[Tensor, "B 3 H W"],
    coding: Coding,
) -> tuple[Float[Tensor, "B 1 H W"], Float[Tensor, "B 2 h w"]]:
    """Add to stored planes what a network changed; what it left alone stays exactly as stored.

    Args:
        luma: Y', as stored.
        chroma: Cb and Cr, as stored.
        degraded: what `planes_to_rgb` made of them.
        restored: what the network made of that, in [0, 1].
        coding: how the planes hold colors.

    Returns:
        Luma and chroma as to be stored: rounded, within what the bits hold.
    """
    top = (1 << coding.bits) - 1
    before, after = rgb_to_planes(degraded, coding), rgb_to_planes(restored, coding)
    changed_luma = luma + (after[0] - before[0])
    changed_chroma = chroma + (after[1] - before[1])
    return changed_luma.round_().clamp_(0, top), changed_chroma.round_().clamp_(0, top)


def _double_from_even(x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h v"]:
    """Twice as many columns: the given ones are the even, and the odd lie midway."""
    following = torch.cat([x[..., 1:], x[..., -1:]], dim=-1)
    return torch.stack([x, (x + following) / 2], dim=-1).flatten(-2)


def _halve_at_even(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H w"]:
    """Half as many columns: the even ones, each smoothed with its neighbors."""
    padded = F.pad(x, (1, 1, 0, 0), mode="replicate")
    return (padded[..., :-2:2] + 2 * x[..., ::2] + padded[..., 2::2]) / 4
