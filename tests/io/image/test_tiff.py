"""TIFF files as others write them: read, or refused with the reason, and never called damaged."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin

from passband.io.image import ImageError, StoredImage, read_image, read_stored_image, write_stored_image
from passband.io.image.size import stored_size

HEIGHT, WIDTH = 21, 18
CHANNELS = {"gray": 1, "gray+alpha": 2, "rgb": 3, "rgba": 4}
DATA = Path(__file__).parents[2] / "data"


def noise(layout: str, bits: int) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH, CHANNELS[layout]), dtype=dtype)


def levels(picture: StoredImage) -> np.ndarray:
    planes = [picture.image[:1] if picture.meta.gray else picture.image]
    planes += [] if picture.alpha is None else [picture.alpha]
    values = np.concatenate([plane.double().numpy() for plane in planes])
    return np.rint(values * (2**picture.meta.bits - 1)).transpose(1, 2, 0)


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("layout", CHANNELS)
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_every_byte_order_offset_size_and_order_of_samples_reads(tmp_path, planes, layout, bits, order, big):
    pixels = noise(layout, bits)
    channels = pixels.shape[-1]
    array = pixels[..., 0] if channels == 1 else np.moveaxis(pixels, -1, 0) if planes == "separate" else pixels
    tifffile.imwrite(
        tmp_path / "a.tif",
        array,
        photometric="minisblack" if channels <= 2 else "rgb",
        planarconfig=planes if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        byteorder=order,
        bigtiff=big,
        compression="deflate",
        resolution=(300, 200),
        resolutionunit="inch",
    )
    picture = read_stored_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(levels(picture), pixels)
    assert picture.meta.density is not None
    assert picture.meta.density.per("inch") == (300, 200)
    assert stored_size(tmp_path / "a.tif") == (WIDTH, HEIGHT)


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("layout", CHANNELS)
def test_every_compression_of_bytes_reads_with_every_layout_of_16_bits(tmp_path, layout, compression, predictor):
    pixels = noise(layout, 16)
    if predictor == 2:
        if compression == "packbits":
            return  # there are no such files
        stored = np.diff(pixels, axis=1, prepend=np.zeros_like(pixels[:, :1]))
    else:
        stored = pixels
    rows = np.ascontiguousarray(stored, dtype="<u2").view(np.uint8).reshape(HEIGHT, -1)
    Image.fromarray(rows).save(tmp_path / "bytes.tif", compression=compression)  # compresses; the tags come next
    with tifffile.TiffFile(tmp_path / "bytes.tif") as file:
        page = file.pages[0]
        strips = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        code, per_strip = int(page.compression), int(page.rowsperstrip)
    data = (tmp_path / "bytes.tif").read_bytes()
    parts = [data[start : start + count] for start, count in strips]
    channels = pixels.shape[-1]
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    ifd[256], ifd[257], ifd[258], ifd[259] = WIDTH, HEIGHT, (16,) * channels, code
    ifd[262], ifd[277], ifd[278], ifd[317] = 1 if channels <= 2 else 2, channels, per_strip, predictor
    if channels in (2, 4):
        ifd[338] = 2
    ifd.tagtype[273] = ifd.tagtype[279] = 4
    ifd[273], ifd[279] = tuple(np.cumsum([0, *map(len, parts)])[:-1].tolist()), tuple(map(len, parts))
    with (tmp_path / "a.tif").open("wb") as file:
        ifd.save(file)
        file.writelines(parts)
    np.testing.assert_array_equal(levels(read_stored_image(tmp_path / "a.tif")), pixels)


@pytest.mark.parametrize("name", ["sep_lzw_2.tif", "la_zstd_None.tif", "be_bigtiff_g16.tif"])
def test_layouts_that_were_once_called_damaged_are_read(tmp_path, name):
    picture = read_stored_image(DATA / name)
    assert picture.meta.bits == 16
    write_stored_image(tmp_path / name, picture)
    np.testing.assert_array_equal(levels(read_stored_image(tmp_path / name)), levels(picture))
    shutil.copy(DATA / name, tmp_path / "cut.tif")
    os.truncate(tmp_path / "cut.tif", 3000)
    with pytest.raises(ImageError, match="damaged"):
        read_stored_image(tmp_path / "cut.tif")


def test_tiles_of_16_bit_planes_read(tmp_path):
    pixels = noise("rgb", 16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(pixels, -1, 0),
        photometric="rgb",
        planarconfig="separate",
        tile=(16, 16),
        compression="deflate",
        predictor=True,
    )
    np.testing.assert_array_equal(levels(read_stored_image(tmp_path / "a.tif")), pixels)


def retagged(path: Path, tag: int, value: int) -> None:
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags[tag].valueoffset
    data = bytearray(path.read_bytes())
    data[at : at + 2] = value.to_bytes(2, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("layout", ["gray", "gray+alpha"])
@pytest.mark.parametrize(("code", "name"), [(34712, "JPEG2000"), (34887, "LERC"), (50002, "JPEGXL"), (60000, "60000")])
def test_a_compression_that_cannot_be_read_is_named_and_not_called_damage(tmp_path, code, name, layout):
    pixels = noise(layout, 16)
    extra = ["unassalpha"] if layout == "gray+alpha" else None
    array = pixels if extra else pixels[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", extrasamples=extra)
    retagged(tmp_path / "a.tif", 259, code)
    with pytest.raises(ImageError, match=rf"uses an unsupported TIFF compression: .*{name}") as error:
        read_stored_image(tmp_path / "a.tif")
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_cmyk_says_what_becomes_of_it(tmp_path, planes, bits):
    full = 2**bits - 1
    inks = np.zeros((HEIGHT, WIDTH, 4), np.uint8 if bits == 8 else np.uint16)
    inks[..., 0] = full
    array = np.moveaxis(inks, -1, 0) if planes == "separate" else inks
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="separated", planarconfig=planes)
    picture = read_stored_image(tmp_path / "a.tif")
    assert picture.meta.bits == 8
    words = "its CMYK colors of 16 bits per sample became RGB of 8 bits" if bits == 16 else "its CMYK colors became RGB"
    assert picture.notes == (words,)
    red, green, blue = picture.image.mean((1, 2)).tolist()
    assert red < 0.05 < 0.9 < min(green, blue)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize(
    ("photometric", "kinds", "note"),
    [
        ("minisblack", (0,), "1 further channel was left out: only its colors are kept"),
        ("minisblack", (2, 0), "1 further channel was left out: only its colors and alpha are kept"),
        ("rgb", (0, 0), "2 further channels were left out: only its colors are kept"),
        ("rgb", (2, 0, 0), "2 further channels were left out: only its colors and alpha are kept"),
        ("separated", (0,), "1 further channel was left out: only its colors are kept"),
        ("rgb", (2,), ""),
        ("minisblack", (), ""),
    ],
)
def test_channels_that_no_picture_has_are_left_out_with_a_note(tmp_path, photometric, kinds, note, planes, bits):
    count = {"minisblack": 1, "rgb": 3, "separated": 4}[photometric] + len(kinds)
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH, count), dtype=dtype)
    array = pixels[..., 0] if count == 1 else np.moveaxis(pixels, -1, 0) if planes == "separate" else pixels
    tifffile.imwrite(
        tmp_path / "a.tif",
        array,
        photometric=photometric,
        planarconfig=planes if count > 1 else None,
        extrasamples=kinds or None,
    )
    notes = [one for one in read_stored_image(tmp_path / "a.tif").notes if "CMYK" not in one]
    assert notes == [note] * bool(note)


@pytest.mark.parametrize("is_preview", [True, False])
def test_raw_photos_of_cameras_are_refused_instead_of_their_previews(tmp_path, is_preview):
    with tifffile.TiffWriter(tmp_path / "a.dng") as file:
        file.write(noise("rgb", 8), photometric="rgb", subifds=1, subfiletype=int(is_preview))
        file.write(np.zeros((8, 8), np.uint16), photometric="cfa" if is_preview else "minisblack", subfiletype=1)
    if is_preview:
        with pytest.raises(ImageError, match=r"a\.dng is a raw photo of a camera, and only its small preview"):
            read_stored_image(tmp_path / "a.dng")
    else:
        assert "smaller copies" in read_stored_image(tmp_path / "a.dng").notes[0]


def test_libtiff_writes_nothing_to_the_terminal(tmp_path, capfd):
    tifffile.imwrite(tmp_path / "a.tif", noise("rgb", 8), photometric="rgb", compression="deflate")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        at = file.pages[0].dataoffsets[0]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[at + 20 : at + 200] = bytes(180)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ImageError):
        read_image(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")
