"""Damaged and unusual image files: what is read as other programs read it, and what is refused by name."""

import io
import struct
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from passband.io.image import ImageError, ImageMeta, StoredImage, read_image, write_stored_image
from passband.io.mask import read_stored_mask
from passband.io.thumbnail import read_thumbnail

DEEP = ImageMeta(bits=16)


def test_masks_are_read_of_layouts_that_pillow_does_not_know(tmp_path):
    tifffile.imwrite(
        tmp_path / "mask.tif", np.full((5, 7, 2), 300, np.uint16), photometric="minisblack", extrasamples=["unassalpha"]
    )
    assert read_stored_mask(tmp_path / "mask.tif").values.unique().tolist() == [300]


def test_a_damaged_header_is_the_same_error_for_thumbnails(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (20, 20)).save(file, "JPEG")
    data = file.getvalue()
    for end in range(3, 160, 4):
        (tmp_path / "cut.jpg").write_bytes(data[:end])
        with pytest.raises(ImageError, match="incomplete or damaged"):
            read_thumbnail(tmp_path / "cut.jpg", 4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_header_that_claims_more_pixels_than_the_file_can_hold_is_refused_before_memory_is_taken(tmp_path, kind):
    path = tmp_path / f"tall.{kind.lower()}"
    Image.new("RGB", (40, 30)).save(path)
    data = bytearray(path.read_bytes())
    if kind == "PNG":
        data[20:24] = (4_000_000).to_bytes(4, "big")
        data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    else:
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = b"\xff\xff\x0b\xb8"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"damaged: its header says \d+x\d+ pixels, which need at least [\d,]+ bytes"):
        read_image(path)


@pytest.mark.parametrize(
    "options", [{"quality": 1}, {"quality": 1, "progressive": True}, {"quality": 1, "optimize": True}]
)
def test_the_shortest_files_of_plain_pictures_are_long_enough(options, tmp_path):
    Image.new("L", (2000, 1500)).save(tmp_path / "plain.jpg", **options)
    assert read_image(tmp_path / "plain.jpg").shape == (3, 1500, 2000)
    for mode in ("1", "L", "RGB", "I;16"):
        Image.new(mode, (2000, 1500)).save(tmp_path / "plain.png", compress_level=9)
        assert read_image(tmp_path / "plain.png").shape == (3, 1500, 2000)


@pytest.mark.parametrize("bits", [2, 16])
def test_a_png_with_a_chunk_before_its_header_is_read_as_pillow_reads_it(bits, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), np.uint16)
    if bits == 16:
        write_stored_image(
            tmp_path / "sound.png", StoredImage(torch.from_numpy(pixels / 65535).float().movedim(-1, 0), meta=DEEP)
        )
    else:
        Image.fromarray((pixels[..., 0] % 4).astype(np.uint8)).save(tmp_path / "sound.png", bits=2)
    data = (tmp_path / "sound.png").read_bytes()
    text = b"tEXtTitle\0a title"
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    (tmp_path / "odd.png").write_bytes(data[:8] + chunk + data[8:])
    assert torch.equal(read_image(tmp_path / "odd.png"), read_image(tmp_path / "sound.png"))
    if bits == 2:
        masks = [read_stored_mask(tmp_path / name).values for name in ("odd.png", "sound.png")]
        assert torch.equal(*masks)


@pytest.mark.parametrize("read", [read_image, read_stored_mask])
def test_a_tiff_without_a_picture_is_an_error_with_its_name(read, tmp_path):
    Image.new("L", (7, 5)).save(tmp_path / "sound.tif")
    data = bytearray((tmp_path / "sound.tif").read_bytes())
    data[4:8] = bytes(4)  # no directory
    (tmp_path / "empty.tif").write_bytes(data)
    with pytest.raises(ImageError, match=r"empty\.tif is a TIFF file that is incomplete or damaged"):
        read(tmp_path / "empty.tif")


def test_a_tag_beyond_the_file_is_no_warning_where_the_pixels_cannot_be_found(tmp_path):
    Image.new("L", (7, 5)).save(tmp_path / "odd.tif", compression="tiff_lzw")
    data = bytearray((tmp_path / "odd.tif").read_bytes())
    entry = data.index(struct.pack("<HHI", 259, 3, 1))
    data[entry + 4 : entry + 8] = (2**31).to_bytes(4, "little")
    (tmp_path / "odd.tif").write_bytes(data)
    with suppress(ImageError), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_image(tmp_path / "odd.tif")
    assert not caught


def test_of_several_headers_of_a_png_the_last_holds_as_with_pillow(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    levels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    Image.fromarray(levels).save(tmp_path / "one.png")
    data = (tmp_path / "one.png").read_bytes()
    first = chunk(
        b"IHDR", struct.pack(">IIBBBBB", 6, 5, 16, 6, 0, 0, 0)
    )  # color and alpha of 16 bits, which it has not
    (tmp_path / "two.png").write_bytes(data[:8] + first + data[8:])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "two.png")), levels)
    assert torch.equal(read_image(tmp_path / "two.png"), read_image(tmp_path / "one.png"))


def test_a_decoder_without_memory_says_which_file_needs_it(tmp_path, monkeypatch):
    def without_memory(*_: object) -> None:
        raise MemoryError

    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", without_memory)
    with pytest.raises(MemoryError, match=r"a\.png needs more memory to be decoded than is available"):
        read_image(tmp_path / "a.png")
