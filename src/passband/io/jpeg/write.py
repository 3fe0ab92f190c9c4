"""Writes JPEG files from coefficients. The public interface is `io.jpeg`."""

from pathlib import Path
from typing import overload

import torch

from passband.io.files import write_whole
from passband.io.jpeg import engine as jpeg_engine
from passband.io.jpeg.info import COLOR_SPACES, Failure, JpegCoefficients, JpegError


@overload
def write_coefficients(coefficients: JpegCoefficients, path: None = None) -> bytes: ...
@overload
def write_coefficients(coefficients: JpegCoefficients, path: Path | str) -> None: ...
def write_coefficients(coefficients: JpegCoefficients, path: Path | str | None = None) -> bytes | None:
    """Write coefficients to a baseline JPEG file without loss, with optimal Huffman codes.

    The orientation is also written, but no other metadata.

    Args:
        coefficients: coefficients to write.
        path: path of the file, which is written completely or not at all. None to return its content instead.

    Returns:
        The content of the file, or None if it was written to a path.

    Raises:
        JpegError: if blocks or tables do not match the header, or if a value is too large for JPEG.
        OSError: if the file cannot be written.
        ImportError: if neither the compiled reader nor jpeglib is installed.
    """
    name = "the JPEG file" if path is None else str(path)
    _check_writable(coefficients, name)
    try:
        data = _with_orientation(jpeg_engine.engine().write_blocks(coefficients), coefficients.orientation)
    except Failure as failure:
        raise JpegError(f"{name} cannot be written as JPEG: {failure.text}") from failure
    if path is None:
        return data
    with write_whole(Path(path)) as temporary:
        temporary.write_bytes(data)
    return None


def _check_writable(coefficients: JpegCoefficients, name: str) -> None:
    header, blocks, tables = coefficients.header, coefficients.blocks, coefficients.quantization
    count = {"gray": 1}.get(header.color_space, 3)
    if not 1 <= min(header.height, header.width) <= max(header.height, header.width) <= 65_500:
        raise JpegError(f"{name} needs a height and width of 1 to 65500 pixels, got {header.height}x{header.width}")
    if len(header.sampling) != count or not all(1 <= factor <= 4 for pair in header.sampling for factor in pair):
        raise JpegError(f"{name} needs {count} pairs of sampling factors of 1 to 4, got {header.sampling}")
    if tuple(plane.shape for plane in blocks) != tuple((*grid, 64) for grid in header.grids):
        shapes = [tuple(plane.shape) for plane in blocks]
        raise JpegError(f"{name} needs blocks of (rows, columns) {header.grids} with 64 values each, got {shapes}")
    if any(plane.dtype != torch.int16 or plane.device.type != "cpu" for plane in blocks):
        raise JpegError(f"{name} needs blocks in int16 on the CPU, got {[(p.dtype, str(p.device)) for p in blocks]}")
    if tables.shape != (count, 64) or not bool(((tables >= 0) & (tables <= 65_535)).all()):
        raise JpegError(f"{name} needs {count} x 64 quantization steps from 0 to 65535, got {tuple(tables.shape)}")
    if header.orientation not in range(1, 9) or header.color_space not in COLOR_SPACES.values():
        raise JpegError(f"{name} needs an orientation of 1 to 8, got {header.orientation}")


def _with_orientation(data: bytes, orientation: int) -> bytes:
    """Insert an EXIF block with only the orientation after the start of a file and its JFIF or Adobe segment."""
    if orientation == 1:
        return data
    directory = b"\x01\x00" + b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0]) + bytes(4)
    block = b"Exif\0\0" + b"II*\0\x08\0\0\0" + directory
    start = 4 + int.from_bytes(data[4:6], "big") if data[3] in (0xE0, 0xEE) else 2
    return data[:start] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[start:]
