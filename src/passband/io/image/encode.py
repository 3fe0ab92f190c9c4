"""Encodes images as the bytes of a file of any type. The public interface is `passband.io.image`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from passband.io.image.formats.apng import animated_png
from passband.io.image.formats.bmp import encode_bmp
from passband.io.image.formats.heif import encode_avif, encode_heic
from passband.io.image.formats.jpeg import draw_thumbnail, encode_jpeg
from passband.io.image.formats.png_write import COLOR_CHUNKS, encode_png
from passband.io.image.formats.tiff_write import TAGS, tiff_pages
from passband.io.image.formats.webp import animated_webp, encode_webp
from passband.io.image.metadata.exif import icc_for
from passband.io.image.metadata.exif_edit import fitted_exif, with_density, with_software
from passband.io.image.metadata.iptc import iptc_of
from passband.io.image.metadata.xmp import fitted_xmp, with_creator
from passband.io.image.types import Animation, ImageMeta, Pixels
from passband.io.quiet import without_warnings
from passband.naming import listed

DEEP = frozenset({"PNG", "TIFF", "HEIC"})
"""File types that store 16 bits per sample (10 bits in HEIC)."""
ANIMATED = frozenset({"PNG", "WEBP"})
"""File types that can store animations."""
_DENSITY_IN_EXIF = frozenset({"WEBP", "HEIC", "AVIF"})
_SOFTWARE_IN_EXIF = frozenset({"JPEG", "TIFF"}) | _DENSITY_IN_EXIF
_NAMES = {"WEBP": "WebP"}


@without_warnings()
def encode_still(pixels: Pixels, kind: str, meta: ImageMeta, quality: int, name: str, notes: list[str]) -> bytes:
    """Encode one image.

    Args:
        pixels: gray, gray and alpha, RGB or RGBA, as far as the file type supports them.
        kind: type of the file.
        meta: metadata to write.
        quality: quality of lossy types, 1 to 100.
        name: name of the file for messages.
        notes: list to which sentences about lost data are added.

    Raises:
        ImageError: if the file type needs a package that is not installed.
        ValueError: if the file type cannot store the image.
        OSError: if the file type cannot store the image.
    """
    meta = fitted_meta(pixels, kind, meta, notes)
    if kind == "PNG":
        return encode_png(pixels, meta)
    if kind == "JPEG":
        return encode_jpeg(pixels, meta, quality, notes)
    if kind == "WEBP":
        return encode_webp(pixels, meta, quality)
    if kind == "BMP":
        return encode_bmp(pixels, meta)
    if kind == "TIFF":
        return b"".join(tiff_pages([(pixels, meta)], 1))
    if kind == "HEIC":
        return encode_heic(pixels, meta, quality, name)
    return encode_avif(pixels, meta, quality, name, notes)


def encode_animation(stills: Iterable[bytes], kind: str, animation: Animation) -> Iterator[bytes]:
    """Combine still images to an animation.

    Args:
        stills: complete image files of one type and size.
        kind: type of the file, one of `ANIMATED`.
        animation: durations of the frames.

    Yields:
        The parts of the file, in order.
    """
    if kind == "PNG":
        yield from animated_png(stills, animation)
    else:
        yield animated_webp(stills, animation)


def fitted_meta(pixels: Pixels, kind: str, meta: ImageMeta, notes: list[str]) -> ImageMeta:
    """Update metadata to match the pixels, as far as a file type can store them.

    Args:
        pixels: pixels of the image.
        kind: type of the file to write.
        meta: metadata of the source.
        notes: list to which sentences about lost data are added.

    Returns:
        The metadata to write.
    """
    height, width, channels = pixels.shape
    lost = _lost_metadata(kind, meta)
    if lost:
        notes.append(f"{_NAMES.get(kind, kind)} files cannot hold all metadata: {listed(lost)} left out")
    exif = (
        fitted_exif(meta.exif, width, height, lambda side, room: draw_thumbnail(pixels, side, room))
        if meta.exif
        else None
    )
    if meta.density and kind in _DENSITY_IN_EXIF:
        exif = with_density(exif, meta.density)
    xmp = fitted_xmp(meta.xmp, width, height) if meta.xmp else None
    if meta.software:
        exif = with_software(exif, meta.software) if exif or kind in _SOFTWARE_IN_EXIF else None
        xmp = with_creator(xmp, meta.software) if xmp else None
    return replace(meta, exif=exif, icc=icc_for(meta.icc, gray=channels <= 2), xmp=xmp)


def _lost_metadata(kind: str, meta: ImageMeta) -> list[str]:
    """Return the names of the metadata that a file type cannot store."""
    lost = []
    if kind == "BMP":
        named = {"EXIF": meta.exif, "the color profile": meta.icc, "XMP": meta.xmp}
        named |= {"the name of the weights": meta.software}
        lost += [name for name, value in named.items() if value]
    if meta.photoshop and kind not in ("JPEG", "PNG", "TIFF"):
        lost.append("IPTC" if iptc_of(meta.photoshop) else "Photoshop's data")
    if kind == meta.kind:
        return lost
    names = {name for name, _ in meta.extras}
    if names & COLOR_CHUNKS - {b"sRGB"}:
        lost.append("the color space (its colors may look different)")
    if names & {b"tEXt", b"zTXt", b"iTXt", b"comment"}:
        lost.append("text")
    if TAGS in names and len(dict(meta.extras)[TAGS]) > _ONLY_PAGE_NUMBERS:
        lost.append("geographic tags")
    return lost


_ONLY_PAGE_NUMBERS = 62
"""Size in bytes of a block that holds only page numbers."""
