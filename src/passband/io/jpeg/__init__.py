"""JPEG files to their DCT coefficients and back, without decoding to pixels.

A JPEG file holds, for each component, 8 x 8 blocks of quantized coefficients of the orthonormal DCT-II of samples minus
128. They are read here as they are stored, in raster order: the coefficient of vertical frequency v and horizontal
frequency u is at 8v + u (files and most papers' figures number them in zigzag).

Reading is entropy decoding, by libjpeg-turbo in a compiled module, or, where that was not built, by the package jpeglib
at a quarter of the speed; `backend` tells which. Both give the same numbers. A file that lacks nothing but its end
marker is read, unless it is progressive. Refused are 12-bit files, CMYK, arithmetic
and lossless coding. Orientation is read, never applied.

`read_coefficients` gives all that a file holds, and `write_coefficients` writes it back without loss. `read_channels`
gives what a network takes, straight from the file: a crop, mirrored or not, of chosen channels, dequantized and
normalized. `read_header` says beforehand what there is to crop from.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import torch
from jaxtyping import Float
from torch import Tensor

from passband.io.image import DEFAULT_MAX_PIXELS
from passband.io.jpeg import engine as jpeg_engine
from passband.io.jpeg.engine import backend, reader_library
from passband.io.jpeg.info import (
    Errors,
    Failure,
    JpegCoefficients,
    JpegError,
    JpegHeader,
    JpegSource,
    McuCrop,
    Outcome,
    Planes,
    Wanted,
    checked,
)
from passband.io.jpeg.write import write_coefficients

__all__ = [
    "JpegCoefficients",
    "JpegError",
    "JpegHeader",
    "JpegSource",
    "McuCrop",
    "backend",
    "dequantize",
    "read_channels",
    "read_channels_batch",
    "read_coefficients",
    "read_coefficients_batch",
    "read_header",
    "reader_library",
    "write_coefficients",
]

Channels = Sequence[Sequence[int]]
"""Raster indices, 0 to 63, of the channels wanted of each component."""
Statistics = Float[Tensor, " K"] | Sequence[float]
"""One number for each channel: the first component's, then the second's, then the third's."""


def read_header(source: JpegSource, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> JpegHeader:
    """Read size, sampling, orientation and color space of a JPEG file, none of its image.

    Args:
        source: a path, or a file's content as bytes or uint8.
        max_pixels: refuse a file whose header claims more.

    Raises:
        JpegError: not a JPEG file, of an unsupported kind, or too large.
        OSError: the file cannot be read.
        ImportError: neither the compiled reader nor jpeglib is installed.
    """
    results = jpeg_engine.engine().read_headers((_content(source),), 1, max_pixels)
    return checked(results, [source], "raise", max_pixels)[0]


def read_coefficients(
    source: JpegSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, allow_truncated: bool = False
) -> JpegCoefficients:
    """Read all quantized coefficients of a JPEG file.

    Args:
        source: a path, or a file's content as bytes or uint8.
        max_pixels: refuse a file whose header claims more, before memory is taken for it.
        allow_truncated: take what there is of a file that is cut short or damaged; what is missing is zero.

    Returns:
        The blocks as stored, with what is needed to dequantize and to write them.

    Raises:
        JpegError: not a JPEG file, of an unsupported kind, too large, cut short or damaged.
        OSError: the file cannot be read.
        ImportError: neither the compiled reader nor jpeglib is installed.
    """
    contents = (_content(source),)
    results = jpeg_engine.engine().read_blocks(contents, 1, max_pixels, not allow_truncated)
    _read_unended(results, contents, lambda data, _: jpeg_engine.engine().read_blocks((data,), 1, max_pixels, True))
    return checked(results, [source], "raise", max_pixels)[0]


@overload
def read_coefficients_batch(
    sources: Sequence[JpegSource],
    *,
    threads: int = 1,
    errors: Literal["raise"] = "raise",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> list[JpegCoefficients]: ...
@overload
def read_coefficients_batch(
    sources: Sequence[JpegSource],
    *,
    threads: int = 1,
    errors: Literal["return"],
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> list[JpegCoefficients | Exception]: ...
def read_coefficients_batch(
    sources: Sequence[JpegSource],
    *,
    threads: int = 1,
    errors: Errors = "raise",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> list[JpegCoefficients] | list[JpegCoefficients | Exception]:
    """Read all quantized coefficients of many JPEG files at once.

    Args:
        sources: as in `read_coefficients`; the files are opened by the threads, too.
        threads: how many share the files; Python runs on meanwhile. The package jpeglib uses one.
        errors: `"raise"` the first file's that has one, when all are done, or `"return"` each in its file's place.
        max_pixels: of each, as in `read_coefficients`.
        allow_truncated: as in `read_coefficients`.

    Returns:
        One result a file, in order.

    Raises:
        JpegError: as in `read_coefficients`.
        OSError: as in `read_coefficients`.
        ValueError: fewer than one thread.
        ImportError: as in `read_coefficients`.
    """
    contents = tuple(map(_content, sources))
    results = jpeg_engine.engine().read_blocks(contents, _threads(threads), max_pixels, not allow_truncated)
    _read_unended(results, contents, lambda data, _: jpeg_engine.engine().read_blocks((data,), 1, max_pixels, True))
    return checked(results, sources, errors, max_pixels)


def read_channels(
    source: JpegSource,
    channels: Channels,
    *,
    crop: McuCrop | None = None,
    flip: bool = False,
    mean: Statistics | None = None,
    std: Statistics | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> Planes:
    """Read chosen frequency channels of a JPEG file as a network takes them: cropped, dequantized, normalized.

    Args:
        source: a path, or a file's content as bytes or uint8.
        channels: for each component the raster indices 8v + u of its channels, in the order wanted; three lists, or
            one for gray files alone. Gray files use the first. A list may be empty.
        crop: first row, first column, height and width in MCUs (`JpegHeader.mcu`): 8 x 8 pixels where color has full
            resolution, 16 x 16 in 4:2:0 files. Exact: the blocks of the cropped image.
        flip: mirror left to right. Exact: the coefficients of the mirrored image. Columns must end within the
            image, so without a crop those beyond the last whole MCU are left out.
        mean: what to subtract, one for each channel, in the order of `channels`; 0 by default.
        std: what to divide by, then; 1 by default.
        max_pixels: as in `read_coefficients`.
        allow_truncated: as in `read_coefficients`.

    Returns:
        For each component the channels wanted, rows, columns: one component for a gray file. Without mean and std in
        JPEG's units: the first channel is 8 times the mean of a block's samples minus 128. Where all components have
        one resolution, `torch.cat` makes one tensor of them.

    Raises:
        JpegError: as in `read_coefficients`; or the crop leaves the image.
        OSError: as in `read_coefficients`.
        ValueError: channels out of range, or mean or std of another length or zero.
        ImportError: as in `read_coefficients`.
    """
    wanted = _wanted(channels, (crop,), (flip,), mean, std)
    contents = (_content(source),)
    results = jpeg_engine.engine().read_channels(contents, 1, max_pixels, not allow_truncated, wanted)
    _read_unended(
        results, contents, lambda data, _: jpeg_engine.engine().read_channels((data,), 1, max_pixels, True, wanted)
    )
    return checked(results, [source], "raise", max_pixels, wanted)[0]


@overload
def read_channels_batch(
    sources: Sequence[JpegSource],
    channels: Channels,
    *,
    crops: Sequence[McuCrop | None] | None = None,
    flips: Sequence[bool] | None = None,
    mean: Statistics | None = None,
    std: Statistics | None = None,
    threads: int = 1,
    errors: Literal["raise"] = "raise",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> list[Planes]: ...
@overload
def read_channels_batch(
    sources: Sequence[JpegSource],
    channels: Channels,
    *,
    crops: Sequence[McuCrop | None] | None = None,
    flips: Sequence[bool] | None = None,
    mean: Statistics | None = None,
    std: Statistics | None = None,
    threads: int = 1,
    errors: Literal["return"],
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> list[Planes | Exception]: ...
def read_channels_batch(
    sources: Sequence[JpegSource],
    channels: Channels,
    *,
    crops: Sequence[McuCrop | None] | None = None,
    flips: Sequence[bool] | None = None,
    mean: Statistics | None = None,
    std: Statistics | None = None,
    threads: int = 1,
    errors: Errors = "raise",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> list[Planes] | list[Planes | Exception]:
    """Read chosen frequency channels of many JPEG files at once, each with its own crop.

    Args:
        sources: as in `read_channels`; the files are opened by the threads, too.
        channels: as in `read_channels`, of all files.
        crops: one for each file; None for the whole.
        flips: one for each file; none by default.
        mean: as in `read_channels`.
        std: as in `read_channels`.
        threads: as in `read_coefficients_batch`.
        errors: as in `read_coefficients_batch`.
        max_pixels: as in `read_coefficients`.
        allow_truncated: as in `read_coefficients`.

    Returns:
        What `read_channels` gives, for each file in order.

    Raises:
        JpegError: as in `read_channels`.
        OSError: as in `read_channels`.
        ValueError: as in `read_channels`; or crops or flips are not as many as files.
        ImportError: as in `read_channels`.
    """
    crops = [None] * len(sources) if crops is None else crops
    flips = [False] * len(sources) if flips is None else flips
    if not len(sources) == len(crops) == len(flips):
        raise ValueError(
            f"crops and flips are needed for each of the {len(sources)} files, got {len(crops)} and {len(flips)}"
        )
    wanted = _wanted(channels, tuple(crops), tuple(flips), mean, std)
    contents = tuple(map(_content, sources))
    results = jpeg_engine.engine().read_channels(contents, _threads(threads), max_pixels, not allow_truncated, wanted)

    def again(data: bytes, index: int) -> list[Any]:
        own = replace(wanted, crops=(wanted.crops[index],), flips=(wanted.flips[index],))
        return jpeg_engine.engine().read_channels((data,), 1, max_pixels, True, own)

    _read_unended(results, contents, again)
    return checked(results, sources, errors, max_pixels, wanted)


def dequantize(coefficients: JpegCoefficients) -> tuple[Float[Tensor, "64 _ _"], ...]:
    """Multiply coefficients by their quantization steps.

    Args:
        coefficients: as read.

    Returns:
        For each component the orthonormal DCT-II of its samples minus 128, as float32: channel 8v + u, rows, columns.
        Channel 0 is 8 times the mean of a block.
    """
    return tuple(
        blocks.permute(2, 0, 1).float() * steps.float()[:, None, None]
        for blocks, steps in zip(coefficients.blocks, coefficients.quantization, strict=True)
    )


def _content(source: JpegSource) -> Any:
    """A path as text, or an object whose buffer is the file's content."""
    if isinstance(source, bytes):
        return source
    return source.cpu().contiguous().numpy() if isinstance(source, Tensor) else os.fspath(source)


def _read_unended(results: list[Any], contents: Sequence[Any], read: Callable[[bytes, int], list[Any]]) -> None:
    """Read files again that lack nothing but their end marker, in place of their failures.

    With the marker a reader notices every block that is missing. Not so in progressive files, which may end after any
    of their scans: they stay refused.
    """
    for index, result in enumerate(results):
        if not isinstance(result, Failure) or result.outcome is not Outcome.RECOVERABLE:
            continue
        source = contents[index]
        data = Path(source).read_bytes() if isinstance(source, str) else bytes(source)
        if b"\xff\xd9" in data[-2:] or b"\xff\xc2" in data[: data.find(b"\xff\xda")]:
            continue
        (again,) = read(data + b"\xff\xd9", index)
        if not isinstance(again, Failure):
            results[index] = again


def _threads(threads: int) -> int:
    if threads < 1:
        raise ValueError(f"at least one thread is needed to read, got {threads}")
    return threads


def _wanted(
    channels: Channels,
    crops: tuple[McuCrop | None, ...],
    flips: tuple[bool, ...],
    mean: Statistics | None,
    std: Statistics | None,
) -> Wanted:
    lists = [tuple(int(channel) for channel in component) for component in channels]
    if len(lists) not in (1, 3) or any(len(some) > 64 or not all(0 <= c < 64 for c in some) for some in lists):
        raise ValueError(
            f"channels are one or three lists of at most 64 raster indices 8v + u, 0 to 63; got {channels}"
        )
    if any(crop is not None and not all(abs(number) < 2**31 for number in crop) for crop in crops):
        raise ValueError(f"crops are counted in MCUs of at least 8 x 8 pixels; got {crops}")
    y, cb, cr = lists if len(lists) == 3 else (*lists, (), ())
    if mean is None and std is None:
        return Wanted((y, cb, cr), None, None, crops, flips)
    count = len(y) + len(cb) + len(cr)
    means, deviations = (
        torch.full((count,), default) if given is None else torch.as_tensor(given, dtype=torch.float32).cpu()
        for given, default in ((mean, 0.0), (std, 1.0))
    )
    if means.shape != (count,) or deviations.shape != (count,) or bool((deviations == 0).any()):
        raise ValueError(
            f"mean and std need one number for each of the {count} channels, std none of zero; "
            f"got {tuple(means.shape)} and {tuple(deviations.shape)} numbers"
        )
    return Wanted((y, cb, cr), means.contiguous(), deviations.contiguous(), crops, flips)
