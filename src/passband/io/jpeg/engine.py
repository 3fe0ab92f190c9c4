"""Which of the two readers of JPEG coefficients is used here. The public side is `io.jpeg`."""

from functools import cache
from typing import Any, Literal


@cache
def engine() -> Any:
    """The module that does the work."""
    try:
        from passband.io.jpeg import compiled as chosen
    except ImportError as missing:
        try:
            from passband.io.jpeg import fallback as chosen
        except ImportError:
            raise ImportError(
                "JPEG coefficients are read by a compiled module, which was not built when passband was installed, or "
                "by the package jpeglib: pip install 'passband[jpeg]' (`passband doctor` says how to get the faster)"
            ) from missing
    return chosen


def backend() -> Literal["compiled", "jpeglib", "none"]:
    """Tell what reads coefficients here: the compiled module, the package jpeglib, or nothing."""
    try:
        return engine().NAME
    except ImportError:
        return "none"


def reader_library() -> str | None:
    """Name and version of the library that reads coefficients here; None where there is none."""
    try:
        return engine().LIBRARY
    except ImportError:
        return None
