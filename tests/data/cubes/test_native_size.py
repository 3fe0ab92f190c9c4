"""Whole cubes of files, against decoded samples in float64, with nothing but pixels and scipy's DCT."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn, idctn

from passband.data.cubes.native_size import NativeFormat, native_pixel_cube, read_native_cube
from passband.io.image import ImageError
from passband.io.jpeg import read_coefficients, read_header
from passband.layers.channels import channel_subset
from passband.ops.color import jpeg_samples
from tests.io.jpeg.jpeg_files import all_kinds, encoded, photograph

ALL = tuple(64 * component + 8 * v + u for component in range(3) for v in range(4) for u in range(4))
HALVED = tuple(channel_subset("24S").indices())
FORMS = {"48": NativeFormat(ALL), "24S": NativeFormat(HALVED, 2), "24S of full chroma": NativeFormat(HALVED)}
UPRIGHT = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).T,
    8: np.rot90,
}


def planes(data, orientation=1):
    """Y, Cb and Cr of a file at the size of its pixels, less 128, upright; and the pixels a sample of each covers."""
    held = read_coefficients(data)
    found = []
    for blocks, steps, (across, down) in zip(held.blocks, held.quantization, held.header.factors, strict=True):
        samples = idctn((blocks * steps).double().numpy().reshape(*blocks.shape[:2], 8, 8), axes=[2, 3], norm="ortho")
        plane = samples.transpose(0, 2, 1, 3).reshape(8 * blocks.shape[0], -1)
        down, across = held.header.mcu[0] // (8 * down), held.header.mcu[1] // (8 * across)
        whole = plane.repeat(down, 0).repeat(across, 1)[: -(-held.height // 4) * 4, : -(-held.width // 4) * 4]
        found.append((UPRIGHT[orientation](whole), (across, down) if orientation >= 5 else (down, across)))
    return found


def expected(data, form, orientation=1):
    """The cube of planes: chroma as whole samples, halved where the format says so and the file has it larger."""
    cells = []
    held = planes(data, orientation)
    zero = (np.zeros_like(held[0][0]), (1, 1))
    for component, ((plane, ratio), wanted) in enumerate(zip([*held, zero, zero][:3], form.lists, strict=True)):
        wanted_ratio = [max(own, form.chroma_ratio if component else 1) for own in ratio]
        rows, columns = (side // ratio for side, ratio in zip(plane.shape, wanted_ratio, strict=True))
        # means of the pixels that a sample stands for; where a file has fewer samples, its own
        samples = plane.reshape(rows, wanted_ratio[0], columns, wanted_ratio[1]).mean((1, 3))
        high, wide = 4 // wanted_ratio[0], 4 // wanted_ratio[1]
        blocks = samples.reshape(rows // high, high, columns // wide, wide).transpose(0, 2, 1, 3)
        low = dctn(blocks, axes=[2, 3], norm="ortho") * (wanted_ratio[0] * wanted_ratio[1]) ** 0.5
        whole = np.zeros((*low.shape[:2], 4, 4))
        whole[:, :, :high, :wide] = low
        cells.append(whole.reshape(*low.shape[:2], 16)[:, :, wanted].transpose(2, 0, 1))
    return torch.from_numpy(np.concatenate(cells)).float()


KINDS = {name: data for name, data in all_kinds().items() if name not in ("RGB", "one pixel")}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_s_cube_is_that_of_its_samples(kind, form):
    data, header = KINDS[kind], read_header(KINDS[kind])
    cube = read_native_cube(data, FORMS[form])
    assert (cube.height, cube.width) == (header.height, header.width)
    assert cube.values.shape[1:] == (-(-header.height // 4), -(-header.width // 4))
    # coefficients of up to 20,000 in single precision
    torch.testing.assert_close(cube.values, expected(data, FORMS[form]), rtol=1e-5, atol=0.02)


def test_a_file_of_halved_chroma_holds_the_24_channels_and_nothing_else():
    data = encoded(photograph(64, 96), subsampling="4:2:0")
    whole, some = (read_native_cube(data, FORMS[name]).values for name in ("48", "24S"))
    shared = [place for place, number in enumerate(ALL) if number in HALVED]
    assert torch.equal(whole[shared], some)
    others = [place for place in range(48) if place not in shared]
    assert whole[others].abs().max() == 0
    held = read_coefficients(data)
    energy = sum(float((x * q).double().square().sum()) for x, q in zip(held.blocks, held.quantization, strict=True))
    luma, chroma = whole[:16].double().square().sum(), whole[16:].double().square().sum() / 4
    assert float(luma + chroma) == pytest.approx(energy, rel=1e-6)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["48", "24S"])
def test_every_orientation_is_turned_upright(orientation, form, subsampling):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(44, 76), subsampling=subsampling, exif=exif)
    cube = read_native_cube(data, FORMS[form])
    assert (cube.height, cube.width) == ((76, 44) if orientation >= 5 else (44, 76))
    torch.testing.assert_close(cube.values, expected(data, FORMS[form], orientation), rtol=1e-5, atol=0.02)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_turned_files_whose_edge_would_come_first_are_read_as_pixels(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(45, 77), subsampling="4:4:4", quality=98, exif=exif)
    cube = read_native_cube(data, FORMS["48"], mirrored=True)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).transpose(2, 0, 1) / 255
    upright = torch.from_numpy(np.stack([UPRIGHT[orientation](plane) for plane in pixels]).copy()).float()
    same = native_pixel_cube(upright, FORMS["48"], mirrored=True)
    assert cube.mirrored
    torch.testing.assert_close(cube.values, same.values)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_mirroring_is_that_of_the_picture_where_its_width_is_whole_cells(form, subsampling):
    data = encoded(photograph(45, 76), subsampling=subsampling)
    cube = read_native_cube(data, FORMS[form], mirrored=True)
    assert cube.mirrored
    flipped = [(np.fliplr(plane), ratio) for plane, ratio in planes(data)]
    straight = read_native_cube(data, FORMS[form]).values
    luma = dctn(flipped[0][0].reshape(12, 4, 19, 4).transpose(0, 2, 1, 3), axes=[2, 3], norm="ortho")
    torch.testing.assert_close(
        cube.values[:16], torch.from_numpy(luma.reshape(12, 19, 16).transpose(2, 0, 1)).float(), rtol=1e-5, atol=0.02
    )
    signs = torch.tensor([-1.0 if number % 2 else 1.0 for number in FORMS[form].channels])[:, None, None]
    assert torch.equal(cube.values, straight.flip(-1) * signs)


def test_a_picture_whose_width_is_no_whole_cells_stays_as_it_is():
    data = encoded(photograph(44, 77), subsampling="4:4:4")
    cube = read_native_cube(data, FORMS["48"], mirrored=True)
    assert not cube.mirrored
    assert torch.equal(cube.values, read_native_cube(data, FORMS["48"]).values)


@pytest.mark.parametrize("kind", ["RGB", "one pixel"])
def test_the_odd_ones_have_a_cube_too(kind):
    data = all_kinds()[kind]
    header = read_header(data)
    assert read_native_cube(data, FORMS["24S"]).values.shape == (24, -(-header.height // 4), -(-header.width // 4))


@pytest.mark.parametrize("form", FORMS)
def test_a_png_file_has_the_cube_of_its_pixels(form, tmp_path):
    picture = photograph(35, 53)
    picture.save(tmp_path / "some.png")
    cube = read_native_cube(tmp_path / "some.png", FORMS[form], mirrored=True)
    image = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy()).float() / 255
    samples = jpeg_samples(image.flip(-1)[None])[0].double().numpy()
    assert (cube.height, cube.width, cube.mirrored) == (35, 53, True)
    # the cells that lie within the picture
    inside = samples[0, :32, :52].reshape(8, 4, 13, 4).transpose(0, 2, 1, 3)
    luma = dctn(inside, axes=[2, 3], norm="ortho").reshape(8, 13, 16).transpose(2, 0, 1)
    torch.testing.assert_close(cube.values[:16, :8, :13], torch.from_numpy(luma).float(), rtol=1e-5, atol=1e-3)


def test_pixels_and_a_fine_file_of_them_have_nearly_one_cube():
    picture = photograph(64, 80)
    data = encoded(picture, quality=100, subsampling="4:4:4")
    image = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy()).float() / 255
    for form in FORMS.values():
        of_file, of_pixels = read_native_cube(data, form).values, native_pixel_cube(image, form).values
        assert (of_file - of_pixels).abs().max() < 6  # steps of 1 in 8 x 8 blocks, and samples rounded to 8 bits


def test_channels_that_cells_have_not_are_refused():
    with pytest.raises(ValueError, match=r"a block of 4 has frequencies 0 to 3"):
        NativeFormat(tuple(channel_subset("64S").indices()))
    with pytest.raises(ValueError, match=r"chroma at half the size has frequencies 0 and 1 .* 48 channels need 3"):
        NativeFormat(ALL, 2)
    with pytest.raises(ValueError, match="ascending order"):
        NativeFormat((8, 0))
    with pytest.raises(ValueError, match="chroma_ratio must be 1 .*or 2"):
        NativeFormat(HALVED, 4)


def test_a_channel_that_a_file_has_not_is_zero():
    data = encoded(photograph(31, 29), subsampling="4:2:0")
    cube = read_native_cube(data, NativeFormat((0, 64 + 27))).values
    assert cube[1].abs().max() == 0
    assert cube[0].abs().max() > 100


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(encoded(photograph(64, 64))[:900])
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        read_native_cube(path, FORMS["24S"])
