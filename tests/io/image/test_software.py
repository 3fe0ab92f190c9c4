"""The name of the program that made an image, in the place of each file type."""

import struct

import pytest
import torch
from PIL import Image

from passband.io.image import Density, ImageMeta, StoredImage, read_stored_image, write_stored_image
from passband.io.image.metadata.exif_edit import exif_density, with_software

SOFTWARE = "passband 1, weights general, sha256 0123456789abcdef"
XMP = b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Phone &amp; Co">'
XMP += b"<xmp:CreatorTool>Phone</xmp:CreatorTool></rdf:Description>"


def written(path, software=SOFTWARE, **about):
    """Write a small image with metadata, and return its path."""
    meta = ImageMeta(software=software, density=Density(300, 300, "inch"), **about)
    write_stored_image(path, StoredImage(torch.rand(3, 16, 24), meta=meta))
    return path


def info(path):
    """Return the information that Pillow finds in a file."""
    with Image.open(path) as image:
        image.load()
        return dict(image.info)


def exif_block(**tags):
    """Return an EXIF block of a camera."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "Maker", "Phone system 18.1"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a comment"
    return exif.tobytes()[6:]


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".png", ".avif", ".heic"])
@pytest.mark.parametrize("has_exif", [True, False])
def test_every_type_names_the_program_in_its_own_place_and_keeps_the_rest(suffix, has_exif, tmp_path):
    path = written(tmp_path / f"photo{suffix}", exif=exif_block() if has_exif else None, xmp=XMP)
    stored = read_stored_image(path).meta
    assert stored.exif is not None or (suffix == ".png" and not has_exif)
    if stored.exif is not None:
        exif = Image.Exif()
        exif.load(stored.exif)
        assert exif[0x0131] == SOFTWARE
        assert exif.get(0x010F) == ("Maker" if has_exif else None)
        assert (exif.get_ifd(0x8769).get(0x9286) == b"ASCII\0\0\0a comment") == has_exif
    if suffix == ".png":
        assert info(path)["Software"] == SOFTWARE
    assert stored.xmp is not None
    assert stored.xmp.count(SOFTWARE.encode()) == 2
    assert b"Phone" not in stored.xmp


def test_a_program_of_an_earlier_file_is_replaced_in_the_texts_of_png(tmp_path):
    texts = ((b"tEXt", b"Software\0old"), (b"tEXt", b"Author\0somebody"))
    path = written(tmp_path / "photo.png", kind="PNG", extras=texts)
    again = read_stored_image(path)
    assert info(path).get("Author") == "somebody"
    write_stored_image(path, again)
    assert info(path)["Software"] == SOFTWARE


def test_without_a_name_nothing_changes(tmp_path):
    block = exif_block()
    for suffix in (".jpg", ".png"):
        path = written(tmp_path / f"photo{suffix}", software=None, exif=block, xmp=XMP)
        assert read_stored_image(path).meta.exif == block
        assert b"Phone" in (read_stored_image(path).meta.xmp or b"")


def test_a_type_without_metadata_says_so(tmp_path):
    meta = ImageMeta(software=SOFTWARE)
    notes = write_stored_image(tmp_path / "photo.bmp", StoredImage(torch.rand(3, 8, 8), meta=meta))
    assert notes == ("BMP files cannot hold all metadata: the name of the weights left out",)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["a", "abc", "abcd", "abcde"])
def test_names_of_any_length_are_read_back_in_both_byte_orders(order, name):
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IHI", 8, 0, 0)
    exif = Image.Exif()
    exif.load(with_software(head, name))
    assert dict(exif) == {0x0131: name}
    assert exif_density(with_software(head, name)) is None


def test_a_damaged_block_is_replaced():
    exif = Image.Exif()
    exif.load(with_software(b"II*\0\xff\xff\xff\xff", "abcde"))
    assert exif[0x0131] == "abcde"
