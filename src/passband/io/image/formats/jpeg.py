"""Reads and writes JPEG files, including the segments around the pixels that Pillow does not report.

Source: ITU-T T.81, annex B; JFIF 1.02; EXIF 2.32, section 4.5.2; XMP specification, part 3; CIPA DC-007 (MPF).
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image, JpegImagePlugin

from passband.io.image.metadata.exif import bare_exif
from passband.io.image.metadata.iptc import resources_of
from passband.io.image.metadata.xmp import without_gain_map
from passband.io.image.pillow import CMYK_NOTE, pixels_of_pillow, strict_pillow
from passband.io.image.types import Decoded, Density, ImageMeta, Pixels, Unit, check_length, check_size
from passband.io.image.upright import upright_image

ROOM = 65_533
"""Largest content of a segment, in bytes."""
_APP0, _APP1, _APP2, _APP13, _COM, _SOS, _EOI = 0xE0, 0xE1, 0xE2, 0xED, 0xFE, 0xDA, 0xD9
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_UNITS: dict[int, Unit] = {0: "ratio", 1: "inch", 2: "cm"}
_ENDED = b"\xff\xd9"


def decode_jpeg(data: bytes, name: str, max_pixels: int) -> Decoded:
    """Decode a JPEG file.

    A file without an end marker is read if all its blocks are present, which `io.jpeg` checks.

    Args:
        data: content of the file.
        name: name of the file for messages.
        max_pixels: largest number of pixels; larger images are refused.
    """
    with strict_pillow(0):
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    check_size(image.size, name, max_pixels)
    if b"\xff\xc9" not in data and b"\xff\xca" not in data:  # the file does not use arithmetic coding
        least = image.width * image.height // 512  # at least one bit for each block of 64 pixels
        check_length(image.size, least, len(data), "JPEG", name)
    meta, notes = _meta(data)
    with strict_pillow(image.width * image.height):
        try:
            image.load()
        except OSError:
            if not _lacks_only_the_end_marker(data, max_pixels):
                raise
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(data + _ENDED))
            image.load()
            notes.append("its end marker is missing, but every block of pixels is there")
        if image.mode == "CMYK":
            notes.append(CMYK_NOTE)
        pixels = pixels_of_pillow(image, name)
    return upright_image(pixels, _with_icc(meta, image), tuple(notes))


def encode_jpeg(pixels: Pixels, meta: ImageMeta, quality: int, notes: list[str]) -> bytes:
    """Encode a JPEG file.

    Args:
        pixels: gray or RGB, 8 bits.
        meta: metadata to write.
        quality: quality, 1 to 100.
        notes: list to which sentences about lost data are added.
    """
    file = io.BytesIO()
    sampling = "4:4:4" if quality >= 90 else "4:2:0"
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.save(file, "JPEG", quality=quality, subsampling=sampling, icc_profile=meta.icc)
    data = file.getvalue()
    end = 4 + struct.unpack_from(">H", data, 4)[0]  # end of the JFIF segment, which Pillow writes first
    return b"".join([data[:13], _density(meta.density), data[18:end], *_segments(meta, notes), data[end:]])


def _segments(meta: ImageMeta, notes: list[str]) -> Iterator[bytes]:
    exif, xmp = _EXIF + meta.exif if meta.exif else b"", _XMP + meta.xmp if meta.xmp else b""
    for content, label in ((exif, "EXIF data"), (xmp, "XMP data")):
        if len(content) > ROOM:
            notes.append(f"its {label} did not fit into a JPEG file (64 KiB) and was left out")
        elif content:
            yield _segment(_APP1, content)
    step = ROOM - len(_PHOTOSHOP)
    for start in range(0, len(meta.photoshop or b""), step):
        yield _segment(_APP13, _PHOTOSHOP + (meta.photoshop or b"")[start : start + step])
    for name, content in meta.extras if meta.kind == "JPEG" else ():
        yield _segment(_COM if name == b"comment" else _APP1, content)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _density(density: Density | None) -> bytes:
    """Encode unit and numbers of a density as JFIF stores them."""
    inches = density.per("inch") if density else None
    if density is None or (density.unit == "cm" and float(density.x).is_integer() and float(density.y).is_integer()):
        values, unit = (density.x, density.y) if density else (1, 1), 2 if density else 0
    else:
        values, unit = inches or (density.x, density.y), 1 if inches else 0
    return struct.pack(">BHH", unit, *(min(max(round(value), 1), 0xFFFF) for value in values))


def _segments_before_pixels(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and content of each segment before the pixels."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in (_SOS, _EOI):
            return
        (length,) = struct.unpack_from(">H", data, position + 2)
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + max(length, 2)


def _meta(data: bytes) -> tuple[ImageMeta, list[str]]:
    density, xmp, photoshop, extras, notes = None, None, b"", [], []
    image_count = 1
    for marker, body in _segments_before_pixels(data):
        if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            unit, x, y = struct.unpack_from(">BHH", body, 7)
            density = Density(x, y, _UNITS[unit]) if x and y and unit in _UNITS else None
        elif marker == _APP1 and body.startswith(_XMP):
            xmp = xmp or body[len(_XMP) :]
        elif marker == _APP1 and body.startswith(_MORE_XMP):
            extras.append((b"extended XMP", body))
        elif marker == _APP13 and body.startswith(_PHOTOSHOP):
            photoshop += body[len(_PHOTOSHOP) :]
        elif marker == _APP2 and body.startswith(b"MPF\0"):
            image_count = max(image_count, _count_in_index(body[4:]))
        elif marker == _COM:
            extras.append((b"comment", body))
    if image_count > 1:
        notes.append("further images in the file (a preview, depth or a gain map for HDR screens) were left out")
        xmp = without_gain_map(xmp) if xmp else None
        extras = [extra for extra in extras if extra[0] == b"comment"]
    return ImageMeta("JPEG", density=density, xmp=xmp, photoshop=resources_of(photoshop), extras=tuple(extras)), notes


def _count_in_index(block: bytes) -> int:
    """Return the number of images in the index of a multi-picture file."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    try:
        start = struct.unpack_from(f"{order}I", block, 4)[0] if order else len(block)
        for at in range(start + 2, start + 2 + 12 * struct.unpack_from(f"{order}H", block, start)[0], 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHII", block, at)
            if tag == 0xB001:
                return value
    except struct.error:
        pass
    return 1


def _with_icc(meta: ImageMeta, image: Image.Image) -> ImageMeta:
    return replace(meta, exif=bare_exif(image.info.get("exif")), icc=image.info.get("icc_profile"))


def _lacks_only_the_end_marker(data: bytes, max_pixels: int) -> bool:
    """Tell whether a file is complete except for its end marker."""
    from passband.io.jpeg import JpegError, read_coefficients  # imported here, because it imports the errors of images

    try:
        read_coefficients(data, max_pixels=max_pixels)
    except (JpegError, MemoryError, ImportError):
        return False
    return True


def draw_thumbnail(pixels: Pixels, side: int, room: int) -> bytes | None:
    """Draw an image as a small JPEG file.

    Args:
        pixels: gray or RGB. An alpha channel is left out.
        side: longer side of the thumbnail, in pixels.
        room: largest length of the file, in bytes.

    Returns:
        The file with the highest quality that fits, or None if no quality fits.
    """
    step = max(1, max(pixels.shape[:2]) // (4 * side))  # a large image is sampled first, which is much faster
    levels = pixels[::step, ::step, : 1 if pixels.shape[-1] <= 2 else 3]
    levels = (levels >> 8).astype(np.uint8) if levels.dtype == np.uint16 else levels
    image = Image.fromarray(np.ascontiguousarray(levels[..., 0] if levels.shape[-1] == 1 else levels))
    scale = min(1, side / max(image.size))
    image = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX
    )
    for quality in (90, 75, 60, 40, 20):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= room:
            return file.getvalue()
    return None
