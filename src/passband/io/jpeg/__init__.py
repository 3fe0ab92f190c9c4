"""Reads DCT coefficients from JPEG files and writes them, without decoding to pixels.

For each component, a JPEG file stores 8 x 8 blocks of quantized coefficients. They are the orthonormal DCT-II of
samples minus 128. This package returns them as stored, but in raster order: the coefficient of vertical frequency v and
horizontal frequency u is at index 8v + u. (Files and the figures of most papers use zigzag order.)

Reading is entropy decoding. It uses libjpeg-turbo in a compiled module, or the package jpeglib at a quarter of the
speed if the module was not built. `backend` tells which one is used. Both return the same numbers. A file that lacks
only its end marker is read, unless it is progressive. Files with 12 bits, CMYK, arithmetic coding or lossless coding
are refused. The orientation is returned, but never applied.

`read_coefficients` returns everything that a file stores about its pixels, and `write_coefficients` writes it back
without loss. `read_channels` returns the input of a network directly from the file: chosen channels of a crop,
optionally mirrored, dequantized and normalized. `read_header` returns the size that is available for crops.
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
    Request,
    with_errors,
)
from passband.io.jpeg.write import write_coefficients
from passband.io.paths import as_path, is_openable

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
"""Raster indices, 0 to 63, of the channels to read from each component."""
Statistics = Float[Tensor, " K"] | Sequence[float]
"""One number for each channel, component after component."""


def read_header(source: JpegSource, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> JpegHeader:
    """Read the size, sampling, orientation and color space of a JPEG file from its header.

    Args:
        source: path of the file, or its content as bytes or a uint8 tensor.
        max_pixels: largest number of pixels; larger files are refused.

    Raises:
        JpegError: if the source is not a JPEG file, of an unsupported kind, or too large.
        OSError: if the file cannot be read.
        ImportError: if neither the compiled reader nor jpeglib is installed.
    """
    results = jpeg_engine.engine().read_headers((_content(source),), 1, max_pixels)
    return with_errors(results, [source], "raise", max_pixels)[0]


def read_coefficients(
    source: JpegSource, *, max_pixels: int = DEFAULT_MAX_PIXELS, allow_truncated: bool = False
) -> JpegCoefficients:
    """Read all quantized coefficients of a JPEG file.

    Args:
        source: path of the file, or its content as bytes or a uint8 tensor.
        max_pixels: largest number of pixels; larger files are refused before memory is allocated.
        allow_truncated: whether to read incomplete or damaged files as far as possible. Missing coefficients are zero.

    Returns:
        The blocks as stored, with everything that is needed to dequantize and to write them.

    Raises:
        JpegError: if the source is not a JPEG file, of an unsupported kind, too large, incomplete or damaged.
        OSError: if the file cannot be read.
        ImportError: if neither the compiled reader nor jpeglib is installed.
    """
    contents = (_content(source),)
    results = jpeg_engine.engine().read_blocks(contents, 1, max_pixels, not allow_truncated)
    _read_unended(results, contents, lambda data, _: jpeg_engine.engine().read_blocks((data,), 1, max_pixels, True))
    return with_errors(results, [source], "raise", max_pixels)[0]


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
        sources: paths or contents of the files, as in `read_coefficients`. The threads also open the files.
        threads: number of threads. Python code can run in the meantime. The package jpeglib always uses one thread.
        errors: `"raise"` to raise the first error after all files are read, or `"return"` to return each error in place
            of the file's result.
        max_pixels: largest number of pixels of each file; larger files are refused.
        allow_truncated: whether to read incomplete or damaged files as far as possible.

    Returns:
        One result for each file, in the order of the sources.

    Raises:
        JpegError: if a file cannot be read as JPEG, as in `read_coefficients`.
        OSError: if a file cannot be read.
        ValueError: if the number of threads is below 1.
        ImportError: if neither the compiled reader nor jpeglib is installed.
    """
    contents = tuple(map(_content, sources))
    results = jpeg_engine.engine().read_blocks(contents, _threads(threads), max_pixels, not allow_truncated)
    _read_unended(results, contents, lambda data, _: jpeg_engine.engine().read_blocks((data,), 1, max_pixels, True))
    return with_errors(results, sources, errors, max_pixels)


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
    """Read chosen frequency channels of a JPEG file as input of a network: cropped, dequantized and normalized.

    Args:
        source: path of the file, or its content as bytes or a uint8 tensor.
        channels: raster indices 8v + u of the channels of each component, in the order of the result. Three lists, or
            one list for gray files only. Gray files use the first list. A list may be empty.
        crop: first row, first column, height and width in MCUs (`JpegHeader.mcu`): 8 x 8 pixels if color has full
            resolution, 16 x 16 pixels in 4:2:0 files. The result is exactly the blocks of the cropped image. None for
            the whole image.
        flip: whether to mirror left to right. The result is exactly the coefficients of the mirrored image. Mirrored
            columns must end within the image; without a crop, columns beyond the last whole MCU are left out.
        mean: number to subtract from each channel, in the order of `channels`; None for 0.
        std: number by which each channel is divided after that; None for 1.
        max_pixels: largest number of pixels; larger files are refused.
        allow_truncated: whether to read incomplete or damaged files as far as possible.

    Returns:
        A tensor of shape (channels, rows, columns) for each component; a gray file has one component. Without mean and
        std, values have the units of JPEG: the first channel is 8 times the mean of a block's samples minus 128. If all
        components have the same resolution, `torch.cat` joins them to one tensor.

    Raises:
        JpegError: if the file cannot be read as JPEG, as in `read_coefficients`, or if the crop extends beyond the
            image.
        OSError: if the file cannot be read.
        ValueError: if a channel is out of range, or if mean or std have the wrong length or std contains zero.
        ImportError: if neither the compiled reader nor jpeglib is installed.
    """
    request = _make_request(channels, (crop,), (flip,), mean, std)
    contents = (_content(source),)
    results = jpeg_engine.engine().read_channels(contents, 1, max_pixels, not allow_truncated, request)
    _read_unended(
        results, contents, lambda data, _: jpeg_engine.engine().read_channels((data,), 1, max_pixels, True, request)
    )
    return with_errors(results, [source], "raise", max_pixels, request)[0]


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
        sources: paths or contents of the files, as in `read_channels`. The threads also open the files.
        channels: raster indices of the channels, the same for all files, as in `read_channels`.
        crops: crop of each file, or None for the whole image.
        flips: whether to mirror each file; None mirrors none.
        mean: number to subtract from each channel; None for 0.
        std: number by which each channel is divided after that; None for 1.
        threads: number of threads, as in `read_coefficients_batch`.
        errors: `"raise"` or `"return"`, as in `read_coefficients_batch`.
        max_pixels: largest number of pixels of each file; larger files are refused.
        allow_truncated: whether to read incomplete or damaged files as far as possible.

    Returns:
        One result of `read_channels` for each file, in the order of the sources.

    Raises:
        JpegError: if a file cannot be read as JPEG, or if a crop extends beyond its image.
        OSError: if a file cannot be read.
        ValueError: if an argument is invalid, as in `read_channels`, or if there is not one crop and flip for each
            file.
        ImportError: if neither the compiled reader nor jpeglib is installed.
    """
    crops = [None] * len(sources) if crops is None else crops
    flips = [False] * len(sources) if flips is None else flips
    if not len(sources) == len(crops) == len(flips):
        raise ValueError(
            f"crops and flips are needed for each of the {len(sources)} files, got {len(crops)} and {len(flips)}"
        )
    request = _make_request(channels, tuple(crops), tuple(flips), mean, std)
    contents = tuple(map(_content, sources))
    results = jpeg_engine.engine().read_channels(contents, _threads(threads), max_pixels, not allow_truncated, request)

    def reread(data: bytes, index: int) -> list[Any]:
        own = replace(request, crops=(request.crops[index],), flips=(request.flips[index],))
        return jpeg_engine.engine().read_channels((data,), 1, max_pixels, True, own)

    _read_unended(results, contents, reread)
    return with_errors(results, sources, errors, max_pixels, request)


def dequantize(coefficients: JpegCoefficients) -> tuple[Float[Tensor, "64 _ _"], ...]:
    """Multiply coefficients by their quantization steps.

    Args:
        coefficients: quantized coefficients of a file.

    Returns:
        For each component, the orthonormal DCT-II of its samples minus 128, as float32 of shape (64, rows, columns).
        Channel 8v + u holds frequency (v, u). Channel 0 is 8 times the mean of a block.
    """
    return tuple(
        blocks.permute(2, 0, 1).float() * steps.float()[:, None, None]
        for blocks, steps in zip(coefficients.blocks, coefficients.quantization, strict=True)
    )


def _content(source: JpegSource) -> Any:
    """Return a path as text, or an object whose buffer is the content of the file."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, Tensor):
        return source.cpu().contiguous().numpy()
    return os.fspath(source) if is_openable(source) else as_path(source).read_bytes()


def _read_unended(results: list[Any], contents: Sequence[Any], read: Callable[[bytes, int], list[Any]]) -> None:
    """Read files that lack only their end marker a second time, and replace their failures.

    With the end marker, a reader notices every missing block. Progressive files may end after any of their scans, so
    they stay refused.
    """
    for index, result in enumerate(results):
        if not isinstance(result, Failure) or result.outcome is not Outcome.RECOVERABLE:
            continue
        source = contents[index]
        data = Path(source).read_bytes() if isinstance(source, str) else bytes(source)
        if b"\xff\xd9" in data[-2:] or b"\xff\xc2" in data[: data.find(b"\xff\xda")]:
            continue
        (reread,) = read(data + b"\xff\xd9", index)
        if not isinstance(reread, Failure):
            results[index] = reread


def _threads(threads: int) -> int:
    if threads < 1:
        raise ValueError(f"at least one thread is needed to read, got {threads}")
    return threads


def _make_request(
    channels: Channels,
    crops: tuple[McuCrop | None, ...],
    flips: tuple[bool, ...],
    mean: Statistics | None,
    std: Statistics | None,
) -> Request:
    lists = [tuple(int(channel) for channel in component) for component in channels]
    if len(lists) not in (1, 3) or any(len(indices) > 64 or not all(0 <= c < 64 for c in indices) for indices in lists):
        raise ValueError(
            f"channels must be one or three lists of at most 64 raster indices 8v + u, 0 to 63; got {channels}"
        )
    if any(crop is not None and not all(abs(number) < 2**31 for number in crop) for crop in crops):
        raise ValueError(f"crops are counted in MCUs of at least 8 x 8 pixels; got {crops}")
    y, cb, cr = lists if len(lists) == 3 else (*lists, (), ())
    if mean is None and std is None:
        return Request((y, cb, cr), None, None, crops, flips)
    count = len(y) + len(cb) + len(cr)
    means, deviations = (
        torch.full((count,), default) if value is None else torch.as_tensor(value, dtype=torch.float32).cpu()
        for value, default in ((mean, 0.0), (std, 1.0))
    )
    if means.shape != (count,) or deviations.shape != (count,) or bool((deviations == 0).any()):
        raise ValueError(
            f"mean and std need one number for each of the {count} channels, and std must not contain zero; "
            f"got {tuple(means.shape)} and {tuple(deviations.shape)} numbers"
        )
    return Request((y, cb, cr), means.contiguous(), deviations.contiguous(), crops, flips)
