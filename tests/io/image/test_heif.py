"""HEIC and AVIF files, which phones write."""

import sys

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import ExifTags, Image, TiffImagePlugin

from passband.io.image import (
    Density,
    ImageError,
    ImageMeta,
    StoredImage,
    kind_of_file,
    read_stored_image,
    write_stored_image,
)
from passband.io.image.size import stored_size

SMOOTH = torch.linspace(0, 1, 40).expand(3, 24, 40)


@pytest.mark.parametrize("suffix", [".heic", ".avif", ".heif"])
def test_a_picture_of_a_phone_is_read_and_written_back_as_what_it_was(tmp_path, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "passband camera"
    meta = ImageMeta(exif=exif.tobytes()[6:], density=Density(300, 300, "inch"), xmp=b"<x:xmpmeta/>")
    write_stored_image(tmp_path / f"a{suffix}", StoredImage(SMOOTH, meta=meta))
    assert kind_of_file(tmp_path / f"a{suffix}") == ("AVIF" if suffix == ".avif" else "HEIC")
    assert stored_size(tmp_path / f"a{suffix}") == (40, 24)
    (tmp_path / f"a{suffix}").rename(tmp_path / "a")
    write_stored_image(tmp_path / "b", read_stored_image(tmp_path / "a"))
    assert kind_of_file(tmp_path / "b") == kind_of_file(tmp_path / "a")
    picture = read_stored_image(tmp_path / "b")
    assert (picture.image - SMOOTH).abs().mean() < 2 / 255  # lossy
    assert picture.meta.exif is not None
    assert b"passband camera" in picture.meta.exif
    assert picture.meta.density == Density(300, 300, "inch")
    assert picture.meta.xmp == b"<x:xmpmeta/>"


def test_a_heic_of_more_than_8_bits_keeps_them(tmp_path):
    write_stored_image(tmp_path / "a.heic", StoredImage(SMOOTH, meta=ImageMeta("HEIC", bits=16)))
    picture = read_stored_image(tmp_path / "a.heic")
    assert picture.meta.bits == 16
    assert len(np.unique(picture.image)) > 30
    assert write_stored_image(tmp_path / "b.heic", picture) == ()


def test_without_its_package_a_heic_says_what_to_install(tmp_path, monkeypatch):
    write_stored_image(tmp_path / "a.heic", StoredImage(SMOOTH))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"a\.heic cannot be read: .*pip install 'passband\[heic\]'"):
        read_stored_image(tmp_path / "a.heic")
    with pytest.raises(ImageError, match=r"b\.heic cannot be written: .*pip install 'passband\[heic\]'"):
        write_stored_image(tmp_path / "b.heic", StoredImage(SMOOTH))


def test_a_hdr_heic_is_refused(tmp_path):
    file = pillow_heif.from_bytes(mode="RGB", size=(16, 16), data=bytes(768))
    file.save(tmp_path / "a.heic", transfer_characteristics=16)
    with pytest.raises(ImageError, match=r"a\.heic is HDR \(PQ\)"):
        read_stored_image(tmp_path / "a.heic")


def test_the_color_space_that_a_heic_names_without_a_profile_is_kept(tmp_path):
    file = pillow_heif.from_bytes(mode="RGB", size=(16, 16), data=bytes(768))
    file.save(tmp_path / "a.heic", color_primaries=12, transfer_characteristics=1)
    write_stored_image(tmp_path / "b.heic", read_stored_image(tmp_path / "a.heic"))
    named = pillow_heif.open_heif(tmp_path / "b.heic").info["nclx_profile"]
    assert (named["color_primaries"], named["transfer_characteristics"]) == (12, 1)


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_maker_notes_stay_at_their_place_in_the_exif_block(tmp_path, suffix):
    note = b"a maker note, which points to places of the block"
    inner, first = TiffImagePlugin.ImageFileDirectory_v2(), TiffImagePlugin.ImageFileDirectory_v2()
    inner[0x927C] = note
    first[0x010F], first[0x0112], first[0x8769] = "passband camera", 1, dict(inner)
    block = b"II*\0\x08\0\0\0" + first.tobytes(8)
    write_stored_image(tmp_path / f"a{suffix}", StoredImage(SMOOTH, meta=ImageMeta(exif=block)))
    exif = read_stored_image(tmp_path / f"a{suffix}").meta.exif
    assert exif is not None
    assert exif.index(note) == block.index(note)
    assert len(exif) == len(block)


def test_an_avif_says_that_damaged_exif_data_were_left_out(tmp_path):
    picture = StoredImage(SMOOTH, meta=ImageMeta(exif=b"no block"))
    notes = write_stored_image(tmp_path / "a.avif", picture)
    assert notes == ("its EXIF data are damaged and were left out, because AVIF files cannot hold them",)
    assert read_stored_image(tmp_path / "a.avif").meta.exif is None
