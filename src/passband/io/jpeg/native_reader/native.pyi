"""What the compiled reader takes and gives; `passband.io.jpeg.compiled` makes tensors of it."""

from typing import Any

from numpy import ndarray

LIBRARY: str
"""Name and version of the library that it was compiled with."""

_Bytes = bytes | ndarray[Any, Any]
"""What has a buffer."""

class Memory:
    """Has a buffer that can be written to."""

_Header = tuple[int, int, int, int, tuple[tuple[int, int], ...]]
"""Height, width, libjpeg's color space, orientation, (horizontal, vertical) sampling factors."""
_Planes = tuple[tuple[int, int, int, Memory | None], ...]
"""Rows, columns, blocks from one row to the next, and values of each component; no memory where there are none."""
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
