"""Turns image files into cubes of normalized frequency channels.

A JPEG file is read from its own coefficients, without computing pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.cubes.cell_maps import BLOCK, CellMap, cell_map
from passband.data.cubes.views import Augmentation, CubeView, cube_view
from passband.io.image import read_image
from passband.io.jpeg import JpegError, JpegHeader, read_channels, read_header
from passband.layers.channels import from_indices
from passband.ops.color import jpeg_samples
from passband.ops.cube import Ratio, sampling_ratios
from passband.ops.dct import block_dct
from passband.ops.tiling import pad_to_multiple

WHOLE: Ratio = (1, 1)


@dataclass(frozen=True)
class CubeFormat:
    """The size and the channels of a cube.

    Attributes:
        channels: numbers of the channels, component 64 + 8v + u, ascending.
        size: side of the image that the cube shows, in pixels; a multiple of 32.
        stride: side of its cells in pixels, 8 or 4.
        mean: mean of each channel, which is subtracted.
        std: standard deviation of each channel, by which it is divided.

    Raises:
        ValueError: on use, if a cell of that side does not have these channels.
    """

    channels: tuple[int, ...]
    size: int
    stride: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @cached_property
    def components(self) -> tuple[tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]], ...]:
        """Frequencies as raster indices within a cell, mean and std, for each of Y, Cb and Cr."""
        lists = from_indices(self.channels).lists(self.stride)
        ends = [sum(map(len, lists[: number + 1])) for number in range(3)]
        starts = [0, *ends[:2]]
        return tuple(
            (tuple(wanted), self.mean[start:end], self.std[start:end])
            for wanted, start, end in zip(lists, starts, ends, strict=True)
        )

    @cached_property
    def gray(self) -> Float[Tensor, "K 1 1"]:
        """The cell of a middle gray, whose coefficients are all zero."""
        return (-torch.tensor(self.mean) / torch.tensor(self.std))[:, None, None]

    def maps(self, ratios: Sequence[Ratio], reduction: Fraction) -> list[CellMap | None]:
        """Return the map of each component of a file; None for a component without selected channels.

        Args:
            ratios: (vertical, horizontal) ratios of the upright components, see `ops.cube.sampling_ratios`.
            reduction: reduction of the image, see `views.CubeView`.

        Raises:
            ValueError: if there is no map for these ratios.
        """
        return [
            cell_map((down / reduction, across / reduction), self.stride, *component) if component[0] else None
            for (down, across), component in zip(ratios, self.components, strict=False)
        ]


@dataclass(frozen=True)
class _Turn:
    """The order of the turns of stored coefficients.

    They are mirrored at the main diagonal, then up-down, then left-right.
    """

    transposed: bool
    flipped: bool
    mirrored: bool

    @classmethod
    def of(cls, orientation: int, mirrored: bool) -> "_Turn":
        """Make the turn that is given by EXIF's orientation (CIPA DC-008), followed by mirroring left to right."""
        return cls(orientation >= 5, orientation in (3, 4, 7, 8), (orientation in (2, 3, 6, 7)) != mirrored)


def file_cube(
    source: Path | bytes, form: CubeFormat, augmentation: Augmentation | None = None
) -> Float[Tensor, "K h w"]:
    """Make the cube of an image file.

    A JPEG file gives it from its own coefficients. Other files give it from the coefficients of their pixels. So do the
    few JPEG files whose coefficients cannot be used: CMYK or RGB inside, arithmetic coding, color subsampled by other
    factors than 2 or 4, or fewer pixels than an MCU.

    Args:
        source: path of a file, or its content.
        form: format of the cube.
        augmentation: random view for training; None shows the center.

    Returns:
        The normalized cube.

    Raises:
        ImageError: if the file is damaged or not an image; the message names the file.
        OSError: if the file cannot be read.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        header = read_header(data)
    except JpegError:
        return pixel_cube(read_image(source), form, augmentation)
    cube = _jpeg_cube(source, data, header, form, augmentation)
    return pixel_cube(read_image(source), form, augmentation) if cube is None else cube


def pixel_cube(
    image: Float[Tensor, "3 H W"], form: CubeFormat, augmentation: Augmentation | None = None
) -> Float[Tensor, "K h w"]:
    """Make the cube of pixels: that of a JPEG file of them without chroma subsampling and without quantization.

    Args:
        image: RGB image in [0, 1].
        form: format of the cube.
        augmentation: random view for training; None shows the center.

    Returns:
        The normalized cube.

    Raises:
        ValueError: if the side of the view cannot be divided into cells, or if a channel has a frequency that cells of
            this stride lack. Images that are smaller than the view get gray around them.
    """
    image = pad_to_multiple(image[None], 1, BLOCK)[0][0]  # images smaller than a block are padded
    height, width = image.shape[-2:]
    view = cube_view(height, width, (BLOCK, BLOCK), form.size, form.stride, augmentation)
    if view is None:
        raise ValueError(
            f"a cube must show a multiple of 32 pixels, got {form.size} of an image of {height} x {width} pixels"
        )
    window = view.window
    part = image[:, window.top : window.top + window.height, window.left : window.left + window.width]
    part = part.flip(-1) if window.mirrored else part
    maps = form.maps([WHOLE] * 3, view.reduction)
    inputs = [map_.inputs if map_ else () for map_ in maps]
    planes = block_dct(jpeg_samples(part)[None], BLOCK, inputs)[0].split([len(indices) for indices in inputs])
    return _placed(planes, maps, view, form, are_normalized=False)


def _jpeg_cube(
    source: Path | bytes, data: bytes, header: JpegHeader, form: CubeFormat, augmentation: Augmentation | None
) -> Float[Tensor, "K h w"] | None:
    """Make the cube of a JPEG file's coefficients; None if they cannot be used."""
    turned = header.orientation >= 5
    height, width, mcu = header.height, header.width, header.mcu
    if turned:
        height, width, mcu = width, height, (mcu[1], mcu[0])
    view = cube_view(height, width, mcu, form.size, form.stride, augmentation)
    if view is None or header.color_space == "rgb":
        return None
    try:
        ratios = sampling_ratios(header.factors)
        maps = form.maps([(across, down) if turned else (down, across) for down, across in ratios], view.reduction)
    except ValueError:
        return None
    turn = _Turn.of(header.orientation, view.window.mirrored)
    # the reader itself mirrors, and normalizes the inputs that need no map
    plain = not (turn.transposed or turn.flipped)
    inputs = [map_.inputs if map_ else () for map_ in maps]
    wanted = {
        "channels": _three([_transposed(indices) for indices in inputs] if turn.transposed else inputs),
        "crop": _stored_crop(view, header, _Turn.of(header.orientation, mirrored=False), mcu),
        "flip": plain and turn.mirrored,
        **(_normalization(maps) if plain else {}),
    }
    try:
        planes = read_channels(data, **wanted)
    except JpegError:
        if isinstance(source, Path):  # reading by path raises an error that names the file
            read_channels(source, **wanted)
        raise
    if not plain:
        planes = [_turned(plane, turn, indices) for plane, indices in zip(planes, inputs, strict=True)]
    return _placed(planes, maps, view, form, are_normalized=plain)


def _normalization(maps: Sequence[CellMap | None]) -> dict[str, list[float]]:
    """Return the mean and the std by which the reader normalizes the inputs that are channels themselves."""
    if not any(map_ and map_.is_selection for map_ in maps):
        return {}
    mean: list[float] = []
    std: list[float] = []
    for map_ in (map_ for map_ in maps if map_):
        mean += map_.mean if map_.is_selection else [0.0] * len(map_.inputs)
        std += map_.std if map_.is_selection else [1.0] * len(map_.inputs)
    return {"mean": mean, "std": std}


def _three(lists: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Extend the lists of a gray file to lists for Y, Cb and Cr."""
    return [*lists, *[()] * (3 - len(lists))]


def _stored_crop(view: CubeView, header: JpegHeader, turn: _Turn, mcu: tuple[int, int]) -> tuple[int, int, int, int]:
    """Locate a window of the upright image in the file, in whole MCUs."""
    window = view.window
    top, left, rows, columns = (
        side // mcu[axis % 2] for axis, side in enumerate((window.top, window.left, window.height, window.width))
    )
    whole_rows, whole_columns = header.whole_mcus[::-1] if turn.transposed else header.whole_mcus
    if turn.flipped:
        top = whole_rows - top - rows
    if turn.mirrored:
        left = whole_columns - left - columns
    return (left, top, columns, rows) if turn.transposed else (top, left, rows, columns)


def _transposed(inputs: Sequence[int]) -> tuple[int, ...]:
    """Return the frequencies that become these when the image is mirrored at its main diagonal."""
    return tuple(BLOCK * (index % BLOCK) + index // BLOCK for index in inputs)


def _turned(planes: Float[Tensor, "J _ _"], turn: _Turn, inputs: Sequence[int]) -> Float[Tensor, "J _ _"]:
    """Turn the coefficients of an image; `inputs` are the frequencies after the turn."""
    if turn.transposed:
        planes = planes.transpose(-2, -1)
    index = torch.tensor(inputs, dtype=torch.int64)[:, None, None]
    v, u = index // BLOCK, index % BLOCK
    if turn.flipped:
        planes = planes.flip(-2) * (1 - 2 * (v % 2))
    if turn.mirrored:
        planes = planes.flip(-1) * (1 - 2 * (u % 2))
    return planes


def _placed(
    planes: Sequence[Float[Tensor, "_ _ _"]],
    maps: Sequence[CellMap | None],
    view: CubeView,
    form: CubeFormat,
    *,
    are_normalized: bool,
) -> Float[Tensor, "K h w"]:
    """Place the cells of all components at the position of the view, on a middle gray.

    Args:
        planes: inputs of each component.
        maps: map from inputs to cells of each component.
        view: view of the image.
        form: format of the cube.
        are_normalized: whether inputs that are channels themselves are normalized already.

    Returns:
        The cube.
    """
    pixels = view.reduction * form.stride
    rows, columns = (int(side / pixels) for side in (view.window.height, view.window.width))
    top, left = (start // form.stride for start in view.offset)
    side = form.size // form.stride
    cube = torch.empty(len(form.channels), side, side)
    is_whole = rows == columns == side and len(planes) == 3
    if not is_whole:
        cube.copy_(form.gray.expand_as(cube))
    first = 0
    for plane, map_ in zip(planes, maps, strict=True):
        if map_ is None:
            continue
        cells = plane if map_.is_selection and are_normalized else map_(plane)
        cube[first : first + len(cells), top : top + rows, left : left + columns] = cells
        first += len(cells)
    return cube
