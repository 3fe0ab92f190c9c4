"""Arguments and results of the compiled reader. `passband.io.jpeg.compiled` converts the results to tensors."""

from typing import Any

from numpy import ndarray

LIBRARY: str
"""Name and version of the JPEG library with which the module was compiled."""

_Bytes = bytes | ndarray[Any, Any]
"""Object with a readable buffer."""

class Memory:
    """Object with a writable buffer."""

_Header = tuple[int, int, int, int, tuple[tuple[int, int], ...]]
"""Height, width, color space (number of libjpeg), orientation, and (horizontal, vertical) sampling factors."""
_Planes = tuple[tuple[int, int, int, Memory | None], ...]
"""Rows, columns, number of blocks from one row to the next, and values of each component (None if there are none)."""
_Result = tuple[int, str, int, _Header | None, bytes | None, _Planes | None]
"""Outcome, text, errno, header, uint16 quantization tables, planes."""

def read_headers(sources: tuple[str | _Bytes, ...], threads: int, max_pixels: int, /) -> list[_Result]: ...
def read_blocks(sources: tuple[str | _Bytes, ...], threads: int, max_pixels: int, strict: bool, /) -> list[_Result]: ...
def read_channels(
    sources: tuple[str | _Bytes, ...],
    threads: int,
    max_pixels: int,
    strict: bool,
    channels: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    mean: _Bytes | None,
    std: _Bytes | None,
    crops: tuple[tuple[int, int, int, int] | None, ...],
    flips: tuple[bool, ...],
    /,
) -> list[_Result]: ...
def write_blocks(
    height: int,
    width: int,
    color_space: int,
    sampling: tuple[tuple[int, int], ...],
    quantization: _Bytes,
    blocks: tuple[_Bytes, ...],
    /,
) -> tuple[int, str, bytes]: ...
