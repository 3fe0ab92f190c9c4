"""Cubes of files, against a construction from decoded samples in float64, with nothing but pixels and scipy's DCT."""

import io
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn, idctn

from passband.data.cubes.fixed_size import CubeFormat, file_cube, pixel_cube
from passband.data.cubes.views import Augmentation, cube_view
from passband.io.image import ImageError, read_image
from passband.io.jpeg import JpegError, read_coefficients, write_coefficients
from passband.layers.channels import channel_subset
from passband.ops.color import jpeg_samples
from tests.io.jpeg.jpeg_files import encoded, photograph, random_coefficients

TURNS = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).T,
    8: np.rot90,
}
"""What makes a picture of each EXIF orientation upright."""


def form(channels="24S", size=64, stride=8, seed=None):
    numbers = tuple(channel_subset(channels).indices())
    if seed is None:
        return CubeFormat(numbers, size, stride, (0.0,) * len(numbers), (1.0,) * len(numbers))
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(0, 50, len(numbers)), rng.uniform(20, 90, len(numbers))
    return CubeFormat(numbers, size, stride, tuple(mean.tolist()), tuple(std.tolist()))


def draw(seed, scale=(0.05, 1.0)):
    return Augmentation(np.random.default_rng(seed), scale, flip=True)


def decoded(data):
    """Planes of samples, less 128, of whole MCUs and upright, with the pixels that a sample of each covers."""
    held = read_coefficients(data)
    rows, columns = held.header.whole_mcus
    planes, ratios = [], []
    for blocks, steps, (across, down) in zip(held.blocks, held.quantization, held.header.factors, strict=True):
        part = (blocks * steps)[: rows * down, : columns * across].double().numpy()
        samples = idctn(part.reshape(*part.shape[:2], 8, 8), axes=[2, 3], norm="ortho")
        plane = samples.transpose(0, 2, 1, 3).reshape(8 * len(part), -1)
        ratio = (held.header.mcu[0] // (8 * down), held.header.mcu[1] // (8 * across))
        planes.append(TURNS[held.orientation](plane))
        ratios.append(ratio[::-1] if held.orientation >= 5 else ratio)
    mcu = held.header.mcu[::-1] if held.orientation >= 5 else held.header.mcu
    size = (held.width, held.height) if held.orientation >= 5 else (held.height, held.width)
    return planes, ratios, mcu, size


def cells(samples, ratio, reduction, stride, axis):
    """Frequencies along one axis: of means where a cell has more samples than pixels, else of fewer samples."""
    samples = np.moveaxis(samples, axis, -1)
    covered = Fraction(ratio) / reduction
    if covered < 1:
        samples = samples.reshape(*samples.shape[:-1], -1, int(1 / covered)).mean(-1)
        covered = Fraction(1)
    inside = int(stride / covered)
    low = dctn(samples.reshape(*samples.shape[:-1], -1, inside), axes=[-1], norm="ortho") * float(covered) ** 0.5
    return np.moveaxis(np.pad(low, [(0, 0)] * (low.ndim - 1) + [(0, stride - inside)]), (-2, -1), (axis, -1))


def literal(data, form, seed=None, scale=(0.05, 1.0)):
    """The cube by way of samples."""
    planes, ratios, mcu, size = decoded(data)
    view = cube_view(*size, mcu, form.size, form.stride, None if seed is None else draw(seed, scale))
    window, side = view.window, form.size // form.stride
    whole = np.zeros((3, form.stride, form.stride, side, side))
    top, left = (start // form.stride for start in view.offset)
    for component, (plane, (down, across)) in enumerate(zip(planes, ratios, strict=True)):
        part = plane[
            window.top // down : (window.top + window.height) // down,
            window.left // across : (window.left + window.width) // across,
        ]
        part = part[:, ::-1] if window.mirrored else part
        grid = cells(cells(part, down, view.reduction, form.stride, 0), across, view.reduction, form.stride, 1)
        whole[component, :, :, top : top + grid.shape[0], left : left + grid.shape[1]] = grid.transpose(2, 3, 0, 1)
    chosen = whole.reshape(-1, side, side)[channel_subset(form.channels).indices(form.stride)]
    return torch.from_numpy((chosen - np.array(form.mean)[:, None, None]) / np.array(form.std)[:, None, None]).float()


PICTURE = photograph(211, 173)
KINDS = {
    "4:4:4": encoded(PICTURE, subsampling="4:4:4", quality=91),
    "4:2:2": encoded(PICTURE, subsampling="4:2:2"),
    "4:2:0": encoded(PICTURE, subsampling="4:2:0"),
    "4:4:0": write_coefficients(random_coefficients(211, 173, ((1, 2), (1, 1), (1, 1)))),
    "gray": encoded(photograph(97, 131, "L")),
    "progressive": encoded(PICTURE, subsampling="4:2:0", progressive=True),
    "unequal chroma": write_coefficients(random_coefficients(143, 159, ((2, 2), (2, 1), (1, 2)))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "stride"), [("24S", 8), ("192", 8), ("24S", 4)])
@pytest.mark.parametrize("size", [32, 96, 256])
def test_a_cube_is_the_normalized_dct_of_the_decoded_view(kind, channels, stride, size):
    wanted = form(channels, size, stride, seed=size)
    for seed in (None, size):
        cube = file_cube(KINDS[kind], wanted, None if seed is None else draw(seed))
        # values up to 50, from coefficients up to 1,000 in float32
        torch.testing.assert_close(cube, literal(KINDS[kind], wanted, seed), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(("kind", "stride"), [("4:4:4", 8), ("4:2:2", 8), ("4:2:0", 4)])
def test_orientations_and_flips_are_those_of_the_decoded_picture(kind, stride, orientation):
    held = read_coefficients(KINDS[kind])
    header = type(held.header)(**{**vars(held.header), "orientation": orientation})
    turned = write_coefficients(type(held)(held.blocks, held.quantization, header))
    wanted = form("32" if stride == 8 else "24S", 64, stride, seed=3)
    for seed in (None, 4, 5):
        cube = file_cube(turned, wanted, None if seed is None else draw(seed))
        torch.testing.assert_close(cube, literal(turned, wanted, seed), atol=2e-4, rtol=1e-4)


def test_a_subset_that_is_not_symmetric_is_turned_right():
    held = read_coefficients(KINDS["4:4:4"])
    header = type(held.header)(**{**vars(held.header), "orientation": 6})
    turned = write_coefficients(type(held)(held.blocks, held.quantization, header))
    numbers = (1, 2, 3, 17, 65, 136)  # horizontal frequencies that the stored file holds as vertical ones
    wanted = CubeFormat(numbers, 64, 8, (0.0,) * 6, (1.0,) * 6)
    torch.testing.assert_close(file_cube(turned, wanted), literal(turned, wanted), atol=1e-2, rtol=1e-4)


def test_the_published_shape_of_a_native_file_is_all_that_it_holds():
    """A 4:2:0 file at stride 4: every other channel than 24S is zero."""
    everything = file_cube(KINDS["4:2:0"], form("192", 64, 8), draw(0))
    assert everything.shape == (192, 8, 8)
    numbers = tuple(c * 64 + 8 * v + u for c in range(3) for v in range(4) for u in range(4))
    whole = CubeFormat(numbers, 64, 4, (0.0,) * 48, (1.0,) * 48)
    cube = file_cube(KINDS["4:2:0"], whole, draw(0, scale=(0.2, 0.3)))
    assert cube_view(211, 173, (16, 16), 64, 4, draw(0, scale=(0.2, 0.3))).reduction == 1
    kept = [numbers.index(number) for number in channel_subset("24S").indices()]
    others = [place for place in range(48) if place not in kept]
    assert not cube[others].any()
    assert (cube[kept].flatten(1).std(1) > 0.1).all()


def test_what_is_around_a_small_picture_is_a_middle_gray():
    wanted = form("24S", 224, 8, seed=1)
    cube = file_cube(encoded(photograph(41, 61)), wanted)
    gray = -torch.tensor(wanted.mean) / torch.tensor(wanted.std)
    assert cube_view(41, 61, (16, 16), 224, 8).reduction == Fraction(1, 2)
    torch.testing.assert_close(cube[:, 0, 0], gray)
    torch.testing.assert_close(cube[:, -1, -1], gray)
    assert (cube - gray[:, None, None]).abs().amax(0).gt(1e-3).sum() == (2 * 32 // 8) * (2 * 48 // 8)


def written(tmp_path, name, image, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_other_files_are_seen_as_the_jpeg_files_of_their_pixels_would_be(tmp_path):
    picture = photograph(104, 136)  # of whole MCUs, so that both show the same
    png = written(tmp_path, "a.png", picture)
    jpeg = written(tmp_path, "a.jpg", picture, quality=100, subsampling="4:4:4")
    for stride in (8, 4):
        wanted = form("24S", 64, stride)
        for seed in (None, 2, 3):
            cubes = [file_cube(path, wanted, None if seed is None else draw(seed)) for path in (png, jpeg)]
            # each sample is rounded to 8 bits in the file, and each coefficient to a whole number
            assert (cubes[0] - cubes[1]).abs().max() < 4
            assert (cubes[0] - cubes[1]).std() < 1


@pytest.mark.parametrize("height", [1, 7, 8, 9, 23])
def test_pictures_smaller_than_a_block_are_seen(tmp_path, height):
    wanted = form("24S", 32, 4)
    jpeg = written(tmp_path, "a.jpg", photograph(height, 11))
    cube = file_cube(jpeg, wanted)
    assert cube.shape == (24, 8, 8)
    assert cube[0].abs().max() > 1


def test_files_whose_coefficients_cannot_be_used_go_through_pixels(tmp_path):
    picture = photograph(72, 88)
    wanted = form("24S", 64, 8)
    cmyk = written(tmp_path, "cmyk.jpg", picture.convert("CMYK"), quality=100, subsampling="4:4:4")
    rgb = written(tmp_path, "rgb.jpg", picture, quality=100, keep_rgb=True)
    for path in (cmyk, rgb):
        torch.testing.assert_close(file_cube(path, wanted), pixel_cube(read_image(path), wanted))
    expected = pixel_cube(torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255, wanted)
    assert (file_cube(rgb, wanted) - expected).abs().max() < 8


def test_pixels_are_cut_flipped_and_transformed():
    image = torch.from_numpy(np.array(PICTURE)).permute(2, 0, 1) / 255
    wanted = form("192", 64, 8)
    view = cube_view(211, 173, (8, 8), 64, 8, draw(8, scale=(0.2, 0.3)))
    assert view.reduction == 1
    window = view.window
    part = image[:, window.top : window.top + 64, window.left : window.left + 64]
    part = part.flip(-1) if window.mirrored else part
    samples = jpeg_samples(part).double().numpy().reshape(3, 8, 8, 8, 8).transpose(0, 1, 3, 2, 4)
    expected = dctn(samples, axes=[3, 4], norm="ortho").transpose(0, 3, 4, 1, 2).reshape(192, 8, 8)
    cube = pixel_cube(image, wanted, draw(8, scale=(0.2, 0.3)))
    torch.testing.assert_close(cube, torch.from_numpy(expected).float(), atol=1e-3, rtol=1e-4)


def test_damaged_files_are_named(tmp_path):
    wanted = form()
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(KINDS["4:2:0"][:3000])
    with pytest.raises(JpegError, match=r"cut\.jpg is a JPEG file that is incomplete"):
        file_cube(cut, wanted)
    with pytest.raises(JpegError, match="incomplete"):
        file_cube(cut.read_bytes(), wanted)
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.jpg"):
        file_cube(text, wanted)
    with pytest.raises(ImageError, match="the content is not a PNG"):
        file_cube(b"no picture", wanted)
    with pytest.raises(FileNotFoundError, match=r"none\.jpg"):
        file_cube(tmp_path / "none.jpg", wanted)


def test_content_gives_the_same_as_its_file(tmp_path):
    file = io.BytesIO()
    PICTURE.save(file, "PNG")
    for name, data in (("a.jpg", KINDS["4:2:0"]), ("a.png", file.getvalue())):
        (tmp_path / name).write_bytes(data)
        torch.testing.assert_close(file_cube(data, form()), file_cube(tmp_path / name, form()), atol=0, rtol=0)
    assert Image.open(io.BytesIO(file.getvalue())).size == (173, 211)
