"""What the readers and writers of image files hand to each other. The public side is `passband.io.image`."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from torch import Tensor

Pixels = UInt8[ndarray, "H W C"] | UInt16[ndarray, "H W C"]
Unit = Literal["inch", "cm", "m", "ratio"]

SUPPORTED = "supported are 8 and 16-bit gray and RGB with or without alpha, 1-bit, palette and CMYK"
_METERS = {"inch": 0.0254, "cm": 0.01, "m": 1.0}


class ImageError(ValueError):
    """An image that cannot be read or written; the message names the file and says why."""


@dataclass(frozen=True)
class Density:
    """How many pixels of an image fill a length on paper.

    Attributes:
        x: pixels per unit, across.
        y: pixels per unit, down.
        unit: "inch", "cm", "m", or "ratio" where only the shape of a pixel is known.
    """

    x: float
    y: float
    unit: Unit

    def per(self, unit: Literal["inch", "cm", "m"]) -> tuple[float, float] | None:
        """Pixels per another unit, across and down; None where only the shape of a pixel is known.

        A whole number within 0.01 is taken, because types that count by the meter cannot hold 300 per inch exactly.
        """
        if self.unit == "ratio":
            return None
        scale = _METERS[unit] / _METERS[self.unit]
        x, y = (round(value * scale) if abs(value * scale - round(value * scale)) < 0.01 else value * scale
                for value in (self.x, self.y))  # fmt: skip
        return x, y

    def turned(self) -> "Density":
        """The density with across and down swapped."""
        return Density(self.y, self.x, self.unit)


@dataclass(frozen=True)
class PictureMeta:
    """What an image file had besides its pixels.

    Attributes:
        kind: one of the types of `image_kinds.KINDS`, such as "PNG".
        bits: 8 or 16 bits a sample.
        gray: the file had one color channel.
        exif: EXIF block from its TIFF header on, with orientation 1: the pixels are already turned.
        icc: ICC profile of the pixels.
        lossless: the file was a lossless WebP.
        density: pixels per length.
        xmp: XMP packet, as text in UTF-8.
        photoshop: image resource blocks of Photoshop, which hold IPTC data.
        extras: what only this type of file can hold, as names and contents: color and text chunks of PNG, comments
            and extended XMP of JPEG.
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


@dataclass(frozen=True)
class Picture:
    """An image and what is needed to write it back; swap the pixels with `dataclasses.replace`.

    Attributes:
        image: RGB in [0, 1], upright; a gray image has three equal channels.
        alpha: opacity in [0, 1], not premultiplied; None where every pixel is opaque.
        meta: what else the file held.
        notes: sentences about what the file held that is not in the image.
    """

    image: Float[Tensor, "3 H W"]
    alpha: Float[Tensor, "1 H W"] | None = None
    meta: PictureMeta = field(default_factory=PictureMeta)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """An image as it is stored, turned upright.

    Attributes:
        pixels: gray, gray+alpha, RGB or RGBA by the number of channels; 8 or 16 bit by the type.
        meta: what came with them; its `bits` and `gray` are told by the pixels instead.
        notes: sentences about what is in the file and not here.
    """

    pixels: Pixels
    meta: PictureMeta
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Animation:
    """When the frames of an animation are shown.

    Attributes:
        durations: how long each frame stays, in seconds.
        loops: how often all are shown; 0 for ever.
        still_first: the first image is shown only by programs that know no animations, and has no duration.
    """

    durations: tuple[Fraction, ...]
    loops: int = 0
    still_first: bool = False


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Refuse an image whose header claims too many pixels.

    Args:
        size: width and height in pixels.
        name: what messages call the file.
        max_pixels: the limit.

    Raises:
        ImageError: naming the size, the limit and how to raise it.
    """
    if size[0] * size[1] > max_pixels:
        raise ImageError(
            f"{name} is {size[0]}x{size[1]} pixels ({size[0] * size[1]:,}), over the limit of {max_pixels:,}; if you "
            f"trust the file, raise the limit with max_pixels= in Python or --max-pixels on the command line"
        )


def check_length(size: tuple[int, int], least: int, length: int, kind: str, name: str) -> None:
    """Refuse a file that is far too short for its pixels, before memory is taken for them.

    Args:
        size: width and height that its header claims.
        least: bytes that so many pixels take at least.
        length: bytes of the file.
        kind: of the file.
        name: what messages call the file.

    Raises:
        ImageError: for a file that is too short.
    """
    if length < least:
        raise ImageError(
            f"{name} is a {kind} file that is cut short or damaged: it says that it has {size[0]}x{size[1]} pixels, "
            f"which take {least:,} bytes or more, and has {length:,} bytes"
        )


def refuse_hdr(transfer: int, name: str) -> None:
    """Refuse images whose values are coded for HDR, as videos are refused.

    Args:
        transfer: code of the transfer function in ITU-T H.273, table 3.
        name: what messages call the file.

    Raises:
        ImageError: for PQ and HLG.
    """
    if transfer in (16, 18):
        raise ImageError(
            f"{name} is HDR ({'PQ' if transfer == 16 else 'HLG'}), whose values a network trained on standard images "
            f"would misread: convert it to standard range (such as sRGB) first"
        )
