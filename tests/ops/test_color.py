from fractions import Fraction

import numpy as np
import pytest
import torch
from skimage.color import rgb2xyz, rgb2ycbcr, xyz2rgb

from passband.ops.color import (
    jpeg_samples,
    linear_to_srgb,
    rgb_to_ycbcr,
    srgb_to_linear,
    studio_luma,
    studio_luma_8bit,
    ycbcr_to_rgb,
)

LEVELS = torch.arange(256, dtype=torch.float64).view(1, 16, 16) / 255
SEAM = 2e-8  # the standard's rounded constants leave a step of this size between the line and the power


def test_every_8_bit_value_becomes_the_light_that_scikit_image_says():
    gray = LEVELS.expand(3, -1, -1).movedim(0, -1).numpy()
    # of a gray picture, luminance (which CIE XYZ calls Y) is the linear light itself
    expected = rgb2xyz(gray)[..., 1]
    # scikit-image's luminance weights add up to 1 within 1e-6
    torch.testing.assert_close(srgb_to_linear(LEVELS)[0], torch.from_numpy(expected), rtol=2e-6, atol=0)


def test_linear_light_becomes_the_srgb_values_that_scikit_image_says():
    light = torch.from_numpy(np.random.default_rng(0).random((3, 7, 11)))
    light[:, :2] *= 0.01  # so that both branches are taken
    xyz = rgb2xyz(linear_to_srgb(light).movedim(0, -1).numpy())
    expected = torch.from_numpy(xyz2rgb(xyz)).movedim(-1, 0)
    torch.testing.assert_close(linear_to_srgb(light), expected, rtol=0, atol=1e-6)  # its matrices have 6 digits


@pytest.mark.parametrize(("stored", "light"), [(0.0, 0.0), (0.04045, 0.04045 / 12.92), (0.5, 0.21404114), (1.0, 1.0)])
def test_the_published_points_of_the_curve_hold(stored, light):
    value = torch.full((1, 1, 1), stored, dtype=torch.float64)
    assert srgb_to_linear(value).item() == pytest.approx(light, abs=5e-9)  # eight digits are published
    assert linear_to_srgb(srgb_to_linear(value)).item() == pytest.approx(stored, abs=12.92 * SEAM)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 3, 13, 1), (2, 2, 3, 3, 4)])
def test_each_direction_undoes_the_other_in_any_number_of_dimensions(shape):
    image = torch.rand(shape, dtype=torch.float64)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(image)), image, rtol=0, atol=12.92 * SEAM)
    torch.testing.assert_close(srgb_to_linear(linear_to_srgb(image)), image, rtol=0, atol=SEAM)


def test_8_bit_values_survive_a_round_trip_in_single_precision():
    again = linear_to_srgb(srgb_to_linear(LEVELS.float()))
    assert again.dtype == torch.float32
    assert torch.equal(again.mul(255).round(), LEVELS.float().mul(255).round())


@pytest.mark.parametrize("transfer", [srgb_to_linear, linear_to_srgb])
def test_brighter_stays_brighter_and_no_step_shows_at_the_seam(transfer):
    fine = transfer(torch.linspace(0, 1, 100_001, dtype=torch.float64).view(1, 1, -1)).flatten()
    steps = fine.diff()
    assert steps.min() > 0
    assert steps.max() < 13 * 1e-5  # the steepest slope of the two curves is 12.92


@pytest.mark.parametrize("transfer", [srgb_to_linear, linear_to_srgb])
@pytest.mark.parametrize("value", [-0.5, 0.0, 1e-12, 0.003, 0.2, 1.0, 1.5])
def test_the_gradient_is_finite_and_positive_on_either_side_of_the_range(transfer, value):
    x = torch.full((1, 1, 1), value, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(transfer(x).sum(), x)
    assert 0.07 < gradient.item() < 13


def test_luma_is_scikit_images_and_from_16_to_235():
    image = torch.from_numpy(np.random.default_rng(1).random((3, 7, 11)))
    expected = rgb2ycbcr(image.movedim(0, -1).numpy())[..., 0]
    torch.testing.assert_close(studio_luma(image)[0] * 255, torch.from_numpy(expected), rtol=1e-12, atol=0)
    for value, level in ((0.0, 16), (1.0, 235)):
        for luma in (studio_luma, studio_luma_8bit):
            assert luma(torch.full((3, 1, 1), value)).item() * 255 == pytest.approx(level, abs=1e-9)


def test_luma_of_8_bits_is_a_whole_number_and_halves_go_up():
    levels = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (5, 3, 9, 4)))
    luma = studio_luma_8bit(levels / 255) * 255
    exact = (65481 * levels[:, :1] + 128553 * levels[:, 1:2] + 24966 * levels[:, 2:]) / 255_000 + 16
    torch.testing.assert_close(luma, luma.round(), rtol=0, atol=1e-12)
    assert (luma - exact).abs().max() <= 0.5
    # of the 194 colors whose luma lies exactly between two whole numbers
    for color in ((0, 204, 68), (1, 173, 225), (9, 55, 66)):
        image = torch.tensor(color).view(3, 1, 1) / 255
        exact = Fraction(65481 * color[0] + 128553 * color[1] + 24966 * color[2], 255_000) + 16
        assert exact.denominator == 2
        assert round(studio_luma_8bit(image).item() * 255, 9) == exact + Fraction(1, 2)


def test_luma_keeps_leading_dimensions_and_rounds_floats_to_8_bits_first():
    image = torch.rand(2, 2, 3, 5, 7)
    assert studio_luma(image).shape == studio_luma_8bit(image).shape == (2, 2, 1, 5, 7)
    rounded = image.double().mul(255).round() / 255
    torch.testing.assert_close(studio_luma_8bit(image), studio_luma_8bit(rounded), rtol=0, atol=0)


def test_ycbcr_of_8_bit_colors_is_scikit_images_in_the_full_range():
    image = torch.from_numpy(np.random.default_rng(3).random((3, 7, 11)))
    # scikit-image has the studio range: 219 steps of luma from 16 on, and 224 of chroma
    luma, blueness, redness = torch.from_numpy(rgb2ycbcr(image.movedim(0, -1).numpy())).unbind(-1)
    expected = torch.stack([(luma - 16) / 219, (blueness - 128) / 224, (redness - 128) / 224])
    expected[1:] += 128 / 255
    # its weights have six digits
    torch.testing.assert_close(rgb_to_ycbcr(image), expected, rtol=0, atol=1e-5)


def test_ycbcr_of_gray_is_neutral_and_of_the_primaries_reaches_the_ends():
    gray = LEVELS.expand(3, -1, -1)
    neutral = torch.stack([LEVELS[0], *torch.full((2, 16, 16), 128 / 255, dtype=torch.float64)])
    torch.testing.assert_close(rgb_to_ycbcr(gray), neutral, rtol=0, atol=1e-15)
    samples = jpeg_samples(torch.tensor([[1.0, 0, 0], [0, 0, 1]], dtype=torch.float64).mT[..., None])[..., 0]
    # red: 76.245 luma and the most of Cr; blue: 29.07 and the most of Cb
    expected = torch.tensor([[76.245 - 128, 29.07 - 128], [-43.02765, 127.5], [127.5, -20.73466]], dtype=torch.float64)
    torch.testing.assert_close(samples, expected, rtol=0, atol=1e-5)  # as many digits as are written here


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 5, 7), (2, 2, 3, 13, 1)])
def test_ycbcr_and_rgb_undo_each_other_also_outside_of_the_range(shape):
    image = 3 * torch.rand(shape, dtype=torch.float64) - 1
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(image)), image, rtol=0, atol=1e-14)
    torch.testing.assert_close(rgb_to_ycbcr(ycbcr_to_rgb(image)), image, rtol=0, atol=1e-14)


def test_samples_of_a_jpeg_file_are_around_zero():
    black_and_white = torch.tensor([0.0, 1.0]).expand(3, 1, 2)
    expected = torch.tensor([[-128.0, 127], [0, 0], [0, 0]])[:, None]
    torch.testing.assert_close(jpeg_samples(black_and_white), expected, rtol=0, atol=2e-5)  # last digits of 128
