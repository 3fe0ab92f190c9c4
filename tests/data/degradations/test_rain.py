import dataclasses

import numpy as np
import pytest

from passband.data.degradations.rain import Rain, Streaks, rain, sample_rain, splat, streak_opacity

LAYER = Streaks("drops", 0.3, 0.0, 20.0, 2.0, 0.1, 0.8, 2.0, 0.0, 0.0)
SHOWER = Rain((LAYER,), "added", (1.0, 1.0, 1.0), 0.0, (0.7, 0.7, 0.7), 0.0)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).random((3, height, width), dtype=np.float32)


def draws(count: int = 300) -> list[Rain]:
    return [sample_rain(np.random.default_rng([1, number])) for number in range(count)]


def test_drawn_parameters_lie_in_the_documented_ranges():
    for shower in draws():
        assert 1 <= len(shower.layers) <= 5
        assert 0 <= shower.veil <= 0.5
        assert 0 <= shower.softened <= 1
        assert all(0 <= channel <= 1 for channel in (*shower.light, *shower.airlight))
        for layer in shower.layers:
            assert 4 <= layer.length <= 80
            assert 0.5 <= layer.width <= 4
            assert 0.005 <= layer.cover <= 0.6
            assert 0.1 <= layer.opacity <= 1
            assert 1 <= layer.edge <= 3
            assert 0 <= layer.bend <= 0.08
            assert 0 <= layer.broken <= 1
            assert 0 <= layer.jitter <= 0.25


def test_every_choice_is_drawn_now_and_then():
    showers = draws()
    assert {shower.blend for shower in showers} == {"added", "screen", "alpha"}
    assert {layer.drawing for shower in showers for layer in shower.layers} == {"drops", "noise"}
    assert {len(shower.layers) for shower in showers} == {1, 2, 3, 4, 5}
    assert 0.2 < np.mean([shower.veil > 0 for shower in showers]) < 0.4


@pytest.mark.parametrize("blend", ["added", "screen"])
def test_added_and_screened_streaks_only_brighten(blend):
    image = picture(64, 80)
    wet = rain(image, dataclasses.replace(SHOWER, blend=blend), np.random.default_rng(0))
    assert (wet >= image - 1e-6).all()
    assert (wet > image + 0.1).any()


def test_a_transparent_layer_of_gray_light_also_darkens_what_is_brighter():
    image = np.ones((3, 64, 80), np.float32)
    wet = rain(image, dataclasses.replace(SHOWER, blend="alpha", light=(0.5, 0.5, 0.5)), np.random.default_rng(0))
    assert wet.min() < 0.7


@pytest.mark.parametrize("drawing", ["drops", "noise"])
def test_streaks_lie_along_the_direction_of_fall(drawing):
    for angle in (-0.9, 0.0, 0.5):
        layer = dataclasses.replace(LAYER, drawing=drawing, angle=angle, length=40.0, width=3.0)
        opacity = streak_opacity(layer, 256, 256, np.random.default_rng(1))
        gy, gx = np.gradient(opacity.astype(np.float64))
        # the structure tensor's weak direction is along the streaks: (cos, sin) of the angle from the vertical
        _, vectors = np.linalg.eigh([[np.sum(gy * gy), np.sum(gy * gx)], [np.sum(gy * gx), np.sum(gx * gx)]])
        along = vectors[:, 0] * np.sign(vectors[0, 0])
        # central differences weaken the finer of both directions and so turn the estimate by up to 6 degrees
        assert abs(np.arctan2(along[1], along[0]) - angle) < 0.12


@pytest.mark.parametrize("drawing", ["drops", "noise"])
def test_a_larger_cover_covers_more(drawing):
    shares = []
    for cover in (0.02, 0.1, 0.4):
        layer = dataclasses.replace(LAYER, drawing=drawing, cover=cover)
        shares.append((streak_opacity(layer, 256, 256, np.random.default_rng(5)) > 0.1).mean())
    assert shares[0] < 0.5 * shares[1] < 0.4 * shares[2]
    assert shares[2] < 0.75


def test_broken_streaks_are_fainter_and_never_brighter():
    whole = streak_opacity(LAYER, 128, 128, np.random.default_rng(2))
    broken = streak_opacity(dataclasses.replace(LAYER, broken=1.0), 128, 128, np.random.default_rng(2))
    assert (broken <= whole + 1e-6).all()
    assert broken.mean() < 0.8 * whole.mean()


def test_points_are_shared_among_four_pixels_and_keep_their_weight_and_place():
    y, x, weight = np.array([[2.25, 5.0]]), np.array([[3.5, 1.0]]), np.array([[1.0, 2.0]])
    spread = splat(y, x, weight, 9, 7)
    assert spread.sum() == pytest.approx(3.0)
    assert spread[5, 1] == pytest.approx(2.0)
    np.testing.assert_allclose(spread[2:4, 3:5], [[0.375, 0.375], [0.125, 0.125]])
    assert splat(np.array([[-3.0, 8.5]]), x, weight, 9, 7).sum() == 0  # outside, or on no four pixels
