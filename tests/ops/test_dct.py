import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft
from torch._subclasses.fake_tensor import FakeTensorMode

from passband.ops.dct import (
    LARGEST_FOLDED,
    _by_convolution,
    _by_products,
    block_dct,
    dct2,
    dct_matrix,
    group_frequencies,
    idct2,
    inverse_block_dct,
    raster_to_zigzag,
    split_components,
    ungroup_frequencies,
    zigzag,
    zigzag_to_raster,
)

EXACT = {"rtol": 0, "atol": 1e-10}

JPEG_ZIGZAG = (
    *(0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5),
    *(12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28),
    *(35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51),
    *(58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63),
)


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def scipy_blocks(image, block):
    """The transform of each block by scipy, in a loop."""
    batch, components, height, width = image.shape
    out = np.empty((batch, components * block * block, height // block, width // block))
    for b, c, y, x in np.ndindex(batch, components, height // block, width // block):
        part = image[b, c, y * block : (y + 1) * block, x * block : (x + 1) * block].numpy()
        coefficients = fft.dctn(part, type=2, norm="ortho").ravel()
        out[b, c * block * block : (c + 1) * block * block, y, x] = coefficients
    return torch.from_numpy(out)


@settings(max_examples=40)
@given(st.integers(1, 23), st.integers(1, 23))
def test_the_transform_of_any_size_is_scipys_and_its_inverse_undoes_it(height, width):
    samples = noise(2, 3, height, width)
    coefficients = dct2(samples)
    expected = torch.from_numpy(fft.dctn(samples.numpy(), type=2, norm="ortho", axes=(-2, -1)))
    torch.testing.assert_close(coefficients, expected, **EXACT)
    torch.testing.assert_close(idct2(coefficients), samples, **EXACT)


def test_the_transform_is_the_papers_equation():
    height, width = 3, 5
    samples = noise(height, width)
    expected = torch.zeros(height, width, dtype=torch.float64)
    for v, u, y, x in np.ndindex(height, width, height, width):
        scale = (2 / height) ** 0.5 * (2 / width) ** 0.5 * (0.5**0.5 if v == 0 else 1) * (0.5**0.5 if u == 0 else 1)
        waves = math.cos(math.pi * v * (2 * y + 1) / (2 * height)) * math.cos(math.pi * u * (2 * x + 1) / (2 * width))
        expected[v, u] += scale * waves * samples[y, x]
    torch.testing.assert_close(dct2(samples), expected, **EXACT)


@pytest.mark.parametrize("block", [1, 2, 3, 4, 7, 8, 16, LARGEST_FOLDED + 1])
def test_blocks_of_any_side_are_scipys_and_their_inverse_undoes_them(block):
    image = noise(2, 3, 3 * block, 5 * block)
    coefficients = block_dct(image, block)
    torch.testing.assert_close(coefficients, scipy_blocks(image, block), **EXACT)
    torch.testing.assert_close(inverse_block_dct(coefficients, block), image, **EXACT)


def test_squares_of_coefficients_add_to_those_of_samples():
    image = noise(2, 3, 40, 24)
    torch.testing.assert_close(block_dct(image).square().sum((1, 2, 3)), image.square().sum((1, 2, 3)), **EXACT)


def test_the_lowest_coefficient_is_eight_times_the_mean_and_a_wave_is_one_coefficient():
    coefficients = block_dct(torch.full((1, 1, 8, 16), 3.0, dtype=torch.float64))
    expected = torch.zeros(1, 64, 1, 2, dtype=torch.float64)
    expected[:, 0] = 24
    torch.testing.assert_close(coefficients, expected, **EXACT)
    matrix = dct_matrix(8)
    wave = torch.outer(matrix[2], matrix[5])  # v = 2, u = 5
    torch.testing.assert_close(block_dct(wave[None, None]).flatten(), torch.eye(64, dtype=torch.float64)[21], **EXACT)


@pytest.mark.parametrize("block", [2, 5, 8])
@pytest.mark.parametrize("gradient", [False, True])
def test_selected_channels_are_those_of_the_whole_transform_in_the_order_asked_for(block, gradient):
    image = noise(2, 3, 2 * block, 3 * block).requires_grad_(gradient)
    last = block * block - 1
    channels = [[0, last, 1, block], [], [block + 1]]
    positions = [0, last, 1, block, 2 * block * block + block + 1]
    torch.testing.assert_close(block_dct(image, block, channels), block_dct(image, block)[:, positions], **EXACT)


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.data())
def test_the_convolution_and_the_products_agree(block, rows, columns, data):
    image = noise(2, 2, rows * block, columns * block)
    indices = st.lists(st.integers(0, block * block - 1), max_size=6)
    channels = data.draw(st.none() | st.tuples(indices, indices).filter(any))
    torch.testing.assert_close(_by_convolution(image, block, channels), _by_products(image, block, channels), **EXACT)


def test_gradients_are_right_in_both_directions_and_after_inference_mode():
    with torch.inference_mode():
        block_dct(torch.rand(1, 1, 3, 3), 3)  # must not leave constants behind that no gradient passes
    image = noise(1, 2, 6, 9).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: block_dct(x, 3), image)
    assert torch.autograd.gradcheck(lambda x: block_dct(x, 3, [[0, 4], [1]]), image)
    assert torch.autograd.gradcheck(lambda x: inverse_block_dct(x, 3), noise(1, 9, 2, 3).requires_grad_())
    assert torch.autograd.gradcheck(dct2, noise(5, 3).requires_grad_())


def test_tensors_without_numbers_leave_no_constants_behind():
    with FakeTensorMode():
        assert block_dct(torch.empty(1, 2, 22, 33), 11).shape == (1, 242, 2, 3)
    assert block_dct(torch.empty(1, 2, 22, 33, device="meta"), 11).shape == (1, 242, 2, 3)
    image = noise(1, 2, 22, 33).float()
    torch.testing.assert_close(block_dct(image, 11).double(), scipy_blocks(image, 11), rtol=0, atol=1e-5)


@pytest.mark.parametrize("gradient", [False, True])
def test_precision_is_kept_and_halves_lose_no_more_than_their_own_rounding(gradient):
    image = torch.rand(1, 3, 16, 24) * 255 - 128
    expected = block_dct(image.double())
    for dtype, digits in ((torch.float32, 24), (torch.float16, 11), (torch.bfloat16, 8)):
        rounded = image.to(dtype)
        exact = block_dct(rounded.double())
        coefficients = block_dct(rounded.requires_grad_(gradient))
        assert coefficients.dtype == dtype
        # single precision adds at most a few of its own last digits to the one rounding of what comes out
        torch.testing.assert_close(coefficients.double(), exact, rtol=2.0**-digits, atol=2e-4)
    assert expected.dtype == torch.float64


@pytest.mark.parametrize("gradient", [False, True])
def test_autocast_has_no_say(gradient):
    image = (torch.rand(1, 3, 16, 24) * 255 - 128).requires_grad_(gradient)
    with torch.autocast("cpu", torch.bfloat16):
        coefficients = block_dct(image)
        again = inverse_block_dct(coefficients)
    assert coefficients.dtype == torch.float32
    torch.testing.assert_close(coefficients, block_dct(image), rtol=0, atol=0)
    torch.testing.assert_close(again, image, rtol=0, atol=2e-4)  # a few last digits of 128


def test_the_zigzag_order_is_that_of_the_standard():
    assert zigzag() == JPEG_ZIGZAG


@settings(max_examples=40)
@given(st.integers(1, 12))
def test_the_zigzag_order_names_every_frequency_once_and_goes_to_a_neighbor_each_time(block):
    order = [divmod(index, block) for index in zigzag(block)]
    assert sorted(order) == [(v, u) for v in range(block) for u in range(block)]
    for (v, u), (w, x) in pairwise(order):
        assert max(abs(v - w), abs(u - x)) == 1
        assert 0 <= w + x - v - u <= 1


def test_zigzag_and_raster_order_are_turned_into_each_other():
    coefficients = noise(2, 128, 3, 5)
    ordered = raster_to_zigzag(coefficients)
    assert torch.equal(ordered[:, 64 + 4], coefficients[:, 64 + 9])
    assert torch.equal(ordered[:, 63], coefficients[:, 63])
    assert torch.equal(zigzag_to_raster(ordered), coefficients)
    small = noise(1, 18, 2, 2)
    assert torch.equal(raster_to_zigzag(zigzag_to_raster(small, 3), 3), small)


def test_the_coefficients_of_a_block_and_frequency_channels_are_two_views_of_the_same():
    coefficients = block_dct(noise(2, 3, 16, 40))
    blocks = ungroup_frequencies(coefficients)
    assert blocks.shape == (2, 3, 2, 5, 64)
    assert blocks[1, 2, 0, 4, 8 * 3 + 6] == coefficients[1, 128 + 8 * 3 + 6, 0, 4]
    assert split_components(coefficients)[1, 2, 3, 6, 0, 4] == blocks[1, 2, 0, 4, 8 * 3 + 6]
    assert torch.equal(group_frequencies(blocks), coefficients)


def test_what_does_not_fit_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"divisible by the block of 8, got 12 x 16; pad with"):
        block_dct(torch.rand(1, 3, 12, 16))
    with pytest.raises(ValueError, match="64 channels for each component, got 24 channels.*embed"):
        inverse_block_dct(torch.rand(1, 24, 2, 2))
    with pytest.raises(ValueError, match="one list for each of 3 components, got 2"):
        block_dct(torch.rand(1, 3, 8, 8), 8, [[0], [1]])
    with pytest.raises(ValueError, match="0 to 15 .*, got 16"):
        block_dct(torch.rand(1, 1, 8, 8), 4, [[16]])
    with pytest.raises(ValueError, match="at least one frequency channel is needed"):
        block_dct(torch.rand(1, 1, 8, 8), 4, [[]])
    with pytest.raises(TypeError, match=r"block_dct needs floating-point values, got torch.uint8"):
        block_dct(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
