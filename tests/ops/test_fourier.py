import math

import pytest
import torch

from passband.ops.fourier import (
    band_split,
    column_copies,
    frequency_distance,
    from_half_spectrum,
    half_spectrum,
    low_pass,
    radial_spectrum,
    spectral_crop,
    spectral_pad,
)

SIZES = [(16, 16), (13, 13), (17, 12), (12, 17), (30, 46), (1, 7), (8, 1), (2, 2)]
"""Even, odd, prime and not square."""


def random(size, *leading, dtype=torch.float64):
    torch.manual_seed(sum(size))
    return torch.rand(*(leading or (2, 3)), *size, dtype=dtype)


def literal_low_pass(image, radius):
    """By the whole complex spectrum, frequency by frequency."""
    height, width = image.shape[-2:]
    spectrum = torch.fft.fft2(image)
    for y in range(height):
        for x in range(width):
            v = y if y <= height // 2 else y - height
            u = x if x <= width // 2 else x - width
            if math.hypot(v * min(height, width) / height, u * min(height, width) / width) > radius + 1e-12:
                spectrum[..., y, x] = 0
    return torch.fft.ifft2(spectrum).real


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [0, 1, 2.5, 5])
def test_a_low_pass_is_a_disc_of_the_whole_spectrum(size, radius):
    image = random(size)
    torch.testing.assert_close(low_pass(image, radius), literal_low_pass(image, radius), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_low_and_high_are_the_image_and_orthogonal(size):
    image = random(size)
    low, high = band_split(image, 3)
    torch.testing.assert_close(low + high, image, rtol=0, atol=1e-12)
    assert abs((low * high).sum().item()) < 1e-10
    assert low.square().sum() + high.square().sum() == pytest.approx(image.square().sum().item(), rel=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_a_hard_low_pass_is_a_projection_and_its_own_adjoint(size):
    image, other = random(size), random(size).flip(0).square()
    once = low_pass(image, 2)
    torch.testing.assert_close(low_pass(once, 2), once, rtol=0, atol=1e-12)
    assert (once * other).sum().item() == pytest.approx((image * low_pass(other, 2)).sum().item(), rel=1e-12)


def test_radius_0_is_the_mean_and_a_large_one_the_image():
    image = random((9, 14))
    mean = image.mean((-2, -1), keepdim=True).expand_as(image)
    torch.testing.assert_close(low_pass(image, 0), mean, rtol=0, atol=1e-13)
    torch.testing.assert_close(low_pass(image, 9), image, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", SIZES)
def test_variances_of_low_and_high_add_up_to_a_constant_for_every_radius(size):
    image = random(size)
    sums = [
        sum(part.var((-2, -1), correction=0) for part in band_split(image, radius)) for radius in (0, 1, 2, 4, 7, 50)
    ]
    for found in sums:
        torch.testing.assert_close(found, image.var((-2, -1), correction=0), rtol=0, atol=1e-6)


def test_every_picture_may_have_its_own_radius():
    image = random((12, 15), 3, 2)
    each = torch.stack([low_pass(one, radius) for one, radius in zip(image, (0, 2, 4), strict=True)])
    torch.testing.assert_close(low_pass(image, torch.tensor([0.0, 2.0, 4.0], dtype=torch.float64)), each)
    with pytest.raises(ValueError, match="one radius for each of 3 images is needed; got 2"):
        low_pass(image, torch.tensor([1.0, 2.0]))


def test_gradients_reach_the_image_and_through_a_soft_border_the_radius():
    image = random((5, 6), 2, 1).requires_grad_()
    radius = torch.tensor([1.3, 2.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: low_pass(x, 2), image)
    assert torch.autograd.gradcheck(lambda x, r: low_pass(x, r, softness=0.7), (image, radius))
    assert torch.autograd.gradcheck(lambda x: spectral_crop(x, (3, 4)), image)
    assert torch.autograd.gradcheck(lambda x: spectral_pad(x, (7, 9)), image)


def test_a_soft_border_becomes_the_hard_one():
    image = random((12, 12))
    torch.testing.assert_close(low_pass(image, 3.3, softness=1e-3), low_pass(image, 3.3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("large", [(16, 16), (15, 15), (16, 15), (15, 16), (17, 31)])
@pytest.mark.parametrize("small", [(8, 8), (7, 7), (8, 7), (7, 8), (1, 1), (2, 14), (15, 15)])
def test_a_padded_spectrum_is_cropped_back_to_the_image(small, large):
    image = random(small)
    padded = spectral_pad(image, large)
    assert padded.shape[-2:] == large
    torch.testing.assert_close(spectral_crop(padded, small), image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("large", [(16, 16), (17, 15), (20, 30)])
@pytest.mark.parametrize("small", [(10, 10), (11, 11), (10, 11)])
def test_a_low_passed_picture_comes_back_from_a_crop_that_holds_its_disc(small, large):
    image = low_pass(random(large), 4 if large[0] == large[1] else 2)
    torch.testing.assert_close(spectral_pad(spectral_crop(image, small), large), image, rtol=0, atol=1e-12)


def test_a_crop_is_the_picture_sampled_where_it_has_no_higher_frequencies():
    image = spectral_pad(random((8, 6)), (32, 18))
    torch.testing.assert_close(spectral_crop(image, (8, 6)), image[..., ::4, ::3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_rings_hold_the_sums_of_the_whole_spectrum(size):
    image = random(size)
    height, width = size
    spectrum = torch.fft.fft2(image)
    v = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64)[:, None] * min(size) / height
    u = torch.fft.fftfreq(width, 1 / width, dtype=torch.float64) * min(size) / width
    distance = (v.square() + u.square()).sqrt()
    rings = radial_spectrum(image)
    discs = rings.cumsum(-1)
    for radius in range(rings.shape[-1]):
        expected = (spectrum.abs() * (distance <= radius)).sum((-2, -1))
        torch.testing.assert_close(discs[..., radius], expected, rtol=1e-12, atol=1e-10)
    energy = radial_spectrum(image, power=2).sum(-1)
    torch.testing.assert_close(energy, height * width * image.square().sum((-2, -1)), rtol=1e-12, atol=0)


def test_whole_distances_are_exact():
    distance = frequency_distance(16, 16)
    assert distance[3, 4] == 5
    assert distance[-3, 4] == 5
    assert frequency_distance(16, 32)[4, 0] == frequency_distance(16, 32)[0, 8] == 4


def test_autocast_changes_nothing():
    image = random((16, 20), dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = low_pass(image, 3), spectral_crop(image, (8, 8))
    assert torch.equal(inside[0], low_pass(image, 3))
    assert torch.equal(inside[1], spectral_crop(image, (8, 8)))
    half = image.to(torch.bfloat16)
    assert low_pass(half, 3).dtype == torch.bfloat16


def test_what_cannot_be_meant_is_refused():
    image = random((8, 9))
    with pytest.raises(ValueError, match="a radius must be 0 or more cycles; got -1"):
        low_pass(image, -1)
    with pytest.raises(ValueError, match="a radius must be 0 or more cycles; got nan"):
        low_pass(image, math.nan)
    with pytest.raises(ValueError, match="softness must be 0 or more cycles; got -2"):
        low_pass(image, 1, softness=-2.0)
    with pytest.raises(ValueError, match="the size of a spectral crop must be 1x1 to 8x9; got 9x9"):
        spectral_crop(image, (9, 9))
    with pytest.raises(ValueError, match="the size of a padded spectrum must be 8x9 or more; got 8x8"):
        spectral_pad(image, (8, 8))
    with pytest.raises(ValueError, match="power must be 1 for magnitudes or 2 for energy; got 3"):
        radial_spectrum(image, power=3)


@pytest.mark.parametrize("size", SIZES)
def test_a_half_spectrum_with_its_copies_is_the_whole_one_and_gives_the_image_back(size):
    image = random(size)
    half = half_spectrum(image)
    torch.testing.assert_close(from_half_spectrum(half, size), image)
    whole = torch.fft.fft2(image).abs().square().sum()
    torch.testing.assert_close((half.abs().square() * column_copies(size[1]).double()).sum(), whole)
    assert column_copies(size[1]).sum() == size[1]
