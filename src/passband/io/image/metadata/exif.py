"""The metadata that travels with an image: EXIF blocks and ICC profiles, as bytes."""

import struct
from typing import Any

from jaxtyping import Shaped
from numpy import ndarray, rot90
from PIL import Image, TiffImagePlugin

ORIENTATION = 274
ICC_PROFILE = 34675
_EXIF, _GPS, _INTEROP = 34665, 34853, 40965
# What describes the photo in a TIFF directory; every other tag there describes how the pixels are stored.
_PHOTO_TAGS = frozenset(
    {270, 271, 272, ORIENTATION, 282, 283, 296, 305, 306, 315, 316, 318, 319, 18246, 33432, _EXIF, _GPS}
) | frozenset(range(40091, 40096))
# The kind and number of a page, and what GeoTIFF and GDAL say of its place.
_PAGE_TAGS = frozenset({254, 285, 297, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113})


def upright(exif: bytes) -> tuple[int, bytes]:
    """Read the orientation of an EXIF block and reset it to 1, leaving every other byte as it was.

    Rewriting the whole block would lose the thumbnail and break maker notes, whose offsets are absolute.

    Args:
        exif: an EXIF block from its TIFF header on (no leading `Exif` marker).

    Returns:
        The orientation, 1 to 8 (1 where there is none or the block is damaged), and the block.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1, exif
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == ORIENTATION and kind in (3, 4):
                number = f"{order}{'H' if kind == 3 else 'I'}"
                (orientation,) = struct.unpack_from(number, exif, entry + 8)
                block = bytearray(exif)
                struct.pack_into(number, block, entry + 8, 1)
                return (orientation if 1 <= orientation <= 8 else 1), bytes(block)
    except struct.error:
        pass
    return 1, exif


def turn(pixels: Shaped[ndarray, "h w C"], orientation: int) -> Shaped[ndarray, "H W C"]:
    """Turn pixels as their EXIF orientation asks.

    Args:
        pixels: rows, columns, channels as stored.
        orientation: 1 to 8, as EXIF defines them.

    Returns:
        A view with the scene upright; 5 to 8 swap height and width.
    """
    if orientation in (2, 4):
        return pixels[:, ::-1] if orientation == 2 else pixels[::-1]
    if orientation in (5, 7):
        return (pixels if orientation == 5 else pixels[::-1, ::-1]).swapaxes(0, 1)
    return rot90(pixels, {3: 2, 6: -1, 8: 1}.get(orientation, 0))


def bare_exif(exif: object) -> bytes | None:
    """An EXIF block from its TIFF header on, without the marker that some types put before it.

    Args:
        exif: what a reader found; anything but bytes is no block.
    """
    while isinstance(exif, bytes) and exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return exif if isinstance(exif, bytes) and exif else None


def exif_from_tiff(directory: Image.Exif) -> bytes | None:
    """Make an EXIF block of the tags of a TIFF directory that describe the photo.

    Args:
        directory: of a page.

    Returns:
        The block with orientation 1 where the file had one (Pillow turns the pixels of a TIFF itself), or None.
    """
    ifd = _chosen_tags(directory, _PHOTO_TAGS)
    if ORIENTATION in ifd:
        ifd[ORIENTATION] = 1
    return b"II*\0\x08\0\0\0" + ifd.tobytes(8) if len(ifd) else None


def own_tags_of_tiff(directory: Image.Exif) -> bytes | None:
    """Make a block of the tags that describe a page and that no other type of file has, such as its place on earth.

    Args:
        directory: of the page.

    Returns:
        A block as of EXIF, or None.
    """
    ifd = _chosen_tags(directory, _PAGE_TAGS)
    return b"II*\0\x08\0\0\0" + ifd.tobytes(8) if len(ifd) else None


def add_exif_to_tiff(ifd: TiffImagePlugin.ImageFileDirectory_v2, exif: bytes, *, own: bool = False) -> None:
    """Put the tags of an EXIF block into the directory of a TIFF file about to be written.

    Args:
        ifd: the directory; tags it already has stay.
        exif: a block from its TIFF header on; a damaged one adds nothing.
        own: take the tags of `own_tags_of_tiff` rather than those of a photo.
    """
    directory = Image.Exif()
    try:
        directory.load(exif)
        photo = _chosen_tags(directory, _PAGE_TAGS if own else _PHOTO_TAGS)
    except (SyntaxError, struct.error, OSError, ValueError, TypeError, KeyError):
        return
    for tag, value in photo.items():
        if tag not in ifd:
            ifd[tag] = value


def _chosen_tags(directory: Image.Exif, tags: frozenset[int]) -> TiffImagePlugin.ImageFileDirectory_v2:
    chosen = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in sorted(tags.intersection(directory)):
        value: Any = directory[tag]
        if tag in (_EXIF, _GPS):
            # An offset into the old file means nothing in the new one.
            value = {key: item for key, item in directory.get_ifd(tag).items() if key != _INTEROP}
            if not value:
                continue
        try:
            alone = TiffImagePlugin.ImageFileDirectory_v2()
            alone[tag] = value
            alone.tobytes(8)
        except Exception:  # one malformed tag is no reason to lose the others, or the image
            continue
        chosen[tag] = value
    return chosen


def icc_for(icc: bytes | None, *, gray: bool) -> bytes | None:
    """Keep an ICC profile only where it describes the pixels it would be attached to.

    Args:
        icc: a profile, or None.
        gray: the pixels are gray rather than RGB.

    Returns:
        The profile, or None where it is for CMYK, or for gray while the pixels are RGB.
    """
    # Bytes 16 to 20 of every profile name its color space. An RGB profile on gray pixels is common and harmless.
    allowed = (b"RGB ", b"GRAY") if gray else (b"RGB ",)
    return icc if icc and icc[16:20] in allowed else None
