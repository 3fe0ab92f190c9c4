import errno
import io
import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps
from skimage import data as bundled

from passband.io.image import (
    DEFAULT_MAX_PIXELS,
    SUFFIXES,
    ImageError,
    ImageMeta,
    StoredImage,
    from_pil,
    kind_of_file,
    read_image,
    read_stored_image,
    to_pil,
    write_image,
    write_stored_image,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]
CHANNELS = {"gray": 1, "gray+alpha": 2, "rgb": 3, "rgba": 4}
SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
HEIGHT, WIDTH = 13, 7


# --- files, made and read without the code under test ---------------------------------------------------------------


def random_pixels(layout: str, bits: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    generator = np.random.default_rng(bits + len(layout))
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels = generator.integers(0, 2**bits, (height, width, CHANNELS[layout]), dtype=dtype)
    if layout.endswith("a"):
        pixels[0, :3, -1] = 0, 1, 2**bits - 1  # colors under transparent pixels must survive, too
    return pixels


def exif_block(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "passband camera"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ISOSpeedRatings: 640}
    return exif.tobytes()[6:]


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels upright, channel by channel with Pillow's transpose."""
    method = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
    if method is None:
        return pixels
    index = Image.fromarray(np.arange(pixels[..., 0].size, dtype=np.int32).reshape(pixels.shape[:2]))
    return pixels.reshape(-1, pixels.shape[-1])[np.asarray(index.transpose(Image.Transpose(method)))]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bytes(pixels: np.ndarray, *chunks: bytes, claim: tuple[int, int] | None = None) -> bytes:
    """A PNG without filters, so that it is plainly right."""
    height, width, channels = pixels.shape
    rows = np.ascontiguousarray(pixels, dtype=f">u{pixels.itemsize}").view(np.uint8).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    width, height = claim or (width, height)
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, pixels.itemsize * 8, color, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_pixels(data: bytes) -> np.ndarray:
    """A PNG decoder by the book, byte by byte."""
    position, stream = 8, b""
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length)[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB3x", body)
        stream += body if kind == b"IDAT" else b""
        position += 12 + length
    unit = {0: 1, 4: 2, 2: 3, 6: 4}[color] * depth // 8
    raw, above, rows = zlib.decompress(stream), bytes(width * unit), []
    for y in range(height):
        line = bytearray(raw[y * (width * unit + 1) : (y + 1) * (width * unit + 1)])
        rule, row = line[0], line[1:]
        for x in range(len(row)):
            a, b, c = row[x - unit] if x >= unit else 0, above[x], above[x - unit] if x >= unit else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, paeth)[rule]) % 256
        rows.append(bytes(row))
        above = row
    return np.frombuffer(b"".join(rows), f">u{depth // 8}").reshape(height, width, -1)


def make_file(path: Path, pixels: np.ndarray, kind: str, orientation: int = 1, icc: bytes | None = None) -> None:
    """Write pixels as they are, with EXIF that asks to turn them."""
    exif = exif_block(orientation)
    if kind == "TIFF":
        channels = pixels.shape[-1]
        tifffile.imwrite(
            path,
            pixels[..., 0] if channels == 1 else pixels,
            photometric="minisblack" if channels <= 2 else "rgb",
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            planarconfig=None if channels == 1 else "contig",
            iccprofile=icc,
            extratags=[(274, 3, 1, orientation, True), (271, 2, 0, "passband camera", True)],
        )
    elif kind == "PNG":
        profile = [chunk(b"iCCP", b"x\0\0" + zlib.compress(icc))] if icc else []
        path.write_bytes(png_bytes(pixels, *profile, chunk(b"eXIf", exif)))
    elif kind == "BMP":
        image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        if image.mode == "RGBA":  # Pillow writes alpha in a BMP where no reader looks for it
            body = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
            header = struct.pack("<IiiHHIIiiII", 124, *image.size, 1, 32, 3, len(body), 0, 0, 0, 0)
            header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(68)
            path.write_bytes(b"BM" + struct.pack("<III", 138 + len(body), 0, 138) + header + body)
        else:
            image.save(path)
    else:
        image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        image.save(path, exif=exif, icc_profile=icc, lossless=True, exact=True)


def stored_pixels(path: Path, bits: int) -> np.ndarray:
    if path.suffix == ".tif":
        pixels = tifffile.imread(path)
    elif bits == 16:
        pixels = png_pixels(path.read_bytes())
    else:
        with Image.open(path) as image:
            pixels = np.array(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def as_levels(picture: StoredImage) -> np.ndarray:
    top = 2**picture.meta.bits - 1
    planes = picture.image if picture.alpha is None else torch.cat([picture.image, picture.alpha])
    return (planes.double() * top).round().permute(1, 2, 0).numpy()


def rgb_of(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.shape[-1] >= 3 else pixels[..., [0, 0, 0, 1][: pixels.shape[-1] + 2]]


# --- nothing is lost ------------------------------------------------------------------------------------------------

MATRIX = [
    (kind, bits, layout)
    for kind, bits in (("PNG", 8), ("PNG", 16), ("TIFF", 8), ("TIFF", 16), ("WEBP", 8), ("BMP", 8))
    for layout in CHANNELS
    if (kind, layout)
    not in {("BMP", "gray+alpha"), ("WEBP", "gray"), ("WEBP", "gray+alpha")}  # such files do not exist
]


@pytest.mark.parametrize("icc", [None, SRGB], ids=["plain", "icc"])
@pytest.mark.parametrize("orientation", [1, 7])
@pytest.mark.parametrize(("kind", "bits", "layout"), MATRIX)
def test_reading_and_writing_back_keeps_every_pixel_and_the_metadata(tmp_path, kind, bits, layout, orientation, icc):
    stored = random_pixels(layout, bits)
    before, after = tmp_path / f"before{SUFFIX[kind]}", tmp_path / f"after{SUFFIX[kind]}"
    make_file(before, stored, kind, orientation, icc)
    upright = turned(stored, 1 if kind == "BMP" else orientation)

    picture = read_stored_image(before)
    assert (picture.meta.kind, picture.meta.bits) == (kind, bits)
    assert picture.meta.gray == layout.startswith("gray")
    assert picture.image.dtype == torch.float32
    assert picture.image.is_contiguous()
    np.testing.assert_array_equal(as_levels(picture), rgb_of(upright))

    write_stored_image(after, picture)
    np.testing.assert_array_equal(stored_pixels(after, bits), upright)
    if kind == "TIFF":  # not with Pillow, which does not know 16-bit gray with alpha
        with tifffile.TiffFile(after) as file:
            tags = {tag.code: tag.value for tag in file.pages[0].tags}
        assert (tags[274], tags[271], tags.get(34675)) == (1, "passband camera", icc)
    elif kind != "BMP":
        with Image.open(after) as image:
            exif = image.getexif()
            assert exif.get(ExifTags.Base.Orientation) == 1
            assert exif[ExifTags.Base.Make] == "passband camera"
            assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 640
            assert image.info.get("icc_profile") == icc
    np.testing.assert_array_equal(as_levels(read_stored_image(after)), rgb_of(upright))


@pytest.mark.parametrize(
    ("kind", "transparent"),
    [("PNG", False), ("PNG", True), ("TIFF", False), ("BMP", False)],  # only PNG has transparent palette entries
    ids=["PNG", "PNG-transparent", "TIFF", "BMP"],
)
def test_a_palette_comes_back_as_the_colors_it_stands_for(tmp_path, kind, transparent):
    index = np.random.default_rng(0).integers(0, 200, (HEIGHT, WIDTH), dtype=np.uint8)
    palette = np.random.default_rng(1).integers(0, 256, (200, 3), dtype=np.uint8)
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    path = tmp_path / f"palette{SUFFIX[kind]}"
    opacity = np.arange(200, dtype=np.uint8)
    image.save(path, **({"transparency": opacity.tobytes()} if transparent else {}))
    expected = palette[index]
    if transparent:
        expected = np.concatenate([expected, opacity[index][..., None]], axis=-1)

    picture = read_stored_image(path)
    assert not picture.meta.gray
    np.testing.assert_array_equal(as_levels(picture), expected)
    write_stored_image(path, picture)
    np.testing.assert_array_equal(stored_pixels(path, 8), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_exif_orientation_is_applied_as_pillow_applies_it(tmp_path, kind, orientation):
    path = tmp_path / f"turned{SUFFIX[kind]}"
    image = Image.fromarray(random_pixels("rgb", 8))
    image.save(path, exif=b"Exif\0\0" + exif_block(orientation), **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(path) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    picture = read_stored_image(path)
    np.testing.assert_array_equal(as_levels(picture), expected)
    write_stored_image(path, picture)
    with Image.open(path) as image:
        assert image.size == (expected.shape[1], expected.shape[0])
        assert image.getexif().get(ExifTags.Base.Orientation) == 1
        assert image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 640


def test_resetting_the_orientation_changes_no_other_byte_of_the_exif_block(tmp_path):
    path = tmp_path / "photo.jpg"
    block = exif_block(6) + b"a maker note with absolute offsets"
    Image.new("RGB", (4, 5)).save(path, exif=b"Exif\0\0" + block)
    kept = read_stored_image(path).meta.exif
    assert kept is not None
    assert [(old, new) for old, new in zip(block, kept, strict=True) if old != new] == [(6, 1)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_all_65536_levels_of_16_bit_come_back(tmp_path, kind):
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    pixels = np.concatenate([levels, levels[::-1], levels.transpose(1, 0, 2)], axis=-1)
    path = tmp_path / f"levels{SUFFIX[kind]}"
    make_file(path, pixels, kind)
    picture = read_stored_image(path)
    write_stored_image(path, picture)
    np.testing.assert_array_equal(as_levels(read_stored_image(path)), pixels)
    if kind == "TIFF":
        np.testing.assert_array_equal(tifffile.imread(path), pixels)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_16_bit_picture_larger_than_one_compressed_block_comes_back(tmp_path, kind):
    pixels = random_pixels("rgba", 16, 211, 197)  # 332 kB, over the 256 kB written at a time
    path = tmp_path / f"large{SUFFIX[kind]}"
    make_file(path, pixels, kind)
    write_stored_image(path, read_stored_image(path))
    np.testing.assert_array_equal(as_levels(read_stored_image(path)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (5, 3), (1, 17)])
@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_tiny_pictures_of_every_type_work(tmp_path, suffix, size):
    image = torch.full((3, *size), 0.25)
    write_image(tmp_path / f"tiny{suffix}", image)
    atol = 2 / 255 if suffix not in (".png", ".tif", ".tiff", ".bmp") else 0.5 / 255  # lossy, or half a level
    torch.testing.assert_close(read_image(tmp_path / f"tiny{suffix}"), image, atol=atol, rtol=0)


def test_an_interlaced_16_bit_png_reads_like_the_plain_one(tmp_path):
    pixels = random_pixels("rgb", 16, 9, 11)
    raw = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        for row in pixels[y::dy, x::dx]:
            raw += b"\0" + row.astype(">u2").tobytes()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 9, 16, 2, 0, 0, 1))
    path = tmp_path / "adam7.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
    np.testing.assert_array_equal(as_levels(read_stored_image(path)), pixels)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("layout", ["gray", "rgb"])
def test_the_transparent_color_of_a_png_becomes_alpha(tmp_path, layout, bits):
    pixels = random_pixels(layout, bits)
    key = struct.pack(f">{pixels.shape[-1]}H", *pixels[2, 3])
    path = tmp_path / "key.png"
    path.write_bytes(png_bytes(pixels, chunk(b"tRNS", key)))
    picture = read_stored_image(path)
    assert picture.alpha is not None
    matches = (pixels == pixels[2, 3]).all(-1)
    np.testing.assert_array_equal(picture.alpha[0].numpy() == 0, matches)
    np.testing.assert_array_equal(as_levels(picture)[..., :3], rgb_of(pixels))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_gray_of_few_bits_reads_with_its_transparent_level(tmp_path, depth):
    levels = np.arange(8, dtype=np.uint8)[None] % 2**depth
    packed = np.packbits(np.unpackbits(levels[..., None], axis=-1)[..., -depth:].reshape(1, -1), axis=-1).tobytes()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 1, depth, 0, 0, 0, 0))
    body = chunk(b"tRNS", struct.pack(">H", 1)) + chunk(b"IDAT", zlib.compress(b"\0" + packed))
    path = tmp_path / "few.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))
    picture = read_stored_image(path)
    assert picture.meta.gray
    torch.testing.assert_close(picture.image[0], torch.from_numpy(levels / np.float32(2**depth - 1)))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha[0].numpy(), levels != 1)


# --- what TIFF can be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("layout", CHANNELS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "deflate"},
        {"compression": "deflate", "predictor": True},
        {"compression": "deflate", "tile": (16, 16)},
        {"rowsperstrip": 3},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "deflate"},
    ],
    ids=lambda options: "-".join(map(str, options)) or "raw",
)
def test_tiff_layouts_and_byte_orders_read_alike(tmp_path, layout, bits, order, options):
    pixels = random_pixels(layout, bits, 21, 18)
    channels = pixels.shape[-1]
    planar = options.get("planarconfig") == "separate" and channels > 1  # one plane has no planes to separate
    if not planar:
        options = {name: value for name, value in options.items() if name != "planarconfig"}
    array = pixels[..., 0] if channels == 1 else np.moveaxis(pixels, -1, 0) if planar else pixels
    tifffile.imwrite(
        tmp_path / "a.tif",
        array,
        photometric="minisblack" if channels <= 2 else "rgb",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        byteorder=order,
        **({"planarconfig": "contig"} if channels > 1 else {}) | options,
    )
    picture = read_stored_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(as_levels(picture), rgb_of(pixels))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "1"])
def test_compressed_tiff_from_libtiff_reads(tmp_path, mode, compression):
    image = Image.fromarray(random_pixels("rgba", 8)).convert(mode)
    image.save(tmp_path / "a.tif", compression=compression)
    expected = np.array(image.convert({"CMYK": "RGB", "1": "L"}.get(mode, mode)))
    expected = expected if expected.ndim == 3 else expected[..., None]
    np.testing.assert_array_equal(as_levels(read_stored_image(tmp_path / "a.tif")), rgb_of(expected))


def test_lzw_tiff_of_16_bit_reads(tmp_path):
    pixels = random_pixels("gray", 16)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(as_levels(read_stored_image(tmp_path / "a.tif")), rgb_of(pixels))


@pytest.mark.parametrize("bits", [8, 16])
def test_premultiplied_tiff_reads_as_straight_alpha(tmp_path, bits):
    straight = random_pixels("rgba", bits)
    top = 2**bits - 1
    straight[..., 3] = np.maximum(straight[..., 3], top // 2)
    color = np.rint(straight[..., :3] * (straight[..., 3:] / top)).astype(straight.dtype)
    stored = np.concatenate([color, straight[..., 3:]], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    levels = as_levels(read_stored_image(tmp_path / "a.tif"))
    np.testing.assert_array_equal(levels[..., 3], straight[..., 3])
    # Half a level lost by premultiplying doubles at half opacity; Pillow rounds 8 bits down as well.
    np.testing.assert_allclose(levels[..., :3], straight[..., :3], atol=2)


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_where_white_is_zero_is_not_a_negative(tmp_path, bits):
    pixels = random_pixels("gray", bits)
    tifffile.imwrite(tmp_path / "a.tif", 2**bits - 1 - pixels[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(as_levels(read_stored_image(tmp_path / "a.tif")), rgb_of(pixels))


def test_of_several_pages_the_first_is_read(tmp_path):
    pages = [Image.new("RGB", (4, 3), color) for color in ("red", "lime")]
    for suffix in (".tif", ".png", ".webp"):
        options = {"lossless": True} if suffix == ".webp" else {}
        pages[0].save(tmp_path / f"pages{suffix}", save_all=True, append_images=pages[1:], **options)
        picture = read_stored_image(tmp_path / f"pages{suffix}")
        torch.testing.assert_close(picture.image.mean((1, 2)), torch.tensor([1.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 5), np.float32), "32-bit float"),
        (np.zeros((4, 5, 3), np.float32), "float32"),
        (np.zeros((4, 5), np.uint32), "32-bit unsigned"),
        (np.zeros((4, 5), np.int16), "16-bit signed"),
    ],
)
def test_tiff_of_other_numbers_is_refused_with_what_is_supported(tmp_path, array, words):
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb" if array.ndim == 3 else "minisblack")
    with pytest.raises(ImageError, match=rf"a\.tif has .*{words}.*supported are 8 and 16-bit"):
        read_stored_image(tmp_path / "a.tif")


def test_the_exif_of_a_photo_moves_into_a_tiff_and_out_again(tmp_path):
    write_stored_image(
        tmp_path / "a.tif", StoredImage(torch.rand(3, 4, 5), meta=ImageMeta(bits=16, exif=exif_block(1)))
    )
    write_stored_image(tmp_path / "b.jpg", read_stored_image(tmp_path / "a.tif"))
    with Image.open(tmp_path / "b.jpg") as image:
        exif = image.getexif()
        assert exif[ExifTags.Base.Make] == "passband camera"
        assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 640
        assert ExifTags.Base.StripOffsets not in exif


# --- JPEG, WebP, CMYK -----------------------------------------------------------------------------------------------


def cmyk_profile() -> bytes:
    """A printer profile in which ink 1 is red rather than cyan, to see that it is used."""
    clut = b""
    for node in range(16):  # the first ink varies slowest
        cyan, black = node & 8, node & 1
        clut += bytes([0, 128, 128] if black else [128, 200, 190] if cyan else [255, 128, 128])
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut += bytes(range(256)) * 4 + clut + bytes(range(256)) * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags, body, start = b"", b"", 128 + 4 + 12 * 2
    for name, content in ((b"A2B0", lut), (b"wtpt", white)):
        content += bytes(-len(content) % 4)
        tags += name + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header + bytes(128 - len(header)) + struct.pack(">I", 2) + tags + body


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb_and_loses_its_profile(tmp_path, suffix):
    inks = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for name, icc in (("plain", None), ("profile", cmyk_profile()), ("broken", b"\0" * 16 + b"CMYK" + bytes(200))):
        path = tmp_path / (name + suffix)
        inks.save(path, icc_profile=icc, quality=100)
        picture = read_stored_image(path)
        assert picture.meta.icc is None
        red, green, blue = picture.image.mean((1, 2)).tolist()
        if name == "profile":
            assert red > 0.7 > 0.4 > max(green, blue)
        else:
            assert red < 0.02
            assert min(green, blue) > 0.98
        write_stored_image(path, picture)
        with Image.open(path) as image:
            assert image.mode == "RGB"
            assert "icc_profile" not in image.info


def test_jpeg_decodes_to_the_values_pillow_gives_and_stays_near_when_written_back(tmp_path):
    photo = bundled.astronaut()[:101, :67]
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo).save(path, quality=90, exif=b"Exif\0\0" + exif_block(1), icc_profile=SRGB)
    with Image.open(path) as image:
        expected = np.array(image)
    picture = read_stored_image(path)
    np.testing.assert_array_equal(as_levels(picture), expected)
    write_stored_image(path, picture)
    again = read_stored_image(path)
    assert again.meta == picture.meta
    assert (again.image - picture.image).abs().mean() < 1 / 255
    sizes = []
    for quality in (60, 95):
        write_stored_image(path, picture, quality=quality)
        sizes.append(path.stat().st_size)
    assert sizes[0] < 0.6 * sizes[1]


def test_a_gray_jpeg_stays_gray(tmp_path):
    path = tmp_path / "gray.jpg"
    Image.fromarray(bundled.camera()[:40, :33]).save(path)
    picture = read_stored_image(path)
    assert picture.meta.gray
    write_stored_image(path, picture)
    with Image.open(path) as image:
        assert image.mode == "L"


def test_a_gray_profile_is_not_attached_to_rgb_pixels(tmp_path):
    picture = StoredImage(torch.rand(1, 4, 5).repeat(3, 1, 1), meta=ImageMeta(gray=True, icc=GRAY_PROFILE))
    for suffix, kept in ((".png", GRAY_PROFILE), (".webp", None)):
        write_stored_image(tmp_path / f"a{suffix}", picture)
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert image.info.get("icc_profile") == kept


def test_types_that_hold_less_take_what_they_can(tmp_path):
    image, alpha = torch.rand(3, 6, 5), torch.rand(1, 6, 5)
    picture = StoredImage(image, alpha, ImageMeta(bits=16, exif=exif_block(1), icc=SRGB))
    for suffix, mode in ((".jpg", "RGB"), (".webp", "RGBA"), (".bmp", "RGBA")):
        write_stored_image(tmp_path / f"a{suffix}", picture)
        with Image.open(tmp_path / f"a{suffix}") as written:
            assert written.mode == mode
            assert written.info.get("icc_profile") == (None if suffix == ".bmp" else SRGB)
            if mode == "RGBA":
                expected = (alpha * 255).round().to(torch.uint8).numpy()[0]
                np.testing.assert_array_equal(np.array(written)[..., 3], expected)


def test_exif_too_long_for_jpeg_is_left_out_rather_than_losing_the_picture(tmp_path):
    picture = StoredImage(torch.rand(3, 4, 4), meta=ImageMeta(exif=exif_block(1) + bytes(70_000)))
    write_stored_image(tmp_path / "a.jpg", picture)
    assert read_stored_image(tmp_path / "a.jpg").meta.exif is None


@pytest.mark.parametrize("lossless", [False, True])
def test_webp_is_written_lossless_only_where_it_was(tmp_path, lossless):
    path = tmp_path / "a.webp"
    Image.fromarray(random_pixels("rgba", 8)).save(path, lossless=lossless, exif=exif_block(1))
    picture = read_stored_image(path)
    assert picture.meta.lossless is lossless
    write_stored_image(path, picture)
    assert (b"VP8L" in path.read_bytes()) is lossless


def test_a_photo_with_a_second_picture_inside_reads_as_jpeg(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    picture = read_stored_image(tmp_path / "a.jpg")
    assert picture.meta.kind == "JPEG"
    assert picture.image[0].mean() > 0.98


def test_content_decides_when_reading_and_the_suffix_when_writing(tmp_path):
    pixels = random_pixels("rgb", 8)
    Image.fromarray(pixels).save(tmp_path / "really_png.jpg", format="PNG")
    picture = read_stored_image(tmp_path / "really_png.jpg")
    assert picture.meta.kind == "PNG"
    write_stored_image(tmp_path / "a.TIFF", picture)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.TIFF"), pixels)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_a_file_without_a_suffix_is_read_and_written_as_what_it_is(tmp_path, kind):
    Image.fromarray(random_pixels("rgb", 8)).save(tmp_path / "photo", format=kind)
    assert kind_of_file(tmp_path / "photo") == kind
    write_stored_image(tmp_path / "photo_restored", read_stored_image(tmp_path / "photo"))
    assert kind_of_file(tmp_path / "photo_restored") == kind


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPE"])
def test_other_suffixes_of_jpeg_are_jpeg(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", torch.full((3, 4, 5), 0.25))
    assert kind_of_file(tmp_path / f"a{suffix}") == "JPEG"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_the_content_of_a_file_reads_like_the_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_stored_image(path, StoredImage(torch.rand(3, 9, 14), meta=ImageMeta(bits=16)))
    content, file = read_stored_image(path.read_bytes()), read_stored_image(path)
    assert torch.equal(content.image, file.image)
    assert content.meta == file.meta
    with pytest.raises(ImageError, match=r"the content .*14x9"):
        read_stored_image(path.read_bytes(), max_pixels=100)
    with pytest.raises(ImageError, match=rf"the content is an? {content.meta.kind} file that is incomplete"):
        read_stored_image(path.read_bytes()[: path.stat().st_size // 2])


def test_a_file_of_no_picture_type_or_that_is_not_there_has_no_kind(tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    assert kind_of_file(tmp_path / "a.png") is None
    assert kind_of_file(tmp_path / "b.png") is None


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_writing_says_that_16_bits_became_8(tmp_path, suffix):
    picture = StoredImage(torch.rand(3, 4, 5), meta=ImageMeta(bits=16))
    assert any("rounded to 8" in note for note in write_stored_image(tmp_path / f"a{suffix}", picture))


@pytest.mark.parametrize(("suffix", "lost"), [(".jpg", True), (".png", False), (".webp", False), (".bmp", False)])
def test_writing_says_that_alpha_was_left_out(tmp_path, suffix, lost):
    notes = write_stored_image(tmp_path / f"a{suffix}", StoredImage(torch.rand(3, 4, 5), torch.rand(1, 4, 5)))
    assert any("no alpha channel" in note for note in notes) is lost


# --- Pillow in and out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_pillow_images_of_common_modes_come_in(mode):
    source = Image.fromarray(random_pixels("rgba", 8))
    image = Image.fromarray(random_pixels("gray", 16)[..., 0]) if mode == "I;16" else source.convert(mode)
    picture = from_pil(image)
    assert picture.meta.bits == (16 if mode == "I;16" else 8)
    assert picture.meta.gray == (mode in ("1", "L", "LA", "I;16"))
    expected = np.array(image if mode == "I;16" else image.convert("RGBA"))
    np.testing.assert_array_equal(as_levels(picture)[..., 0], expected if mode == "I;16" else expected[..., 0])


@pytest.mark.parametrize("layout", ["rgb", "rgba"])
def test_to_pil_and_back_is_the_identity(layout):
    image = Image.fromarray(random_pixels(layout, 8))
    picture = from_pil(image)
    back = to_pil(picture.image, picture.alpha)
    assert back.mode == image.mode
    np.testing.assert_array_equal(np.array(back), np.array(image))


def test_a_pillow_image_is_turned_once(tmp_path):
    stored = random_pixels("rgb", 8)
    make_file(tmp_path / "a.png", stored, "PNG", orientation=6)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(as_levels(from_pil(image)), turned(stored, 6))
        upright = ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(as_levels(from_pil(upright)), turned(stored, 6))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_file_opened_with_pillow_comes_in_like_the_file_itself(tmp_path, kind):
    # Pillow 13 does not turn an uncompressed RGBA TIFF that it opens by name, so not that one.
    layout = "rgb" if kind == "TIFF" else "rgba"
    path = tmp_path / f"a{SUFFIX[kind]}"
    make_file(path, random_pixels(layout, 8), kind, orientation=8, icc=SRGB)
    expected = read_stored_image(path)
    with Image.open(path) as image:
        picture = from_pil(image)
    np.testing.assert_array_equal(as_levels(picture), as_levels(expected))
    assert (picture.meta.kind, picture.meta.exif, picture.meta.icc) == (kind, expected.meta.exif, SRGB)


def test_a_pillow_image_of_floats_is_refused():
    with pytest.raises(ImageError, match=r"the Pillow image has pixels of Pillow's mode F; supported are"):
        from_pil(Image.new("F", (3, 4)))


# --- values ---------------------------------------------------------------------------------------------------------


def test_values_are_clamped_then_rounded_to_the_nearest_level(tmp_path):
    values = torch.tensor([-3.0, 0.49 / 255, 0.51 / 255, 254.4 / 255, 254.6 / 255, 7.0])
    write_image(tmp_path / "a.png", values.expand(3, 1, 6))
    assert stored_pixels(tmp_path / "a.png", 8)[0, :, 0].tolist() == [0, 0, 1, 254, 255, 255]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_and_tensors_with_gradients_write(tmp_path, dtype):
    write_image(tmp_path / "a.png", torch.ones(3, 4, 5, dtype=dtype, requires_grad=True))
    assert read_image(tmp_path / "a.png").min() == 1


def test_a_gray_picture_restored_with_color_is_written_as_its_mean(tmp_path):
    image = torch.tensor([0.2, 0.4, 0.9])[:, None, None].expand(3, 2, 2)
    write_stored_image(tmp_path / "a.png", StoredImage(image, meta=ImageMeta(gray=True)))
    assert stored_pixels(tmp_path / "a.png", 8).tolist() == [[[128]] * 2] * 2  # 0.5 of 255, rounded to even


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_an_error_and_leaves_no_file(tmp_path, value):
    image = torch.rand(3, 4, 5)
    image[1, 2, 3] = value
    with pytest.raises(ImageError, match=r"a\.png cannot be written: 1 of its values are NaN or infinite"):
        write_image(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())


# --- what cannot be read or written ---------------------------------------------------------------------------------


def one_sentence(error: pytest.ExceptionInfo, path: Path) -> bool:
    message = str(error.value)
    return message.startswith(str(path)) and "\n" not in message and len(message) < 400


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_an_empty_file_is_named(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.touch()
    with pytest.raises(ImageError, match="is empty") as error:
        read_stored_image(path)
    assert one_sentence(error, path)


@pytest.mark.parametrize("content", [b"hello, I am text", b"GIF89a" + bytes(20), b"\0", b"B"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "text.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="is not a PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC image") as error:
        read_stored_image(path)
    assert one_sentence(error, path)


@pytest.mark.parametrize("lenient", [False, True], ids=["strict", "lenient"])
@pytest.mark.parametrize("part", [0.02, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["PNG", "PNG16", "JPEG", "progressive", "WEBP", "lossless", "TIFF", "TIFF16", "BMP"])
def test_a_truncated_file_is_an_error_and_never_half_gray(tmp_path, monkeypatch, kind, part, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = tmp_path / "cut"
    if kind.endswith("16"):
        make_file(path, random_pixels("rgb", 16, 101, 67), kind[:-2])
    else:
        options = {"progressive": {"progressive": True}, "lossless": {"lossless": True}}.get(kind, {})
        name = {"progressive": "JPEG", "lossless": "WEBP"}.get(kind, kind)
        Image.fromarray(bundled.astronaut()[:101, :67]).save(path, format=name, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(16, int(len(whole) * part))])
    with pytest.raises(ImageError, match="incomplete or damaged") as error:
        read_stored_image(path)
    assert one_sentence(error, path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


def test_a_jpeg_download_that_ends_in_zeros_is_an_error(tmp_path):
    Image.fromarray(bundled.astronaut()[:101, :67]).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    with pytest.raises(ImageError, match="incomplete or damaged"):
        read_stored_image(tmp_path / "a.jpg")


def claiming(kind: str, width: int, height: int) -> bytes:
    """A small file whose header claims a large picture."""
    if kind == "PNG":
        return png_bytes(np.zeros((1, 1, 3), np.uint8), claim=(width, height))
    file = io.BytesIO()
    if kind == "TIFF":
        tifffile.imwrite(file, np.zeros((3, 5), np.uint8))
        tiff = tifffile.TiffFile(io.BytesIO(file.getvalue()))
        data = bytearray(file.getvalue())
        for tag, value in ((256, width), (257, height)):
            struct.pack_into("<HI", data, tiff.pages[0].tags[tag].offset + 2, 4, 1)
            struct.pack_into("<I", data, tiff.pages[0].tags[tag].offset + 8, value)
        return bytes(data)
    Image.new("RGB", (5, 3)).save(file, format=kind.split()[0], lossless=kind == "WEBP lossless")
    data = bytearray(file.getvalue())
    if kind == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif kind == "BMP":
        struct.pack_into("<ii", data, 18, width, height)
    elif kind == "WEBP":
        struct.pack_into("<HH", data, 26, width, height)
    else:
        packed = struct.unpack_from("<I", data, 21)[0] & ~0xFFFFFFF | (width - 1) | (height - 1) << 14
        struct.pack_into("<I", data, 21, packed)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "WEBP lossless"])
def test_a_huge_claim_is_refused_before_decoding_with_the_size_the_limit_and_the_way_out(tmp_path, kind):
    width, height = (16000, 15000) if kind.startswith("WEBP") else (20000, 20000)
    path = tmp_path / "bomb"
    path.write_bytes(claiming(kind, width, height))
    with pytest.raises(ImageError, match=rf"{width}x{height} .*{width * height:,}") as error:
        read_stored_image(path)
    assert one_sentence(error, path)
    for part in (f"{DEFAULT_MAX_PIXELS:,}", "max_pixels=", "--max-pixels"):
        assert part in str(error.value)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_the_limit_is_ours_and_pillows_own_does_not_fire(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    write_image(path, torch.rand(3, 11, 13))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # 143 pixels are over twice this: Pillow's error
    assert read_image(path).shape == (3, 11, 13)
    assert read_image(path, max_pixels=143).shape == (3, 11, 13)
    assert Image.MAX_IMAGE_PIXELS == 20
    with pytest.raises(ImageError, match="over the limit of 142"):
        read_image(path, max_pixels=142)


def test_many_threads_decode_at_once_and_leave_pillow_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    paths, failures = [], []
    for index, suffix in enumerate([".png", ".jpg", ".tif", ".webp"] * 3):
        paths.append(tmp_path / f"{index}{suffix}")
        write_image(paths[-1], torch.full((3, 31, 29), index / 16))
    (tmp_path / "cut.jpg").write_bytes(paths[1].read_bytes()[:-40])

    def work() -> None:
        for index, path in enumerate(paths):
            if (read_image(path) - index / 16).abs().max() > 2 / 255:
                failures.append(path)
        with pytest.raises(ImageError):
            read_image(tmp_path / "cut.jpg")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert Image.MAX_IMAGE_PIXELS == 20
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_errors_of_the_disk_stay_os_errors_with_the_name_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_stored_image(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.png"):
        read_stored_image(tmp_path / "folder.png")
    with pytest.raises(OSError, match=r"folder\.png"):
        write_image(tmp_path / "folder.png", torch.rand(3, 2, 2))


def test_a_file_without_permission_is_a_permission_error(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x")

    def refused(self, *_, **__):  # chmod would not keep root from reading
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(PermissionError, match=r"a\.png"):
        read_stored_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.gif", "a", "a.jp2"])
def test_an_unsupported_suffix_is_refused_with_those_supported(tmp_path, name):
    with pytest.raises(ImageError, match=r"\.bmp .*\.jfif \.jpe \.jpeg \.jpg \.png \.tif \.tiff \.webp") as error:
        write_image(tmp_path / name, torch.rand(3, 2, 2))
    assert one_sentence(error, tmp_path / name)


def test_a_picture_too_large_for_its_type_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"a\.webp cannot be written as WEBP"):
        write_image(tmp_path / "a.webp", torch.zeros(3, 1, 16384))
    assert not list(tmp_path.iterdir())


def test_alpha_of_another_size_is_refused(tmp_path):
    picture = StoredImage(torch.rand(3, 4, 5), torch.rand(1, 4, 5))
    object.__setattr__(picture, "image", torch.rand(3, 8, 10))  # past the shape check that runs in tests only
    with pytest.raises(ImageError, match=r"a\.png needs image and alpha of the same size, got 10x8 and 5x4"):
        write_stored_image(tmp_path / "a.png", picture)
