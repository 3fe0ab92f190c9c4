"""Pixels from Pillow's images, and Pillow kept strict and quiet while it decodes.

Pillow's guards against huge and against truncated files, its warnings and libtiff's messages are settings of the whole
process. They are changed while an image is decoded (`strict_pillow`), and go back to what they were afterwards.
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
        image: loaded, not changed.
        name: what messages call it.

    Returns:
        Gray, gray and alpha, RGB or RGBA.

    Raises:
        ImageError: naming a mode that is not supported.
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
        raise ImageError(f"{name} holds pixels of Pillow's mode {mode}; {SUPPORTED}")
    pixels = np.asarray(image)
    return with_key_color(pixels if pixels.ndim == 3 else pixels[..., None], original)


def with_key_color(pixels: Pixels, image: Image.Image) -> UInt8[ndarray, "H W K"] | UInt16[ndarray, "H W K"]:
    """Make alpha of the one color that a PNG without alpha may declare transparent.

    Args:
        pixels: as stored.
        image: the Pillow image, whose `info` says which color.
    """
    key = image.info.get("transparency")
    if image.mode not in ("1", "L", "I;16", "RGB", "RGBA") or not isinstance(key, int | tuple):
        return pixels
    if pixels.shape[-1] in (2, 4):
        return pixels
    color = np.array(255 * bool(key) if image.mode == "1" else key)  # Pillow 13 says 255 where 11 said 1
    full = np.iinfo(pixels.dtype).max
    alpha = np.where((pixels == color).all(-1, keepdims=True), 0, full).astype(pixels.dtype)
    return np.concatenate([pixels, alpha], axis=-1)


def decoded_as(image: ImageFile.ImageFile, rawmode: str) -> UInt8[ndarray, "H W C"]:
    """Decode a file that is opened and not loaded, telling Pillow how its samples are laid out."""

    def renamed(args: Any) -> Any:
        return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode

    image.tile = [tile._replace(args=renamed(tile.args)) for tile in image.tile]
    image.load()
    return np.array(image)


def rawmode_of(image: ImageFile.ImageFile) -> str:
    """How Pillow says that the samples of a file are laid out."""
    args = image.tile[0].args
    return str(args[0] if isinstance(args, tuple) else args)


def unpremultiplied(pixels: Pixels) -> Pixels:
    """Straight alpha of premultiplied colors."""
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
            pass  # a broken profile, or one for other than CMYK: the plain formula below needs none
    return image.convert("RGB")


class _Strictness:
    """How many decodes are under way, and what to go back to after the last."""

    lock = threading.Lock()
    active = 0
    before: tuple[bool, int | None] = (False, None)
    quiet: Any = None


@contextmanager
def strict_pillow(pixels: int) -> Iterator[None]:
    """Hold Pillow to refuse truncated files, to accept `pixels`, which our own limit has passed, and to print nothing.

    These are settings of the whole process that a user may have changed, so they go back to what they were when the
    last decode in any thread ends, and the size guard is lifted only for an image that would trip it.
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
    """Keep Pillow's warnings, which repeat an error or do not matter, and libtiff's messages off the screen."""
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
    """The libtiff that Pillow uses, where it is a library of its own; on Windows it is not."""
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(Image.core.__file__)
        for name in _HANDLERS:
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
        return library
    return None
