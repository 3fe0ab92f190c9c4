"""Defines the data that readers and writers of image files exchange. The public interface is `passband.io.image`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, Literal, TypeVar

from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from torch import Tensor

from passband.naming import with_article

Pixels = UInt8[ndarray, "H W C"] | UInt16[ndarray, "H W C"]
Unit = Literal["inch", "cm", "m", "ratio"]

SUPPORTED = "supported are 8 and 16-bit gray and RGB with or without alpha, 1-bit, palette and CMYK"
_METERS = {"inch": 0.0254, "cm": 0.01, "m": 1.0}


class ImageError(ValueError):
    """An image cannot be read or written. The message names the file and the reason."""


@dataclass(frozen=True)
class Density:
    """Density of an image on paper.

    Attributes:
        x: horizontal number of pixels per unit.
        y: vertical number of pixels per unit.
        unit: "inch", "cm" or "m", or "ratio" if only the aspect ratio of the pixels is known.
    """

    x: float
    y: float
    unit: Unit

    def per(self, unit: Literal["inch", "cm", "m"]) -> tuple[float, float] | None:
        """Return the horizontal and vertical number of pixels per another unit.

        Values within 0.01 of a whole number are rounded, because types that count per meter cannot store 300 per inch
        exactly.

        Args:
            unit: unit of length.

        Returns:
            Pixels per unit, or None if only the aspect ratio of the pixels is known.
        """
        if self.unit == "ratio":
            return None
        scale = _METERS[unit] / _METERS[self.unit]
        x, y = (round(value * scale) if abs(value * scale - round(value * scale)) < 0.01 else value * scale
                for value in (self.x, self.y))  # fmt: skip
        return x, y

    def turned(self) -> "Density":
        """Return the density with horizontal and vertical values exchanged."""
        return Density(self.y, self.x, self.unit)


@dataclass(frozen=True)
class ImageMeta:
    """Everything that an image file stores besides its pixels.

    Attributes:
        kind: type of the file, one of the values of `kinds.KINDS`, such as "PNG".
        bits: bits per sample, 8 or 16.
        gray: whether the file has a single color channel.
        exif: EXIF block, starting with its TIFF header. Its orientation is 1, because the pixels are already upright.
        icc: ICC profile of the pixels.
        lossless: whether the file is a lossless WebP.
        density: density of the image on paper.
        xmp: XMP packet, as text in UTF-8.
        photoshop: image resource blocks of Photoshop, which hold IPTC data.
        extras: names and contents of data that only this file type has: color and text chunks of PNG, comments and
            extended XMP of JPEG.
        software: name of the program that made the file, which replaces the one that the metadata state; None keeps it.
    """

    kind: str = "PNG"
    bits: int = 8
    gray: bool = False
    exif: bytes | None = field(default=None, repr=False)
    icc: bytes | None = field(default=None, repr=False)
    lossless: bool = False
    density: Density | None = None
    xmp: bytes | None = field(default=None, repr=False)
    photoshop: bytes | None = field(default=None, repr=False)
    extras: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    software: str | None = None


@dataclass(frozen=True)
class StoredImage:
    """An image with everything that is needed to write it. Use `dataclasses.replace` to exchange the pixels.

    Attributes:
        image: RGB in [0, 1], upright. A gray image has three equal channels.
        alpha: opacity in [0, 1], not premultiplied; None if every pixel is opaque.
        meta: metadata of the file.
        notes: sentences about content of the file that is missing in the image.
    """

    image: Float[Tensor, "3 H W"]
    alpha: Float[Tensor, "1 H W"] | None = None
    meta: ImageMeta = field(default_factory=ImageMeta)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """An image with the samples that its file stores, turned upright.

    Attributes:
        pixels: gray, gray and alpha, RGB or RGBA, depending on the number of channels; uint8 or uint16.
        meta: metadata of the file. Its `bits` and `gray` are not set yet; the pixels determine them.
        notes: sentences about content of the file that is missing in the image.
    """

    pixels: Pixels
    meta: ImageMeta
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Animation:
    """Durations of the frames of an animation.

    Attributes:
        durations: duration of each frame, in seconds.
        loops: number of times that the animation plays; 0 means forever.
        still_first: whether the first image is shown only by programs without support for animations. It has no
            duration.
    """

    durations: tuple[Fraction, ...]
    loops: int = 0
    still_first: bool = False


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Raise an error if an image's header claims too many pixels or none.

    Args:
        size: width and height in pixels.
        name: name of the file for messages.
        max_pixels: largest number of pixels.

    Raises:
        ImageError: if the image is too large, or has no pixels. The message names the size, the limit and how to raise
            it.
    """
    if size[0] < 1 or size[1] < 1:
        raise ImageError(f"{name} is damaged: its header says {size[0]}x{size[1]} pixels")
    if size[0] * size[1] > max_pixels:
        raise ImageError(
            f"{name} is {size[0]}x{size[1]} pixels ({size[0] * size[1]:,}), over the limit of {max_pixels:,}; if you "
            f"trust the file, raise the limit with max_pixels= in Python or --max-pixels on the command line"
        )


def check_canvas(size: tuple[int, int], drawn: int, kind: str, name: str) -> None:
    """Raise an error if the frames of an animation draw almost nothing of a large canvas, before memory is allocated.

    Args:
        size: width and height of the canvas, in pixels.
        drawn: number of pixels of all frames together.
        kind: type of the file.
        name: name of the file for messages.

    Raises:
        ImageError: if the canvas is far larger than its frames. The message names the sizes.
    """
    pixels = size[0] * size[1]
    if drawn and pixels > _LARGE_CANVAS and pixels > drawn * _SPARSE:
        raise ImageError(
            f"{name} is {with_article(kind)} file that is incomplete or damaged: it says that it has "
            f"{size[0]}x{size[1]} pixels, and all frames of its animation together draw {drawn:,}"
        )


_LARGE_CANVAS, _SPARSE = 1 << 24, 4096
"""Size in pixels above which a canvas is checked, and largest ratio of its pixels to those of all frames."""


def check_length(size: tuple[int, int], least: int, length: int, kind: str, name: str) -> None:
    """Raise an error if a file is far too short for its pixels, before memory is allocated for them.

    Args:
        size: width and height from the header, in pixels.
        least: smallest number of bytes that an image of this size can take.
        length: length of the file, in bytes.
        kind: type of the file.
        name: name of the file for messages.

    Raises:
        ImageError: if the file is too short.
    """
    if length < least:
        raise ImageError(
            f"{name} is {with_article(kind)} file that is incomplete or damaged: its header says "
            f"{size[0]}x{size[1]} pixels, which need at least {least:,} bytes, but it has {length:,} bytes"
        )


def refuse_hdr(transfer: int, name: str) -> None:
    """Raise an error if an image is coded for HDR. Videos are refused in the same way.

    Args:
        transfer: code of the transfer function in ITU-T H.273, table 3.
        name: name of the file for messages.

    Raises:
        ImageError: if the transfer function is PQ or HLG.
    """
    if transfer in (16, 18):
        raise ImageError(
            f"{name} is HDR ({'PQ' if transfer == 16 else 'HLG'}), but networks are trained on images of standard "
            f"range: convert it to standard range (such as sRGB) first"
        )


Item = TypeVar("Item")


@dataclass(frozen=True)
class ImageSequence(Generic[Item]):
    """All images in a file: a single image, the pages of a TIFF, or the frames of an animation.

    Attributes:
        count: number of images.
        images: iterator that reads the images one by one, in order. It can be used only once.
        animation: durations of the frames; None for a single image and for pages.
    """

    count: int
    images: Iterator[Item]
    animation: Animation | None = None
