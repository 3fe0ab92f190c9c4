"""Recognizes types of image files by suffix and by content."""

from pathlib import Path

from passband.io.paths import as_path

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
    ".avif": "AVIF",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".hif": "HEIC",
}
"""File type of each suffix."""
SUFFIXES = frozenset(KINDS)
"""Suffixes of the files that can be written and that are searched for in folders, in lower case."""
NAMES = "PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC"
"""Names of the file types for messages."""
HEAD = 64
"""Number of bytes at the start of a file that are enough to recognize its type."""

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_GENERAL_BRANDS = {b"mif1", b"msf1", b"mif2"}


def kind_of(head: bytes) -> str | None:
    """Return the type of an image file from its first bytes.

    Args:
        head: first bytes of the file, `HEAD` or more; all of them if the file is shorter.

    Returns:
        A value of `KINDS`, or None for any other content.
    """
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _kind_of_heif(head)
    return next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)


def _kind_of_heif(head: bytes) -> str | None:
    """Return HEIC, AVIF or None, depending on the brands in the file. Videos have other brands."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    if brands[0] not in _AVIF_BRANDS | _HEIC_BRANDS | _GENERAL_BRANDS:
        return None
    return next((kind for kind, own in (("AVIF", _AVIF_BRANDS), ("HEIC", _HEIC_BRANDS)) if own & set(brands)), None)


def kind_of_file(path: Path | str) -> str | None:
    """Return the type of an image file from its content, whatever its name is.

    Args:
        path: path of any file.

    Returns:
        A value of `KINDS`, or None for any other content and for files that cannot be read.
    """
    try:
        with as_path(path).open("rb") as file:
            return kind_of(file.read(HEAD))
    except OSError:
        return None
