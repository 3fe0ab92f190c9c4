"""Pictures in and out: the only place that knows file types, bit depths, palettes, EXIF and ICC profiles.

Inside, a picture is float32 RGB in [0, 1], whatever the file holds; alpha is kept aside, and `PictureMeta` remembers
what is needed to write the same kind of file back. PNG, JPEG, WebP, TIFF and BMP are read, by content rather than
suffix; of an animation or a file of several pages, the first. 16 bits survive in PNG and TIFF. Files that lose
nothing come back with the pixels they had, except that a palette becomes RGB and CMYK becomes sRGB.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image
from torch import Tensor

from passband.io.files import write_whole
from passband.io.image_decode import Decoded, ImageError, decode, from_pillow
from passband.io.image_encode import bmp_with_alpha, png16, tiff
from passband.io.image_exif import icc_for
from passband.io.image_kinds import HEAD, KINDS, NAMES, SUFFIXES, kind_of, kind_of_file
from passband.io.quiet import without_warnings

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "SUFFIXES",
    "ImageError",
    "Picture",
    "PictureMeta",
    "from_pil",
    "kind_of_file",
    "read_image",
    "read_picture",
    "to_pil",
    "write_image",
    "write_picture",
]

DEFAULT_MAX_PIXELS = 200_000_000
"""Larger than any camera's picture; as float32 RGB it takes 2.4 GB."""


@dataclass(frozen=True)
class PictureMeta:
    """What a picture file had besides its pixels.

    Attributes:
        kind: "PNG", "JPEG", "WEBP", "TIFF" or "BMP".
        bits: 8 or 16 bits a sample.
        gray: the file had one color channel.
        exif: EXIF block from its TIFF header on, with orientation 1: the pixels are already turned.
        icc: ICC profile of the pixels.
        lossless: the file was a lossless WebP.
    """

    kind: str = "PNG"
    bits: int = 8
    gray: bool = False
    exif: bytes | None = field(default=None, repr=False)
    icc: bytes | None = field(default=None, repr=False)
    lossless: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture and what is needed to write it back; swap the pixels with `dataclasses.replace`.

    Attributes:
        image: RGB in [0, 1], upright; a gray picture has three equal channels.
        alpha: opacity in [0, 1], not premultiplied; None where every pixel is opaque.
        meta: what else the file held.
        notes: sentences about what the file held that is not in the picture.
    """

    image: Float[Tensor, "3 H W"]
    alpha: Float[Tensor, "1 H W"] | None = None
    meta: PictureMeta = field(default_factory=PictureMeta)
    notes: tuple[str, ...] = ()


def read_picture(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read a picture file with all that is needed to write it back.

    Args:
        path: a PNG, JPEG, WebP, TIFF or BMP file; its content decides, not its suffix.
        max_pixels: refuse a file whose header claims more, before decoding it.

    Returns:
        The picture, turned upright by its EXIF orientation.

    Raises:
        ImageError: empty, not a picture, truncated, damaged, too large, or of an unsupported kind such as 32-bit float.
        OSError: the file cannot be read: FileNotFoundError, PermissionError, IsADirectoryError.
    """
    with Path(path).open("rb") as file:
        head = file.read(HEAD)
        if not head:
            raise ImageError(f"{path} is empty; a {NAMES} picture is needed")
        kind = kind_of(head)
        if kind is None:
            raise ImageError(f"{path} is not a {NAMES} picture: it begins with {head[:8]!r}")
        data = head + file.read()
    return _picture(decode(data, kind, str(path), max_pixels), kind)


def read_image(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Float[Tensor, "3 H W"]:
    """Read a picture file as RGB, leaving alpha and metadata.

    Args:
        path: as in `read_picture`.
        max_pixels: as in `read_picture`.

    Returns:
        float32 RGB in [0, 1], turned upright.

    Raises:
        ImageError: as in `read_picture`.
        OSError: as in `read_picture`.
    """
    return read_picture(path, max_pixels=max_pixels).image


def write_picture(path: Path | str, picture: Picture, *, quality: int = 95) -> tuple[str, ...]:
    """Write a picture with its alpha, depth, EXIF and ICC profile, as far as the file type can hold them.

    The suffix decides the type; where there is none, `meta.kind` does. JPEG, WebP and BMP hold 8 bits; JPEG has no
    alpha, which is left out (the colors are not blended with a background); BMP has no metadata; WebP has no gray. A
    lossless WebP stays lossless. EXIF too long for JPEG (64 KiB) is left out. A picture with `meta.gray` is written
    gray, as the mean of R, G and B.

    Args:
        path: the file to write, whole or not at all; missing folders are made.
        picture: values outside [0, 1] are clamped, then rounded to the nearest level.
        quality: 1 to 100, for JPEG and lossy WebP; JPEG keeps full color resolution from 90 on.

    Returns:
        Sentences about what the file type could not hold; empty where nothing was lost.

    Raises:
        ImageError: unsupported suffix, NaN or infinite values, alpha of another size, or too large for the type.
        OSError: the file cannot be written.
    """
    path, meta = Path(path), picture.meta
    kind = KINDS.get(path.suffix.lower()) if path.suffix else meta.kind
    if kind is None:
        known = " ".join(sorted(SUFFIXES))
        raise ImageError(f"{path} cannot be written: its suffix {path.suffix!r} is not one of {known}")
    if not 1 <= quality <= 100:
        raise ImageError(f"{path} cannot be written with quality {quality}; give 1 to 100")
    gray = meta.gray and kind != "WEBP"
    alpha = None if kind == "JPEG" else picture.alpha
    bits = meta.bits if kind in ("PNG", "TIFF") else 8
    pixels = _quantized(picture.image, alpha, bits=bits, gray=gray, name=str(path))
    try:
        data = _encoded(pixels, kind, meta, quality)
    except (ValueError, OSError) as error:
        raise ImageError(f"{path} cannot be written as {kind}: {error}") from error
    with write_whole(path) as temporary:
        temporary.write_bytes(data)
    return _losses(picture, kind)


def write_image(path: Path | str, image: Float[Tensor, "3 H W"], *, quality: int = 95) -> None:
    """Write RGB as an 8-bit file without metadata.

    Args:
        path: as in `write_picture`.
        image: RGB in [0, 1].
        quality: as in `write_picture`.

    Raises:
        ImageError: as in `write_picture`.
        OSError: as in `write_picture`.
    """
    if not Path(path).suffix:
        raise ImageError(f"{path} cannot be written: its name needs one of the suffixes {' '.join(sorted(SUFFIXES))}")
    write_picture(path, Picture(image), quality=quality)


def to_pil(image: Float[Tensor, "3 H W"], alpha: Float[Tensor, "1 H W"] | None = None) -> Image.Image:
    """Make an 8-bit Pillow image.

    Args:
        image: RGB in [0, 1]; clamped, then rounded.
        alpha: opacity in [0, 1].

    Returns:
        A Pillow image of mode RGB, or RGBA with alpha.

    Raises:
        ImageError: NaN or infinite values, or alpha of another size.
    """
    return Image.fromarray(_quantized(image, alpha, bits=8, gray=False, name="the image"))


@without_warnings()
def from_pil(image: Image.Image) -> Picture:
    """Take a picture from a Pillow image, turned upright if it still carries an EXIF orientation.

    Pillow itself keeps 8 of the 16 bits of color files; use `read_picture` for those.

    Args:
        image: of any mode but 32-bit and Lab; not changed.

    Returns:
        The picture, as `read_picture` would give it.

    Raises:
        ImageError: a mode that is not supported, or a damaged file behind the image.
    """
    name = str(getattr(image, "filename", "") or "the Pillow image")
    try:
        decoded = from_pillow(image, name)
    except (OSError, SyntaxError) as error:
        raise ImageError(f"{name} is cut short or damaged: {error}") from error
    kind = {"MPO": "JPEG"}.get(image.format or "PNG", image.format or "PNG")
    return _picture(decoded, kind if kind in KINDS.values() else "PNG")


def _picture(decoded: Decoded, kind: str) -> Picture:
    planes = np.moveaxis(decoded.pixels, -1, 0)
    gray = len(planes) <= 2
    image = _unit(planes[:1] if gray else planes[:3])
    return Picture(
        image.repeat(3, 1, 1) if gray else image,
        _unit(planes[-1:]) if len(planes) in (2, 4) else None,
        PictureMeta(
            kind, decoded.pixels.itemsize * 8, gray, exif=decoded.exif, icc=decoded.icc, lossless=decoded.lossless
        ),
    )


def _losses(picture: Picture, kind: str) -> tuple[str, ...]:
    """What a file type cannot hold of a picture, in sentences."""
    notes = []
    if picture.meta.bits == 16 and kind not in ("PNG", "TIFF"):
        notes.append(f"{kind} files hold 8 bits per sample: the 16 bits of the source were rounded to 8")
    if picture.alpha is not None and kind == "JPEG":
        notes.append("JPEG files hold no alpha channel: the transparency of the source was left out")
    return tuple(notes)


def _unit(planes: UInt8[ndarray, "C H W"] | UInt16[ndarray, "C H W"]) -> Float[Tensor, "C H W"]:
    values = planes.astype(np.float32, order="C")
    values /= np.iinfo(planes.dtype).max
    return torch.from_numpy(values)


def _quantized(
    image: Float[Tensor, "3 H W"], alpha: Float[Tensor, "1 h w"] | None, *, bits: int, gray: bool, name: str
) -> UInt8[ndarray, "H W C"] | UInt16[ndarray, "H W C"]:
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise ImageError(f"{name} needs one RGB image of shape 3 H W, got {tuple(image.shape)}; index a batch first")
    if alpha is not None and alpha.shape[-2:] != image.shape[-2:]:
        sizes = f"{image.shape[-1]}x{image.shape[-2]} and {alpha.shape[-1]}x{alpha.shape[-2]}"
        raise ImageError(f"{name} needs image and alpha of one size, got {sizes}; resize alpha like the image")
    image = image.detach().to("cpu", torch.float32)
    planes = [image.mean(0, keepdim=True) if gray else image]
    if alpha is not None:
        planes.append(alpha.detach().to("cpu", torch.float32))
    values = torch.cat(planes)
    if not bool(torch.isfinite(values).all()):
        count = int((~torch.isfinite(values)).sum())
        raise ImageError(
            f"{name} cannot be written: {count:,} of its values are NaN or infinite, which a model gives when its "
            f"weights or its precision do not fit; try float32"
        )
    top = 2**bits - 1
    levels = values.clamp(0, 1).mul_(top).round_().permute(1, 2, 0).numpy()
    return levels.astype(np.uint8 if bits == 8 else np.uint16, order="C")


def _encoded(
    pixels: UInt8[ndarray, "H W C"] | UInt16[ndarray, "H W C"], kind: str, meta: PictureMeta, quality: int
) -> bytes:
    channels = pixels.shape[-1]
    exif, icc = meta.exif, icc_for(meta.icc, gray=channels <= 2)
    if kind == "TIFF":
        return tiff(pixels, exif=exif, icc=icc)
    if pixels.dtype == np.uint16:
        return png16(pixels, exif=exif, icc=icc)
    if kind == "BMP" and channels in (2, 4):
        return bmp_with_alpha(pixels if channels == 4 else pixels[..., [0, 0, 0, 1]])
    options: dict[str, object] = {} if kind == "BMP" else {"exif": exif or b"", "icc_profile": icc}
    if kind == "JPEG":
        # A JPEG segment holds 65,533 bytes; the marker takes six of them.
        options["exif"] = b"Exif\0\0" + exif if exif and len(exif) <= 65_527 else b""
        options |= {"quality": quality, "subsampling": "4:4:4" if quality >= 90 else "4:2:0"}
    elif kind == "WEBP":
        # `exact` keeps the colors under fully transparent pixels.
        options |= {"lossless": True, "exact": True} if meta.lossless else {"quality": quality, "exact": True}
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, kind, **options)
    return file.getvalue()
