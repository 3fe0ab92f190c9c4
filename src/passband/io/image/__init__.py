"""Reads and writes image files. Only this package knows file types, bit depths, palettes, metadata and color profiles.

In memory, an image is float32 RGB in [0, 1], whatever its file stores. Alpha is kept separately. `ImageMeta` holds
everything that is needed to write the same kind of file again: EXIF, XMP, IPTC, the color profile, the density, and
data that only one file type has. PNG, JPEG, WebP, TIFF and BMP files are recognized by their content rather than their
suffix; AVIF and HEIC files also, if their packages are installed. PNG and TIFF keep 16 bits. Files of lossless types
are written back with the same pixels, except that palettes become RGB and CMYK becomes sRGB. `open_images` and
`write_images` handle all pages of a TIFF and all frames of an animation; `read_stored_image` reads only the first.
"""

import io
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
from passband.io.image.decode import from_pillow, open_file
from passband.io.image.encode import ANIMATED, DEEP, encode_animation, encode_still, fitted_meta
from passband.io.image.formats.tiff_write import tiff_pages
from passband.io.image.kinds import HEAD, KINDS, NAMES, SUFFIXES, kind_of, kind_of_file
from passband.io.image.types import (
    Animation,
    Decoded,
    Density,
    ImageError,
    ImageMeta,
    ImageSequence,
    Pixels,
    StoredImage,
)
from passband.io.paths import as_path

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "SUFFIXES",
    "Animation",
    "Density",
    "ImageError",
    "ImageMeta",
    "ImageSequence",
    "StoredImage",
    "from_pil",
    "kind_of_file",
    "open_images",
    "read_image",
    "read_stored_image",
    "to_pil",
    "write_image",
    "write_images",
    "write_stored_image",
]

DEFAULT_MAX_PIXELS = 200_000_000
"""Default limit of pixels, which is more than any camera's images have. As float32 RGB they take 2.4 GB."""


def open_images(source: Path | str | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> ImageSequence[StoredImage]:
    """Open an image file that may hold several images.

    Args:
        source: path of the file, or its content, as in `read_stored_image`.
        max_pixels: largest number of pixels of each image; larger images are refused before they are decoded.

    Returns:
        The images. Each one is decoded when the iterator reaches it, and raises the errors of `read_stored_image`.

    Raises:
        ImageError: if the file is not an image or is damaged, as in `read_stored_image`.
        OSError: if the file cannot be read.
    """
    is_content = isinstance(source, bytes)
    name = "the content" if is_content else str(source)
    with io.BytesIO(source) if is_content else as_path(source).open("rb") as file:
        head = file.read(HEAD)
        if not head:
            raise ImageError(f"{name} is empty; a {NAMES} image is needed")
        kind = kind_of(head)
        if kind is None:
            raise ImageError(f"{name} is not a {NAMES} image: it begins with {head[:8]!r}")
        data = source if is_content else head + file.read()
    opened = open_file(data, kind, name, max_pixels)
    return ImageSequence(opened.count, map(_picture, opened.images), opened.animation)


def read_stored_image(source: Path | str | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> StoredImage:
    """Read an image file with everything that is needed to write it again.

    Args:
        source: path of a PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC file, or the content of one, as a request to a
            service holds it. The content decides the type, not the suffix. If there are several pages or frames, the
            first is read and a note says so.
        max_pixels: largest number of pixels; larger files are refused before they are decoded.

    Returns:
        The image, turned upright as its EXIF orientation says.

    Raises:
        ImageError: if the file is empty, not an image, incomplete, damaged, too large, HDR, or of an unsupported kind
            such as 32-bit float; or if its type needs a package that is not installed.
        OSError: if the file cannot be read: FileNotFoundError, PermissionError or IsADirectoryError.
    """
    file = open_images(source, max_pixels=max_pixels)
    first = next(file.images)
    return replace(first, notes=(*first.notes, _only_first(file.count, file.animation))) if file.count > 1 else first


def read_image(source: Path | str | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Float[Tensor, "3 H W"]:
    """Read an image file as RGB, without alpha and metadata.

    `Restorer`, the networks and `write_image` accept this tensor.

    Args:
        source: path of the file, or its content, as in `read_stored_image`.
        max_pixels: largest number of pixels; larger files are refused before they are decoded.

    Returns:
        The image as float32 RGB in [0, 1], turned upright.

    Raises:
        ImageError: if the file is not an image or is damaged, as in `read_stored_image`.
        OSError: if the file cannot be read.
    """
    return read_stored_image(source, max_pixels=max_pixels).image


def write_stored_image(path: Path | str, picture: StoredImage, *, quality: int = 95) -> tuple[str, ...]:
    """Write an image with its alpha, bit depth, metadata and color profile, as far as the file type supports them.

    The suffix of the path decides the file type; without a suffix, `meta.kind` does. JPEG, WebP, BMP and AVIF store 8
    bits per sample. JPEG has no alpha: it is left out, and the colors are not blended with a background. BMP stores no
    metadata except density. WebP has no gray images. A lossless WebP stays lossless. EXIF and XMP data that are too
    long for JPEG (64 KiB) are left out. Image sizes in the metadata are updated, and the EXIF thumbnail is drawn again.
    If `meta.gray` is set, the image is written as the mean of R, G and B.

    Args:
        path: path of the file. It is written completely or not at all; missing folders are created.
        picture: image to write. Values outside [0, 1] are clamped, then all are rounded to the nearest level.
        quality: quality of lossy types, 1 to 100. From 90 on, JPEG, AVIF and HEIC keep full color resolution.

    Returns:
        Sentences about everything that the file type could not store; empty if nothing was lost.

    Raises:
        ImageError: if the suffix is not supported, values are NaN or infinite, alpha has another size, or the image is
            too large for the file type.
        OSError: if the file cannot be written.
    """
    return write_images(path, ImageSequence(1, iter([picture])), quality=quality)


def write_images(path: Path | str, file: ImageSequence[StoredImage], *, quality: int = 95) -> tuple[str, ...]:
    """Write all images of a file one by one. The iterator may produce each image only when it is needed.

    Pages are written to TIFF files, and animations to PNG and WebP files, with complete frames and unchanged durations.
    For other types, only the first image is written and a note says so.

    Args:
        path: path of the file, as in `write_stored_image`.
        file: images to write. All frames of an animation have the same size.
        quality: quality of lossy types, 1 to 100, as in `write_stored_image`.

    Returns:
        Sentences about everything that was already missing (`StoredImage.notes`) or that the file type could not store.

    Raises:
        ImageError: if an image cannot be written, as in `write_stored_image`.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    first = next(file.images)
    kind = KINDS.get(path.suffix.lower()) if path.suffix else first.meta.kind
    if kind is None:
        known = " ".join(sorted(SUFFIXES))
        raise ImageError(f"{path} cannot be written: its suffix {path.suffix!r} is not one of {known}")
    if not 1 <= quality <= 100:
        raise ImageError(f"{path} cannot be written with quality {quality}; give 1 to 100")
    notes: list[str] = []
    writes_all = file.count > 1 and (kind in ANIMATED if file.animation else kind == "TIFF")
    if file.count > 1 and not writes_all:
        notes.append(_only_first(file.count, file.animation))
    if writes_all and kind == "WEBP" and file.animation and file.animation.still_first:
        notes.append("WebP animations hold no separate still image: the one of the source is left out")
    layout = _Layout(kind, first.alpha is not None, first.meta.gray, first.meta.bits)

    def levels() -> Iterator[tuple[Pixels, ImageMeta]]:
        for number, picture in enumerate(chain([first], file.images if writes_all else ())):
            notes.extend(picture.notes + _losses(picture, kind))
            own = layout if file.animation or number == 0 else _Layout.of(picture, kind)
            yield own.pixels(picture, str(path)), picture.meta

    def still(pixels: Pixels, meta: ImageMeta) -> bytes:
        try:
            return encode_still(pixels, kind, meta, quality, str(path), notes)
        except ImageError:
            raise
        except (ValueError, OSError) as error:
            raise ImageError(f"{path} cannot be written as {kind}: {error}") from error

    if writes_all and kind == "TIFF":
        parts = tiff_pages(((pixels, fitted_meta(pixels, kind, meta, notes)) for pixels, meta in levels()), file.count)
    else:
        parts = (still(*each) for each in levels())
        parts = encode_animation(parts, kind, file.animation) if writes_all and file.animation else parts
    first_part = next(parts)  # a single image is complete here, so that no new folder remains if its encoding fails
    with write_whole(path) as temporary:
        temporary.write_bytes(first_part)
        if writes_all:
            with temporary.open("ab") as target:
                target.writelines(parts)
    return tuple(dict.fromkeys(notes))


def write_image(path: Path | str, image: Float[Tensor, "3 H W"], *, quality: int = 95) -> None:
    """Write an RGB image as an 8-bit file without metadata.

    Args:
        path: path of the file, as in `write_stored_image`. It needs a suffix.
        image: RGB in [0, 1].
        quality: quality of lossy types, 1 to 100, as in `write_stored_image`.

    Raises:
        ImageError: if the image cannot be written, as in `write_stored_image`.
        OSError: if the file cannot be written.
    """
    if not Path(path).suffix:
        raise ImageError(f"{path} cannot be written: its name needs one of the suffixes {' '.join(sorted(SUFFIXES))}")
    write_stored_image(path, StoredImage(image), quality=quality)


def to_pil(image: Float[Tensor, "3 H W"], alpha: Float[Tensor, "1 H W"] | None = None) -> Image.Image:
    """Convert an image to an 8-bit Pillow image.

    Args:
        image: RGB in [0, 1]. Values are clamped and rounded.
        alpha: opacity in [0, 1], or None.

    Returns:
        A Pillow image of mode RGB, or of mode RGBA if there is alpha.

    Raises:
        ImageError: if values are NaN or infinite, or if alpha has another size.
    """
    return Image.fromarray(_quantized(image, alpha, bits=8, gray=False, name="the image"))


def from_pil(image: Image.Image) -> StoredImage:
    """Convert a Pillow image, and turn it upright if it has an EXIF orientation.

    Pillow keeps only 8 of the 16 bits of color files. Use `read_stored_image` for those.

    Args:
        image: Pillow image of any mode except 32-bit and Lab. It is not changed.

    Returns:
        The image, as `read_stored_image` would return it.

    Raises:
        ImageError: if the mode is not supported, the image has no pixels, or the file behind it is damaged.
    """
    name = str(getattr(image, "filename", "") or "the Pillow image")
    if 0 in image.size:
        raise ImageError(f"{name} has no pixels: its size is {image.width}x{image.height}")
    try:
        decoded = from_pillow(image, name)
    except (OSError, SyntaxError) as error:
        raise ImageError(f"{name} is incomplete or damaged: {error}") from error
    kind = {"MPO": "JPEG", "HEIF": "HEIC"}.get(image.format or "PNG", image.format or "PNG")
    picture = _picture(decoded)
    return replace(picture, meta=replace(picture.meta, kind=kind if kind in KINDS.values() else "PNG"))


def _picture(decoded: Decoded) -> StoredImage:
    planes = np.moveaxis(decoded.pixels, -1, 0)
    gray = len(planes) <= 2
    image = _unit(planes[:1] if gray else planes[:3])
    return StoredImage(
        image.repeat(3, 1, 1) if gray else image,
        _unit(planes[-1:]) if len(planes) in (2, 4) else None,
        replace(decoded.meta, bits=decoded.pixels.itemsize * 8, gray=gray),
        decoded.notes,
    )


def _only_first(count: int, animation: Animation | None) -> str:
    return f"only the first of its {count} {'frames' if animation else 'pages'} is kept"


def _losses(picture: StoredImage, kind: str) -> tuple[str, ...]:
    """Return sentences about the parts of the pixels that a file type cannot store."""
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
    """Bit depth and channels of a written image. All frames of an animation share one layout."""

    kind: str
    alpha: bool
    gray: bool
    bits: int

    @classmethod
    def of(cls, picture: StoredImage, kind: str) -> "_Layout":
        return cls(kind, picture.alpha is not None, picture.meta.gray, picture.meta.bits)

    def pixels(self, picture: StoredImage, name: str) -> Pixels:
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
        raise ImageError(f"{name} needs image and alpha of the same size, got {sizes}; resize alpha like the image")
    image = image.detach().to("cpu", torch.float32)
    planes = [image.mean(0, keepdim=True) if gray else image]
    if alpha is not None:
        planes.append(alpha.detach().to("cpu", torch.float32))
    values = torch.cat(planes)
    if not bool(torch.isfinite(values).all()):
        count = int((~torch.isfinite(values)).sum())
        raise ImageError(
            f"{name} cannot be written: {count:,} of its values are NaN or infinite, which happens if the "
            f"weights are wrong or the precision is too low; try float32"
        )
    top = 2**bits - 1
    levels = values.clamp(0, 1).mul_(top).round_().permute(1, 2, 0).numpy()
    return levels.astype(np.uint8 if bits == 8 else np.uint16, order="C")
