import pytest
import torch

from passband.drawing.zoom import Part, framed, magnified, most_detailed, strongest


@pytest.mark.parametrize("value", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (32, 16), (64, 80)])
def test_the_detail_is_found_whatever_the_brightness_around_it(top, left, value):
    reference = torch.full((3, 80, 96), value)
    reference[:, top : top + 16, left : left + 16] = (value - 0.05 * torch.rand(3, 16, 16)).abs()
    part = most_detailed(reference, 16, 16)
    assert part == Part(top, left, 16, 16)
    assert torch.equal(part.of(reference), reference[:, top : top + 16, left : left + 16])


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (61, 67)])
def test_a_part_lies_within_the_picture_and_has_the_size_asked_for_where_it_fits(size):
    part = most_detailed(torch.rand(3, *size), 20, 30)
    assert (part.height, part.width) == (min(20, size[0]), min(30, size[1]))
    assert 0 <= part.top <= size[0] - part.height
    assert 0 <= part.left <= size[1] - part.width


def test_magnifying_repeats_pixels_and_a_part_scales_with_its_picture():
    picture = torch.rand(3, 4, 5)
    large = magnified(picture, 3)
    assert large.shape == (3, 12, 15)
    assert torch.equal(large[:, 1::3, 1::3], picture)
    assert Part(10, 20, 30, 40).scaled(0.5) == Part(5, 10, 15, 20)


@pytest.mark.parametrize("ground", [0.0, 0.5, 1.0])
def test_a_frame_is_seen_on_every_ground_and_leaves_what_is_within(ground):
    picture = torch.full((3, 40, 50), ground)
    shown = framed(picture, Part(10, 12, 20, 25))
    assert torch.equal(shown[:, 12:28, 14:35], picture[:, 12:28, 14:35])
    assert torch.equal(shown[:, :6], picture[:, :6])
    assert (shown - picture).abs().max() >= 0.5
    assert torch.equal(picture, torch.full((3, 40, 50), ground))
    assert framed(picture, Part(0, 0, 40, 50)).shape == picture.shape


def test_the_strongest_part_of_a_map_holds_its_peak():
    strength = torch.zeros(37, 53)
    strength[30:34, 11:16] = 1
    part = strongest(strength, 8, 12)
    assert part.top <= 30
    assert part.top + part.height >= 34
    assert part.left <= 11
    assert part.left + part.width >= 16
