"""Motion blur moves light along the path of each point and loses none."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from passband.data.degradations.motion import MotionBlur, draw_path, motion_blur, sample_motion_blur
from passband.ops.color import srgb_to_linear

STRAIGHT = MotionBlur(
    length=12, shake=0, jerk=0, uneven=0, turn=0, zoom=0, center=(0.5, 0.5), frames=0, duty=1, middle=False,
    highlights=0, linear=True, objects=0, own=None, parallax=1,
)  # fmt: skip


def _picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).random((3, height, width), dtype=np.float32)


def _light(image: np.ndarray) -> np.ndarray:
    return srgb_to_linear(torch.from_numpy(image)).numpy()


def test_a_plain_picture_stays_as_it_is_whatever_moves():
    image = np.full((3, 40, 56), 0.3, np.float32)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        np.testing.assert_allclose(motion_blur(image, sample_motion_blur(rng), rng), image, atol=2e-4)  # float32 FFT


def test_a_point_keeps_its_light_and_its_middle():
    image = np.zeros((3, 101, 101), np.float32)
    image[:, 50, 50] = 1
    for seed in range(10):
        rng = np.random.default_rng(seed)
        light = _light(motion_blur(image, replace(STRAIGHT, shake=0.1 * seed), rng))[0]
        assert light.sum() == pytest.approx(1, abs=2e-3)  # below 0 the FFT's rounding is clipped
        position = np.arange(101)
        assert light.sum(axis=1) @ position == pytest.approx(50, abs=0.1)
        assert light.sum(axis=0) @ position == pytest.approx(50, abs=0.1)


def test_a_camera_that_holds_still_changes_nothing():
    image = _picture(30, 40)
    still = replace(STRAIGHT, length=0, objects=2, own=0.0)
    np.testing.assert_allclose(motion_blur(image, still, np.random.default_rng(0)), image, atol=1e-4)


def test_turning_moves_points_across_their_radius_and_zooming_along_it():
    turning = draw_path(replace(STRAIGHT, length=0, turn=2), 100, 100, np.random.default_rng(0)).at(50, 90)
    assert np.ptp(turning[:, 0]) == pytest.approx(40 * math.radians(2))
    assert np.ptp(turning[:, 1]) == pytest.approx(0)
    zooming = draw_path(replace(STRAIGHT, length=0, zoom=0.03), 100, 100, np.random.default_rng(0)).at(50, 90)
    assert np.ptp(zooming[:, 1]) == pytest.approx(40 * 0.03)
    assert np.ptp(zooming[:, 0]) == pytest.approx(0)


def test_turn_and_zoom_move_no_corner_by_more_than_30_pixels_each():
    path = draw_path(
        replace(STRAIGHT, length=0, turn=3, zoom=0.04, center=(-1, 2)), 2000, 3000, np.random.default_rng(0)
    )
    for y in (0, 2000):
        for x in (0, 3000):
            assert np.hypot(*np.ptp(path.at(y, x), axis=0)) <= 60 + 1e-6


def test_averaged_frames_leave_gaps_between_them():
    motion = replace(STRAIGHT, length=40, frames=7, duty=0.3)
    steps = np.hypot(*np.diff(draw_path(motion, 9, 9, np.random.default_rng(0)).at(4, 4), axis=0).T)
    assert np.sum(steps > 2) == 6


def test_the_middle_of_the_exposure_is_the_sharp_picture_where_asked():
    motion = replace(STRAIGHT, shake=0.5, uneven=0.5)
    middle = draw_path(replace(motion, middle=True), 9, 9, np.random.default_rng(0)).at(4, 4)
    mean = draw_path(motion, 9, 9, np.random.default_rng(0)).at(4, 4)
    np.testing.assert_allclose(middle[len(middle) // 2], 0, atol=1e-9)
    np.testing.assert_allclose(mean.mean(axis=0), 0, atol=1e-9)


def test_a_clipped_highlight_spreads_white_instead_of_gray():
    image = np.full((3, 64, 64), 0.1, np.float32)
    image[:, 30:34, 30:34] = 1
    plain = motion_blur(image, STRAIGHT, np.random.default_rng(0))
    bright = motion_blur(image, replace(STRAIGHT, highlights=8.0), np.random.default_rng(0))
    assert (bright >= plain - 1e-5).all()
    assert bright.max() > plain.max() + 0.1


def test_an_object_moves_by_itself():
    image = np.full((3, 64, 64), 0.1, np.float32)
    image[:, 20:44, 20:44] = np.array([0.9, 0.5, 0.1], np.float32)[:, None, None]
    moving = replace(STRAIGHT, length=0, objects=1, own=15.0)
    changes = [np.abs(motion_blur(image, moving, np.random.default_rng(seed)) - image) for seed in range(8)]
    assert np.median([change.max() for change in changes]) > 0.1  # at times the plain ground is the object
    assert max(change[:, :2, :2].max() for change in changes) < 0.01  # nothing there to move


def test_the_documented_ranges_hold():
    draws = [sample_motion_blur(np.random.default_rng(seed)) for seed in range(200)]
    assert all(2 <= one.length <= 40 and 0 <= one.shake <= 1 and 0 <= one.jerk <= 0.03 for one in draws)
    assert all(0 <= one.turn <= 3 and 0 <= one.zoom <= 0.04 and 0 <= one.uneven <= 0.9 for one in draws)
    assert all(one.frames == 0 or 7 <= one.frames <= 15 for one in draws)
    assert all(0.3 <= one.duty <= 1 and 0 <= one.highlights <= 8 for one in draws)
    assert all(one.own is None or 0 <= one.own <= 40 for one in draws)
    assert all(0 <= one.parallax <= 2 and 0 <= one.objects <= 2 for one in draws)
    assert min(one.length for one in draws) < 3
    assert max(one.length for one in draws) > 35
