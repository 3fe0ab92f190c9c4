"""Makes the views of an image that an inspector sees: block-DCT coefficients of a few windows, and a coarse map.

A JPEG file gives both from its stored coefficients, without being decoded. Any other image gives the same from its
pixels. Windows keep their own scale, because reducing an image hides streaks, noise and blur. The map shows the
distribution of brightness, color and contrast over the whole image, which reveals haze.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.io.image import DEFAULT_MAX_PIXELS, read_image
from passband.io.jpeg import JpegCoefficients, JpegError, read_coefficients
from passband.layers.channels import INSPECTED as CHANNELS
from passband.ops.color import ycbcr_to_rgb
from passband.ops.cube import Ratio, assemble_cube, image_cube, sampling_ratios
from passband.ops.dct_geometry import orient
from passband.ops.tiling import pad_to_multiple

BLOCK = 8
WINDOW = 32
"""Side of a window in blocks; 32 blocks are 256 pixels."""
SINGLE = 40
"""Longest side in blocks that gets one window (40 blocks are 320 pixels); longer sides get two."""
MOST_WINDOWS = 4
MAP = 16
"""Side of the coarse map in cells."""
_ALIGNED = 4  # windows begin at multiples of 4 blocks, where blocks of a component at a quarter of the size also begin


@dataclass(frozen=True, eq=False)
class Views:
    """The views of one image.

    Attributes:
        windows: windows of one size, 1 to 4 of at most 32 x 32 blocks, with 64 frequencies of Y, 16 of Cb and 16 of Cr
            in the units of a JPEG file. The first channel of each component is 8 times its mean minus 128.
        overview: the whole image in 16 x 16 cells: means of Y, Cb, Cr and of the darkest of R, G and B in [0, 1], the
            least of the last, and the mean logarithm of the lowest frequencies.
    """

    windows: Float[Tensor, "W K h w"]
    overview: Float[Tensor, "M 16 16"]

    def mirrored(self) -> "Views":
        """Return the exact views of the image mirrored left to right."""
        odd = torch.tensor([index % 2 for component in CHANNELS for index in component], dtype=torch.bool)
        signs = torch.where(odd, -1.0, 1.0)[:, None, None]
        return Views(self.windows.flip(-1) * signs, self.overview.flip(-1))


def file_views(source: Path | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Views:
    """Make the views of an image file; a JPEG file gives them without being decoded.

    Args:
        source: path of a file, or its content.
        max_pixels: largest number of pixels; larger images are refused before they are read.

    Returns:
        The views.

    Raises:
        ImageError: if the file is damaged, not an image or too large.
        OSError: if the file cannot be read.
    """
    with suppress(JpegError):  # not a JPEG file, or a damaged one, which reading its pixels reports better
        coefficients = read_coefficients(source, max_pixels=max_pixels)
        if coefficients.color_space != "rgb":
            with suppress(ValueError):  # a subsampling whose blocks do not fit one grid
                return _coefficient_views(coefficients, sampling_ratios(coefficients.header.factors))
    return pixel_views(read_image(source, max_pixels=max_pixels))


def pixel_views(image: Float[Tensor, "3 H W"]) -> Views:
    """Make the views of pixels: those of a JPEG file of them without quantization.

    Args:
        image: RGB image in [0, 1], of any size from 1 x 1 pixel.

    Returns:
        The views.
    """
    padded = pad_to_multiple(image[None], 1, BLOCK)[0]
    rows, columns = (side // BLOCK for side in padded.shape[-2:])
    whole = padded[..., : rows * BLOCK, : columns * BLOCK]
    windows = []
    for top, left, height, width in window_places(rows, columns):
        part = whole[..., top * BLOCK : (top + height) * BLOCK, left * BLOCK : (left + width) * BLOCK]
        windows.append(image_cube(part.contiguous(), BLOCK, (1, 1), CHANNELS)[0])
    low = image_cube(whole.contiguous(), BLOCK, (1, 1), ([0, 1, BLOCK], [0], [0]))[0]
    return Views(torch.stack(windows), _overview(low[[0, 3, 4]], low[1:3]))


def window_places(rows: int, columns: int) -> list[tuple[int, int, int, int]]:
    """Return the positions of an image's windows: the middle of each half of a long side, the middle of a short side.

    Args:
        rows: height of the image, in blocks.
        columns: width of the image, in blocks.

    Returns:
        First row, first column, height and width of each window in blocks; all windows have one size.
    """
    tall, wide = min(WINDOW, rows), min(WINDOW, columns)
    return [(top, left, tall, wide) for top in _starts(rows) for left in _starts(columns)]


def _starts(length: int) -> list[int]:
    """Return the first blocks of the windows along one direction."""
    if length <= WINDOW:
        return [0]
    centers = [length // 2] if length <= SINGLE else [length // 4, length - length // 4]
    return [min(max(0, center - WINDOW // 2), length - WINDOW) // _ALIGNED * _ALIGNED for center in centers]


def _coefficient_views(coefficients: JpegCoefficients, ratios: list[Ratio]) -> Views:
    """Make the views of the coefficients of a JPEG file."""
    rows, columns = (max(1, side // BLOCK) for side in (coefficients.height, coefficients.width))
    steps = coefficients.quantization.float()
    windows = []
    for top, left, height, width in window_places(rows, columns):
        parts = [
            blocks[top // down : -(-(top + height) // down), left // across : -(-(left + width) // across)]
            for blocks, (down, across) in zip(coefficients.blocks, ratios, strict=True)
        ]
        components = [(part.float() * step).permute(2, 0, 1)[None] for part, step in zip(parts, steps, strict=True)]
        if coefficients.orientation == 1:
            windows.append(assemble_cube(components, ratios, BLOCK, CHANNELS)[0, :, :height, :width])
        else:
            cube = assemble_cube(components, ratios, BLOCK)[..., :height, :width]
            windows.append(_inspected_channels(orient(cube, coefficients.orientation)))
    means = []
    for blocks, step, (down, across) in zip(coefficients.blocks, steps, ratios, strict=True):
        plane = (blocks[..., 0].float() * step[0]).repeat_interleave(down, 0).repeat_interleave(across, 1)
        means.append(plane[:rows, :columns])
    means += [torch.zeros_like(means[0])] * (3 - len(means))
    luma = coefficients.blocks[0][:rows, :columns]
    low = torch.stack([luma[..., place].float() * steps[0, place] for place in (1, BLOCK)])
    overview = _overview(torch.stack(means), low)
    if coefficients.orientation != 1:
        overview = orient(overview[None], coefficients.orientation, 1)[0]
    return Views(torch.stack(windows), overview)


def _inspected_channels(cube: Float[Tensor, "1 K h w"]) -> Float[Tensor, "J h w"]:
    """Select the frequencies of `CHANNELS` from a whole cube."""
    size = BLOCK * BLOCK
    return cube[0, [size * place + index for place, component in enumerate(CHANNELS) for index in component]]


def _overview(means: Float[Tensor, "3 h w"], low: Float[Tensor, "2 h w"]) -> Float[Tensor, "M 16 16"]:
    """Make the coarse map of an image from the lowest frequencies of its blocks."""
    color = (means / BLOCK + 128) / 255
    dark = ycbcr_to_rgb(color[None]).amin(1).clamp(0, 1)
    contrast = low.abs().sum(0, keepdim=True).log1p() / 5
    averaged = F.adaptive_avg_pool2d(torch.cat([color, dark, contrast])[None], MAP)[0]
    least = -F.adaptive_max_pool2d(-dark[None], MAP)[0]
    return torch.cat([averaged[:4], least, averaged[4:]])
