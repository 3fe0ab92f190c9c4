import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import fft

from passband.io.image import to_pil
from passband.io.jpeg import dequantize, read_coefficients
from passband.ops.color import jpeg_samples
from passband.ops.cube import assemble_cube, disassemble_cube, image_cube, sampling_ratios
from passband.ops.dct import block_dct

EXACT = {"rtol": 0, "atol": 1e-10}
RATIOS = {
    "4:4:4": [(1, 1), (1, 1), (1, 1)],
    "4:2:2": [(1, 1), (1, 2), (1, 2)],
    "4:4:0": [(1, 1), (2, 1), (2, 1)],
    "4:2:0": [(1, 1), (2, 2), (2, 2)],
    "4:1:1": [(1, 1), (1, 4), (1, 4)],
    "gray": [(1, 1)],
}
SHARED = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]
"""Frequencies below 4 of an 8 x 8 block."""


def samples(ratios, height, width, seed=0):
    """Samples of each component at its own resolution, for a picture of that size."""
    rng = np.random.default_rng(seed)
    sizes = [(height // down, width // across) for down, across in ratios]
    return [torch.from_numpy(128 * rng.standard_normal((2, 1, *size))) for size in sizes]


def coefficients_of(planes):
    return [block_dct(plane) for plane in planes]


def scipy_cube(planes, ratios, stride):
    """Each cell's samples of each component, transformed by scipy and put where their frequencies are."""
    batch, _, height, width = planes[0].shape
    cube = np.zeros((batch, 3, stride, stride, height // stride, width // stride))
    for component, (plane, (down, across)) in enumerate(zip(planes, ratios, strict=True)):
        rows, columns = stride // down, stride // across
        for b, y, x in np.ndindex(batch, height // stride, width // stride):
            cell = plane[b, 0, y * rows : (y + 1) * rows, x * columns : (x + 1) * columns].numpy()
            low = fft.dctn(cell, type=2, norm="ortho") * np.sqrt(down * across)
            cube[b, component, :rows, :columns, y, x] = low
    return torch.from_numpy(cube).flatten(1, 3)


@pytest.mark.parametrize("stride", [8, 4])
@pytest.mark.parametrize("kind", RATIOS)
def test_a_cube_holds_the_transform_of_each_cells_own_samples(kind, stride):
    ratios = RATIOS[kind]
    planes = samples(ratios, 16, 96)
    cube = assemble_cube(coefficients_of(planes), ratios, stride)
    torch.testing.assert_close(cube, scipy_cube(planes, ratios, stride), **EXACT)


@pytest.mark.parametrize("stride", [8, 4])
@pytest.mark.parametrize("kind", RATIOS)
def test_a_cube_gives_the_files_coefficients_back(kind, stride):
    ratios = RATIOS[kind]
    stored = coefficients_of(samples(ratios, 16, 96))
    again = disassemble_cube(assemble_cube(stored, ratios, stride), ratios, stride)
    for before, after in zip(stored, again, strict=True):
        torch.testing.assert_close(after, before, **EXACT)


@pytest.mark.parametrize("stride", [8, 4])
@pytest.mark.parametrize("kind", RATIOS)
def test_the_lowest_channel_is_the_stride_times_the_mean_whatever_the_resolution(kind, stride):
    ratios = RATIOS[kind]
    planes = [torch.full_like(plane, 10.0 + number) for number, plane in enumerate(samples(ratios, 32, 64))]
    cube = assemble_cube(coefficients_of(planes), ratios, stride)
    expected = torch.zeros_like(cube).unflatten(1, (3, stride * stride))
    for number in range(len(ratios)):
        expected[:, number, 0] = stride * (10.0 + number)
    torch.testing.assert_close(cube, expected.flatten(1, 2), **EXACT)


def test_24_channels_at_stride_4_are_the_quantized_integers_of_a_420_file(photograph):
    file = io.BytesIO()
    to_pil(photograph[:, 40:136, 100:260]).save(file, "JPEG", quality=85, subsampling="4:2:0")
    stored = read_coefficients(file.getvalue())
    ratios = sampling_ratios(stored.header.factors)
    assert ratios == RATIOS["4:2:0"]
    # all of Y, and v, u < 2 of Cb and Cr
    channels = [list(range(16)), [0, 1, 4, 5], [0, 1, 4, 5]]
    cube = assemble_cube([component[None] for component in dequantize(stored)], ratios, 4, channels)
    assert cube.shape == (1, 24, 96 // 4, 160 // 4)
    assert cube.numel() == sum(blocks.numel() for blocks in stored.blocks)
    whole = torch.zeros(1, 48, *cube.shape[2:])
    whole[:, [16 * c + index for c, indices in enumerate(channels) for index in indices]] = cube
    again = disassemble_cube(whole, ratios, 4)
    for blocks, steps, component in zip(stored.blocks, stored.quantization, again, strict=True):
        quantized = component[0] / steps[:, None, None]
        torch.testing.assert_close(quantized.round().short().permute(1, 2, 0), blocks, rtol=0, atol=0)
        # far from where rounding could go wrong
        torch.testing.assert_close(quantized, quantized.round(), rtol=0, atol=0.01)


@pytest.mark.parametrize("stride", [8, 4])
def test_luma_at_stride_8_and_full_chroma_are_taken_as_they_are(stride):
    planes = samples(RATIOS["4:4:4"], 16, 40)
    cube = assemble_cube(coefficients_of(planes), RATIOS["4:4:4"], stride)
    torch.testing.assert_close(cube, block_dct(torch.cat(planes, 1), stride), **EXACT)


@pytest.mark.parametrize("stride", [8, 4])
@pytest.mark.parametrize("kind", RATIOS)
def test_chosen_channels_are_those_of_the_whole_cube_in_the_order_asked_for(kind, stride):
    components, size = coefficients_of(samples(RATIOS[kind], 32, 32)), stride * stride
    whole = assemble_cube(components, RATIOS[kind], stride)
    channels = [[3, 0], [size - 1, 1], [0]]
    positions = [3, 0, 2 * size - 1, size + 1, 2 * size]
    chosen = assemble_cube(components, RATIOS[kind], stride, channels)
    torch.testing.assert_close(chosen, whole[:, positions], rtol=0, atol=0)


@pytest.mark.parametrize("stride", [8, 4])
@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (1, 1), (2, 7), (5, 4)])
def test_grids_that_do_not_end_together_are_cropped_to_the_luma_grid(rows, columns, stride):
    planes = samples(RATIOS["4:2:0"], 8 * (rows + rows % 2), 8 * (columns + columns % 2))
    components = coefficients_of(planes)
    components[0] = components[0][..., :rows, :columns]
    cube = assemble_cube(components, RATIOS["4:2:0"], stride)
    assert cube.shape[-2:] == (8 * rows // stride, 8 * columns // stride)
    whole = scipy_cube(planes, RATIOS["4:2:0"], stride)
    torch.testing.assert_close(cube, whole[..., : cube.shape[-2], : cube.shape[-1]], **EXACT)


@pytest.mark.parametrize("stride", [8, 4])
@pytest.mark.parametrize("ratio", [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1)])
def test_the_cube_of_pixels_is_that_of_their_file(ratio, stride):
    image = torch.from_numpy(np.random.default_rng(2).random((2, 3, 32, 96)))
    shifted = jpeg_samples(image)
    planes = [shifted[:, :1], *(F.avg_pool2d(shifted[:, c : c + 1], ratio) for c in (1, 2))]
    expected = assemble_cube(coefficients_of(planes), [(1, 1), ratio, ratio], stride)
    torch.testing.assert_close(image_cube(image, stride, ratio), expected, **EXACT)
    channels = [[2], [0, 1], []]
    chosen = image_cube(image, stride, ratio, channels)
    torch.testing.assert_close(chosen, expected[:, [2, stride**2, stride**2 + 1]], **EXACT)
    only_color = image_cube(image, stride, ratio, [[], [], [0]])
    torch.testing.assert_close(only_color, expected[:, [2 * stride**2]], **EXACT)


def test_chroma_at_half_the_size_has_no_frequencies_above_those_shared_with_it():
    cube = assemble_cube(coefficients_of(samples(RATIOS["4:2:0"], 16, 32)), RATIOS["4:2:0"])
    chroma = cube[:, 64:].unflatten(1, (2, 64))
    others = [index for index in range(64) if index not in SHARED]
    assert (chroma[:, :, others] == 0).all()
    assert (chroma[:, :, SHARED] != 0).all()


def test_the_cube_of_pixels_passes_gradients():
    image = torch.rand(1, 3, 4, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: image_cube(x, 4, (2, 2), [[0, 5], [1], [3, 0]]), image)


def test_sampling_factors_of_a_file_become_ratios():
    assert sampling_ratios([(2, 2), (1, 1), (1, 1)]) == RATIOS["4:2:0"]
    assert sampling_ratios([(2, 1), (1, 1), (1, 1)]) == RATIOS["4:2:2"]
    assert sampling_ratios([(1, 2), (1, 1), (1, 1)]) == RATIOS["4:4:0"]
    assert sampling_ratios([(4, 1), (1, 1), (1, 1)]) == RATIOS["4:1:1"]
    assert sampling_ratios([(3, 1), (3, 1), (3, 1)]) == RATIOS["4:4:4"]
    assert sampling_ratios([(1, 1)]) == RATIOS["gray"]
    # luma at half the width of the chroma, which the format allows
    assert sampling_ratios([(1, 1), (2, 1), (2, 1)]) == [(1, 2), (1, 1), (1, 1)]
    for factors in ([(3, 1), (2, 1), (2, 1)], [(1, 3), (1, 1), (1, 1)]):
        with pytest.raises(ValueError, match="ratios of 1, 2 or 4, got .*; decode the file"):
            sampling_ratios(factors)


def test_what_makes_no_cube_is_refused():
    luma, chroma = torch.rand(1, 64, 4, 4), torch.rand(1, 64, 2, 2)
    ratios = RATIOS["4:2:0"]
    with pytest.raises(ValueError, match="stride of a cube must be 8 or 4 pixels, got 2"):
        disassemble_cube(luma, ratios, 2)
    with pytest.raises(ValueError, match="got 2 components and 3 ratios"):
        assemble_cube([luma, chroma], ratios)
    with pytest.raises(ValueError, match=r"Y covers 4 x 4 cells of 8 pixels, but another component covers 2 x 2"):
        assemble_cube([luma, chroma, chroma], RATIOS["4:4:4"])
    with pytest.raises(ValueError, match="ratios of a component must be 1, 2 or 4, got 3 and 1"):
        assemble_cube([luma, chroma, chroma], [(1, 1), (3, 1), (3, 1)])
    with pytest.raises(ValueError, match="one list for each of 3 components, got 2"):
        assemble_cube([luma, chroma, chroma], ratios, 8, [[0], [0]])
    with pytest.raises(ValueError, match="at stride 4 needs 48 channels, got 64"):
        disassemble_cube(luma, ratios, 4)
    with pytest.raises(ValueError, match="divisible by the block of 8, got 12 x 16"):
        image_cube(torch.rand(1, 3, 12, 16))
