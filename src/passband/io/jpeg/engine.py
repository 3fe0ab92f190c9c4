"""Chooses between the two readers of JPEG coefficients. The public interface is `io.jpeg`."""

from functools import cache
from typing import Any, Literal


@cache
def engine() -> Any:
    """Import the module that reads and writes coefficients.

    Returns:
        `io.jpeg.compiled` if it was built, otherwise `io.jpeg.fallback`.

    Raises:
        ImportError: if the module was not built, and the package jpeglib is missing.
    """
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
    """Return the reader of coefficients that is installed: the compiled module, the package jpeglib, or none."""
    try:
        return engine().NAME
    except ImportError:
        return "none"


def reader_library() -> str | None:
    """Return the name and version of the library that reads coefficients, or None if there is none."""
    try:
        return engine().LIBRARY
    except ImportError:
        return None
