"""What stands beside the pixels of a file is there afterwards, and is true."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from passband.io.image import (
    Density,
    ImageError,
    ImageMeta,
    StoredImage,
    from_pil,
    read_stored_image,
    write_stored_image,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:ImageWidth="40">'
    b"<dc:title>a title</dc:title><exif:PixelYDimension>24</exif:PixelYDimension></rdf:Description></rdf:RDF>"
    b"</x:xmpmeta>"
)
RECORD = b"\x1c\x02\x78\x00\x09a caption"
IPTC = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(RECORD)) + RECORD
THUMBNAIL = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 4) + b"old!"
SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
HEIGHT, WIDTH = 24, 40


def photo(height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    """Red above, blue below, so that it is seen how it lies."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, :, 0] = 255
    pixels[height // 2 :, :, 2] = 255
    return Image.fromarray(pixels)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes) -> bytes:
    file = io.BytesIO()
    photo().save(file, "PNG")
    return file.getvalue()[:33] + b"".join(chunks) + file.getvalue()[33:]


def chunks_of(path: Path) -> dict[bytes, bytes]:
    data, position, found = path.read_bytes(), 8, {}
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        found[kind] = data[position + 8 : position + 8 + length]
        position += 12 + length
    return found


def through(path: Path, target: str = "") -> Path:
    """The file read and written."""
    after = path.with_name("after" + (target or path.suffix))
    write_stored_image(after, read_stored_image(path))
    return after


# --- text and profiles of PNG ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize("count", [1, 40], ids=["long", "many"])
def test_text_in_a_png_may_be_as_long_as_it_likes_and_is_kept(tmp_path, kind, count):
    text = b"a" * (6_000_000 // count)
    body = {
        b"tEXt": b"Comment\0" + text,
        b"zTXt": b"Comment\0\0" + zlib.compress(text),
        b"iTXt": b"Comment\0\1\0\0\0" + zlib.compress(text),
    }[kind]
    (tmp_path / "a.png").write_bytes(png_with(*[chunk(kind, body)] * count))
    np.testing.assert_array_equal(read_stored_image(tmp_path / "a.png").image[:, 0, 0], [1, 0, 0])
    assert chunks_of(through(tmp_path / "a.png"))[kind] == body


def test_a_large_profile_in_a_png_is_kept(tmp_path):
    profile = SRGB + np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "a.png").write_bytes(png_with(chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))))
    assert read_stored_image(through(tmp_path / "a.png")).meta.icc == profile


def test_a_profile_that_would_fill_the_memory_is_left_out_with_a_note(tmp_path):
    bomb = zlib.compress(bytes(70 << 20), 9)
    (tmp_path / "a.png").write_bytes(png_with(chunk(b"iCCP", b"x\0\0" + bomb)))
    assert read_stored_image(tmp_path / "a.png").notes == ("a color profile of more than 64 MiB was left out",)


def test_a_damaged_text_is_no_reason_to_refuse_a_png(tmp_path):
    damaged = bytearray(chunk(b"tEXt", b"Comment\0hello"))
    damaged[-1] ^= 1
    (tmp_path / "a.png").write_bytes(png_with(bytes(damaged)))
    assert read_stored_image(tmp_path / "a.png").notes == ("a damaged tEXt chunk was left out",)


def test_a_png_without_its_end_marker_is_read_with_a_note(tmp_path):
    (tmp_path / "a.png").write_bytes(png_with()[:-12])
    picture = read_stored_image(tmp_path / "a.png")
    assert picture.notes == ("its end marker is missing, but every pixel is there",)
    np.testing.assert_array_equal((picture.image * 255).byte().permute(1, 2, 0), np.array(photo()))


# --- colors ---------------------------------------------------------------------------------------------------------

GAMMA = (b"gAMA", struct.pack(">I", 100_000))
CHROMATICITY = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
INTENT = (b"sRGB", b"\1")
P3 = (b"cICP", bytes([12, 13, 0, 1]))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "chunks", [[GAMMA], [CHROMATICITY, GAMMA], [INTENT], [P3]], ids=["gAMA", "cHRM", "sRGB", "cICP"]
)
def test_what_says_which_colors_a_png_has_is_kept(tmp_path, chunks, bits):
    (tmp_path / "a.png").write_bytes(png_with(*(chunk(*each) for each in chunks)))
    picture = read_stored_image(tmp_path / "a.png")
    meta = ImageMeta("PNG", bits, extras=picture.meta.extras)
    assert write_stored_image(tmp_path / "b.png", StoredImage(picture.image, meta=meta)) == ()
    written = chunks_of(tmp_path / "b.png")
    assert [written[name] for name, _ in chunks] == [body for _, body in chunks]
    assert list(written).index(chunks[0][0]) < list(written).index(b"IDAT")


def test_another_type_says_that_it_cannot_hold_the_colors_of_a_png(tmp_path):
    (tmp_path / "a.png").write_bytes(png_with(chunk(*GAMMA)))
    (note,) = write_stored_image(tmp_path / "b.jpg", read_stored_image(tmp_path / "a.png"))
    assert "the color space (its colors may look different)" in note


@pytest.mark.parametrize(("code", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_pictures_are_refused_as_hdr_videos_are(tmp_path, code, name):
    (tmp_path / "a.png").write_bytes(png_with(chunk(b"cICP", bytes([9, code, 0, 1]))))
    with pytest.raises(ImageError, match=rf"a\.png is HDR \({name}\).*convert it to standard range"):
        read_stored_image(tmp_path / "a.png")


# --- density --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_the_density_of_a_scan_is_kept(tmp_path, kind):
    path = tmp_path / f"a{SUFFIX[kind]}"
    photo().save(path, dpi=(300, 200))
    with Image.open(through(path)) as image:
        assert [round(value, 2) for value in image.info["dpi"]] == [300, 200]


@pytest.mark.parametrize("target", SUFFIX.values())
@pytest.mark.parametrize("source", ["JPEG", "PNG", "BMP", "TIFF"])
def test_the_density_goes_with_a_picture_into_every_type(tmp_path, source, target):
    path = tmp_path / f"a{SUFFIX[source]}"
    photo().save(path, dpi=(300, 200))
    density = read_stored_image(through(path, target)).meta.density
    assert density is not None
    assert density.per("inch") == (300, 200)


def test_a_density_by_the_centimeter_and_a_bare_shape_of_pixels_come_back_from_jpeg(tmp_path):
    for density in (Density(118, 59, "cm"), Density(1, 2, "ratio")):
        write_stored_image(
            tmp_path / "a.jpg", StoredImage(torch.rand(3, 4, 5), meta=ImageMeta("JPEG", density=density))
        )
        assert read_stored_image(tmp_path / "a.jpg").meta.density == density


def test_alpha_in_a_bmp_has_a_density_as_well(tmp_path):
    meta = ImageMeta("BMP", density=Density(300, 300, "inch"))
    write_stored_image(tmp_path / "a.bmp", StoredImage(torch.rand(3, 4, 5), torch.rand(1, 4, 5), meta))
    assert read_stored_image(tmp_path / "a.bmp").meta.density == Density(11811, 11811, "m")


# --- orientation, sizes, thumbnails ---------------------------------------------------------------------------------


def exif_with_thumbnail(orientation: int, width: int, height: int, small: Image.Image) -> bytes:
    """A block as cameras write it: sizes, densities, a maker note, and a thumbnail."""
    file = io.BytesIO()
    small.save(file, "JPEG", quality=95)
    jpeg = file.getvalue()
    inner = TiffImagePlugin.ImageFileDirectory_v2()
    inner[0xA002], inner[0xA003], inner[0x927C] = width, height, b"a maker note"
    first = TiffImagePlugin.ImageFileDirectory_v2()
    first[0x0100], first[0x0101], first[0x0112] = width, height, orientation
    first[0x011A], first[0x011B] = TiffImagePlugin.IFDRational(300), TiffImagePlugin.IFDRational(200)
    first[0x0128], first[0x8769] = 2, dict(inner)
    second = TiffImagePlugin.ImageFileDirectory_v2()
    second[0x0100], second[0x0101], second[0x0103] = small.width, small.height, 6
    second.tagtype[0x0201] = second.tagtype[0x0202] = 4
    second[0x0201], second[0x0202] = 1, len(jpeg)
    head = bytearray(first.tobytes(8))
    head += bytes(len(head) % 2)
    at = 8 + len(head)
    struct.pack_into("<I", head, 2 + 12 * len(first), at)
    second[0x0201] = at + len(second.tobytes(at))
    return b"II*\0\x08\0\0\0" + bytes(head) + second.tobytes(at) + jpeg


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_densities_and_thumbnail_of_exif_are_those_of_the_upright_picture(tmp_path, kind, orientation):
    path = tmp_path / f"a{SUFFIX[kind]}"
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    block = exif_with_thumbnail(orientation, WIDTH, HEIGHT, Image.fromarray(noise))
    photo().save(path, exif=b"Exif\0\0" + block)
    picture = read_stored_image(path)
    after = through(path)
    with Image.open(after) as image:
        width, height = image.size
        exif = image.getexif()
        shown = exif.get_ifd(ExifTags.IFD.Exif)
        small = exif.get_ifd(ExifTags.IFD.IFD1)
        raw = image.info["exif"].removeprefix(b"Exif\0\0")
    assert (width, height) == ((HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT))
    assert (exif[0x0112], exif[0x0100], exif[0x0101]) == (1, width, height)
    assert (shown[0xA002], shown[0xA003], shown[0x927C]) == (width, height, b"a maker note")
    assert (exif[0x011A], exif[0x011B]) == ((200, 300) if orientation >= 5 else (300, 200))
    drawn = Image.open(io.BytesIO(raw[small[0x0201] : small[0x0201] + small[0x0202]]))
    assert (drawn.size[0] < drawn.size[1]) == (width < height)
    assert (small[0x0100], small[0x0101]) == drawn.size
    like = np.asarray(drawn.resize((width, height)).convert("RGB"), dtype=float)
    assert abs(like - picture.image.permute(1, 2, 0).numpy() * 255).mean() < 20  # of an edge, drawn small


def test_a_thumbnail_without_room_for_a_new_one_is_taken_out(tmp_path):
    block = exif_with_thumbnail(6, WIDTH, HEIGHT, Image.new("RGB", (32, 24), "lime"))
    start = block.index(b"\xff\xd8\xff")
    at = block.index(struct.pack("<HHI", 0x0202, 4, 1))
    block = block[: at + 8] + struct.pack("<I", 60) + block[at + 12 : start + 60]
    photo().save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    with Image.open(through(tmp_path / "a.jpg")) as image:
        assert not image.getexif().get_ifd(ExifTags.IFD.IFD1)
        assert b"\xff\xd8\xff" not in image.info["exif"]


@pytest.mark.parametrize("block", [b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"junk" * 9])
def test_a_damaged_exif_block_is_no_reason_to_refuse_a_picture(tmp_path, block):
    photo().save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_stored_image(through(tmp_path / "a.jpg")).image.shape == (3, HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_of_a_tiff_with_an_orientation_and_its_density_are_swapped_once(tmp_path, orientation):
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", np.array(photo()), extratags=tags, resolution=(300, 200), resolutionunit="inch"
    )
    with Image.open(through(tmp_path / "a.tif")) as image:
        assert image.size == ((HEIGHT, WIDTH) if orientation == 6 else (WIDTH, HEIGHT))
        assert image.info["dpi"] == ((200, 300) if orientation == 6 else (300, 200))


# --- XMP and IPTC ---------------------------------------------------------------------------------------------------


def with_xmp_and_iptc(path: Path, orientation: int = 1) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    marker = b"Photoshop 3.0\0" + IPTC + THUMBNAIL
    if path.suffix == ".jpg":
        photo().save(path, xmp=XMP, exif=exif)
        data = path.read_bytes()
        segment = b"\xff\xed" + struct.pack(">H", len(marker) + 2) + marker
        path.write_bytes(data[:2] + segment + data[2:])
    elif path.suffix == ".tif":
        tags = [(700, 1, len(XMP), XMP, True), (33723, 7, len(RECORD), RECORD, True)]
        tifffile.imwrite(path, np.array(photo()), extratags=[*tags, (274, 3, 1, orientation, True)])
    elif path.suffix == ".png":
        text = f"\niptc\n{len(IPTC):8}\n{IPTC.hex()}\n".encode()
        profile = b"Raw profile type iptc\0\0" + zlib.compress(text)
        packet = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP
        path.write_bytes(png_with(chunk(b"eXIf", exif.tobytes()[6:]), chunk(b"zTXt", profile), chunk(b"iTXt", packet)))
    else:
        photo().save(path, xmp=XMP, exif=exif)


@pytest.mark.parametrize("target", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".tif", ".webp"])
def test_xmp_and_iptc_go_with_a_picture_into_every_type_that_can_hold_them(tmp_path, source, target):
    with_xmp_and_iptc(tmp_path / f"a{source}")
    picture = read_stored_image(tmp_path / f"a{source}")
    notes = write_stored_image(tmp_path / f"b{target}", picture)
    after = read_stored_image(tmp_path / f"b{target}").meta
    assert after.xmp is not None
    assert b"a title" in after.xmp
    assert b'tiff:ImageWidth="40"' in after.xmp
    if ".webp" in (source, target):
        assert any("IPTC" in note for note in notes) == (source != ".webp")
    else:
        assert after.photoshop == IPTC  # without the thumbnail of the old picture


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_xmp_says_that_a_turned_picture_is_upright_and_how_large(tmp_path, suffix):
    with_xmp_and_iptc(tmp_path / f"a{suffix}", orientation=6)
    xmp = read_stored_image(through(tmp_path / f"a{suffix}")).meta.xmp
    assert xmp is not None
    assert b'tiff:Orientation="1"' in xmp
    assert b'tiff:ImageWidth="24"' in xmp
    assert b"<exif:PixelYDimension>40</exif:PixelYDimension>" in xmp


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_no_picture_is_turned_by_an_orientation_that_only_xmp_has(tmp_path, suffix, depth):
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        pixels = np.array(photo()).astype(np.uint16) * 257 if depth == 16 else np.array(photo())
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(700, 1, len(XMP), XMP, True)])
    elif suffix == ".png":
        path.write_bytes(png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)))
    else:
        photo().save(path, xmp=XMP)
    assert read_stored_image(path).image.shape == (3, HEIGHT, WIDTH)
    if depth == 8:
        with Image.open(path) as image:
            assert from_pil(image).image.shape == (3, HEIGHT, WIDTH)
    assert read_stored_image(through(path)).image.shape == (3, HEIGHT, WIDTH)


def test_iptc_and_xmp_of_a_tiff_are_where_others_look_for_them(tmp_path):
    with_xmp_and_iptc(tmp_path / "a.jpg")
    with tifffile.TiffFile(through(tmp_path / "a.jpg", ".tif")) as file:
        tags = {tag.code: tag.value for tag in file.pages[0].tags}
    assert bytes(tags[33723]) == RECORD
    assert b"a title" in bytes(tags[700])


def test_a_bmp_says_what_it_could_not_hold(tmp_path):
    with_xmp_and_iptc(tmp_path / "a.jpg")
    (note,) = write_stored_image(tmp_path / "a.bmp", read_stored_image(tmp_path / "a.jpg"))
    assert note == "BMP files cannot hold all metadata: EXIF, XMP, IPTC left out"


def test_comments_of_a_jpeg_are_kept(tmp_path):
    photo().save(tmp_path / "a.jpg", comment=b"taken by me")
    with Image.open(through(tmp_path / "a.jpg")) as image:
        assert image.info["comment"] == b"taken by me"


def test_xmp_too_long_for_jpeg_is_left_out_with_a_note(tmp_path):
    picture = StoredImage(torch.rand(3, 4, 4), meta=ImageMeta(xmp=XMP + b" " * 70_000))
    assert "XMP data did not fit" in write_stored_image(tmp_path / "a.jpg", picture)[0]
    assert read_stored_image(tmp_path / "a.jpg").meta.xmp is None


def test_a_picture_with_further_pictures_inside_says_that_they_are_left_out(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert any("further images" in note for note in read_stored_image(tmp_path / "a.jpg").notes)


def test_geographic_tags_of_a_tiff_are_kept(tmp_path):
    scale = (0.5, 0.5, 0.0)
    tifffile.imwrite(tmp_path / "a.tif", np.array(photo()), extratags=[(33550, 12, 3, scale, True)])
    with tifffile.TiffFile(through(tmp_path / "a.tif")) as file:
        assert file.pages[0].tags[33550].value == scale
