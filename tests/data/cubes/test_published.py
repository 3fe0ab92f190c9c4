import jpeglib
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from passband.data.cubes.published import published_cube
from passband.io.arrays import from_array
from passband.layers.channels import channel_subset
from tests import golden, golden_fill

ONE_DIGIT = 0.005
"""Share of coefficients that may differ by 1: the encoder's cosines have 13 binary digits, ours 53, so that a few fall
on the other side of a half."""


def encoded(levels, path):
    """The coefficients of each component of a JPEG file of quality 100 with chroma at half the size."""
    pixels = levels.movedim(0, -1).numpy().astype(np.uint8)
    Image.fromarray(pixels).save(path, format="JPEG", quality=100, subsampling="4:2:0")
    file = jpeglib.read_dct(str(path))
    return [torch.from_numpy(c.astype(np.float32)).flatten(2).movedim(-1, 0) for c in (file.Y, file.Cb, file.Cr)]


def doubled(levels):
    """A picture of twice the size as OpenCV makes it: whole numbers, whose last digits are dropped on the way."""
    padded = np.pad(levels.numpy().astype(np.int64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    before, here, after = padded[..., :-2], padded[..., 1:-1], padded[..., 2:]
    wide = np.stack([512 * before + 1536 * here, 1536 * here + 512 * after], -1)
    wide = wide.reshape(*wide.shape[:2], -1) >> 4
    above, here, below = wide[:, :-2], wide[:, 1:-1], wide[:, 2:]
    even = (((512 * above) >> 16) + ((1536 * here) >> 16) + 2) >> 2
    odd = (((1536 * here) >> 16) + ((512 * below) >> 16) + 2) >> 2
    return torch.from_numpy(np.stack([even, odd], 2).reshape(len(wide), -1, wide.shape[-1]))


def differences(cube, expected):
    """The largest difference, the share of differing coefficients, and the least correlation of a channel."""
    apart = (cube - expected).abs()
    together = [
        torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] for a, b in zip(cube, expected, strict=True)
    ]
    return apart.max().item(), (apart > 0).double().mean().item(), min(together).item()


def test_the_cube_is_that_of_the_published_pipeline():
    image, _ = from_array(golden_fill.picture("dct-a", 375, 500))
    cube = channel_subset("24S").select(published_cube(image)[None])[0]
    largest, share, correlation = differences(cube, golden.outputs("dct_published_24S_375x500")["cube"].float())
    assert largest <= 1
    assert share <= ONE_DIGIT
    assert correlation > 0.999


@pytest.mark.parametrize(("name", "size"), [("astronaut", 448), ("astronaut", 56)])
def test_the_cube_is_what_an_encoder_writes(name, size, tmp_path):
    # 8/7 of the crop's side, so that nothing is resized before the crop
    side = size * 8 // 7
    picture = getattr(data, name)()[:side, :side]
    image, _ = from_array(picture)
    border = (side - size) // 2
    crop = torch.from_numpy(picture.astype(np.float64)).movedim(-1, 0)[
        :, border : border + size, border : border + size
    ]
    luma, *_ = encoded(crop, tmp_path / "once.jpg")
    _, *chroma = encoded(doubled(crop), tmp_path / "twice.jpg")
    cube = published_cube(image, size)
    assert cube.shape == (192, size // 8, size // 8)
    assert torch.equal(cube, cube.round())
    largest, share, _ = differences(cube, torch.cat([luma, *chroma]))
    assert largest <= 1
    assert share <= ONE_DIGIT


@pytest.mark.parametrize(("height", "width"), [(71, 53), (53, 71), (131, 64)])
def test_a_picture_of_any_size_is_resized_and_cropped_from_its_center(height, width):
    for axis, length in ((0, height), (1, width)):
        ramp = torch.linspace(0, 255, length).round().unsqueeze(1 - axis).expand(height, width)
        cube = published_cube(ramp.expand(3, -1, -1) / 255, 112)
        assert cube.shape == (192, 14, 14)
        # the shorter side becomes 128 pixels, and both sides grow alike
        slope = 255 / (length - 1) * min(height, width) / 128
        expected = 127.5 - 128 + 8 * slope * (torch.arange(14) - 6.5)
        means = cube[0].movedim(axis, -1) / 8
        # a unit for each of two roundings, and half a pixel for what cannot be centered
        torch.testing.assert_close(means, expected.expand(14, 14), rtol=0, atol=2 + slope / 2)


def test_gray_has_no_chroma_and_one_coefficient_a_block():
    cube = published_cube(torch.full((3, 60, 90), 100 / 255), 56)
    expected = torch.zeros(192, 7, 7)
    expected[0] = 8 * (100 - 128)
    torch.testing.assert_close(cube, expected, rtol=0, atol=0)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="multiple of 56 pixels, such as 448 or 896; got 220"):
        published_cube(torch.rand(3, 64, 64), 220)
