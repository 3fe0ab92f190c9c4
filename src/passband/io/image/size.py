"""Reads only the size of images from their headers, so that thousands of files can be checked before any is decoded."""

import struct
from contextlib import suppress
from pathlib import Path

from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from passband.io.image.formats.heif import stored_size_heif
from passband.io.image.formats.tiff_directory import with_single_values
from passband.io.image.formats.tiff_raw import read_page_tags
from passband.io.image.formats.webp import webp_size
from passband.io.image.kinds import HEAD, kind_of
from passband.io.image.metadata.exif import ORIENTATION
from passband.io.image.pillow import strict_pillow
from passband.io.quiet import without_warnings

# These classes are used instead of `Image.open`, which would apply Pillow's own size limit and accept other file types.
READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}

TURNED: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}


@without_warnings()
def stored_size(path: Path) -> tuple[int, int] | None:
    """Return the width and height of an image file as stored, before its EXIF orientation is applied.

    Args:
        path: path of a PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC file.

    Returns:
        Width and height of the first page or frame in pixels. None if the header is damaged; reading the image then
        raises an error with the reason.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            kind = kind_of(head)
            if kind is None:
                return None
            if kind == "PNG":
                return struct.unpack_from(">II", head, head.index(b"IHDR") + 4)
            if kind == "WEBP":
                return webp_size(head)
            file.seek(0)
            if kind in ("HEIC", "AVIF"):
                return stored_size_heif(file.read(), kind)
            try:
                with strict_pillow(0):
                    return READERS[kind](file, str(path)).size
            except Exception:
                if kind != "TIFF":
                    raise
                file.seek(0)
                return read_page_tags(with_single_values(file.read()), 0, str(path)).size
    except Exception:  # decoders raise many kinds of errors for damaged headers
        return None


@without_warnings()
def upright_size(path: Path) -> tuple[int, int] | None:
    """Return the width and height of an image file after its EXIF orientation is applied.

    Args:
        path: path of a PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC file. Only PNG, JPEG and WebP files are turned here.

    Returns:
        Width and height in pixels; None if the header is damaged.
    """
    size, orientation = stored_size(path), 1
    if size is None:
        return None
    with suppress(Exception), path.open("rb") as file:  # a damaged EXIF block turns nothing
        kind = kind_of(file.read(HEAD))
        file.seek(0)
        with strict_pillow(0):
            orientation = TURNED[kind](file, str(path)).getexif().get(ORIENTATION, 1) if kind in TURNED else 1
    return (size[1], size[0]) if orientation in (5, 6, 7, 8) else size
