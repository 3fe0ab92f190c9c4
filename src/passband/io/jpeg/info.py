"""Defines the headers, coefficients and failures of JPEG files. The public interface is `io.jpeg`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float, Int16, Int32, UInt8
from torch import Tensor

from passband.io.image.types import ImageError

ColorSpace = Literal["gray", "rgb", "ycbcr"]
COLOR_SPACES: dict[int, ColorSpace] = {1: "gray", 2: "rgb", 3: "ycbcr"}
"""Color spaces by the numbers that libjpeg uses."""
JpegSource = Path | str | bytes | UInt8[Tensor, " N"]
"""Path of a file, or its content."""
Content = str | Any
"""Source of a reader: a path, or an object whose buffer is the content of a file."""
McuCrop = tuple[int, int, int, int]
"""First row, first column, height and width, in MCUs."""
Errors = Literal["raise", "return"]
"""Treatment of failures in a batch: the first is raised, or each is returned in place of its result."""
Planes = tuple[Float[Tensor, "_ _ _"], ...]
"""Channels, rows and columns of each component."""


class JpegError(ImageError):
    """The coefficients of a JPEG file cannot be read or written. The message names the file and the reason."""


@dataclass(frozen=True)
class JpegHeader:
    """Headers of a JPEG file.

    Attributes:
        height: height of the image as stored, in pixels.
        width: width of the image as stored, in pixels.
        sampling: (horizontal, vertical) sampling factors of each component as stored, 1 to 4. They have no effect if
            there is only one component.
        orientation: EXIF orientation, 1 to 8; 1 if the file has none.
        color_space: color space of the components: gray, YCbCr or RGB.
    """

    height: int
    width: int
    sampling: tuple[tuple[int, int], ...]
    orientation: int = 1
    color_space: ColorSpace = "ycbcr"

    @property
    def factors(self) -> tuple[tuple[int, int], ...]:
        """Columns and rows of blocks of each component in one MCU (minimum coded unit)."""
        return self.sampling if len(self.sampling) > 1 else ((1, 1),)

    @property
    def mcu(self) -> tuple[int, int]:
        """Height and width of an MCU in pixels: 8 x 8 for gray and 4:4:4, 16 x 16 for 4:2:0."""
        return 8 * max(down for _, down in self.factors), 8 * max(across for across, _ in self.factors)

    @property
    def whole_mcus(self) -> tuple[int, int]:
        """Rows and columns of MCUs that lie completely within the image. Mirrored crops must lie in them."""
        return self.height // self.mcu[0], self.width // self.mcu[1]

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of blocks of each component.

        As in libjpeg, only blocks that contain at least one pixel of the image are counted. Blocks that only fill up
        the last MCU carry no information.
        """
        mcu_height, mcu_width = self.mcu
        return tuple(
            (-(-self.height * down // mcu_height), -(-self.width * across // mcu_width))
            for across, down in self.factors
        )


@dataclass(frozen=True, eq=False)
class JpegCoefficients:
    """Quantized coefficients of a JPEG file: everything that it stores about its pixels, without loss.

    Attributes:
        blocks: quantized coefficients of each component. The coefficient of frequency (v, u) is at 8v + u. Rows and
            columns are `header.grids`. They differ between components if color is subsampled, and the last blocks may
            extend beyond the image.
        quantization: quantization step of each coefficient of each component, 0 to 65535, in the same order.
        header: size, sampling factors, orientation and color space.
    """

    blocks: tuple[Int16[Tensor, "_ _ 64"], ...] = field(repr=False)
    quantization: Int32[Tensor, "C 64"] = field(repr=False)
    header: JpegHeader

    @property
    def height(self) -> int:
        """Height of the image as stored, in pixels."""
        return self.header.height

    @property
    def width(self) -> int:
        """Width of the image as stored, in pixels."""
        return self.header.width

    @property
    def sampling(self) -> tuple[tuple[int, int], ...]:
        """(Horizontal, vertical) sampling factors of each component."""
        return self.header.sampling

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8."""
        return self.header.orientation

    @property
    def color_space(self) -> ColorSpace:
        """Color space of the components."""
        return self.header.color_space


class Outcome(IntEnum):
    """Outcome of reading a file, with the same names and numbers as in native_reader/native.h."""

    DONE = 0
    EMPTY = 1
    NOT_JPEG = 2
    DAMAGED = 3
    RECOVERABLE = 4
    UNSUPPORTED = 5
    TOO_LARGE = 6
    BAD_CROP = 7
    NO_FILE = 8
    NO_MEMORY = 9


class Failure(Exception):  # noqa: N818
    """A reader's failure, which does not contain the name of the file yet.

    Args:
        outcome: any outcome except `DONE`.
        text: details from libjpeg or from passband.
        os_error: errno of the operating system, for `NO_FILE`.
        header: header of the file, if it was read.
    """

    def __init__(self, outcome: Outcome, text: str = "", os_error: int = 0, header: JpegHeader | None = None):
        super().__init__(outcome, text)
        self.outcome, self.text, self.os_error, self.header = outcome, text, os_error, header


@dataclass(frozen=True)
class Request:
    """Channels, crops and flips to read from the files of a call.

    Attributes:
        channels: raster indices of the channels of each component. Files with fewer components use the first ones.
        mean: number to subtract from each channel, component after component; None if `std` is None.
        std: number by which each channel is divided.
        crops: crop of each file; None for the whole image.
        flips: whether to mirror each file left to right.
    """

    channels: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    mean: Float[Tensor, " K"] | None
    std: Float[Tensor, " K"] | None
    crops: tuple[McuCrop | None, ...]
    flips: tuple[bool, ...]


def available_mcus(header: JpegHeader, flip: bool) -> tuple[int, int]:
    """Return the rows and columns of MCUs in which a crop may lie.

    All blocks of these MCUs are stored, although some of their samples may lie beyond the edge of the image. With a
    flip, the columns must end within the image.

    Args:
        header: header of the file.
        flip: whether the crop is mirrored left to right.

    Returns:
        Numbers of rows and columns, in MCUs.
    """
    rows, columns = (
        min(grid[axis] // factor[1 - axis] for grid, factor in zip(header.grids, header.factors, strict=True))
        for axis in (0, 1)
    )
    return rows, (header.whole_mcus[1] if flip else columns)


def crop_fits(header: JpegHeader, crop: McuCrop | None, flip: bool) -> bool:
    """Tell whether a crop lies in the image and, with `flip`, can be mirrored exactly.

    Args:
        header: header of the file.
        crop: top, left, height and width in MCUs; None for the whole image.
        flip: whether the crop is mirrored left to right.
    """
    rows, columns = available_mcus(header, flip)
    if crop is None:
        return columns > 0 or not flip
    top, left, height, width = crop
    return min(top, left) >= 0 and min(height, width) >= 1 and top + height <= rows and left + width <= columns


def with_errors(
    results: list[Any], sources: Sequence[JpegSource], errors: Errors, max_pixels: int, request: Request | None = None
) -> list[Any]:
    """Replace failures by errors with messages.

    Args:
        results: result or failure of each file; the list is changed.
        sources: paths or contents of the files.
        errors: `"raise"` to raise the first error, or `"return"` to leave the errors in the list.
        max_pixels: largest number of pixels of each file, for the messages.
        request: crops and flips of the files, for the messages; None if there are none.

    Returns:
        The list.

    Raises:
        JpegError: if a file cannot be read as JPEG.
        OSError: if a file cannot be opened.
        MemoryError: if the memory does not suffice.
        ValueError: if a crop does not fit.
    """
    for index, result in enumerate(results):
        if isinstance(result, Failure):
            source = sources[index]
            name = str(source) if isinstance(source, str | Path) else "the JPEG data"
            name += f" (number {index} of the batch)" if len(sources) > 1 and not isinstance(source, str | Path) else ""
            crop, flip = (request.crops[index], request.flips[index]) if request else (None, False)
            results[index] = _error(result, name, max_pixels, crop, flip)
            if errors == "raise":
                raise results[index]
    return results


def _error(failure: Failure, name: str, max_pixels: int, crop: McuCrop | None, flip: bool) -> Exception:
    """Return the error that users see for a failure."""
    text, header = failure.text, failure.header
    match failure.outcome:
        case Outcome.NO_FILE:
            return OSError(failure.os_error, os.strerror(failure.os_error), name)
        case Outcome.NO_MEMORY:
            return MemoryError(f"{name} needs more memory than is available")
        case Outcome.EMPTY:
            return JpegError(f"{name} is empty; a JPEG image is needed")
        case Outcome.NOT_JPEG:
            return JpegError(f"{name} is not a JPEG image: {text}")
        case Outcome.UNSUPPORTED:
            return JpegError(
                f"{name} is a JPEG file with {text}; coefficients can be read only from gray and three-component files "
                f"with 8 bits and Huffman coding. Read its pixels with read_image, or save it again"
            )
        case Outcome.RECOVERABLE:
            return JpegError(
                f"{name} is a JPEG file that is incomplete or damaged: {text}. Save it again with another program; "
                f"in Python, passband.io.jpeg reads the rest with allow_truncated=True"
            )
    if header is None:
        return JpegError(f"{name} is a JPEG file that is incomplete or damaged: {text}")
    if failure.outcome is Outcome.TOO_LARGE:
        return JpegError(
            f"{name} is {header.width}x{header.height} pixels ({header.width * header.height:,}), over the limit of "
            f"{max_pixels:,}; if you trust the file, raise the limit with max_pixels= in Python or --max-pixels on the "
            f"command line"
        )
    if failure.outcome is Outcome.BAD_CROP:
        rows, columns = available_mcus(header, flip)
        requested_part = "a flip" if crop is None else f"the crop (row, column, height, width) = {tuple(crop)}"
        whole = "whole " if flip else ""
        return JpegError(
            f"{name} has {rows} rows and {columns} columns of {whole}MCUs of {header.mcu[0]}x{header.mcu[1]} pixels; "
            f"{requested_part} does not lie within them"
        )
    return JpegError(f"{name} is a JPEG file that is incomplete or damaged: {text}")
