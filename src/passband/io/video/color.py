"""Converts the colors of videos: Y'CbCr planes of 8 or 10 bits, with the matrix and range that the file states.

Primaries and transfer function are not converted. Pixels that a network does not change must be written back exactly,
although chroma is stored at half resolution and RGB is clipped to [0, 1]. Therefore `change_planes` adds the network's
change to the stored planes instead of computing new planes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# Weights of red and blue in luma, by the code of the matrix. Source: ITU-T H.273, table 4.
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
"""HDR transfer functions by their code in ITU-T H.273, table 3."""


@dataclass(frozen=True)
class Coding:
    """Coding of colors in planes.

    Attributes:
        red: weight of red in luma.
        blue: weight of blue in luma.
        full_range: whether samples use 0 to 255 (1023) rather than 16 to 235 (64 to 940).
        bits: bits per sample, 8 or 10.
        subsampling: pixels per chroma sample, (horizontal, vertical), each 1 or 2.
    """

    red: float
    blue: float
    full_range: bool
    bits: int
    subsampling: tuple[int, int]

    @property
    def scales(self) -> tuple[float, float, float]:
        """Black level, range of luma and range of chroma, as stored."""
        unit = float(1 << (self.bits - 8))
        if self.full_range:
            top = float((1 << self.bits) - 1)
            return 0.0, top, top
        return 16 * unit, 219 * unit, 224 * unit

    @property
    def gray(self) -> float:
        """Value of chroma without color, as stored."""
        return float(1 << (self.bits - 1))


def luma_weights(matrix: int, width: int, height: int) -> tuple[float, float]:
    """Return the weights of red and blue in luma.

    Args:
        matrix: code of the matrix in ITU-T H.273. If it is unspecified, the size decides, as in mpv and most other
            players: BT.709 from 1280 pixels of width or 577 of height, BT.601 below.
        width: width of the frame, in pixels.
        height: height of the frame, in pixels.

    Returns:
        Weights of red and blue.

    Raises:
        KeyError: if the matrix is not a weighting of RGB, such as YCgCo, or has constant luminance.
    """
    if matrix in _UNSPECIFIED:
        matrix = 1 if width >= 1280 or height > 576 else 6
    return _LUMA[matrix]


def planes_to_rgb(
    luma: Float[Tensor, "B 1 H W"], chroma: Float[Tensor, "B 2 h w"], coding: Coding
) -> Float[Tensor, "B 3 H W"]:
    """Convert stored planes to RGB.

    Args:
        luma: Y' as stored.
        chroma: Cb and Cr as stored. Horizontally, chroma samples coincide with even columns; vertically, they lie
            midway between two rows.
        coding: coding of colors in the planes.

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
    """Convert RGB to planes; the inverse of `planes_to_rgb` if chroma is not subsampled.

    Args:
        image: RGB in [0, 1].
        coding: coding of colors in the planes.

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
    """Add a network's change to stored planes. Unchanged pixels keep their stored values exactly.

    Args:
        luma: Y' as stored.
        chroma: Cb and Cr as stored.
        degraded: result of `planes_to_rgb` for these planes.
        restored: output of the network for `degraded`, in [0, 1].
        coding: coding of colors in the planes.

    Returns:
        Luma and chroma to store: rounded, and clamped to the range of the bits.
    """
    top = (1 << coding.bits) - 1
    before, after = rgb_to_planes(degraded, coding), rgb_to_planes(restored, coding)
    changed_luma = luma + (after[0] - before[0])
    changed_chroma = chroma + (after[1] - before[1])
    return changed_luma.round_().clamp_(0, top), changed_chroma.round_().clamp_(0, top)


def _double_from_even(x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h v"]:
    """Double the number of columns: given columns become the even ones, and odd ones are interpolated."""
    following = torch.cat([x[..., 1:], x[..., -1:]], dim=-1)
    return torch.stack([x, (x + following) / 2], dim=-1).flatten(-2)


def _halve_at_even(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H w"]:
    """Halve the number of columns: the even columns are kept, each smoothed with its neighbors."""
    padded = F.pad(x, (1, 1, 0, 0), mode="replicate")
    return (padded[..., :-2:2] + 2 * x[..., ::2] + padded[..., 2::2]) / 4
