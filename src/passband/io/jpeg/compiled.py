"""Reads JPEG coefficients with the compiled module. Importing this fails if the module was not built. See `io.jpeg`."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.io.jpeg.info import (
    COLOR_SPACES,
    Content,
    Failure,
    JpegCoefficients,
    JpegHeader,
    Outcome,
    Planes,
    Request,
)
from passband.io.jpeg.native_reader import native

NAME = "compiled"
LIBRARY = native.LIBRARY


def read_headers(sources: tuple[Content, ...], threads: int, max_pixels: int) -> list[JpegHeader | Failure]:
    """Read only the headers. A failure takes the place of a file's result.

    Args:
        sources: paths or contents of the files.
        threads: number of threads, 1 or more.
        max_pixels: largest number of pixels of each file; larger files fail.
    """
    results = native.read_headers(sources, threads, max_pixels)
    return [_header(result) if result[0] == Outcome.DONE else _failure(result) for result in results]


def read_blocks(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool
) -> list[JpegCoefficients | Failure]:
    """Read quantized blocks. A failure takes the place of a file's result.

    Args:
        sources: paths or contents of the files.
        threads: number of threads, 1 or more.
        max_pixels: largest number of pixels of each file; larger files fail.
        strict: whether incomplete and damaged files fail; otherwise they are read as far as possible.
    """
    results = native.read_blocks(sources, threads, max_pixels, strict)
    return [_coefficients(result) if result[0] == Outcome.DONE else _failure(result) for result in results]


def read_channels(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool, request: Request
) -> list[Planes | Failure]:
    """Read chosen channels as numbers. A failure takes the place of a file's result.

    Args:
        sources: paths or contents of the files.
        threads: number of threads, 1 or more.
        max_pixels: largest number of pixels of each file; larger files fail.
        strict: whether incomplete and damaged files fail; otherwise they are read as far as possible.
        request: channels, crop and flip of each file.
    """
    mean, std = (None if values is None else values.numpy() for values in (request.mean, request.std))
    results: list[Any] = native.read_channels(
        sources, threads, max_pixels, strict, request.channels, mean, std, request.crops, request.flips
    )
    return [
        tuple(_plane(plane, len(channels)) for plane, channels in zip(result[5], request.channels, strict=False))
        if result[0] == Outcome.DONE
        else _failure(result)
        for result in results
    ]


def write_blocks(coefficients: JpegCoefficients) -> bytes:
    """Encode blocks that match their header.

    Args:
        coefficients: header, quantization tables and blocks.

    Returns:
        The content of a JPEG file.

    Raises:
        Failure: if libjpeg has no code for a value.
    """
    header = coefficients.header
    outcome, text, data = native.write_blocks(
        header.height,
        header.width,
        next(number for number, name in COLOR_SPACES.items() if name == header.color_space),
        header.sampling,
        coefficients.quantization.to(torch.uint16).contiguous().numpy(),
        tuple(blocks.contiguous().numpy() for blocks in coefficients.blocks),
    )
    if outcome != Outcome.DONE:
        raise Failure(Outcome(outcome), text)
    return data


def _header(result: Any) -> JpegHeader:
    height, width, color_space, orientation, sampling = result[3]
    return JpegHeader(height, width, sampling, orientation, COLOR_SPACES[color_space])


def _failure(result: Any) -> Failure:
    outcome, text, os_error, header = result[:4]
    return Failure(Outcome(outcome), text, os_error, _header(result) if header else None)


def _coefficients(result: Any) -> JpegCoefficients:
    header = _header(result)
    # These 384 bytes are copied, because torch warns about memory that is read-only.
    quantization = torch.frombuffer(bytearray(result[4]), dtype=torch.uint16).to(torch.int32)
    # In memory, blocks fill up the last MCUs. The added blocks are left out.
    blocks = tuple(
        torch.frombuffer(memory, dtype=torch.int16).view(-1, stride, 64)[:rows, :columns]
        for rows, columns, stride, memory in result[5]
    )
    return JpegCoefficients(blocks, quantization.view(len(blocks), 64), header)


def _plane(plane: Any, channels: int) -> Float[Tensor, "K h w"]:
    rows, columns, _, memory = plane
    if memory is None:
        return torch.empty(0, rows, columns)
    return torch.frombuffer(memory, dtype=torch.float32).view(channels, rows, columns)
