"""Sound pictures as cameras, phones and editors write them, for `fuzz.py` to mutate.

They carry EXIF blocks with thumbnails, IPTC and XMP, are HEIC or AVIF files, animated PNG files of every kind of frame,
and TIFF files in layouts that Pillow does not read.
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
from fuzz_pictures import SIZE, Seed, exif_block, icc_profile, picture, png_chunk, saved, with_alpha
from PIL import Image, PngImagePlugin, TiffImagePlugin

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:ImageWidth="45">'
    b"<exif:PixelYDimension>37</exif:PixelYDimension><xmp:Thumbnails>old</xmp:Thumbnails></rdf:Description></rdf:RDF>"
    b"</x:xmpmeta>"
)
_RECORD = b"\x1c\x02\x78\x00\x09a caption"
IPTC = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(_RECORD)) + _RECORD + b"8BIM\x04\x0c\x03abc\0\0\0\x04old!"


def heif() -> list[Seed]:
    """Return HEIC and AVIF files."""
    import pillow_heif

    rgb, alpha = picture(), with_alpha()
    deep = np.random.default_rng(8).integers(0, 1024, (SIZE[1], SIZE[0], 3)).astype(np.uint16) << 6

    def heic(image: Image.Image, **options: Any) -> bytes:
        file = io.BytesIO()
        pillow_heif.from_pillow(image).save(file, quality=60, **options)
        return file.getvalue()

    several = pillow_heif.from_pillow(rgb)
    several.add_from_pillow(rgb.rotate(180))
    file, file_of_10_bits = io.BytesIO(), io.BytesIO()
    several.save(file, quality=40)
    pillow_heif.from_bytes("RGB;16", SIZE, deep.tobytes()).save(file_of_10_bits, quality=30)
    made = {
        "RGB": heic(rgb),
        "gray": heic(rgb.convert("L")),
        "alpha": heic(alpha),
        "4:4:4": heic(rgb, chroma="444"),
        "metadata": heic(rgb, exif=_camera_exif(6, "<"), xmp=XMP),
        "two pictures": file.getvalue(),
        "10 bits": file_of_10_bits.getvalue(),
    }
    avif = {
        "RGB": saved(rgb, "AVIF", quality=60),
        "gray": saved(rgb.convert("L"), "AVIF", subsampling="4:0:0"),
        "alpha": saved(alpha, "AVIF", quality=60),
        "metadata": saved(rgb, "AVIF", exif=_camera_exif(8, ">"), icc_profile=icc_profile(), xmp=XMP),
        "animation": saved(rgb, "AVIF", save_all=True, append_images=[rgb.rotate(90)], duration=40),
    }
    return [
        *(Seed("HEIC", name, {"picture.heic": data}) for name, data in made.items()),
        *(Seed("AVIF", name, {"picture.avif": data}) for name, data in avif.items()),
    ]


def photos() -> list[Seed]:
    """Return pictures with metadata, animated PNG files and TIFF files of unusual layouts."""
    rgb, alpha = picture(), with_alpha()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type iptc", f"\niptc\n{len(IPTC):8}\n{IPTC.hex()}\n", zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    frames = [alpha.rotate(90 * turns) for turns in (1, 2, 3)]
    moving: dict[str, Any] = {"save_all": True, "append_images": frames, "duration": [40, 50, 60, 70]}
    little, large = _camera_exif(6, "<"), _camera_exif(3, ">")
    jpeg = saved(rgb, "JPEG", exif=b"Exif\0\0" + little, xmp=XMP, icc_profile=icc_profile(), comment=b"a comment")
    marker = b"Photoshop 3.0\0" + IPTC
    jpeg = jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(marker) + 2) + marker + jpeg[2:]
    made = {
        "PNG": {
            "metadata of cameras": saved(rgb, "PNG", exif=little, pnginfo=text, dpi=(300, 200)),
            "thumbnail, large end first": saved(rgb, "PNG", exif=large),
            "animation, frames cleared": saved(alpha, "PNG", **moving, disposal=1, blend=0),
            "animation, frames undone": saved(alpha, "PNG", **moving, disposal=2, blend=1, loop=3),
            "animation behind a still": saved(rgb, "PNG", **moving, default_image=True, exif=little),
            "animation of a palette": saved(rgb.quantize(20), "PNG", save_all=True, append_images=[rgb.quantize(9)]),
            "16 bit animation of parts": _deep_animation(),
        },
        "JPEG": {
            "metadata of cameras": jpeg,
            "thumbnail, large end first": saved(rgb.convert("L"), "JPEG", exif=b"Exif\0\0" + large),
        },
        "WebP": {
            "thumbnail": saved(rgb, "WEBP", exif=little, xmp=XMP),
            "animation of parts": saved(alpha, "WEBP", save_all=True, append_images=frames, exif=large, duration=30),
        },
        "TIFF": _tiffs(),
    }
    names = {"PNG": "picture.png", "JPEG": "picture.jpg", "WebP": "picture.webp", "TIFF": "picture.tif"}
    return [Seed(kind, name, {names[kind]: data}) for kind, files in made.items() for name, data in files.items()]


def _camera_exif(orientation: int, order: str) -> bytes:
    """Return an EXIF block as cameras write it: sizes, densities, a maker note, interoperability and a thumbnail."""
    short, long, rational, opaque = 3, 4, 5, 7
    small = saved(picture(32, 24), "JPEG", quality=40)
    ratio = struct.pack(f"{order}II", 300, 1), struct.pack(f"{order}II", 200, 1)
    block = bytearray({"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8))

    def add(entries: list[tuple[int, int, int | bytes]], following: bool = False) -> dict[int, int]:
        """Append a directory, and return where its values are."""
        places, at, rest = {}, len(block) + 2, b""
        end = at + 12 * len(entries) + 4
        block.extend(struct.pack(f"{order}H", len(entries)))
        for number, (tag, kind, value) in enumerate(entries):
            places[tag] = at + 12 * number + 8
            if isinstance(value, bytes):
                count = len(value) // 8 if kind == rational else len(value)
                block.extend(struct.pack(f"{order}HHII", tag, kind, count, end + len(rest)))
                rest += value + bytes(len(value) % 2)
            else:
                shape = f"{order}HHIHH" if kind == short else f"{order}HHII"
                block.extend(struct.pack(shape, tag, kind, 1, value, *[0] * (kind == short)))
        block.extend(struct.pack(f"{order}I", end + len(rest) if following else 0) + rest)
        return places

    first = add(
        [
            (256, long, SIZE[0]),
            (257, long, SIZE[1]),
            (274, short, orientation),
            (282, rational, ratio[0]),
            (283, rational, ratio[1]),
            (296, short, 2),
            (0x8769, long, 0),
        ],
        following=True,
    )
    second = add([(259, short, 6), (513, long, 0), (514, long, len(small))])
    struct.pack_into(f"{order}I", block, second[513], len(block))
    block += small + bytes(len(small) % 2)
    struct.pack_into(f"{order}I", block, first[0x8769], len(block))
    inner = add(
        [
            (0x927C, opaque, b"a maker note"),
            (0xA002, short, SIZE[0]),
            (0xA003, short, SIZE[1]),
            (0xA005, long, 0),
            (0xA20E, rational, ratio[0]),
            (0xA20F, rational, ratio[1]),
        ]
    )
    struct.pack_into(f"{order}I", block, inner[0xA005], len(block))
    add([(0x1001, short, SIZE[0]), (0x1002, short, SIZE[1])])
    return bytes(block)


def _deep_animation() -> bytes:
    """Return an animated PNG of 16 bits whose frames cover parts of the canvas, in every treatment and composition."""
    rng = np.random.default_rng(9)
    out = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 14, 16, 6, 0, 0, 0))
    out += png_chunk(b"acTL", struct.pack(">II", 4, 0))
    parts = [(20, 14, 0, 0, 0, 0), (7, 5, 3, 4, 1, 1), (9, 14, 11, 0, 2, 1), (20, 1, 0, 13, 0, 0)]
    number = 0
    for index, (width, height, left, top, disposal, blend) in enumerate(parts):
        control = struct.pack(">5IHHBB", number, width, height, left, top, 1, 25, disposal, blend)
        out += png_chunk(b"fcTL", control)
        rows = rng.integers(0, 256, (height, 1 + 8 * width), dtype=np.uint8)
        rows[:, 0] = 0
        pixels = zlib.compress(rows.tobytes())
        out += png_chunk(b"fdAT", struct.pack(">I", number + 1) + pixels) if index else png_chunk(b"IDAT", pixels)
        number += 2 if index else 1
    return out + png_chunk(b"IEND", b"")


def _tiffs() -> dict[str, bytes]:
    rng = np.random.default_rng(10)
    planes = (rng.integers(0, 65536, (4, SIZE[1], SIZE[0])) >> 6).astype(np.uint16)
    small = (planes[:, :16, :16] >> 2).astype(np.uint8)
    exif = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in ((700, 1, XMP), (33723, 7, _RECORD), (34377, 7, IPTC)):
        exif.tagtype[tag] = kind
        exif[tag] = value
    return {
        "metadata of editors": saved(picture(), "TIFF", tiffinfo=exif, exif=exif_block(6)[6:], dpi=(300, 200)),
        "planes in LZW": _tiff(planes[:3], "tiff_lzw", "<"),
        "planes in LZW, large end first": _tiff(planes[:3], "tiff_lzw", ">", orientation=6),
        "planes and alpha in Zstandard": _tiff(planes, "zstd", "<", extra=2),
        "planes in BigTIFF, large end first": _tiff(planes[:3], "packbits", ">", big=True, orientation=8),
        "gray and alpha in BigTIFF, large end first": _tiff(planes[:2], "tiff_lzw", ">", big=True, extra=2),
        "planes of inks": _tiff(planes, "tiff_adobe_deflate", "<", photometric=5),
        "tiles of planes": _tiff(small[:3], "tiff_lzw", "<", tile=16),
        "tiles of planes, large end first": _tiff(small, "raw", ">", big=True, tile=16, extra=1),
    }


def _tiff(
    planes: np.ndarray, compression: str, order: str, *, big: bool = False, tile: int = 0, extra: int = 0,
    photometric: int = 2, orientation: int = 1,
) -> bytes:  # fmt: skip
    """Return a TIFF file of planes, each compressed by libtiff as gray pixels of one byte."""
    count, height, width = planes.shape
    bits = planes.itemsize * 8
    codes = {"raw": 1, "tiff_lzw": 5, "tiff_adobe_deflate": 8, "packbits": 32773, "zstd": 50000}
    out = bytearray({"<": b"II", ">": b"MM"}[order])
    out += struct.pack(f"{order}HHHQ", 43, 8, 0, 0) if big else struct.pack(f"{order}HI", 42, 0)
    starts, lengths = [], []
    for plane in planes:
        rows = plane.astype(f"{order}u{plane.itemsize}").tobytes()
        gray = Image.frombytes("L", (width * plane.itemsize, height), rows)
        single = saved(gray, "TIFF", compression=compression, tiffinfo={278: height})
        with Image.open(io.BytesIO(single)) as strip:
            tags = strip.tag_v2  # pyright: ignore[reportAttributeAccessIssue]
            part = single[tags[273][0] :][: tags[279][0]]
        starts.append(len(out))
        lengths.append(len(part))
        out += part + bytes(len(part) % 2)
    colors = {2: 3, 5: 4}[photometric] if count > 2 else 1
    tags = {256: (3, [width]), 257: (3, [height]), 258: (3, [bits] * count), 259: (3, [codes[compression]])}
    tags |= {262: (3, [photometric if colors > 1 else 1]), 274: (3, [orientation]), 277: (3, [count]), 284: (3, [2])}
    tags |= {322: (3, [tile]), 323: (3, [tile]), 324: (4, starts), 325: (4, lengths)} if tile else {}
    tags |= {} if tile else {273: (4, starts), 278: (3, [height]), 279: (4, lengths)}
    tags |= {338: (3, [extra])} if count > colors else {}
    at, number, room = len(out), "Q" if big else "I", 8 if big else 4
    out[8 if big else 4 : 16 if big else 8] = struct.pack(order + number, at)
    behind = at + (8 if big else 2) + (20 if big else 12) * len(tags) + room
    out += struct.pack(order + ("Q" if big else "H"), len(tags))
    values = b""
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        value = packed.ljust(room, b"\0") if len(packed) <= room else struct.pack(order + number, behind + len(values))
        values += packed + bytes(len(packed) % 2) if len(packed) > room else b""
        out += struct.pack(f"{order}HH{number}", tag, kind, len(numbers)) + value
    return bytes(out) + bytes(room) + values
