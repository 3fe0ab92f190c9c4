import pytest
from PIL import Image

from passband.io.signatures import names_a_type, suffix_by_content
from tests import clips


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_a_picture_is_told_by_its_content(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    Image.new("RGB", (4, 4)).save(path)
    assert suffix_by_content(path.rename(tmp_path / "x")) == suffix


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_video_is_told_by_its_content(tmp_path, suffix):
    path = clips.write_clip(tmp_path / f"x{suffix}", clips.even(2))
    assert suffix_by_content(path.rename(tmp_path / "x")) == suffix


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"RIFF\x10\0\0\0AVI LIST", ".avi"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01B\x82\x84webm", ".webm"),
        (b"\0\0\0\x14ftyp3gp4\0\0\0\0", ".3gp"),
        ((b"\x47" + bytes(187)) * 2, ".ts"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", ""),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", ""),
        (b"GIF89a", ""),
        (b"just text", ""),
        (b"", ""),
    ],
)
def test_other_content_is_told_or_is_of_no_kind(tmp_path, content, suffix):
    (tmp_path / "x").write_bytes(content)
    found = suffix_by_content(tmp_path / "x")
    assert found == suffix or (suffix == "" and found in (".heic", ".avif"))


def test_the_end_of_a_date_names_no_type():
    assert all(map(names_a_type, (".gif", ".mp4", ".TIFF", ".jxl")))
    assert not any(map(names_a_type, ("", ".26", ".jpg_large", ".jpg~", ".jif", ".2026-11")))
