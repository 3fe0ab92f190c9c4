"""Turns whole image files of any size into cubes at stride 4.

A JPEG file is read from its own coefficients, without computing pixels. A cell covers 4 x 4 pixels. With chroma at its
full size it has the frequencies v, u from 0 to 3 of Y, Cb and Cr: 48 channels. With chroma at half the size it has only
0 and 1 of Cb and Cr: 24 channels, the subset `24S`. A file with chroma at half the size (4:2:0) stores exactly these
24. In other files, chroma is halved without pixels. The published 48S and 64S have higher frequencies of an enlarged
image, which files do not store.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.cubes.cell_maps import CellMap, cell_map
from passband.io.image import read_image
from passband.io.jpeg import JpegError, JpegHeader, read_channels, read_coefficients, read_header
from passband.layers.channels import from_indices
from passband.ops.cube import Ratio, image_cube, sampling_ratios
from passband.ops.dct_geometry import orient
from passband.ops.tiling import pad_to_multiple

STRIDE = 4
"""Side of the cells, in pixels."""


@dataclass(frozen=True)
class NativeFormat:
    """The channels of a cube at stride 4.

    Attributes:
        channels: numbers of the channels, component 64 + 8v + u, ascending, as `layers.channels` numbers them.
        chroma_ratio: factor by which Cb and Cr are reduced along each direction, 1 or 2. Chroma that is stored at a
            smaller size keeps that size.

    Raises:
        ValueError: if such cells do not have these channels, the channels are not in order, or the ratio is neither 1
            nor 2.
    """

    channels: tuple[int, ...]
    chroma_ratio: int = 1

    def __post_init__(self):
        if self.chroma_ratio not in (1, 2):
            raise ValueError(f"chroma_ratio must be 1 (full size) or 2 (half the size); got {self.chroma_ratio}")
        if list(self.channels) != sorted(self.channels):
            raise ValueError(f"channels of a cube must be in ascending order; got {self.channels}")
        highest = max((max(divmod(index, STRIDE)) for some in self.lists[1:] for index in some), default=0)
        if highest >= self.sides[1]:
            raise ValueError(
                f"chroma at half the size has frequencies 0 and 1 in a cell of {STRIDE} pixels, but these "
                f"{len(self.channels)} channels need {highest}: take 24S, or a chroma_ratio of 1"
            )

    @cached_property
    def lists(self) -> tuple[list[int], list[int], list[int]]:
        """Raster indices 4v + u of Y, of Cb and of Cr."""
        return from_indices(self.channels).lists(STRIDE)

    @property
    def sides(self) -> tuple[int, int, int]:
        """Number of frequencies along each direction of the cells of Y, of Cb and of Cr."""
        return STRIDE, STRIDE // self.chroma_ratio, STRIDE // self.chroma_ratio

    @cached_property
    def signs(self) -> Float[Tensor, "K 1 1"]:
        """Factors of the channels for mirroring left to right: -1 where u is odd."""
        return torch.tensor([1.0 - 2 * (number % 2) for number in self.channels])[:, None, None]


@dataclass(frozen=True, eq=False)
class NativeCube:
    """The cube of a whole image.

    Attributes:
        values: channels that are not normalized, in the units of `ops.cube`, at h = ceil(H / 4) by w = ceil(W / 4)
            cells. Cells at the lower and right edge may reach beyond the image; there they hold the values that the
            file stores.
        height: height H of the upright image, in pixels.
        width: width W of the upright image, in pixels.
        mirrored: whether left and right are exchanged.
    """

    values: Float[Tensor, "K h w"]
    height: int
    width: int
    mirrored: bool = False


def read_native_cube(source: Path | bytes, form: NativeFormat, *, mirrored: bool = False) -> NativeCube:
    """Read the upright cube of an image file at its own size.

    A JPEG file gives it from its own coefficients. Other files give it from the coefficients of their pixels. So do the
    few JPEG files whose coefficients cannot be used: CMYK or RGB inside, arithmetic coding, color subsampled by other
    factors than 2 or 4, or an EXIF orientation that puts incomplete cells first.

    Args:
        source: path of a file, or its content.
        form: format of the cube.
        mirrored: whether to exchange left and right if this is exact: if the width is a multiple of 4 pixels, or the
            cube comes from pixels.

    Returns:
        The cube, which says whether it is mirrored.

    Raises:
        ImageError: if the file is damaged or not an image; the message names the file.
        OSError: if the file cannot be read.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        header = read_header(data)
    except JpegError:
        return native_pixel_cube(read_image(source), form, mirrored=mirrored)
    try:
        values = _jpeg_cube(data, header, form)
    except JpegError:
        if isinstance(source, Path):  # reading by path raises an error that names the file
            read_coefficients(source)
        raise
    if values is None:
        return native_pixel_cube(read_image(source), form, mirrored=mirrored)
    height, width = (header.height, header.width) if header.orientation < 5 else (header.width, header.height)
    mirrored = mirrored and width % STRIDE == 0
    return NativeCube(values.flip(-1) * form.signs if mirrored else values, height, width, mirrored)


def native_pixel_cube(image: Float[Tensor, "3 H W"], form: NativeFormat, *, mirrored: bool = False) -> NativeCube:
    """Make the cube of pixels: that of a JPEG file of them without quantization.

    Args:
        image: RGB image in [0, 1].
        form: format of the cube.
        mirrored: whether to exchange left and right.

    Returns:
        The cube.
    """
    height, width = image.shape[-2:]
    seen = pad_to_multiple((image.flip(-1) if mirrored else image)[None], STRIDE)[0]
    ratio = form.chroma_ratio
    return NativeCube(image_cube(seen, STRIDE, (ratio, ratio), form.lists)[0], height, width, mirrored)


def _jpeg_cube(data: bytes, header: JpegHeader, form: NativeFormat) -> Float[Tensor, "K h w"] | None:
    """Read the upright cube of a JPEG file; None if its coefficients cannot be used."""
    orientation = header.orientation
    if header.color_space == "rgb" or _begins_within_cells(header):
        return None
    try:
        ratios = sampling_ratios(header.factors)
    except ValueError:
        return None
    wanted = form.lists
    if orientation != 1:  # a turn may exchange frequencies, so all are read
        wanted = [[STRIDE * v + u for v in range(side) for u in range(side)] for side in form.sides]
    maps = [
        _map(ratio, tuple(some), 1 if component == 0 else form.chroma_ratio) if some else None
        for component, (ratio, some) in enumerate(zip(ratios, wanted, strict=False))
    ]
    inputs = [map_.inputs if map_ else () for map_ in maps]
    planes = read_channels(data, [*inputs, *[()] * (3 - len(inputs))])
    rows, columns = -(-header.height // STRIDE), -(-header.width // STRIDE)
    turned = orientation >= 5
    cube = torch.zeros(len(form.channels), *((columns, rows) if turned else (rows, columns)))
    first = 0
    for plane, map_, some, side in zip(planes, maps, form.lists, form.sides, strict=False):
        if map_ is not None and some and map_.inputs:  # a file with subsampled color lacks some frequencies
            cells = map_(plane)[:, :rows, :columns]
            if orientation != 1:
                places = [index // STRIDE * side + index % STRIDE for index in some]
                cells = orient(cells[None], orientation, side)[0, places]
            cube[first : first + len(some)] = cells
        first += len(some)
    return cube


def _begins_within_cells(header: JpegHeader) -> bool:
    """Tell whether turning a file upright moves an edge with incomplete cells to the top or the left."""
    down, across = header.orientation in (3, 4, 7, 8), header.orientation in (2, 3, 6, 7)
    if header.orientation >= 5:
        down, across = across, down
    return bool((down and header.height % STRIDE) or (across and header.width % STRIDE))


def _map(ratio: Ratio, wanted: tuple[int, ...], reduction: int) -> CellMap:
    """Make the map of a component's blocks for an image that is reduced by a factor."""
    stride = STRIDE // reduction
    indices = tuple(stride * (index // STRIDE) + index % STRIDE for index in wanted)
    relative = Fraction(ratio[0], reduction), Fraction(ratio[1], reduction)
    # a sample of a reduced image stands for that many pixels along each direction, as in `ops.cube`
    return cell_map(relative, stride, indices, (0.0,) * len(wanted), (1 / reduction,) * len(wanted))
