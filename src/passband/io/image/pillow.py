"""Takes pixels from Pillow images, and keeps Pillow strict and quiet while it decodes.

Pillow's limits for huge and for incomplete files, its warnings and the messages of libtiff are settings of the whole
process. `strict_pillow` changes them while an image is decoded, and restores them afterwards.
"""

import ctypes
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16
from numpy import ndarray
from PIL import Image, ImageFile

from passband.io.image.types import SUPPORTED, ImageError, Pixels
from passband.io.quiet import without_warnings

CMYK_NOTE = "its CMYK colors became RGB"
DEEP_CMYK_NOTE = "its CMYK colors of 16 bits per sample became RGB of 8 bits"


def pixels_of_pillow(image: Image.Image, name: str) -> Pixels:
    """Take the pixels of a Pillow image of any common mode.

    Args:
        image: loaded Pillow image. It is not changed.
        name: name of the image for messages.

    Returns:
        Gray, gray and alpha, RGB or RGBA.

    Raises:
        ImageError: if the mode is not supported.
    """
    mode = image.mode
    if mode.startswith("I;16"):
        return with_key_color(np.asarray(image).astype(np.uint16)[..., None], image)
    original = image
    if mode == "CMYK":
        image = _cmyk_to_rgb(image)
    elif mode in ("P", "PA"):
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    elif mode in ("1", "RGBX", "RGBa", "La", "YCbCr", "HSV"):
        image = image.convert({"1": "L", "RGBa": "RGBA", "La": "LA"}.get(mode, "RGB"))
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        advice = ". Pass an array of its values in [0, 1]: numpy.asarray(image) / the largest possible value"
        raise ImageError(f"{name} has pixels of Pillow's mode {mode}; {SUPPORTED}{advice if mode in 'IF' else ''}")
    pixels = np.asarray(image)
    return with_key_color(pixels if pixels.ndim == 3 else pixels[..., None], original)


def with_key_color(pixels: Pixels, image: Image.Image) -> UInt8[ndarray, "H W K"] | UInt16[ndarray, "H W K"]:
    """Add an alpha channel for the one color that a PNG without alpha may declare transparent.

    Args:
        pixels: pixels as stored.
        image: Pillow image whose `info` holds the transparent color.

    Returns:
        Pixels of the same type, with one channel more if there is such a color and no alpha yet: 0 where a pixel has
        this color, otherwise the full value.
    """
    key = image.info.get("transparency")
    if image.mode not in ("1", "L", "I;16", "RGB", "RGBA") or not isinstance(key, int | tuple):
        return pixels
    if pixels.shape[-1] in (2, 4):
        return pixels
    color = np.array(255 * bool(key) if image.mode == "1" else key)  # Pillow 13 stores 255 where Pillow 11 stored 1
    full = np.iinfo(pixels.dtype).max
    alpha = np.where((pixels == color).all(-1, keepdims=True), 0, full).astype(pixels.dtype)
    return np.concatenate([pixels, alpha], axis=-1)


def decode_with_layout(image: ImageFile.ImageFile, rawmode: str) -> UInt8[ndarray, "H W C"]:
    """Decode an opened file that is not loaded yet, with the given layout of samples.

    Args:
        image: opened file.
        rawmode: Pillow's name of a layout, such as `RGB;16B`.

    Returns:
        Samples in 8 bits.

    Raises:
        OSError: if the file is damaged.
    """

    def renamed(args: Any) -> Any:
        return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode

    image.tile = [tile._replace(args=renamed(tile.args)) for tile in image.tile]
    image.load()
    return np.array(image)


def rawmode_of(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name for the layout of a file's samples.

    Args:
        image: opened file that is not loaded yet.
    """
    args = image.tile[0].args
    return str(args[0] if isinstance(args, tuple) else args)


def unpremultiplied(pixels: Pixels) -> Pixels:
    """Convert premultiplied colors to straight alpha.

    Args:
        pixels: gray and alpha or RGBA in 8 or 16 bits; alpha is the last channel.

    Returns:
        Pixels of the same type. Colors are 0 where alpha is 0.
    """
    full = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:].astype(np.float64)
    color = np.divide(pixels[..., :-1] * float(full), alpha, where=alpha > 0, out=np.zeros(pixels[..., :-1].shape))
    straight = pixels.copy()
    straight[..., :-1] = np.rint(color).clip(0, full)
    return straight


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
            pass  # the profile is broken or not for CMYK; the formula below needs no profile
    return image.convert("RGB")


class _Strictness:
    """Counts the decodes in progress, and holds the settings to restore after the last one."""

    lock = threading.Lock()
    active = 0
    before: tuple[bool, int | None] = (False, None)
    quiet: Any = None


@contextmanager
def strict_pillow(pixels: int) -> Iterator[None]:
    """Make Pillow refuse incomplete files, accept an image of `pixels` pixels, and print nothing.

    The caller has already checked the number of pixels against its own limit. The settings apply to the whole process,
    and users may have changed them. They are restored when the last decode in any thread ends. Pillow's size limit is
    lifted only for images that exceed it.

    Args:
        pixels: number of pixels of the image that is decoded.
    """
    with _Strictness.lock:
        if _Strictness.active == 0:
            _Strictness.before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
            _Strictness.quiet = _quiet()
            _Strictness.quiet.__enter__()
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
                _Strictness.quiet.__exit__(None, None, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide Pillow's warnings, which repeat an error or do not matter, and the messages of libtiff."""
    with without_warnings():
        library = _libtiff()
        before = [getattr(library, name)(None) for name in _HANDLERS] if library else []
        try:
            yield
        finally:
            for name, handler in zip(_HANDLERS, before, strict=False):
                getattr(library, name)(handler)


_HANDLERS = ("TIFFSetErrorHandler", "TIFFSetErrorHandlerExt", "TIFFSetWarningHandler", "TIFFSetWarningHandlerExt")


@cache
def _libtiff() -> ctypes.CDLL | None:
    """Return the libtiff that Pillow uses if it is a separate library. On Windows it is not."""
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(Image.core.__file__)
        for name in _HANDLERS:
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
        return library
    return None
