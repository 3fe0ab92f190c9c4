import pytest
import torch

from passband.curriculum import Curriculum, RadialProfile, RatioSchedule, check_stride, low_pass_ratio
from passband.ops.fourier import spectral_crop

STAGES = RatioSchedule(99, start=0.5, shape="step", plateaus=3)


def test_crops_of_128_192_256_for_a_third_each_see_three_fifths_of_the_pixels():
    curriculum = Curriculum(STAGES, sizes=(128, 192))
    sides = [curriculum.size_at(step / 99, 256, 256)[0] for step in range(99)]
    assert sides == [128] * 33 + [192] * 33 + [256] * 33
    assert curriculum.pixels(99, 256, 256) == pytest.approx((1 / 4 + 9 / 16 + 1) / 3)  # 0.604
    held = RatioSchedule(100, start=0.5, shape="step", plateaus=3, hold=0.1)
    assert Curriculum(held, sizes=(128, 192)).pixels(100, 256, 256) == pytest.approx(0.3 / 4 + 0.3 * 9 / 16 + 0.4)


@pytest.mark.parametrize(("size", "cropped"), [((64, 64), (32, 32)), ((96, 64), (48, 32)), ((33, 70), (32, 67))])
def test_a_crop_is_of_the_smallest_size_that_holds_the_ratio(size, cropped):
    images = torch.rand(2, 3, *size)
    curriculum = Curriculum(STAGES, sizes=(48, 32))
    small = curriculum.apply(images, 0.0)
    assert small.shape[-2:] == cropped == curriculum.size_at(0, *size)
    assert torch.equal(small, spectral_crop(images, cropped))
    torch.testing.assert_close(small.mean((-2, -1)), images.mean((-2, -1)))
    assert curriculum.apply(images, 1.0) is images


def test_a_rounded_ratio_means_the_size_that_it_is_rounded_from():
    rounded = Curriculum(RatioSchedule(30, start=0.43, shape="step", plateaus=3), sizes=(96, 160))  # 96.3, 160.2
    assert [rounded.size_at(step / 30, 224, 224)[0] for step in (0, 15, 29)] == [96, 160, 224]
    assert rounded.size_at(0, 224, 300) == (96, 128)
    more = Curriculum(RatioSchedule(30, start=0.4316, shape="step", plateaus=3), sizes=(96, 160))  # 96.7
    assert more.size_at(0, 224, 224) == (160, 160)


def test_sizes_that_no_step_uses_are_named():
    assert Curriculum(STAGES, sizes=(48, 128, 160, 192)).unused(99, 256, 256) == (48, 160)
    assert Curriculum(STAGES, sizes=(128, 192)).unused(99, 256, 300) == ()
    assert Curriculum(STAGES, "mask", sizes=(128,)).unused(99, 256, 256) == ()


def test_a_ratio_beyond_all_sizes_is_the_whole_picture():
    images = torch.rand(1, 1, 64, 64)
    assert Curriculum(STAGES, sizes=(24,)).apply(images, 0.0) is images


def test_masks_keep_the_size_and_the_ratio():
    images = torch.rand(2, 3, 20, 24)
    curriculum = Curriculum(STAGES, "mask", definition="magnitude")
    assert torch.equal(curriculum.apply(images, 0.0), low_pass_ratio(images, 0.5, "magnitude"))
    assert curriculum.pixels(7, 20, 24) == 1


def test_crops_follow_a_profile():
    images = torch.rand(4, 3, 64, 64)
    profile = RadialProfile.of([images], "area")
    curriculum = Curriculum(STAGES, sizes=(16, 32, 48), definition="area", profile=profile)
    side = curriculum.size_at(0.0, 64, 64)[0]
    assert side >= 2 * profile.radius(0.5) - 0.5 > side - 16


def test_sizes_that_a_network_cannot_halve_are_named_with_the_nearest():
    check_stride((32, 64), 32)
    with pytest.raises(ValueError, match="multiples of 32, because it halves them 5 times; got 40, 100: choose 32, 96"):
        check_stride((40, 64, 100), 32)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "crop"}, r"crops need sizes of 1 pixel or more, such as \(128, 192\); got \(\)"),
        ({"mode": "crp", "sizes": (32,)}, "did you mean 'crop'"),
        ({"sizes": (32,), "definition": "magnitude"}, "by magnitude each image has its own"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Curriculum(STAGES, **settings)
