"""Reads and writes HEIC and AVIF files, which phones produce.

Pillow supports AVIF with 8 bits from version 11.3 on. HEIC needs the package pillow-heif, which the extra `heic` of
passband installs.

Source: ISO/IEC 23008-12 (HEIF), AV1 Image File Format 1.1, ISO/IEC 14496-12, section 12.1.5 (color information).
"""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, features

from passband.io.image.metadata.exif import bare_exif, reset_orientation
from passband.io.image.metadata.exif_edit import without_orientation
from passband.io.image.metadata.xmp import upright_xmp, without_gain_map
from passband.io.image.pillow import pixels_of_pillow, strict_pillow, unpremultiplied
from passband.io.image.types import Decoded, ImageError, ImageMeta, Pixels, check_size, refuse_hdr
from passband.io.image.upright import upright_image

HEIC_EXTRA = "heic"
"""Extra of passband that installs the package for HEIC."""
_SRGB = 13
_FURTHER = "further images in the file (such as depth, a gain map for HDR screens, or a series) were left out"


def decode_heic(data: bytes, name: str, max_pixels: int) -> Decoded:
    """Decode the main image of a HEIC file.

    Args:
        data: content of the file.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger images are refused.

    Raises:
        ImageError: if pillow-heif is not installed, or if the image is HDR or too large.
    """
    heif = _import_pillow_heif(f"{name} cannot be read")
    file = heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    check_size(file.size, name, max_pixels)
    info: dict[str, Any] = file.info
    nclx = info.get("nclx_profile") or {}
    refuse_hdr(int(nclx.get("transfer_characteristics", _SRGB)), name)
    samples = np.asarray(file)
    pixels = samples if samples.ndim == 3 else samples[..., None]
    pixels = unpremultiplied(pixels) if file.premultiplied_alpha else pixels
    notes = (_FURTHER,) if len(file) > 1 or info.get("aux") or info.get("depth_images") else ()
    exif, xmp = bare_exif(info.get("exif")), info.get("xmp")
    # libheif has already turned the pixels, so the orientations in EXIF and XMP do not apply.
    exif = reset_orientation(exif)[1] if exif else None
    xmp = upright_xmp(without_gain_map(xmp) if notes else xmp) if xmp else None
    extras = ((b"nclx", _pack_colors(nclx)),) if nclx and not info.get("icc_profile") else ()
    meta = ImageMeta("HEIC", exif=exif or None, icc=info.get("icc_profile"), xmp=xmp, extras=extras)
    return upright_image(pixels, meta, notes)


def encode_heic(pixels: Pixels, meta: ImageMeta, quality: int, name: str) -> bytes:
    """Encode a HEIC file. 16-bit pixels are stored with 10 bits.

    Args:
        pixels: gray, RGB or RGBA, 8 or 16 bits.
        meta: metadata to write.
        quality: quality, 1 to 100.
        name: name of the file for messages.

    Raises:
        ImageError: if pillow-heif is not installed.
    """
    heif = _import_pillow_heif(f"{name} cannot be written")
    height, width, channels = pixels.shape
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels] + (";16" if pixels.dtype == np.uint16 else "")
    file = heif.from_bytes(mode=mode, size=(width, height), data=np.ascontiguousarray(pixels).tobytes())
    if meta.icc:
        file[0].info.update(icc_profile=meta.icc, icc_profile_type="prof")
    written = io.BytesIO()
    colors = _unpack_colors(dict(meta.extras).get(b"nclx", b"")) if meta.kind == "HEIC" else {}
    sampling = {"chroma": "444"} if quality >= 90 and channels >= 3 else {}
    xmp = upright_xmp(meta.xmp) if meta.xmp else None  # pillow-heif would turn the image by an orientation in XMP
    file.save(written, quality=quality, exif=meta.exif, xmp=xmp, **sampling, **colors)
    return written.getvalue()


def decode_avif(data: bytes, name: str, max_pixels: int) -> Decoded:
    """Decode the first image of an AVIF file.

    Args:
        data: content of the file.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger images are refused.

    Raises:
        ImageError: if this version of Pillow cannot read AVIF, or if the image is HDR or too large.
    """
    check_avif(f"{name} cannot be read")
    from PIL import AvifImagePlugin

    notes = []
    primaries, transfer = _color_codes(data)
    refuse_hdr(transfer, name)
    with strict_pillow(0):
        image = AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    check_size(image.size, name, max_pixels)
    count = int(getattr(image, "n_frames", 1))
    bits = _bits_of_avif(data)
    if count > 1:
        notes.append(f"its animation has {count} frames; only the first is kept")
    if bits > 8:
        notes.append(f"AVIF files are read with 8 bits per sample: its {bits} bits were rounded to 8")
    if "icc_profile" not in image.info and primaries not in (1, 2):
        notes.append("the color space that it names cannot be kept, so its colors may look different")
    with strict_pillow(image.width * image.height):
        image.load()
        pixels = pixels_of_pillow(image, name)
    exif = bare_exif(image.info.get("exif"))
    meta = ImageMeta("AVIF", exif=exif, icc=image.info.get("icc_profile"), xmp=image.info.get("xmp"))
    return upright_image(pixels, meta, tuple(notes))


def encode_avif(pixels: Pixels, meta: ImageMeta, quality: int, name: str, notes: list[str]) -> bytes:
    """Encode an AVIF file with 8 bits per sample. A damaged EXIF block is left out with a note.

    Args:
        pixels: gray, RGB or RGBA.
        meta: metadata to write.
        quality: quality, 1 to 100.
        name: name of the file for messages.
        notes: list to which sentences about lost data are added.

    Raises:
        ImageError: if this version of Pillow cannot write AVIF.
    """
    check_avif(f"{name} cannot be written")
    file = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    sampling = "4:0:0" if image.mode in ("L", "LA") else "4:4:4" if quality >= 90 else "4:2:0"
    if image.mode == "LA":
        image = image.convert("RGBA")
    options = {"quality": quality, "subsampling": sampling, "icc_profile": meta.icc, "xmp": meta.xmp or b""}
    # Pillow rewrites a block that has an orientation, without its maker notes. The pixels are upright without it.
    exif = without_orientation(meta.exif) if meta.exif else b""
    try:
        image.save(file, "AVIF", exif=exif, **options)
    except Exception:  # Pillow raises many kinds of errors for damaged blocks
        if not exif:
            raise
        notes.append("its EXIF data are damaged and were left out, because AVIF files cannot hold them")
        file = io.BytesIO()
        image.save(file, "AVIF", **options)
    return file.getvalue()


def stored_size_heif(data: bytes, kind: str) -> tuple[int, int]:
    """Return the width and height of a HEIC or AVIF file without decoding it.

    Args:
        data: content of the file.
        kind: `HEIC` or `AVIF`.

    Returns:
        Both in pixels.

    Raises:
        ImageError: if the file is HEIC and the package pillow-heif is missing.
    """
    if kind == "HEIC":
        return _import_pillow_heif("the file cannot be read").open_heif(io.BytesIO(data)).size
    from PIL import AvifImagePlugin

    return AvifImagePlugin.AvifImageFile(io.BytesIO(data)).size


def check_avif(action: str) -> None:
    """Raise an error if this Pillow does not support AVIF.

    Args:
        action: beginning of the message, such as "a.avif cannot be read".

    Raises:
        ImageError: if AVIF is not supported. The message says what to install.
    """
    if not has_avif():
        raise ImageError(f"{action}: AVIF needs Pillow 11.3 or newer; install it with: pip install -U Pillow")


def has_avif() -> bool:
    """Tell whether this version of Pillow can read and write AVIF."""
    return "avif" in features.modules and features.check("avif") is True


def _import_pillow_heif(action: str) -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"{action}: HEIC images need the package pillow-heif; install it with: pip install 'passband[heic]'"
        ) from error
    return pillow_heif


_NCLX = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")


def _pack_colors(nclx: dict[str, Any]) -> bytes:
    return struct.pack(">4H", *(int(nclx.get(name, 2)) for name in _NCLX))


def _unpack_colors(packed: bytes) -> dict[str, int]:
    if len(packed) != 8:
        return {}
    return dict(zip(_NCLX, struct.unpack(">4H", packed), strict=True))


def _color_codes(data: bytes) -> tuple[int, int]:
    """Return the codes of primaries and transfer function (ITU-T H.273) in the first color box; 2 if there is none."""
    at = data.find(b"colrnclx")
    return struct.unpack_from(">HH", data, at + 8) if 0 <= at <= len(data) - 12 else (2, 2)


def _bits_of_avif(data: bytes) -> int:
    """Return the number of bits per sample in the header of an AVIF file."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 64 else 12 if flags & 32 else 10
