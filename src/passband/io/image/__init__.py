"""Images in and out: the only place that knows file types, bit depths, palettes, metadata and color profiles.

Inside, an image is float32 RGB in [0, 1], whatever the file holds; alpha is kept aside, and `PictureMeta` remembers
what is needed to write the same kind of file back: EXIF, XMP, IPTC, the color profile, density, and what only one type
has. PNG, JPEG, WebP, TIFF and BMP are read, by content rather than suffix, and AVIF and HEIC where the packages for
them are there. 16 bits survive in PNG and TIFF. Files that lose nothing come back with the pixels they had, except that
a palette becomes RGB and CMYK becomes sRGB. `open_pictures` and `write_pictures` take all pages of a TIFF and all
frames of an animation, `read_picture` the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image
from torch import Tensor

from passband.io.files import write_whole
from passband.io.image.decode import DecodedFile, from_pillow, open_file
from passband.io.image.encode import ANIMATED, DEEP, encode_animation, encode_still, fitted_meta
from passband.io.image.formats.tiff_write import tiff_pages
from passband.io.image.kinds import HEAD, KINDS, NAMES, SUFFIXES, kind_of, kind_of_file
from passband.io.image.types import Animation, Decoded, Density, ImageError, Picture, PictureMeta, Pixels

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "SUFFIXES",
    "Animation",
    "Density",
    "ImageError",
    "Picture",
    "PictureFile",
    "PictureMeta",
    "from_pil",
    "kind_of_file",
    "open_pictures",
    "read_image",
    "read_picture",
    "to_pil",
    "write_image",
    "write_picture",
    "write_pictures",
]

DEFAULT_MAX_PIXELS = 200_000_000
"""Larger than any camera's image; as float32 RGB it takes 2.4 GB."""


@dataclass(frozen=True)
class PictureFile:
    """All images of a file: one, the pages of a TIFF, or the frames of an animation.

    Attributes:
        count: how many there are.
        pictures: reads them one by one, in order; can be gone through once.
        animation: when frames are shown; None of a single image, and of pages.
    """

    count: int
    pictures: Iterator[Picture]
    animation: Animation | None = None


def open_pictures(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> PictureFile:
    """Look at an image file that may hold several images.

    Args:
        path: as in `read_picture`.
        max_pixels: refuse images whose header claims more, before decoding them.

    Returns:
        Its images, which are decoded when it is their turn and raise what `read_picture` raises.

    Raises:
        ImageError: as in `read_picture`.
        OSError: as in `read_picture`.
    """
    with Path(path).open("rb") as file:
        head = file.read(HEAD)
        if not head:
            raise ImageError(f"{path} is empty; a {NAMES} image is needed")
        kind = kind_of(head)
        if kind is None:
            raise ImageError(f"{path} is not a {NAMES} image: it begins with {head[:8]!r}")
        data = head + file.read()
    opened: DecodedFile = open_file(data, kind, str(path), max_pixels)
    return PictureFile(opened.count, map(_picture, opened.pictures), opened.animation)


def read_picture(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read an image file with all that is needed to write it back.

    Args:
        path: a PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC file; its content decides, not its suffix. Of several pages or
            frames the first is read, and a note says so.
        max_pixels: refuse a file whose header claims more, before decoding it.

    Returns:
        The image, turned upright by its EXIF orientation.

    Raises:
        ImageError: empty, not an image, truncated, damaged, too large, HDR, or of an unsupported kind such as 32-bit
            float; or a package that its type needs is missing.
        OSError: the file cannot be read: FileNotFoundError, PermissionError, IsADirectoryError.
    """
    file = open_pictures(path, max_pixels=max_pixels)
    first = next(file.pictures)
    return replace(first, notes=(*first.notes, _only_first(file.count, file.animation))) if file.count > 1 else first


def read_image(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Float[Tensor, "3 H W"]:
    """Read an image file as RGB, leaving alpha and metadata.

    The tensor is what `Restorer`, the networks and `write_image` take.

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
    """Write an image with its alpha, depth, metadata and color profile, as far as the file type can hold them.

    The suffix decides the type; where there is none, `meta.kind` does. JPEG, WebP, BMP and AVIF hold 8 bits; JPEG has
    no alpha, which is left out (the colors are not blended with a background); BMP has no metadata but density; WebP
    has no gray. A lossless WebP stays lossless. EXIF and XMP too long for JPEG (64 KiB) are left out. Sizes in the
    metadata become those of the image, and the thumbnail of EXIF is drawn anew. An image with `meta.gray` is written
    gray, as the mean of R, G and B.

    Args:
        path: the file to write, whole or not at all; missing folders are made.
        picture: values outside [0, 1] are clamped, then rounded to the nearest level.
        quality: 1 to 100, for lossy types; JPEG, AVIF and HEIC keep full color resolution from 90 on.

    Returns:
        Sentences about what the file type could not hold; empty where nothing was lost.

    Raises:
        ImageError: unsupported suffix, NaN or infinite values, alpha of another size, or too large for the type.
        OSError: the file cannot be written.
    """
    return write_pictures(path, PictureFile(1, iter([picture])), quality=quality)


def write_pictures(path: Path | str, file: PictureFile, *, quality: int = 95) -> tuple[str, ...]:
    """Write all images of a file, one by one, so that those that are still to come need not be there yet.

    Pages go into TIFF files, animations into PNG and WebP files, whose frames are each written whole and shown as long
    as before. Another type gets the first image, and a note says so.

    Args:
        path: as in `write_picture`.
        file: the images; frames of an animation have one size.
        quality: as in `write_picture`.

    Returns:
        Sentences about what was not in the images already, from `Picture.notes`, and what the type could not hold.

    Raises:
        ImageError: as in `write_picture`.
        OSError: as in `write_picture`.
    """
    path = Path(path)
    first = next(file.pictures)
    kind = KINDS.get(path.suffix.lower()) if path.suffix else first.meta.kind
    if kind is None:
        known = " ".join(sorted(SUFFIXES))
        raise ImageError(f"{path} cannot be written: its suffix {path.suffix!r} is not one of {known}")
    if not 1 <= quality <= 100:
        raise ImageError(f"{path} cannot be written with quality {quality}; give 1 to 100")
    notes: list[str] = []
    several = file.count > 1 and (kind in ANIMATED if file.animation else kind == "TIFF")
    if file.count > 1 and not several:
        notes.append(_only_first(file.count, file.animation))
    layout = _Layout(kind, first.alpha is not None, first.meta.gray, first.meta.bits)

    def levels() -> Iterator[tuple[Pixels, PictureMeta]]:
        for number, picture in enumerate(chain([first], file.pictures if several else ())):
            notes.extend(picture.notes + _losses(picture, kind))
            own = layout if file.animation or number == 0 else _Layout.of(picture, kind)
            yield own.pixels(picture, str(path)), picture.meta

    def still(pixels: Pixels, meta: PictureMeta) -> bytes:
        try:
            return encode_still(pixels, kind, meta, quality, str(path), notes)
        except ImageError:
            raise
        except (ValueError, OSError) as error:
            raise ImageError(f"{path} cannot be written as {kind}: {error}") from error

    if several and kind == "TIFF":
        parts = tiff_pages(((pixels, fitted_meta(pixels, kind, meta, notes)) for pixels, meta in levels()), file.count)
    else:
        parts = (still(*each) for each in levels())
        parts = encode_animation(parts, kind, file.animation) if several and file.animation else parts
    begun = next(parts)  # of a single image all, so that one that cannot be written leaves no folder behind
    with write_whole(path) as temporary:
        temporary.write_bytes(begun)
        if several:
            with temporary.open("ab") as target:
                target.writelines(parts)
    return tuple(dict.fromkeys(notes))


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


def from_pil(image: Image.Image) -> Picture:
    """Take an image from a Pillow image, turned upright if it still carries an EXIF orientation.

    Pillow itself keeps 8 of the 16 bits of color files; use `read_picture` for those.

    Args:
        image: of any mode but 32-bit and Lab; not changed.

    Returns:
        The image, as `read_picture` would give it.

    Raises:
        ImageError: a mode that is not supported, or a damaged file behind the image.
    """
    name = str(getattr(image, "filename", "") or "the Pillow image")
    try:
        decoded = from_pillow(image, name)
    except (OSError, SyntaxError) as error:
        raise ImageError(f"{name} is cut short or damaged: {error}") from error
    kind = {"MPO": "JPEG", "HEIF": "HEIC"}.get(image.format or "PNG", image.format or "PNG")
    picture = _picture(decoded)
    return replace(picture, meta=replace(picture.meta, kind=kind if kind in KINDS.values() else "PNG"))


def _picture(decoded: Decoded) -> Picture:
    planes = np.moveaxis(decoded.pixels, -1, 0)
    gray = len(planes) <= 2
    image = _unit(planes[:1] if gray else planes[:3])
    return Picture(
        image.repeat(3, 1, 1) if gray else image,
        _unit(planes[-1:]) if len(planes) in (2, 4) else None,
        replace(decoded.meta, bits=decoded.pixels.itemsize * 8, gray=gray),
        decoded.notes,
    )


def _only_first(count: int, animation: Animation | None) -> str:
    return f"only the first of its {count} {'frames' if animation else 'pages'} is kept"


def _losses(picture: Picture, kind: str) -> tuple[str, ...]:
    """What a file type cannot hold of the pixels, in sentences."""
    notes = []
    if picture.meta.bits == 16 and kind not in DEEP:
        notes.append(f"{kind} files hold 8 bits per sample: the 16 bits of the source were rounded to 8")
    if picture.meta.bits == 16 and kind == "HEIC" and picture.meta.kind != kind:
        notes.append("HEIC files hold 10 bits per sample: the 16 bits of the source were rounded to 10")
    if picture.alpha is not None and kind == "JPEG":
        notes.append("JPEG files hold no alpha channel: the transparency of the source was left out")
    return tuple(notes)


@dataclass(frozen=True)
class _Layout:
    """What samples a written image has; the frames of an animation share one."""

    kind: str
    alpha: bool
    gray: bool
    bits: int

    @classmethod
    def of(cls, picture: Picture, kind: str) -> "_Layout":
        return cls(kind, picture.alpha is not None, picture.meta.gray, picture.meta.bits)

    def pixels(self, picture: Picture, name: str) -> Pixels:
        alpha = picture.alpha if self.alpha and self.kind != "JPEG" else None
        if alpha is None and self.alpha and self.kind != "JPEG":
            alpha = torch.ones_like(picture.image[:1])
        bits = self.bits if self.kind in DEEP else 8
        return _quantized(picture.image, alpha, bits=bits, gray=self.gray and self.kind != "WEBP", name=name)


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
