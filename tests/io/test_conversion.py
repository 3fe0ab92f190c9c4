from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from passband.data.degradations import degrade
from passband.io.conversion import as_tensor, read_input, single_image
from passband.io.image import ImageError, from_pil, write_image

LEVELS = np.random.default_rng(0).integers(0, 256, (11, 17, 3), dtype=np.uint8)


def ways(tmp_path):
    """One picture in every kind that is taken."""
    write_image(tmp_path / "a.png", torch.from_numpy(LEVELS).movedim(-1, 0) / 255)
    tensor = torch.from_numpy(LEVELS).movedim(-1, 0)
    return {
        "path": tmp_path / "a.png",
        "name of a file": str(tmp_path / "a.png"),
        "content of a file": (tmp_path / "a.png").read_bytes(),
        "PIL": Image.fromarray(LEVELS),
        "array": LEVELS,
        "array of 16 bits": LEVELS.astype(np.uint16) * 257,
        "array of floats": (LEVELS / 255).astype(np.float32),
        "tensor of bytes": tensor,
        "tensor": tensor / 255,
    }


def test_every_kind_is_the_same_tensor(tmp_path):
    expected = torch.from_numpy(LEVELS).movedim(-1, 0) / 255
    for name, picture in ways(tmp_path).items():
        image = as_tensor(picture)
        assert image.dtype == torch.float32, name
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-7, msg=name)


def test_every_kind_comes_back_as_what_it_was(tmp_path):
    for name, picture in ways(tmp_path).items():
        source = read_input(picture)
        given = source.to_original_kind(source.images)
        if isinstance(picture, str | Path | bytes):
            assert isinstance(given, Image.Image)
            picture = Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture)
        assert type(given) in (type(picture), Image.Image), name
        np.testing.assert_allclose(np.asarray(given), np.asarray(picture), atol=1e-7, err_msg=name)
        assert np.asarray(given).dtype == np.asarray(picture).dtype, name


@pytest.mark.parametrize("kind", ["rain", "haze", "defocus"])
def test_a_seed_degrades_every_kind_alike(tmp_path, kind):
    kinds = ways(tmp_path)
    expected = degrade(kinds["tensor"], kind, seed=3, index=2)
    assert not torch.equal(expected, kinds["tensor"])
    for name, picture in kinds.items():
        degraded = degrade(picture, kind, seed=3, index=2)
        assert isinstance(degraded, Image.Image) or type(degraded) is type(picture)
        atol = 0.51 / 255  # what is not of floats is rounded to 8 bits
        torch.testing.assert_close(as_tensor(degraded), expected.clamp(0, 1), rtol=0, atol=atol, msg=name)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_a_pil_image_comes_back_with_a_profile_of_its_colors(mode):
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    gray = rgb[:16] + b"GRAY" + rgb[20:]
    for profile, is_kept in ((rgb, True), (gray, mode in ("L", "LA"))):
        picture = Image.fromarray(LEVELS).convert(mode)
        picture.info["icc_profile"] = profile
        file = BytesIO()
        degrade(picture, "haze").save(file, "PNG")
        assert Image.open(file).info.get("icc_profile") == (profile if is_kept else None)


def test_a_file_comes_back_with_its_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = BytesIO()
    Image.fromarray(LEVELS).save(file, "JPEG", icc_profile=profile)
    assert degrade(file.getvalue(), "rain").info == {"icc_profile": profile}


def test_degrading_keeps_alpha_gray_and_precision():
    transparent = np.dstack([LEVELS, LEVELS[..., 0]])
    assert np.array_equal(degrade(transparent, "snow")[..., 3], LEVELS[..., 0])
    assert degrade(Image.fromarray(transparent), "snow").mode == "RGBA"
    assert degrade(Image.fromarray(LEVELS[..., 0]), "haze").mode == "L"
    assert degrade(LEVELS[..., 0], "haze").shape == (11, 17)
    assert degrade(torch.rand(3, 8, 9, dtype=torch.float64), "rain").dtype == torch.float64


def test_one_picture_is_needed_where_one_is_asked_for():
    batch = torch.rand(2, 3, 8, 9)
    assert read_input(batch).to_original_kind(batch).shape == batch.shape
    for refuse in (as_tensor, lambda x: degrade(x, "rain"), lambda x: single_image(read_input(x))):
        with pytest.raises(
            ValueError, match=r"one image of shape 3 H W is needed, got a batch of shape 2 x 3 x 8 x 9: index it"
        ):
            refuse(batch)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("thing", "error", "message"),
    [
        (3, TypeError, "a path, the bytes of an image file, a PIL image, an array or a tensor; got an int$"),
        (None, TypeError, "got a NoneType"),
        (b"", ImageError, "the content is empty; a PNG"),
        (b"no image", ImageError, "the content is not a PNG.* image: it begins with b'no image'"),
        (b"\x89PNG\r\n\x1a\n", ImageError, "the content is a PNG file that is incomplete or damaged"),
        (bytearray(b"\x89PNG"), TypeError, r"got a bytearray: pass bytes\(content\)"),
        (BytesIO(b"\x89PNG"), TypeError, r"got a BytesIO: pass file\.read\(\)"),
        ([LEVELS], TypeError, "got a list"),
        (torch.zeros(8, 9, 3), ValueError, r"channels come first: image\.movedim\(-1, -3\)"),
        (torch.zeros(4, 8, 9), ValueError, "alpha channel"),
        (torch.zeros(1, 8, 9), ValueError, "gray channel"),
        (torch.zeros(8, 9), ValueError, r"got \(8, 9\) torch\.float32\.$"),
        (torch.zeros(3, 8, 9, dtype=torch.int64), ValueError, r"image\.float\(\) / 255"),
        (torch.zeros(3, 8, 9, dtype=torch.uint16), ValueError, r"image\.float\(\) / 65535\.$"),
        (torch.zeros(3, 8, 9, dtype=torch.bool), ValueError, r"image\.float\(\)\.$"),
        (torch.zeros(3, 8, 9, dtype=torch.complex64), ValueError, r"got \(3, 8, 9\) torch\.complex64\.$"),
        (torch.zeros(3, 8, 9, device="meta"), ValueError, "values are in memory, got one on the device meta"),
        (torch.zeros(3, 8, 9).to_sparse(), ValueError, r"got one of the layout torch\.sparse_coo"),
        (torch.linspace(-1, 1, 216).view(3, 8, 9), ValueError, r"got -1 to 1\. .*\(image \+ 1\) / 2"),
        (Image.new("RGB", (0, 5)), ImageError, "the Pillow image has no pixels: its size is 0x5"),
        (Image.new("F", (3, 5)), ImageError, r"mode F; .* Pass an array .*numpy\.asarray\(image\)"),
        (Image.new("I", (3, 5)), ImageError, r"mode I; .* Pass an array .*numpy\.asarray\(image\)"),
        (torch.zeros(3, 0, 9), ValueError, "not be empty"),
        (torch.full((3, 8, 9), 255.0), ValueError, r"in \[0, 1\]; got 255 to 255\. Divide by 255"),
        (np.full((8, 9, 3), 200.0), ValueError, "Divide by 255"),
        (np.where(np.arange(72).reshape(8, 9) == 5, np.nan, 0.5), ValueError, "1 of 72 are NaN or infinite"),
        (torch.tensor([[[0.5, float("inf")]]] * 3), ValueError, "3 of 6 are NaN or infinite"),
        ("nowhere.png", FileNotFoundError, "nowhere"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_to_do(thing, error, message):
    with pytest.raises(error, match=message):
        as_tensor(thing)


def test_pictures_are_turned_upright():
    image = Image.fromarray(LEVELS)
    image.getexif()[0x0112] = 6
    assert as_tensor(image).shape == from_pil(image).image.shape
