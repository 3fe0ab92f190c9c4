"""The types of picture files: by suffix, and by content."""

from pathlib import Path

KINDS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
"""The type that each suffix stands for."""
SUFFIXES = frozenset(KINDS)
"""Suffixes that can be written, and that a folder is searched for; compare in lower case."""
NAMES = "PNG, JPEG, WebP, TIFF or BMP"
"""What messages call the types."""
HEAD = 64
"""Bytes at the start of a file that tell its type."""

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
}


def kind_of(head: bytes) -> str | None:
    """Tell the type of a file by its first bytes.

    Args:
        head: at least the first `HEAD` bytes, or the whole file if it is shorter.

    Returns:
        One of the values of `KINDS`; None for any other content.
    """
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)


def kind_of_file(path: Path | str) -> str | None:
    """Tell the type of a file by its content, whatever its name.

    Args:
        path: any file.

    Returns:
        One of the values of `KINDS`; None for any other content, and for a file that cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return kind_of(file.read(HEAD))
    except OSError:
        return None
