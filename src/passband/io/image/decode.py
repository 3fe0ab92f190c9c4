"""Decodes the images in the bytes of a file of any type. The public interface is `passband.io.image`."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from PIL import Image, TiffImagePlugin

from passband.io.image.formats.apng import canvases
from passband.io.image.formats.bmp import decode_bmp
from passband.io.image.formats.heif import decode_avif, decode_heic
from passband.io.image.formats.jpeg import decode_jpeg
from passband.io.image.formats.png import open_png, still_pixels
from passband.io.image.formats.tiff import decode_tiff, own_directory, tiff_meta
from passband.io.image.formats.webp import decode_webp, webp_animation
from passband.io.image.metadata.exif import bare_exif
from passband.io.image.pillow import pixels_of_pillow
from passband.io.image.types import Decoded, ImageError, ImageMeta, ImageSequence, check_size
from passband.io.image.upright import upright_image
from passband.io.quiet import without_warnings
from passband.naming import with_article

_SINGLE: dict[str, Callable[[bytes, str, int], Decoded]] = {
    "JPEG": decode_jpeg,
    "BMP": decode_bmp,
    "HEIC": decode_heic,
    "AVIF": decode_avif,
}


def open_file(data: bytes, kind: str, name: str, max_pixels: int) -> ImageSequence[Decoded]:
    """Open an image file of a known type.

    Args:
        data: content of the whole file.
        kind: type of the file, from `kind_of`.
        name: name of the file for messages.
        max_pixels: largest number of pixels of each image; larger images are refused before they are decoded.

    Returns:
        The images. The iterator raises ImageError at an image that cannot be decoded.

    Raises:
        ImageError: if the file is damaged or of an unsupported kind.
    """
    with _NamedErrors(kind, name), without_warnings():
        file = _open_by_kind(data, kind, name, max_pixels)
    return replace(file, images=_decode_each(file.images, kind, name))


def decode(data: bytes, kind: str, name: str, max_pixels: int) -> Decoded:
    """Decode the only or first image of a file of a known type.

    Args:
        data: content of the whole file.
        kind: type of the file, from `kind_of`.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger images are refused before they are decoded.

    Returns:
        The pixels and metadata.

    Raises:
        ImageError: if the image is too large, incomplete, damaged or of an unsupported kind.
    """
    return next(open_file(data, kind, name, max_pixels).images)


@without_warnings()
def from_pillow(image: Image.Image, name: str) -> Decoded:
    """Take the pixels and metadata of a Pillow image.

    Args:
        image: Pillow image of any mode except 32-bit and Lab. It is loaded, but not changed.
        name: name of the image for messages.

    Returns:
        The pixels, turned upright, and the metadata.

    Raises:
        ImageError: if the mode is not supported.
        OSError: if the file behind the image is damaged.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # The metadata must be read before loading, because loading turns the pixels of a TIFF and removes its
        # orientation.
        meta = tiff_meta(own_directory(image), image.info.get("icc_profile"))
    else:
        meta = ImageMeta(exif=bare_exif(image.info.get("exif")), icc=image.info.get("icc_profile"))
    image.load()
    return upright_image(pixels_of_pillow(image, name), meta)


def _open_by_kind(data: bytes, kind: str, name: str, max_pixels: int) -> ImageSequence[Decoded]:
    if kind == "PNG":
        png = open_png(data, name)
        check_size(png.size, name, max_pixels)
        if png.animation is None or len(png.frames) + png.animation.still_first < 2:
            stills = iter([still_pixels(png.still, name)])
            return ImageSequence(1, (upright_image(pixels, png.meta, png.notes) for pixels in stills))
        count = len(png.frames) + png.animation.still_first
        images = (upright_image(pixels, png.meta, png.notes) for pixels in canvases(png, name, max_pixels))
        return ImageSequence(count, images, png.animation)
    if kind == "WEBP":
        animation = webp_animation(data)
        return ImageSequence(
            len(animation.durations) if animation else 1, decode_webp(data, name, max_pixels), animation
        )
    if kind == "TIFF":
        return ImageSequence(*decode_tiff(data, name, max_pixels))
    return ImageSequence(1, iter([_SINGLE[kind](data, name, max_pixels)]))


def _decode_each(images: Iterator[Decoded], kind: str, name: str) -> Iterator[Decoded]:
    any_decoded = False
    while True:
        with _NamedErrors(kind, name), without_warnings():
            image = next(images, None)
        if image is None and not any_decoded:
            raise ImageError(f"{name} is {with_article(kind)} file that is incomplete or damaged: it holds no image")
        if image is None:
            return
        any_decoded = True
        yield image


class _NamedErrors:
    """Converts any error that a decoder raises for a damaged file to an ImageError that names the file."""

    def __init__(self, kind: str, name: str):
        self.kind, self.name = kind, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ImageError | MemoryError):
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(
                f"{self.name} is {with_article(self.kind)} file that is incomplete or damaged: {reason}"
            ) from error
        if isinstance(error, MemoryError) and not str(error):
            raise MemoryError(f"{self.name} needs more memory to be decoded than is available") from error
