"""What is said where a JPEG file cannot be read. The public side is `io.jpeg`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from passband.io.jpeg.info import Failure, JpegError, JpegSource, McuCrop, Outcome, Wanted, available_mcus

Errors = Literal["raise", "return"]


def checked(
    results: list[Any], sources: Sequence[JpegSource], errors: Errors, max_pixels: int, wanted: Wanted | None = None
) -> list[Any]:
    """Give failures their sentences, and raise the first if asked to."""
    for index, result in enumerate(results):
        if isinstance(result, Failure):
            source = sources[index]
            name = str(source) if isinstance(source, str | Path) else "the JPEG data"
            name += f" (number {index} of the batch)" if len(sources) > 1 and not isinstance(source, str | Path) else ""
            crop, flip = (wanted.crops[index], wanted.flips[index]) if wanted else (None, False)
            results[index] = _error(result, name, max_pixels, crop, flip)
            if errors == "raise":
                raise results[index]
    return results


def _error(failure: Failure, name: str, max_pixels: int, crop: McuCrop | None, flip: bool) -> Exception:
    """What a failure is called outside."""
    text, header = failure.text, failure.header
    match failure.outcome:
        case Outcome.NO_FILE:
            return OSError(failure.os_error, os.strerror(failure.os_error), name)
        case Outcome.NO_MEMORY:
            return MemoryError(f"{name} needs more memory than there is")
        case Outcome.EMPTY:
            return JpegError(f"{name} is empty; a JPEG picture is needed")
        case Outcome.NOT_JPEG:
            return JpegError(f"{name} is not a JPEG picture: {text}")
        case Outcome.UNSUPPORTED:
            return JpegError(
                f"{name} is a JPEG file with {text}; coefficients are read of gray and three-component files of 8 "
                f"bits, Huffman-coded. Read its pixels with read_image, or save it anew"
            )
        case Outcome.RECOVERABLE:
            return JpegError(
                f"{name} is a JPEG file that is cut short or damaged: {text}; passband.io.jpeg reads what "
                f"there is with allow_truncated=True"
            )
    if header is None:
        return JpegError(f"{name} is a JPEG file that is cut short or damaged: {text}")
    if failure.outcome is Outcome.TOO_LARGE:
        return JpegError(
            f"{name} is {header.width}x{header.height} pixels ({header.width * header.height:,}), over the limit of "
            f"{max_pixels:,}; if you trust the file, raise the limit with max_pixels= in Python or --max-pixels on the "
            f"command line"
        )
    if failure.outcome is Outcome.BAD_CROP:
        rows, columns = available_mcus(header, flip)
        wish = "a flip" if crop is None else f"the crop (row, column, height, width) = {tuple(crop)}"
        whole = "whole " if flip else ""
        return JpegError(
            f"{name} has {rows} rows and {columns} columns of {whole}MCUs of {header.mcu[0]}x{header.mcu[1]} pixels; "
            f"{wish} does not fit them"
        )
    return JpegError(f"{name} is a JPEG file that is cut short or damaged: {text}")
