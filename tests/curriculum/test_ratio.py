import json
import math

import pytest
import torch

from passband.curriculum import DEFINITIONS, RadialProfile, low_pass_ratio, radii_of, ratios_of
from passband.ops.fourier import low_pass, spectral_pad

RATIOS = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0]


def photographs(size, count=3):
    """Smooth and noisy pictures, most of whose spectrum is low."""
    torch.manual_seed(sum(size))
    smooth = spectral_pad(torch.rand(count, 3, 5, 5, dtype=torch.float64), size)
    return smooth + 0.05 * torch.rand(count, 3, *size, dtype=torch.float64)


def literal_radius(image, ratio):
    """The slides' search: the first radius whose disc holds the share of the summed magnitude, from 0 upwards."""
    height, width = image.shape[-2:]
    magnitude = torch.fft.fft2(image).abs().sum(0)
    v = torch.tensor([y if y < (height + 1) // 2 else y - height for y in range(height)])
    u = torch.tensor([x if x < (width + 1) // 2 else x - width for x in range(width)])
    squared = v[:, None] ** 2 + u**2
    radius = 0
    while magnitude[squared <= radius**2].sum() < ratio * magnitude.sum() * (1 - 1e-14):
        radius += 1
    return radius


@pytest.mark.parametrize("side", [12, 13, 31, 48])
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_radius_by_magnitude_is_the_slides_integer_for_integer(side, ratio):
    images = photographs((side, side))
    assert radii_of(images, ratio).tolist() == [literal_radius(image, ratio) for image in images]


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("size", [(16, 16), (13, 13), (12, 17), (30, 22)])
def test_a_ratio_of_1_is_the_identity_and_of_0_the_mean(definition, size):
    images = photographs(size)
    torch.testing.assert_close(low_pass(images, radii_of(images, 1.0, definition)), images, rtol=0, atol=1e-10)
    assert low_pass_ratio(images, 1.0, definition) is images
    mean = images.mean((-2, -1), keepdim=True).expand_as(images)
    torch.testing.assert_close(low_pass_ratio(images, 0.0, definition), mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("definition", ["magnitude", "energy", "area"])
@pytest.mark.parametrize("size", [(16, 16), (12, 17)])
def test_the_radius_is_the_smallest_that_holds_the_ratio(definition, size):
    images = photographs(size)
    for ratio in RATIOS[1:-1]:
        for number, radius in enumerate(radii_of(images, ratio, definition).tolist()):
            one = images[number : number + 1]
            assert ratios_of(one, radius, definition).item() >= ratio - 1e-6
            assert radius == 0 or ratios_of(one, radius - 1, definition).item() < ratio


def test_energy_is_of_the_picture_without_its_mean():
    images = photographs((32, 32))
    radius = radii_of(images[:1], 0.5, "energy").item()
    centered = images[:1] - images[:1].mean((-2, -1), keepdim=True)
    kept = [low_pass(centered, r).square().sum().item() / centered.square().sum().item() for r in (radius - 1, radius)]
    assert kept[0] < 0.5 <= kept[1]


def test_area_and_radius_know_no_picture():
    images = photographs((16, 16))
    assert radii_of(images, 0.5, "radius").tolist() == [4.0] * 3
    assert len(set(radii_of(images, 0.5, "area").tolist())) == 1
    disc = math.pi * radii_of(images, 0.5, "area")[0].item() ** 2
    assert disc * 1.2 >= 0.5 * 256


def test_a_profile_of_one_picture_is_the_pictures_and_of_a_set_lies_between():
    images = photographs((24, 24))
    for definition in DEFINITIONS:
        one = RadialProfile.of([images[:1]], definition)
        assert [one.radius(ratio) for ratio in RATIOS] == pytest.approx(
            [radii_of(images[:1], ratio, definition).item() for ratio in RATIOS]
        )
        whole = RadialProfile.of([images[:2], images[2:]], definition)
        assert whole.images == 3
        for ratio in RATIOS:
            each = radii_of(images, ratio, definition)
            assert each.min() - 1e-6 <= whole.radius(ratio) <= each.max() + 1e-6
            assert whole.ratio(whole.radius(ratio)) >= ratio - 1e-12
        stored = json.loads(json.dumps(whole.to_config()))
        assert RadialProfile.from_config(stored) == whole
        low = low_pass_ratio(images, 0.5, profile=whole)
        torch.testing.assert_close(low, low_pass(images, whole.radius(0.5)), rtol=0, atol=0)


def test_what_cannot_be_meant_is_refused():
    images = photographs((8, 8))
    for ratio in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="a frequency ratio must be a share from 0 to 1"):
            low_pass_ratio(images, ratio)
    with pytest.raises(ValueError, match="did you mean 'energy'"):
        radii_of(images, 0.5, "enrgy")
    with pytest.raises(ValueError, match="image 1 of the batch has values that are not finite"):
        radii_of(torch.stack([images[0], images[1] * math.nan]), 0.5)
    with pytest.raises(ValueError, match="a profile needs 1 image or more; got none"):
        RadialProfile.of([])
    with pytest.raises(ValueError, match="must have one size; got 8x8 and 8x9"):
        RadialProfile.of([images, photographs((8, 9))])
    with pytest.raises(ValueError, match="the profile is of 8x8 pixels; got 9x9"):
        low_pass_ratio(photographs((9, 9)), 0.5, profile=RadialProfile.of([images]))


def test_a_black_picture_keeps_nothing_and_is_whole():
    black = torch.zeros(1, 3, 8, 8)
    assert radii_of(black, 0.5).item() == 0
    assert torch.equal(low_pass_ratio(black, 0.5), black)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_the_ratio_of_a_disc_needs_a_radius_from_0_to_infinity(definition):
    images = photographs((8, 9))
    profile = RadialProfile.of([images], definition)
    for radius in (-1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="a radius must be 0 or more cycles"):
            ratios_of(images, radius, definition)
        with pytest.raises(ValueError, match="a radius must be 0 or more cycles"):
            profile.ratio(radius)
    for radius in (100.0, math.inf):
        assert ratios_of(images, radius, definition).tolist() == [1.0] * len(images)
        assert profile.ratio(radius) == 1
