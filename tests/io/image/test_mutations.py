"""Pictures with a few bytes changed that other readers read, or that must be refused in a true sentence."""

import io
import struct
import zlib
from typing import get_args

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from passband.io.image import (
    ImageError,
    ImageMeta,
    StoredImage,
    open_images,
    read_image,
    read_stored_image,
    write_images,
    write_stored_image,
)
from passband.io.image.types import Density, Unit
from passband.io.mask import read_stored_mask

LEVELS = np.arange(30, dtype=np.uint8).reshape(5, 6)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(depth: int, color_type: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 5, depth, color_type, 0, 0, 0))


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(LEVELS).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "changed",
    [
        png()[:-12] + header(16, 6) + png()[-12:],
        png()[:-12] + header(249, 3),
        png()[:8] + chunk(b"IDAT", zlib.compress(bytes(999))) + png()[8:],
        png()[:33] + header(1, 237) + png()[33:],
    ],
    ids=["header behind the pixels", "and no end", "pixels ahead of the header", "second header of no known kind"],
)
def test_a_png_is_read_by_the_header_that_its_pixels_follow(changed, tmp_path):
    (tmp_path / "a.png").write_bytes(changed)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), LEVELS)
    assert torch.equal(read_image(tmp_path / "a.png").mul(255).round()[0], torch.from_numpy(LEVELS).float())


def test_a_frame_header_cut_short_ends_the_animation_with_a_note(tmp_path):
    frames = [Image.new("L", (6, 5), level) for level in (10, 20, 30)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=50)
    data = (tmp_path / "a.png").read_bytes()
    last = data.rindex(b"fcTL") - 4
    (tmp_path / "a.png").write_bytes(data[:last] + chunk(b"fcTL", data[last + 8 : last + 30]) + data[last + 38 :])
    picture = read_stored_image(tmp_path / "a.png")
    assert picture.image.mul(255).round().unique().tolist() == [10]
    assert any("damaged from frame 3 on" in note for note in picture.notes)


def test_an_animation_that_draws_next_to_nothing_of_a_huge_canvas_is_refused_before_memory_is_taken(tmp_path):
    frames = [Image.new("RGB", (45, 37), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    data = bytearray((tmp_path / "a.webp").read_bytes())
    data[26] |= 0x40  # of the width: 4,194,349 pixels
    (tmp_path / "a.webp").write_bytes(data)
    with pytest.raises(ImageError, match="frames of its animation together draw 3,330"):
        read_stored_image(tmp_path / "a.webp")


@pytest.mark.parametrize("tag", [279, 278], ids=["lengths", "rows of a strip"])
def test_uncompressed_pixels_of_a_tiff_are_found_without_their_lengths(tag, tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (5, 6, 2)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", extrasamples=["unassalpha"], metadata=None)
    sound = read_stored_image(tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages[0].tags[tag].offset  # pyright: ignore[reportAttributeAccessIssue]
    changed = data[: at + 8] + bytes([0, 0, 0, 127] if tag == 279 else 4) + data[at + 12 :]
    (tmp_path / "a.tif").write_bytes(changed)
    again = read_stored_image(tmp_path / "a.tif")
    assert torch.equal(sound.image, again.image)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", [256, 257, 258, 259, 262, 278, 284, 317, 322, 323])
def test_of_several_values_of_a_tag_that_has_one_the_first_counts(tag, order, tmp_path):
    """Tags of pages that Pillow reads and tags of pages that `tiff_raw` reads, with their values inside and outside."""
    values = np.random.default_rng(0).integers(0, 65536, (3, 20, 24)).astype(np.uint16)
    options: dict = {"photometric": "minisblack"} if tag == 258 else {"photometric": "rgb", "planarconfig": "separate"}
    if tag in (317, 322, 323):
        options |= {"tile": (16, 16), "compression": "zlib", "predictor": 2}
    for bits in (8, 16):
        pixels = (values if bits == 16 else (values >> 8).astype(np.uint8))[: 3 if tag != 258 else 1]
        file = io.BytesIO()
        tifffile.imwrite(file, pixels if len(pixels) > 1 else pixels[0], byteorder=order, metadata=None, **options)
        (tmp_path / "sound.tif").write_bytes(file.getvalue())
        with tifffile.TiffFile(io.BytesIO(file.getvalue())) as opened:
            entry = opened.pages[0].tags[tag]  # pyright: ignore[reportAttributeAccessIssue]
            at, count, kind = entry.offset, entry.count, "H" if entry.dtype == 3 else "I"
        assert count == 1
        for further in (1, 4):
            data = bytearray(file.getvalue())
            numbers = struct.pack(f"{order}{1 + further}{kind}", entry.value, *[7] * further)
            struct.pack_into(f"{order}I", data, at + 4, 1 + further)
            outside = len(numbers) > 4
            data[at + 8 : at + 12] = struct.pack(f"{order}I", len(data)) if outside else numbers
            (tmp_path / "several.tif").write_bytes(bytes(data) + numbers * outside)
            several, sound = (read_stored_image(tmp_path / f"{name}.tif").image for name in ("several", "sound"))
            assert torch.equal(several, sound)


def deep_tiff(**options) -> bytes:
    values = np.random.default_rng(0).integers(0, 65536, (3, 20, 24)).astype(np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", planarconfig="separate", metadata=None, **options)
    return file.getvalue()


def with_tags(data: bytes, **numbers: int) -> bytes:
    """Return a file with other numbers in place of the first values of some tags."""
    changed = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for name, number in numbers.items():
            tag = file.pages[0].tags[name]  # pyright: ignore[reportAttributeAccessIssue]
            struct.pack_into("<H" if tag.dtype == 3 else "<I", changed, tag.offset + 8, number)
    return bytes(changed)


def test_planes_in_single_strips_are_read_whatever_their_number_of_rows_says(tmp_path):
    (tmp_path / "sound.tif").write_bytes(deep_tiff())
    (tmp_path / "a.tif").write_bytes(with_tags(deep_tiff(), RowsPerStrip=3))
    sound, again = (read_stored_image(tmp_path / name).image for name in ("sound.tif", "a.tif"))
    assert torch.equal(sound, again)


@pytest.mark.parametrize("bits", [8, 16])
def test_uncompressed_colors_are_read_where_a_strip_says_that_it_has_no_rows(bits, tmp_path):
    values = np.random.default_rng(0).integers(0, 2**bits, (20, 24, 3)).astype(f"u{bits // 8}")
    tifffile.imwrite(tmp_path / "sound.tif", values, photometric="rgb", metadata=None)
    (tmp_path / "a.tif").write_bytes(with_tags((tmp_path / "sound.tif").read_bytes(), RowsPerStrip=0))
    sound, again = (read_stored_image(tmp_path / name).image for name in ("sound.tif", "a.tif"))
    assert torch.equal(sound, again)


@pytest.mark.parametrize(
    "numbers", [{"ImageWidth": 0}, {"ImageLength": 0}, {"ImageWidth": 0, "ImageLength": 2**31 - 1}]
)
@pytest.mark.parametrize("planar", [False, True])
def test_a_tiff_of_no_pixels_is_refused_at_once(numbers, planar, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 24), np.uint16), photometric="minisblack", metadata=None)
    data = deep_tiff() if planar else (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(with_tags(data, **numbers))
    with pytest.raises(ImageError, match="its header says"):
        read_stored_image(tmp_path / "a.tif")


def test_a_tall_tiff_of_fewer_strips_than_rows_is_refused_before_memory_is_taken(tmp_path):
    data = with_tags(deep_tiff(rowsperstrip=10), ImageWidth=1, ImageLength=2**27, RowsPerStrip=1)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ImageError, match="its pixel data are incomplete|pixels are in 402653184 parts"):
        read_stored_image(tmp_path / "a.tif")


def test_a_png_animation_that_draws_next_to_nothing_of_a_huge_canvas_is_refused_before_memory_is_taken(tmp_path):
    frames = [Image.new("L", (45, 37), level) for level in (10, 20)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    data = (tmp_path / "a.png").read_bytes()
    tall = chunk(b"IHDR", struct.pack(">II", 45, 4_000_000) + data[24:29])
    (tmp_path / "a.png").write_bytes(data[:8] + tall + data[33:])
    with pytest.raises(ImageError, match="frames of its animation together draw 3,330"):
        read_stored_image(tmp_path / "a.png")


def test_an_animation_behind_a_still_image_is_written_as_webp_without_the_still(tmp_path):
    frames = [Image.new("RGB", (6, 5), color) for color in ("red", "lime", "blue")]
    options: dict = {"save_all": True, "default_image": True, "append_images": frames[1:], "duration": [40, 50]}
    frames[0].save(tmp_path / "a.png", **options)
    assert open_images(tmp_path / "a.png").count == 3
    notes = write_images(tmp_path / "b.webp", open_images(tmp_path / "a.png"), quality=100)
    assert any("no separate still image" in note for note in notes)
    written = open_images(tmp_path / "b.webp")
    assert written.animation is not None
    assert [float(duration) for duration in written.animation.durations] == [0.04, 0.05]
    assert next(written.images).image[:, 2, 3].round().tolist() == [0, 1, 0]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".heic", ".avif"])
def test_no_type_is_turned_by_the_orientation_in_xmp_that_its_source_was_not_turned_by(suffix, tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.new("RGB", (6, 5)).save(tmp_path / "a.jpg", xmp=xmp)
    picture = read_stored_image(tmp_path / "a.jpg")
    write_stored_image(tmp_path / f"b{suffix}", picture)
    assert picture.image.shape == read_stored_image(tmp_path / f"b{suffix}").image.shape == (3, 5, 6)


def test_writing_a_damaged_exif_block_gives_no_warning(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2026:01:02 03:04:05"}
    block = exif.tobytes()
    Image.new("RGB", (6, 5)).save(tmp_path / "a.jpg", exif=block[:-12])  # the date is cut off
    write_stored_image(tmp_path / "b.tif", read_stored_image(tmp_path / "a.jpg"))
    assert read_stored_image(tmp_path / "b.tif").image.shape == (3, 5, 6)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".heic", ".avif"])
@pytest.mark.parametrize("density", [4294967295.0, 1e12, 70000.3, 1e-9, 1e300])
def test_a_density_that_no_type_can_state_is_no_reason_to_write_no_picture(density, suffix, tmp_path):
    for unit in get_args(Unit):
        meta = ImageMeta(density=Density(density, density, unit))
        write_stored_image(tmp_path / f"a{suffix}", StoredImage(torch.zeros(3, 5, 6), meta=meta))
        assert read_stored_image(tmp_path / f"a{suffix}").image.shape == (3, 5, 6)


def test_a_mask_of_two_levels_is_read_where_a_tag_says_that_it_has_several_values(tmp_path):
    Image.fromarray(LEVELS % 2 * 255).convert("1").save(tmp_path / "sound.tif", compression="group4")
    data = bytearray((tmp_path / "sound.tif").read_bytes())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages[0].tags[278].offset  # pyright: ignore[reportAttributeAccessIssue]
    data[at + 4] = 255
    (tmp_path / "several.tif").write_bytes(data)
    several, sound = (read_stored_mask(tmp_path / f"{name}.tif").values for name in ("several", "sound"))
    assert torch.equal(several, sound)


def test_a_damaged_exif_block_is_left_out_of_an_avif(tmp_path):
    text_for_a_number = struct.pack("<HHI4s", 290, 2, 4, b"inch")
    block = exif_of(struct.pack("<HHII", 274, 3, 1, 1), text_for_a_number)
    picture = StoredImage(torch.zeros(3, 5, 6), meta=ImageMeta(exif=block))
    write_stored_image(tmp_path / "a.avif", picture)
    assert read_stored_image(tmp_path / "a.avif").image.shape == (3, 5, 6)


def exif_of(*entries: bytes) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def test_a_tag_of_extra_samples_that_is_stored_as_text_keeps_its_meaning(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (20, 24, 2)).astype(np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack", extrasamples=["unassalpha"], metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        entry = opened.pages[0].tags[338]  # pyright: ignore[reportAttributeAccessIssue]
    (tmp_path / "sound.tif").write_bytes(bytes(data))
    struct.pack_into("<H", data, entry.offset + 2, 2)  # the type of the tag becomes text
    (tmp_path / "text.tif").write_bytes(bytes(data))
    sound, text = (read_stored_image(tmp_path / f"{name}.tif") for name in ("sound", "text"))
    assert torch.equal(text.image, sound.image)
    assert text.alpha is not None
    assert torch.equal(text.alpha, sound.alpha)


def test_a_transparent_color_that_is_too_short_is_ignored(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    sound = file.getvalue()
    body = b"tRNS" + b"\0\1\0"
    damaged = sound[:33] + struct.pack(">I", 3) + body + struct.pack(">I", zlib.crc32(body)) + sound[33:]
    (tmp_path / "a.png").write_bytes(damaged)
    assert np.array_equal(read_image(tmp_path / "a.png").mul(255).round().byte().permute(1, 2, 0), values)


def test_pixels_behind_the_header_of_a_later_frame_are_not_those_of_the_first(tmp_path):
    frames = [Image.fromarray(np.full((9, 11, 3), level, np.uint8)) for level in (10, 90, 200)]
    frames[0].save(tmp_path / "sound.png", save_all=True, append_images=frames[1:])
    data = (tmp_path / "sound.png").read_bytes()
    at = data.index(b"fdAT")
    length = struct.unpack_from(">I", data, at - 4)[0]
    body = b"IDAT" + data[at + 4 : at + 4 + length]  # a frame becomes pixels
    (tmp_path / "a.png").write_bytes(data[:at] + body + struct.pack(">I", zlib.crc32(body)) + data[at + 8 + length :])
    assert read_image(tmp_path / "a.png").mul(255).round().eq(10).all()


def test_strips_that_a_directory_leaves_out_follow_the_others(tmp_path):
    data = bytearray(deep_tiff())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        entry = opened.pages[0].tags[273]  # pyright: ignore[reportAttributeAccessIssue]
    (tmp_path / "sound.tif").write_bytes(bytes(data))
    struct.pack_into("<I", data, entry.offset + 4, 2)  # of three planes
    (tmp_path / "a.tif").write_bytes(bytes(data))
    assert torch.equal(read_image(tmp_path / "a.tif"), read_image(tmp_path / "sound.tif"))


def test_a_compressed_strip_ends_where_its_decoder_says(tmp_path):
    data = bytearray(deep_tiff(compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        tag = opened.pages[0].tags[279]  # pyright: ignore[reportAttributeAccessIssue]
    (tmp_path / "sound.tif").write_bytes(bytes(data))
    at, kind = tag.valueoffset, "H" if tag.dtype == 3 else "I"
    struct.pack_into(f"<3{kind}", data, at, *[60_000] * 3)  # far beyond the end of the file
    (tmp_path / "a.tif").write_bytes(bytes(data))
    assert torch.equal(read_image(tmp_path / "a.tif"), read_image(tmp_path / "sound.tif"))


def test_rows_of_a_tile_below_the_image_are_not_needed(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (3, 16, 16)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "sound.tif", values, photometric="rgb", planarconfig="separate", tile=(16, 16))
    data = bytearray((tmp_path / "sound.tif").read_bytes())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        entry = opened.pages[0].tags[323]  # pyright: ignore[reportAttributeAccessIssue]
    struct.pack_into("<H" if entry.dtype == 3 else "<I", data, entry.valueoffset, 16 * 1024)
    (tmp_path / "a.tif").write_bytes(bytes(data))
    assert torch.equal(read_image(tmp_path / "a.tif"), read_image(tmp_path / "sound.tif"))


def test_an_uncompressed_tiff_that_claims_more_pixels_than_it_holds_is_refused_before_memory_is_taken(tmp_path):
    values = np.zeros((2, 24, 4), np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        entry = opened.pages[0].tags[256]  # pyright: ignore[reportAttributeAccessIssue]
    struct.pack_into("<HHII", data, entry.offset, 256, 4, 1, 50_397_952)
    (tmp_path / "a.tif").write_bytes(bytes(data))
    with pytest.raises(ImageError, match="incomplete or damaged"):
        read_image(tmp_path / "a.tif")
