from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.data.cubes.views import Augmentation, best_halvings, cube_view, pixel_window


def draw(seed, scale=(0.08, 1.0), flip=True):
    return Augmentation(np.random.default_rng(seed), scale, flip)


@pytest.mark.parametrize(
    ("height", "width", "size", "halvings"),
    [
        (375, 500, 448, 0),
        (375, 500, 224, 1),
        (500, 375, 224, 1),
        (3024, 4032, 224, 3),
        (3024, 4032, 448, 3),
        (224, 224, 224, 0),
        (150, 400, 224, -1),
        (10, 10, 224, -1),
    ],
)
def test_the_shorter_side_comes_nearest_to_the_view(height, width, size, halvings):
    assert best_halvings(height, width, size) == halvings


@settings(max_examples=60)
@given(
    st.integers(8, 900),
    st.integers(8, 900),
    st.sampled_from([(8, 8), (16, 16), (8, 16), (16, 8)]),
    st.integers(1, 12).map(lambda count: 32 * count),
    st.sampled_from([8, 4]),
    st.none() | st.integers(0, 99),
)
def test_a_view_lies_in_the_picture_between_its_mcus_and_fits_the_cube(height, width, mcu, size, stride, seed):
    view = cube_view(height, width, mcu, size, stride, None if seed is None else draw(seed))
    if view is None:
        assert height < 2 * mcu[0] or width < 2 * mcu[1] or min(height, width) < 8 * stride
        return
    window = view.window
    cell = view.reduction * stride
    for start, shown, side, cut, before in (
        (window.top, window.height, height, mcu[0], view.offset[0]),
        (window.left, window.width, width, mcu[1], view.offset[1]),
    ):
        assert start >= 0
        assert shown > 0
        assert start + shown <= side
        assert start % cut == 0
        assert shown % cut == 0
        assert shown % cell == 0
        assert before % stride == 0
        assert before + shown / view.reduction <= size
        if shown / view.reduction < size:  # what is padded is seen as far as whole groups of blocks go
            assert side - shown < np.lcm(cut, int(cell))


def test_the_center_is_in_the_middle():
    view = cube_view(375, 500, (8, 8), 224, 4)
    assert (view.reduction, view.window.height, view.window.width) == (2, 368, 448)
    assert (view.window.top, view.window.left) == (0, 24)
    assert view.offset == (20, 0)
    assert not view.window.mirrored


def test_random_views_take_the_shares_of_the_area_that_scale_allows():
    def reductions(scale):
        return {cube_view(700, 900, (8, 8), 160, 8, draw(seed, scale)).reduction for seed in range(40)}

    assert reductions((1.0, 1.0)) == {4}
    assert reductions((0.25, 1.0)) == {4, 2}
    assert reductions((0.06, 1.0)) == {4, 2, 1}
    assert reductions((0.01, 0.1)) == {1, Fraction(1, 2)}
    assert reductions((0.3, 0.4)) == {2}  # nothing fits: the nearest


def test_random_views_reach_every_place_and_both_sides():
    views = [cube_view(85, 120, (16, 16), 64, 8, draw(seed, (1.0, 1.0))) for seed in range(200)]
    assert {view.window.top for view in views} == {0, 16}
    assert {view.window.left for view in views} == {0, 16, 32, 48}
    assert {view.window.mirrored for view in views} == {True, False}
    assert not any(cube_view(85, 120, (16, 16), 64, 8, draw(seed, flip=False)).window.mirrored for seed in range(40))


def test_mcus_that_do_not_divide_the_view_have_none():
    assert cube_view(500, 500, (24, 8), 224, 8) is None
    assert cube_view(100, 100, (8, 32), 224, 8) is None


@settings(max_examples=60)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 99))
def test_random_windows_of_pixels_lie_in_the_picture(height, width, seed):
    window = pixel_window(height, width, draw(seed))
    assert min(window.top, window.left) >= 0
    assert min(window.height, window.width) >= 1
    assert window.top + window.height <= height
    assert window.left + window.width <= width


def test_random_windows_of_pixels_have_the_areas_and_shapes_that_are_asked_for():
    windows = [pixel_window(400, 500, draw(seed, (0.2, 0.6))) for seed in range(500)]
    areas = np.array([window.height * window.width / 200_000 for window in windows])
    shapes = np.array([window.width / window.height for window in windows])
    assert areas.min() > 0.198
    assert areas.max() < 0.602
    assert abs(np.median(areas) - 0.4) < 0.03  # of 500 drawn evenly, 2.5 deviations
    assert shapes.min() > 0.74
    assert shapes.max() < 1.35
    assert abs(np.log(shapes).mean()) < 0.03


def test_the_center_of_pixels_is_seven_eighths_of_the_shorter_side():
    window = pixel_window(512, 768)
    assert (window.top, window.left, window.height, window.width) == (32, 160, 448, 448)
    long = pixel_window(10, 3000, draw(0))
    assert long.height == 10
    assert long.width == 13
