"""The images in the bytes of a file, whatever its type. The public side is `passband.io.image`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from PIL import Image, TiffImagePlugin

from passband.io.image.formats.apng import canvases
from passband.io.image.formats.bmp import decode_bmp
from passband.io.image.formats.heif import decode_avif, decode_heic
from passband.io.image.formats.jpeg import decode_jpeg
from passband.io.image.formats.png import open_png, still_pixels
from passband.io.image.formats.tiff import decode_tiff, tiff_meta
from passband.io.image.formats.webp import decode_webp, webp_animation
from passband.io.image.metadata.exif import bare_exif
from passband.io.image.pillow import pixels_of_pillow
from passband.io.image.types import Animation, Decoded, ImageError, PictureMeta, check_size
from passband.io.image.upright import upright_picture
from passband.io.quiet import without_warnings

_SINGLE: dict[str, Callable[[bytes, str, int], Decoded]] = {
    "JPEG": decode_jpeg,
    "BMP": decode_bmp,
    "HEIC": decode_heic,
    "AVIF": decode_avif,
}


@dataclass(frozen=True)
class DecodedFile:
    """The images of a file: one, the pages of a TIFF, or the frames of an animation.

    Attributes:
        count: how many there are.
        pictures: decodes them one by one, in order; can be gone through once.
        animation: their times; None of a single image, and of pages.
    """

    count: int
    pictures: Iterator[Decoded]
    animation: Animation | None = None


def open_file(data: bytes, kind: str, name: str, max_pixels: int) -> DecodedFile:
    """Look at an image file of a known type.

    Args:
        data: the whole file.
        kind: what `kind_of` said.
        name: what messages call the file.
        max_pixels: refuse a header that claims more, before any pixel is decoded; of each image.

    Returns:
        Its images, which raise ImageError when it is their turn and they cannot be decoded.

    Raises:
        ImageError: damaged, or of a kind that is not supported.
    """
    with _Named(kind, name), without_warnings():
        file = _opened(data, kind, name, max_pixels)
    return replace(file, pictures=_each(file.pictures, kind, name))


def decode(data: bytes, kind: str, name: str, max_pixels: int) -> Decoded:
    """Decode the only or first image of a file of a known type.

    Args:
        data: the whole file.
        kind: what `kind_of` said.
        name: what messages call the file.
        max_pixels: refuse a header that claims more, before any pixel is decoded.

    Returns:
        The pixels and what came with them.

    Raises:
        ImageError: too large, truncated, damaged, or of a kind that is not supported.
    """
    return next(open_file(data, kind, name, max_pixels).pictures)


@without_warnings()
def from_pillow(image: Image.Image, name: str) -> Decoded:
    """Take pixels and metadata from a Pillow image.

    Args:
        image: of any mode but 32-bit and Lab; it is loaded, not changed.
        name: what messages call it.

    Returns:
        The pixels upright, and what came with them.

    Raises:
        ImageError: naming a mode that is not supported.
        OSError: where the file behind the image is damaged.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Before loading: Pillow then turns the pixels of a TIFF by itself and forgets that it did.
        meta = tiff_meta(image.getexif(), image.info.get("icc_profile"))
    else:
        meta = PictureMeta(exif=bare_exif(image.info.get("exif")), icc=image.info.get("icc_profile"))
    image.load()
    return upright_picture(pixels_of_pillow(image, name), meta)


def _opened(data: bytes, kind: str, name: str, max_pixels: int) -> DecodedFile:
    if kind == "PNG":
        png = open_png(data, name)
        check_size(png.size, name, max_pixels)
        if png.animation is None or len(png.frames) + png.animation.still_first < 2:
            stills = iter([still_pixels(png.still, name)])
            return DecodedFile(1, (upright_picture(pixels, png.meta, png.notes) for pixels in stills))
        count = len(png.frames) + png.animation.still_first
        shown = (upright_picture(pixels, png.meta, png.notes) for pixels in canvases(png, name, max_pixels))
        return DecodedFile(count, shown, png.animation)
    if kind == "WEBP":
        animation = webp_animation(data)
        return DecodedFile(len(animation.durations) if animation else 1, decode_webp(data, name, max_pixels), animation)
    if kind == "TIFF":
        return DecodedFile(*decode_tiff(data, name, max_pixels))
    return DecodedFile(1, iter([_SINGLE[kind](data, name, max_pixels)]))


def _each(pictures: Iterator[Decoded], kind: str, name: str) -> Iterator[Decoded]:
    found = False
    while True:
        with _Named(kind, name), without_warnings():
            picture = next(pictures, None)
        if picture is None and not found:
            raise ImageError(f"{name} is a {kind} file that is cut short or damaged: it holds no image")
        if picture is None:
            return
        found = True
        yield picture


class _Named:
    """Turns whatever a decoder raises of a damaged file into an error that names the file."""

    def __init__(self, kind: str, name: str):
        self.kind, self.name = kind, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ImageError | MemoryError):
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"{self.name} is a {self.kind} file that is cut short or damaged: {reason}") from error
        if isinstance(error, MemoryError) and not str(error):
            raise MemoryError(f"{self.name} needs more memory to be decoded than there is") from error
