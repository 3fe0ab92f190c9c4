"""The bytes of a picture file as an array of 8 or 16-bit pixels. The public side is `passband.io.image`.

Pillow decodes; three of its limits are worked around here. It keeps 8 of the 16 bits of color PNG and TIFF files
(`_deep_color`), it does not know some TIFF layouts (`_from_tifffile`), and its guards against huge and against
truncated files are process-wide settings (`_strict_pillow`).
"""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16
from numpy import ndarray
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from passband.io.image_exif import ICC_PROFILE, ORIENTATION, exif_from_tiff, exif_of, icc_for, turn, upright
from passband.io.quiet import silent_stderr, without_warnings
from passband.io.webp import webp_is_lossless, webp_size

Pixels = UInt8[ndarray, "H W C"] | UInt16[ndarray, "H W C"]

# The classes rather than `Image.open`, which would apply Pillow's own size limit, and take other file types.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_SUPPORTED = "supported are 8 and 16-bit gray and RGB with or without alpha, 1-bit, palette and CMYK"


class ImageError(ValueError):
    """A picture that cannot be read or written; the message names the file and says why."""


@dataclass(frozen=True)
class Decoded:
    """A picture file as it is stored, turned upright.

    Attributes:
        pixels: gray, gray+alpha, RGB or RGBA by the number of channels; 8 or 16 bit by the type.
        exif: EXIF block from its TIFF header on, orientation 1.
        icc: profile that describes the pixels.
        lossless: the file was a lossless WebP.
    """

    pixels: Pixels
    exif: bytes | None = None
    icc: bytes | None = None
    lossless: bool = False


@without_warnings()
def decode(data: bytes, kind: str, name: str, max_pixels: int) -> Decoded:
    """Decode a picture file of a known type.

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
    try:
        if kind == "WEBP":
            size = webp_size(data)
            _check_size(size, name, max_pixels)
            with _strict_pillow(size[0] * size[1]):  # Pillow makes the canvas when it opens the file
                decoded = from_pillow(WebPImagePlugin.WebPImageFile(io.BytesIO(data)), name)
            return Decoded(decoded.pixels, decoded.exif, decoded.icc, webp_is_lossless(data))
        try:
            image = _READERS[kind](io.BytesIO(data))
        except SyntaxError as error:
            if kind == "TIFF" and "unknown pixel mode" in str(error):
                return _from_tifffile(data, name, max_pixels)
            raise
        _check_size(image.size, name, max_pixels)
        _check_length(image, data, kind, name)
        with _strict_pillow(image.width * image.height):
            if isinstance(image, PngImagePlugin.PngImageFile):
                return _from_png(image, data, name)
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                return _from_tiff(image, data, name, max_pixels)
            return from_pillow(image, name)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes a decoder raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{name} is a {kind} file that is cut short or damaged: {reason}") from error


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
    # Before loading: Pillow then turns the pixels of a TIFF by itself and forgets that it did.
    exif = exif_from_tiff(image.getexif()) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    load(image)
    decoded = _with_metadata(_array(image, name), image)
    return replace(decoded, exif=exif) if exif else decoded


def load(image: Image.Image) -> None:
    """Decode an image without what libtiff would print to standard error."""
    libtiff = any(tile.codec_name == "libtiff" for tile in getattr(image, "tile", []))
    with silent_stderr() if libtiff else nullcontext():
        image.load()


def _with_metadata(pixels: Pixels, image: Image.Image) -> Decoded:
    pixels = _with_key_color(pixels, image)
    exif = exif_of(image)
    orientation, exif = upright(exif) if exif else (1, None)
    icc = icc_for(image.info.get("icc_profile"), gray=pixels.shape[-1] <= 2)
    return Decoded(turn(pixels, orientation), exif, icc)


def _array(image: Image.Image, name: str) -> Pixels:
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if mode == "CMYK":
        image = _cmyk_to_rgb(image)
    elif mode in ("P", "PA"):
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    elif mode in ("1", "RGBX", "RGBa", "La", "YCbCr", "HSV"):
        image = image.convert({"1": "L", "RGBa": "RGBA", "La": "LA"}.get(mode, "RGB"))
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        raise ImageError(f"{name} holds pixels of Pillow's mode {mode}; {_SUPPORTED}")
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _with_key_color(pixels: Pixels, image: Image.Image) -> UInt8[ndarray, "H W K"] | UInt16[ndarray, "H W K"]:
    """Make alpha of the one color that a PNG without alpha may declare transparent."""
    key = image.info.get("transparency")
    if image.mode not in ("1", "L", "I;16", "RGB", "RGBA") or not isinstance(key, int | tuple):
        return pixels
    if pixels.shape[-1] in (2, 4):
        return pixels
    color = np.array(255 * bool(key) if image.mode == "1" else key)  # Pillow 13 says 255 where 11 said 1
    full = np.iinfo(pixels.dtype).max
    alpha = np.where((pixels == color).all(-1, keepdims=True), 0, full).astype(pixels.dtype)
    return np.concatenate([pixels, alpha], axis=-1)


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    if icc := image.info.get("icc_profile"):
        from PIL import ImageCms

        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile, or one for other than CMYK: the plain formula below needs none
    return image.convert("RGB")


def png_samples(data: bytes) -> tuple[int, int]:
    """Bits of a sample and type of color, by the header chunk of a PNG file; some programs put another before it."""
    header = data.index(b"IHDR", 8)
    return data[header + 12], data[header + 13]


def _from_png(image: PngImagePlugin.PngImageFile, data: bytes, name: str) -> Decoded:
    depth, color_type = png_samples(data)
    if depth < 8 and color_type == 0 and image.mode == "L" and "transparency" in image.info:
        image.info["transparency"] *= 255 // (2**depth - 1)  # Pillow stretches the gray to 8 bits, not the key
    if depth < 16 or color_type == 0:
        return from_pillow(image, name)
    if color_type == 4:
        # As RGBA of 8 bit, each pixel is the two bytes of gray and the two of alpha.
        deep = _decoded_as(image, "RGBA").view(">u2").astype(np.uint16)
    else:
        deep = _deep_color(image, PngImagePlugin.PngImageFile(io.BytesIO(data)))
    return _with_metadata(deep, image)


def _from_tiff(image: TiffImagePlugin.TiffImageFile, data: bytes, name: str, max_pixels: int) -> Decoded:
    tags = image.tag_v2
    bits = set(tags.get(258, (1,)))
    if not bits <= {1, 2, 4, 8, 16} or image.mode in ("I", "F"):
        stored = {1: "unsigned", 2: "signed", 3: "float"}.get(tags.get(339, (1,))[0], "unusual")
        raise ImageError(f"{name} holds {'/'.join(map(str, sorted(bits)))}-bit {stored} samples; {_SUPPORTED}")
    deep = bits == {16} and image.mode in ("RGB", "RGBA")
    if tags.get(284) == 2 and (deep or image.mode == "LA"):
        return _from_tifffile(data, name, max_pixels)  # Pillow mistakes the planes of these
    if not deep:
        decoded = from_pillow(image, name)
        if image.mode.startswith("I;16") and tags.get(262) == 0:
            # White is zero, which Pillow minds in 8-bit files only.
            decoded = replace(decoded, pixels=65535 - decoded.pixels)
        return decoded
    exif, premultiplied = exif_from_tiff(image.getexif()), _rawmode(image).startswith("RGBa")
    pixels = _deep_color(image, TiffImagePlugin.TiffImageFile(io.BytesIO(data)))
    icc = icc_for(image.info.get("icc_profile"), gray=False)
    return Decoded(_unpremultiplied(pixels) if premultiplied else pixels, exif, icc)


def _deep_color(image: ImageFile.ImageFile, again: ImageFile.ImageFile) -> UInt16[ndarray, "H W C"]:
    """Read all 16 bits of a color file by decoding it twice.

    Pillow unpacks 16-bit color to the high byte of each sample. Told the opposite byte order, it unpacks the low one.

    Args:
        image: the file, opened and not loaded.
        again: the same file, opened once more.
    """
    raw = _rawmode(image).replace("RGBa", "RGBA")
    # libtiff hands over samples in the order of this machine, which Pillow calls N.
    order = raw[-1] if raw[-1] != "N" else ("L" if sys.byteorder == "little" else "B")
    opposite = raw[:-1] + {"B": "L", "L": "B"}[order]
    deep = _decoded_as(image, raw).astype(np.uint16) << 8
    deep |= _decoded_as(again, opposite)
    return deep


def _rawmode(image: ImageFile.ImageFile) -> str:
    args = image.tile[0].args
    return str(args[0] if isinstance(args, tuple) else args)


def _decoded_as(image: ImageFile.ImageFile, rawmode: str) -> UInt8[ndarray, "H W C"]:
    def renamed(args: Any) -> Any:
        return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode

    image.tile = [tile._replace(args=renamed(tile.args)) for tile in image.tile]
    load(image)
    return np.array(image)


def _unpremultiplied(pixels: Pixels) -> Pixels:
    full = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:].astype(np.float64)
    color = np.divide(pixels[..., :-1] * float(full), alpha, where=alpha > 0, out=np.zeros(pixels[..., :-1].shape))
    straight = pixels.copy()
    straight[..., :-1] = np.rint(color).clip(0, full)
    return straight


def _from_tifffile(data: bytes, name: str, max_pixels: int) -> Decoded:
    """Read the TIFF layouts that Pillow does not know, such as 16-bit gray with alpha and 16-bit planes."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        _check_size((page.imagewidth, page.imagelength), name, max_pixels)
        samples, photometric = page.samplesperpixel, int(page.photometric)
        colors = {0: 1, 1: 1, 2: 3}.get(photometric)
        if colors is None or samples < colors or page.dtype not in (np.uint8, np.uint16):
            raise ImageError(f"{name} holds {samples} x {page.dtype or 'unknown'} samples a pixel; {_SUPPORTED}")
        pixels = page.asarray()
        if int(page.planarconfig) == 2 and samples > 1:
            pixels = np.moveaxis(pixels, 0, -1)
        extra = [int(sample) for sample in page.extrasamples]
    pixels = pixels.reshape(pixels.shape[0], pixels.shape[1], samples)
    if photometric == 0:
        pixels[..., :1] = np.iinfo(pixels.dtype).max - pixels[..., :1]
    has_alpha = samples > colors and extra[:1] in ([1], [2])
    pixels = np.ascontiguousarray(pixels[..., : colors + has_alpha])
    if has_alpha and extra[0] == 1:
        pixels = _unpremultiplied(pixels)
    directory = Image.Exif()
    directory.load(data)  # a TIFF file is laid out as an EXIF block
    orientation, icc = directory.get(ORIENTATION, 1), directory.get(ICC_PROFILE)
    return Decoded(turn(pixels, orientation), exif_from_tiff(directory), icc_for(icc, gray=colors == 1))


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise ImageError(
            f"{name} is {size[0]}x{size[1]} pixels ({size[0] * size[1]:,}), over the limit of {max_pixels:,}; if you "
            f"trust the file, raise the limit with max_pixels= in Python or --max-pixels on the command line"
        )


def _check_length(image: Image.Image, data: bytes, kind: str, name: str) -> None:
    """Refuse a file that is far too short for its pixels before memory is taken for them."""
    if kind == "PNG":
        depth, color_type = png_samples(data)
        samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color_type, 1)
        # deflate makes 1,032 bytes of one, at most
        least = image.height * (image.width * samples * depth // 8) // 1032
    elif kind == "JPEG" and b"\xff\xc9" not in data and b"\xff\xca" not in data:  # no arithmetic coding
        least = image.width * image.height // 512  # a bit for each block of 64 pixels
    else:
        return
    if len(data) < least:
        raise ImageError(
            f"{name} is a {kind} file that is cut short or damaged: it says that it has {image.width}x{image.height} "
            f"pixels, which take {least:,} bytes or more, and has {len(data):,} bytes"
        )


class _Strictness:
    """How many decodes are under way, and the settings of Pillow to go back to after the last."""

    lock = threading.Lock()
    active = 0
    before: tuple[bool, int | None] = (False, None)


@contextmanager
def _strict_pillow(pixels: int) -> Iterator[None]:
    """Hold Pillow to refuse truncated files and to accept `pixels`, which our own limit has passed.

    Both are settings of the whole process that a user may have changed, so they go back to what they were when the
    last decode in any thread ends, and the size guard is lifted only for a picture that would trip it.
    """
    with _Strictness.lock:
        if _Strictness.active == 0:
            _Strictness.before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
        _Strictness.active += 1
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _Strictness.lock:
            _Strictness.active -= 1
            if _Strictness.active == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = _Strictness.before
