import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from passband.io.image import ImageError
from passband.io.mask import read_stored_mask, write_mask
from tests.masks import ellipses, picture_of

MASK = ellipses("stored", 19, 31)


def values(array):
    return torch.from_numpy(np.asarray(array).astype(np.int64))


def gray_png(path, levels, depth):
    """A gray PNG of less than 8 bits, which Pillow does not write."""
    rows = b"".join(
        b"\0" + np.packbits(((row[:, None] >> np.arange(depth)[::-1]) & 1).astype(np.uint8)).tobytes() for row in levels
    )
    write_png(path, struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], depth, 0, 0, 0, 0), rows)


def write_png(path, header, rows):
    """A PNG file of a header and filtered rows."""
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )


def write_deep(path, pixels):
    """An RGBA PNG of 16 bits, which Pillow does not write."""
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 6, 0, 0, 0)
    write_png(path, header, rows)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_gray_levels_are_read_as_they_are_whatever_holds_them(tmp_path, suffix, mode):
    levels = MASK * 7 + np.arange(31, dtype=np.uint8)
    if (suffix, mode) == ("bmp", "RGBA"):
        mode = "RGB"
    Image.fromarray(levels).convert(mode).save(tmp_path / f"a.{suffix}")
    stored = read_stored_mask(tmp_path / f"a.{suffix}")
    assert torch.equal(stored.values, values(levels))
    assert stored.grays is not None
    assert torch.equal(stored.grays, stored.values)
    assert stored.exact


def with_alpha(color, hidden=None):
    """A picture of one color whose alpha is the mask; what is transparent may have another color."""
    pixels = np.empty((*MASK.shape, 4), np.uint8)
    pixels[..., :3] = color
    pixels[MASK == 0, :3] = color if hidden is None else hidden
    pixels[..., 3] = MASK * 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
@pytest.mark.parametrize("form", ["RGBA.png", "LA.png", "RGBA.tif", "RGBA.webp", "P.png", "16 bits.png"])
def test_a_mask_in_alpha_is_read_where_all_pixels_have_one_color(tmp_path, color, form):
    mode, suffix = form.split(".")
    image = with_alpha(color)
    if mode == "16 bits":
        write_deep(tmp_path / "a.png", np.asarray(image))
    else:
        image.convert("RGBA" if mode == "P" else mode).save(tmp_path / f"a.{suffix}", lossless=True, exact=True)
        if mode == "P":
            image.quantize(4).save(tmp_path / "a.png")
    stored = read_stored_mask(tmp_path / f"a.{suffix}")
    assert stored.grays is not None
    assert torch.equal(stored.grays, values(MASK) * 255)
    assert stored.exact


@pytest.mark.parametrize(("color", "hidden"), [((0, 0, 0), (255, 255, 255)), ((255, 0, 0), (0, 0, 0))])
def test_a_binary_mask_lies_in_alpha_where_all_that_is_seen_has_one_color(tmp_path, color, hidden):
    with_alpha(color, hidden).save(tmp_path / "a.png")
    stored = read_stored_mask(tmp_path / "a.png", is_binary=True)
    assert torch.equal(stored.values, values(MASK) * 255)


def test_classes_in_gray_levels_are_not_taken_from_alpha(tmp_path):
    levels = np.stack([MASK * 2, MASK * 255], -1)
    Image.fromarray(levels.astype(np.uint8), "LA").save(tmp_path / "a.png")
    assert torch.equal(read_stored_mask(tmp_path / "a.png").values, values(MASK) * 2)
    levels[..., 0] += np.arange(31, dtype=np.uint8) % 2
    Image.fromarray(levels.astype(np.uint8), "LA").save(tmp_path / "a.png")
    stored = read_stored_mask(tmp_path / "a.png", is_binary=True)
    assert torch.equal(stored.values, values(levels[..., 0]))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_two_levels_are_0_and_1(tmp_path, suffix):
    Image.fromarray(MASK * 255).convert("1").save(tmp_path / f"a.{suffix}")
    stored = read_stored_mask(tmp_path / f"a.{suffix}")
    assert torch.equal(stored.values, values(MASK))
    assert stored.grays is not None
    assert torch.equal(stored.grays, values(MASK) * 255)


def test_palettes_give_indices_and_grays_where_their_colors_are_gray(tmp_path):
    image = Image.fromarray(MASK * 3).convert("P")
    for palette, grays in (([0, 0, 0] * 3 + [200, 0, 0], None), ([255] * 3 + [9] * 6 + [0] * 3, (1 - MASK) * 255)):
        image.putpalette(palette)
        image.save(tmp_path / "a.png")
        stored = read_stored_mask(tmp_path / "a.png")
        assert torch.equal(stored.values, values(MASK * 3))
        if grays is None:
            assert stored.grays is None
        else:
            assert stored.grays is not None
            assert torch.equal(stored.grays, values(grays))


@pytest.mark.parametrize("depth", [2, 4])
def test_few_bits_are_not_stretched(tmp_path, depth):
    levels = (np.arange(31) % 2**depth + 0 * MASK).astype(np.uint8)
    gray_png(tmp_path / "a.png", levels, depth)
    stored = read_stored_mask(tmp_path / "a.png")
    assert torch.equal(stored.values, values(levels))
    assert stored.grays is not None
    assert int(stored.grays.max()) == 255


def test_sixteen_bits_are_kept(tmp_path):
    levels = MASK.astype(np.uint16) * 40_000 + 300
    Image.fromarray(levels).save(tmp_path / "a.png")
    stored = read_stored_mask(tmp_path / "a.png")
    assert torch.equal(stored.values, values(levels))
    assert stored.grays is not None
    assert {*stored.grays.unique().tolist()} == {300 * 255 // 65535, 40_300 * 255 // 65535}


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_gray_and_not_exact(tmp_path, mode):
    Image.fromarray(MASK * 255).convert(mode).save(tmp_path / "a.jpg", quality=75)
    stored = read_stored_mask(tmp_path / "a.jpg")
    assert not stored.exact
    assert stored.grays is not None
    assert torch.equal((stored.grays > 127).long(), values(MASK))


@pytest.mark.parametrize("mode", ["L", "P"])
def test_masks_are_turned_upright_as_pictures_are(tmp_path, mode):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(np.rot90(MASK)).convert(mode).save(tmp_path / "a.png", exif=exif)
    assert torch.equal(read_stored_mask(tmp_path / "a.png").values, values(MASK))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_colored_pictures_are_no_masks(tmp_path, suffix):
    red = np.stack([MASK * 255, MASK * 0, MASK * 0], -1)
    Image.fromarray(red).save(tmp_path / f"a.{suffix}")
    with pytest.raises(ImageError, match=rf"a\.{suffix} is a colored image"):
        read_stored_mask(tmp_path / f"a.{suffix}")


def test_damaged_and_foreign_files_are_named(tmp_path):
    Image.fromarray(picture_of("noise", MASK)[..., 0]).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture at all")
    for name, words in (("cut.png", "incomplete"), ("empty.png", "is empty"), ("text.png", "not a PNG")):
        with pytest.raises(ImageError, match=f"{name}.*{words}"):
            read_stored_mask(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_stored_mask(tmp_path / "none.png")


@pytest.mark.parametrize("classes", [1, 2, 7, 256, 300])
def test_what_is_written_comes_back(tmp_path, classes):
    highest = max(classes - 1, 1)
    mask = torch.arange(35).reshape(5, 7) * highest // 34
    write_mask(tmp_path / "deep" / "a.png", mask, classes)
    stored = read_stored_mask(tmp_path / "deep" / "a.png")
    assert torch.equal(stored.values, mask * 255 if classes == 1 else mask)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.png"]


def test_what_cannot_be_written_is_said(tmp_path):
    mask = torch.tensor([[0, 2]])
    with pytest.raises(ImageError, match=r"a\.jpg cannot be written: masks need the suffix \.png"):
        write_mask(tmp_path / "a.jpg", mask, 3)
    with pytest.raises(ImageError, match="classes must be 0 to 1; the mask has 0 to 2"):
        write_mask(tmp_path / "a.png", mask, 1)
    with pytest.raises(ImageError, match="classes must be 0 to 2; the mask has -1 to 2"):
        write_mask(tmp_path / "a.png", torch.tensor([[-1, 2]]), 3)
    with pytest.raises(ImageError, match="no pixels"):
        write_mask(tmp_path / "a.png", mask[:0], 3)
