"""The types of image files: by suffix, and by content."""

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
    ".avif": "AVIF",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".hif": "HEIC",
}
"""The type that each suffix stands for."""
SUFFIXES = frozenset(KINDS)
"""Suffixes that can be written, and that a folder is searched for; compare in lower case."""
NAMES = "PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC"
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
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_GENERAL_BRANDS = {b"mif1", b"msf1", b"mif2"}


def kind_of(head: bytes) -> str | None:
    """Tell the type of a file by its first bytes.

    Args:
        head: at least the first `HEAD` bytes, or the whole file if it is shorter.

    Returns:
        One of the values of `KINDS`; None for any other content.
    """
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _kind_of_heif(head)
    return next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)


def _kind_of_heif(head: bytes) -> str | None:
    """HEIC or AVIF, by the brands that the file names; videos name others."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    if brands[0] not in _AVIF_BRANDS | _HEIC_BRANDS | _GENERAL_BRANDS:
        return None
    return next((kind for kind, own in (("AVIF", _AVIF_BRANDS), ("HEIC", _HEIC_BRANDS)) if own & set(brands)), None)


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
