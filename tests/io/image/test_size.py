import struct
import zlib

import pytest
import torch
from PIL import Image

from passband.io.image import read_image, write_image
from passband.io.image.size import stored_size, upright_size


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_width_and_height_are_in_the_header_of_every_kind_whatever_follows(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", torch.rand(3, 37, 101))
    assert stored_size(tmp_path / f"a{suffix}") == (101, 37)
    if suffix not in (".tif", ".jpg"):  # whose headers may come last, or be long
        data = (tmp_path / f"a{suffix}").read_bytes()
        (tmp_path / f"cut{suffix}").write_bytes(data[:64])
        assert stored_size(tmp_path / f"cut{suffix}") == (101, 37)


def test_a_size_beyond_what_pillow_opens_is_told(tmp_path):
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 20_000, 8, 2, 0, 0, 0)
    length, check = struct.pack(">I", len(header) - 4), struct.pack(">I", zlib.crc32(header))
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + length + header + check + length + b"IDAT")
    assert stored_size(tmp_path / "huge.png") == (30_000, 20_000)


@pytest.mark.parametrize(
    "content", [b"", b"Dear diary", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"II*\0\xff\xff\xff\xff"]
)
def test_what_tells_no_size_gives_none(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert stored_size(tmp_path / "a.png") is None
    assert stored_size(tmp_path / "nowhere.png") is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 9])
def test_the_upright_size_is_that_of_the_image_that_is_read(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / f"a{suffix}", exif=exif)
    height, width = read_image(tmp_path / f"a{suffix}").shape[-2:]
    assert upright_size(tmp_path / f"a{suffix}") == (width, height)


def test_a_file_without_a_size_has_no_upright_size(tmp_path):
    (tmp_path / "a.png").write_bytes(b"Dear diary")
    assert upright_size(tmp_path / "a.png") is None
