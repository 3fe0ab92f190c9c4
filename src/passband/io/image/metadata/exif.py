"""Handles EXIF blocks and ICC profiles as bytes."""

import struct
from typing import Any

from jaxtyping import Shaped
from numpy import ndarray, rot90
from PIL import Image, TiffImagePlugin

from passband.io.quiet import without_warnings

ORIENTATION = 274
ICC_PROFILE = 34675
_EXIF, _GPS, _INTEROP = 34665, 34853, 40965
# Tags in a TIFF directory that describe the photo. All other tags describe how the pixels are stored.
_PHOTO_TAGS = frozenset(
    {270, 271, 272, ORIENTATION, 282, 283, 296, 305, 306, 315, 316, 318, 319, 18246, 33432, _EXIF, _GPS}
) | frozenset(range(40091, 40096))
# Tags for the kind and number of a page, and for the geographic position (GeoTIFF and GDAL).
_PAGE_TAGS = frozenset({254, 285, 297, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113})


def reset_orientation(exif: bytes) -> tuple[int, bytes]:
    """Read the orientation of an EXIF block, and reset it to 1 without changing any other byte.

    Rewriting the whole block would lose the thumbnail and break maker notes, which contain absolute offsets.

    Args:
        exif: EXIF block, starting with its TIFF header (without the `Exif` marker).

    Returns:
        The orientation, 1 to 8, and the changed block. The orientation is 1 if the block has none or is damaged.
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


def turn_upright(pixels: Shaped[ndarray, "h w C"], orientation: int) -> Shaped[ndarray, "H W C"]:
    """Turn pixels upright according to their EXIF orientation.

    Args:
        pixels: rows, columns and channels as stored.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        A view of the pixels with the scene upright. Orientations 5 to 8 exchange height and width.
    """
    if orientation in (2, 4):
        return pixels[:, ::-1] if orientation == 2 else pixels[::-1]
    if orientation in (5, 7):
        return (pixels if orientation == 5 else pixels[::-1, ::-1]).swapaxes(0, 1)
    return rot90(pixels, {3: 2, 6: -1, 8: 1}.get(orientation, 0))


def bare_exif(exif: object) -> bytes | None:
    """Return an EXIF block from its TIFF header on, without the marker that some file types put before it.

    Args:
        exif: block from a reader. Anything but bytes counts as no block.
    """
    while isinstance(exif, bytes) and exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return exif if isinstance(exif, bytes) and exif else None


def exif_from_tiff(directory: Image.Exif) -> bytes | None:
    """Build an EXIF block from the tags of a TIFF directory that describe the photo.

    Args:
        directory: directory of a page.

    Returns:
        The block, or None if there are no such tags. Its orientation is 1, because Pillow turns the pixels of TIFF
        files itself.
    """
    ifd = _chosen_tags(directory, _PHOTO_TAGS)
    if ORIENTATION in ifd:
        ifd[ORIENTATION] = 1
    return b"II*\0\x08\0\0\0" + ifd.tobytes(8) if len(ifd) else None


def own_tags_of_tiff(directory: Image.Exif) -> bytes | None:
    """Build a block from the tags of a page that only TIFF files have, such as its geographic position.

    Args:
        directory: directory of a page.

    Returns:
        A block in the format of EXIF, or None if there are no such tags.
    """
    ifd = _chosen_tags(directory, _PAGE_TAGS)
    return b"II*\0\x08\0\0\0" + ifd.tobytes(8) if len(ifd) else None


def add_exif_to_tiff(ifd: TiffImagePlugin.ImageFileDirectory_v2, exif: bytes, *, own: bool = False) -> None:
    """Add the tags of an EXIF block to the directory of a TIFF file that will be written.

    Args:
        ifd: directory of the file. Tags that it already has are kept.
        exif: block, starting with its TIFF header. A damaged block adds nothing.
        own: whether to add the tags of `own_tags_of_tiff` instead of those that describe the photo.
    """
    directory = Image.Exif()
    try:
        with without_warnings():
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
            # An offset into the old file is meaningless in the new file.
            value = {key: item for key, item in directory.get_ifd(tag).items() if key != _INTEROP}
            if not value:
                continue
        try:
            probe = TiffImagePlugin.ImageFileDirectory_v2()
            probe[tag] = value
            probe.tobytes(8)
        except Exception:  # one malformed tag must not lose the other tags or the image
            continue
        chosen[tag] = value
    return chosen


def icc_for(icc: bytes | None, *, gray: bool) -> bytes | None:
    """Return an ICC profile if it describes pixels of this kind.

    Args:
        icc: profile, or None.
        gray: whether the pixels are gray rather than RGB.

    Returns:
        The profile. None if it is for CMYK, or if it is for gray and the pixels are RGB.
    """
    # Bytes 16 to 20 of every profile name its color space. RGB profiles on gray pixels are common and harmless.
    allowed = (b"RGB ", b"GRAY") if gray else (b"RGB ",)
    return icc if icc and icc[16:20] in allowed else None
