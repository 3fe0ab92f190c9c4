import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import fft

from passband.ops.dct import block_dct
from passband.ops.dct_geometry import (
    crop_blocks,
    downscale_by_two,
    flip_horizontal,
    flip_vertical,
    join_blocks,
    orient,
    rotate90,
    split_blocks,
    transpose,
)

EXACT = {"rtol": 0, "atol": 1e-10}
SHAPES = [(1, 1, 2, 3), (8, 3, 1, 5), (8, 2, 3, 2), (5, 2, 3, 4)]


def picture(block, components, rows, columns):
    rng = np.random.default_rng(block * rows + columns)
    return torch.from_numpy(rng.standard_normal((2, components, rows * block, columns * block)))


@pytest.mark.parametrize(("block", "components", "rows", "columns"), SHAPES)
def test_flips_and_transposition_are_those_of_the_pixels(block, components, rows, columns):
    image = picture(block, components, rows, columns)
    coefficients = block_dct(image, block)
    torch.testing.assert_close(flip_horizontal(coefficients, block), block_dct(image.flip(-1), block), **EXACT)
    torch.testing.assert_close(flip_vertical(coefficients, block), block_dct(image.flip(-2), block), **EXACT)
    torch.testing.assert_close(transpose(coefficients, block), block_dct(image.mT, block), **EXACT)


@pytest.mark.parametrize("turns", range(-5, 6))
def test_turns_are_those_of_the_pixels(turns):
    image = picture(8, 2, 3, 2)
    expected = block_dct(torch.rot90(image, turns, (-2, -1)))
    torch.testing.assert_close(rotate90(block_dct(image), turns), expected, **EXACT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_that_pillow_turns_upright(orientation, tmp_path):
    pixels = np.random.default_rng(orientation).integers(0, 256, (16, 24), dtype=np.uint8)
    stored = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as file:
        upright = torch.from_numpy(np.array(ImageOps.exif_transpose(file), dtype=np.float64))[None, None]
    coefficients = block_dct(torch.from_numpy(pixels.astype(np.float64))[None, None])
    torch.testing.assert_close(orient(coefficients, orientation), block_dct(upright), **EXACT)


def test_integers_as_a_file_holds_them_are_turned_without_rounding():
    stored = torch.from_numpy(np.random.default_rng(0).integers(-1024, 1024, (1, 64, 3, 2), dtype=np.int16))
    for turn in (flip_horizontal, flip_vertical, transpose, rotate90):
        assert turn(stored).dtype == torch.int16
        assert torch.equal(turn(stored).double(), turn(stored.double()))
    assert torch.equal(orient(orient(stored, 6), 8), stored)
    with pytest.raises(TypeError, match=r"signed type, got torch.uint8"):
        flip_horizontal(stored.to(torch.uint8))


def test_a_crop_between_blocks_is_that_of_the_pixels():
    image = picture(8, 3, 5, 7)
    cropped = crop_blocks(block_dct(image), 1, 2, 3, 4)
    torch.testing.assert_close(cropped, block_dct(image[..., 8:32, 16:48]), **EXACT)


@pytest.mark.parametrize("place", [(-1, 0, 2, 2), (0, 0, 6, 2), (0, 5, 1, 3), (2, 2, 0, 1)])
def test_a_crop_that_sticks_out_or_is_empty_is_refused(place):
    with pytest.raises(ValueError, match="within 5 x 7 blocks; got"):
        crop_blocks(torch.rand(1, 64, 5, 7), *place)


@pytest.mark.parametrize(("block", "components", "rows", "columns"), [(8, 3, 2, 6), (5, 1, 4, 2), (1, 2, 2, 4)])
def test_halving_is_the_mean_of_two_by_two_pixels(block, components, rows, columns):
    image = picture(block, components, rows, columns)
    expected = block_dct(F.avg_pool2d(image, 2), block)
    torch.testing.assert_close(downscale_by_two(block_dct(image, block), block), expected, **EXACT)


def test_halving_odd_numbers_of_blocks_is_refused():
    with pytest.raises(ValueError, match="even numbers of blocks, got 2 x 3; crop with crop_blocks"):
        downscale_by_two(torch.rand(1, 64, 2, 3))


@pytest.mark.parametrize(
    ("block", "parts"), [(8, 1), (8, 2), (8, 4), (8, 8), (8, (1, 2)), (8, (4, 1)), (8, (2, 4)), (6, (3, 2)), (9, 3)]
)
def test_split_blocks_are_the_transform_of_the_smaller_blocks(block, parts):
    image = picture(block, 2, 2, 3)
    down, across = (parts, parts) if isinstance(parts, int) else parts
    height, width = block // down, block // across
    split = split_blocks(block_dct(image, block), parts, block)
    cells = image.unflatten(-1, (-1, width)).unflatten(-3, (-1, height))  # B C h y w x
    expected = fft.dctn(cells.numpy(), type=2, norm="ortho", axes=(3, 5))
    expected = torch.from_numpy(expected).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    torch.testing.assert_close(split, expected, **EXACT)
    torch.testing.assert_close(join_blocks(split, parts, block), block_dct(image, block), **EXACT)


@settings(max_examples=40)
@given(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4, 8]), st.integers(1, 4), st.integers(1, 4))
def test_splitting_and_joining_undo_each_other_and_keep_the_sum_of_squares(down, across, rows, columns):
    coefficients = torch.from_numpy(np.random.default_rng(rows).standard_normal((2, 64, rows, columns)))
    split = split_blocks(coefficients, (down, across))
    assert split.shape == (2, 64 // (down * across), rows * down, columns * across)
    torch.testing.assert_close(split.square().sum(), coefficients.square().sum(), **EXACT)
    torch.testing.assert_close(join_blocks(split, (down, across)), coefficients, **EXACT)


def test_quantized_coefficients_survive_splitting_and_joining_in_single_precision():
    stored = torch.from_numpy(np.random.default_rng(3).integers(-1024, 1024, (1, 64, 9, 7))).float()
    assert torch.equal(join_blocks(split_blocks(stored, 4), 4).round(), stored)


def test_geometry_passes_gradients_and_keeps_halves():
    coefficients = picture(1, 16, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: downscale_by_two(c, 4), coefficients)
    assert torch.autograd.gradcheck(lambda c: split_blocks(c, 2, 4), coefficients)
    assert torch.autograd.gradcheck(lambda c: join_blocks(c, 2, 8), coefficients)
    assert split_blocks(torch.rand(1, 64, 1, 1).half()).dtype == torch.float16


def test_blocks_that_do_not_split_or_join_are_refused():
    with pytest.raises(ValueError, match="parts must divide the block of 8, got 3 x 3"):
        split_blocks(torch.rand(1, 64, 2, 2), 3)
    with pytest.raises(ValueError, match=r"needs 16 channels .* 2 x 2 smaller blocks, got 16 channels of 3 x 2"):
        join_blocks(torch.rand(1, 16, 3, 2))
    with pytest.raises(ValueError, match="orientation must be 1 to 8, got 0"):
        orient(torch.rand(1, 64, 1, 1), 0)
