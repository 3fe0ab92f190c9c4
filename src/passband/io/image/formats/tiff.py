"""Reads TIFF files, page by page.

Pillow decodes most of them. It keeps 8 of the 16 bits of color files, so those are decoded twice. The module `tiff_raw`
decodes layouts that Pillow does not know or decodes wrongly.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from passband.io.image.formats import tiff_raw as raw
from passband.io.image.formats.png import deep_color
from passband.io.image.formats.tiff_directory import with_single_values
from passband.io.image.formats.tiff_write import TAGS
from passband.io.image.metadata.exif import (
    ICC_PROFILE,
    ORIENTATION,
    exif_from_tiff,
    icc_for,
    own_tags_of_tiff,
    turn_upright,
)
from passband.io.image.metadata.exif_edit import exif_density, swapped_exif
from passband.io.image.metadata.iptc import resources_of
from passband.io.image.metadata.xmp import upright_xmp
from passband.io.image.pillow import (
    CMYK_NOTE,
    DEEP_CMYK_NOTE,
    pixels_of_pillow,
    rawmode_of,
    strict_pillow,
    unpremultiplied,
)
from passband.io.image.types import SUPPORTED, Decoded, ImageError, ImageMeta, Pixels, check_size

_DESCRIPTION, _XMP, _IPTC, _PHOTOSHOP, _SUB_DIRECTORIES = 270, 700, 33723, 34377, 330
_DECODED_BY_PILLOW = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000, 50001})
"""Codes of the compressions that Pillow decodes."""


def decode_tiff(data: bytes, name: str, max_pixels: int) -> tuple[int, Iterator[Decoded]]:
    """Decode every page of a TIFF file, one by one.

    Args:
        data: content of the file.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger pages are refused.

    Returns:
        The number of pages, and an iterator over the pages.
    """
    data = with_single_values(data)
    try:
        with strict_pillow(0):
            image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
            count = int(getattr(image, "n_frames", 1))
    except Exception:  # Pillow raises many kinds of errors for layouts that it does not know
        count = 0
    stacked = raw.stacked_pages(data) if count <= 1 else 0
    if stacked > 1:
        return stacked, (_from_stack(data, index, name, max_pixels) for index in range(stacked))
    count = count or raw.count_pages(data)
    return count, (_page(data, index, name, max_pixels) for index in range(count))


def _page(data: bytes, index: int, name: str, max_pixels: int) -> Decoded:
    try:
        with strict_pillow(0):
            image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
            image.seek(index)
    except Exception:  # many kinds of errors, as above
        return _from_raw(data, index, name, max_pixels)
    check_size(image.size, name, max_pixels)
    try:
        with strict_pillow(image.width * image.height):
            return _from_pillow(image, data, index, name, max_pixels)
    except ImageError:
        raise
    except Exception:  # many kinds of errors, as above
        if image.tag_v2.get(259, 1) != 1:
            raise
        with suppress(Exception):  # the pixels may be intact even if some tags are wrong
            return _from_raw(data, index, name, max_pixels)
        raise


def _from_pillow(image: TiffImagePlugin.TiffImageFile, data: bytes, index: int, name: str, max_pixels: int) -> Decoded:
    tags = image.tag_v2
    bits = set(tags.get(258, (1,))[: int(tags.get(277, 1))]) or {1}
    if not bits <= {1, 2, 4, 8, 16} or image.mode in ("I", "F"):
        stored = {1: "unsigned", 2: "signed", 3: "float"}.get(tags.get(339, (1,))[0], "unusual")
        raise ImageError(f"{name} has {'/'.join(map(str, sorted(bits)))}-bit {stored} samples; {SUPPORTED}")
    compression = int(tags.get(259, 1))
    if compression not in _DECODED_BY_PILLOW:
        raise raw.unsupported_compression(name, compression)
    if compression == 1 and image.width * image.height * int(tags.get(277, 1)) * min(bits) // 8 > len(data):
        raise ValueError("its pixel data are incomplete")  # before Pillow allocates memory for all pixels
    deep = bits == {16} and image.mode in ("RGB", "RGBA")
    if tags.get(284) == 2 and (deep or image.mode == "LA" or (bits == {16} and image.mode == "CMYK")):
        return _from_raw(data, index, name, max_pixels)  # Pillow decodes these planes wrongly
    notes = [DEEP_CMYK_NOTE if 16 in bits else CMYK_NOTE] if image.mode == "CMYK" else []
    if _SUB_DIRECTORIES in tags and int(tags.get(254, 0)) & 1:  # the page is a reduced copy of a sub-directory
        raise ImageError(
            f"{name} is a raw photo of a camera, and only its small preview can be read. Convert it to a TIFF or "
            "PNG of 16 bits with the program of the camera."
        )
    if _SUB_DIRECTORIES in tags:
        notes.append("smaller copies of the image inside the file (SubIFDs) were left out")
    # The metadata must be read before loading, because loading turns the pixels and removes the orientation.
    directory = own_directory(image)
    meta = tiff_meta(directory, image.info.get("icc_profile"))
    if deep:
        again = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
        again.seek(index)
        own_directory(again)
        premultiplied = rawmode_of(image).startswith("RGBa")
        pixels: Pixels = deep_color(image, again)
        pixels = unpremultiplied(pixels) if premultiplied else pixels
    else:
        image.load()
        pixels = pixels_of_pillow(image, name)
        if image.mode.startswith("I;16") and tags.get(262) == 0:
            pixels = 65535 - pixels  # zero is white, which Pillow handles only in 8-bit files
    notes += _further_channels(int(tags.get(277, 1)), int(tags.get(262, 1)), pixels)
    return Decoded(pixels, _with_icc(meta, pixels), tuple(notes))


def _further_channels(samples: int, photometric: int, pixels: Pixels) -> tuple[str, ...]:
    """Return a note about channels beside the colors and alpha, such as selections that Photoshop saved.

    Args:
        samples: number of samples per pixel in the file.
        photometric: code of the color space.
        pixels: decoded pixels.
    """
    has_alpha = pixels.shape[-1] in (2, 4)
    count = samples - raw.COLORS.get(photometric, 3) - has_alpha
    if count < 1:
        return ()
    channels = "1 further channel was" if count == 1 else f"{count} further channels were"
    return (f"{channels} left out: only its colors{' and alpha' if has_alpha else ''} are kept",)


def own_directory(image: TiffImagePlugin.TiffImageFile) -> Image.Exif:
    """Return the tags of a page, and keep Pillow from turning its pixels by an orientation that only XMP has.

    Other readers of TIFF, and passband for other file types, do not turn an image by XMP.

    Args:
        image: opened file that is not loaded yet.
    """
    directory = image.getexif()
    if ORIENTATION not in image.tag_v2:
        directory.pop(ORIENTATION, None)
    return directory


def _from_raw(data: bytes, index: int, name: str, max_pixels: int) -> Decoded:
    """Read a page that Pillow does not support, such as 16-bit gray with alpha and 16-bit planes."""
    page = raw.read_page_tags(data, index, name)
    check_size(page.size, name, max_pixels)
    pixels = raw.decode_page(data, page, name)
    directory = _directory_of(data, page)
    meta = tiff_meta(directory, directory.get(ICC_PROFILE))
    notes: tuple[str, ...] = ()
    if page.photometric == raw.CMYK:
        notes = (DEEP_CMYK_NOTE if pixels.dtype == np.uint16 else CMYK_NOTE,)
        levels = pixels[..., :4] >> 8 if pixels.dtype == np.uint16 else pixels[..., :4]
        inks = Image.fromarray(np.ascontiguousarray(levels.astype(np.uint8)), "CMYK")
        inks.info["icc_profile"] = directory.get(ICC_PROFILE)
        pixels = pixels_of_pillow(inks, name)
    notes += _further_channels(page.samples, page.photometric, pixels)
    return Decoded(turn_upright(pixels, directory.get(ORIENTATION, 1)), _with_icc(meta, pixels), notes)


def _from_stack(data: bytes, index: int, name: str, max_pixels: int) -> Decoded:
    """Read a page of a stack that ImageJ wrote with a single directory for all pages."""
    page = raw.read_page_tags(data, 0, name)
    check_size(page.size, name, max_pixels)
    first = _from_raw(data, 0, name, max_pixels) if index == 0 else None
    return first or Decoded(raw.decode_stack_page(data, page, index, name), ImageMeta("TIFF"))


def _directory_of(data: bytes, page: raw.Page) -> Image.Exif:
    """Return the tags of a page in the form that Pillow uses."""
    directory = Image.Exif()
    directory.endian, directory.bigtiff = page.order, page.big
    if not (page.big and page.order == ">"):
        directory.load_from_fp(io.BytesIO(data), page.offset)
        return directory
    for tag, value in page.fields.items():  # Pillow does not read BigTIFF of this byte order
        is_ratio = tag in (282, 283) and isinstance(value, tuple)
        directory[tag] = TiffImagePlugin.IFDRational(*value) if is_ratio else value
    return directory


def tiff_meta(directory: Image.Exif, icc: Any) -> ImageMeta:
    """Return the metadata of a page whose pixels are upright.

    Args:
        directory: directory of the page, before Pillow loads its pixels.
        icc: color profile of the page, or None.
    """
    exif = exif_from_tiff(directory)
    orientation = directory.get(ORIENTATION, 1)
    if exif and orientation in (5, 6, 7, 8):
        exif = swapped_exif(exif)
    xmp = _tag_bytes(directory.get(_XMP))
    photoshop = _tag_bytes(directory.get(_PHOTOSHOP)) or _tag_bytes(directory.get(_IPTC))
    own = own_tags_of_tiff(directory)
    return ImageMeta(
        "TIFF",
        exif=exif,
        icc=icc if isinstance(icc, bytes) else None,
        density=exif_density(exif) if exif else None,
        xmp=upright_xmp(xmp) if xmp else None,
        photoshop=resources_of(photoshop) if photoshop else None,
        extras=((TAGS, own),) if own else (),
    )


def _with_icc(meta: ImageMeta, pixels: Pixels) -> ImageMeta:
    return replace(meta, icc=icc_for(meta.icc, gray=pixels.shape[-1] <= 2))


def _tag_bytes(value: Any) -> bytes | None:
    """Return the bytes of a tag. Some writers declare them as numbers of four bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, tuple) and value and all(isinstance(number, int) for number in value):
        size = 1 if max(value) < 256 else 4
        return b"".join(number.to_bytes(size, "little") for number in value)
    return None
