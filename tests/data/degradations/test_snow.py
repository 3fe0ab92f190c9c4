import dataclasses

import numpy as np

from passband.data.degradations.snow import Flakes, Snow, flake_opacity, sample_snow, snow

LAYER = Flakes("disc", 6.0, 0.3, 1000.0, 0.8, 0.0, 0.0)
FALL = Snow((LAYER,), "alpha", (0.95, 0.95, 0.95), 0.0, (0.8, 0.8, 0.8))


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).random((3, height, width), dtype=np.float32)


def draws(count: int = 300) -> list[Snow]:
    return [sample_snow(np.random.default_rng([1, number])) for number in range(count)]


def test_drawn_parameters_lie_in_the_documented_ranges():
    for fall in draws():
        assert 1 <= len(fall.layers) <= 5
        assert 0 <= fall.veil <= 0.5
        assert all(0 <= channel <= 1 for channel in (*fall.light, *fall.airlight))
        for layer in fall.layers:
            assert 1 <= layer.diameter <= 30
            assert 0.1 <= layer.rim <= 1.5
            assert 50 <= layer.density <= 20_000
            assert 0.1 <= layer.opacity <= 1
            assert 0 <= layer.travel <= 5
            assert layer.travel * layer.diameter <= 50 + 1e-6


def test_every_choice_is_drawn_now_and_then():
    falls = draws()
    assert {fall.blend for fall in falls} == {"added", "screen", "alpha"}
    assert {layer.shape for fall in falls for layer in fall.layers} == {"disc", "clump", "crystal"}
    assert any(min(fall.light) < 0.7 for fall in falls)
    diameters = [layer.diameter for fall in falls for layer in fall.layers]
    assert np.median(diameters) < 5
    assert max(diameters) > 25


def test_flakes_are_as_many_and_as_large_as_asked():
    opacity = flake_opacity(LAYER, 500, 500, np.random.default_rng(0))
    # 250 flakes of 0.7 to 1.3 times 3 pixels in radius, the rim counted to its middle
    expected = 250 * np.pi * 9 / 250_000
    assert 0.7 * expected < (opacity > 0.12).mean() < 1.6 * expected
    assert opacity.max() <= 0.98


def test_flakes_that_travel_are_drawn_out_along_their_fall():
    layer = dataclasses.replace(LAYER, travel=3.0, angle=0.7)
    opacity = flake_opacity(layer, 300, 300, np.random.default_rng(1)).astype(np.float64)
    gy, gx = np.gradient(opacity)
    _, vectors = np.linalg.eigh([[np.sum(gy * gy), np.sum(gy * gx)], [np.sum(gy * gx), np.sum(gx * gx)]])
    along = vectors[:, 0] * np.sign(vectors[0, 0])
    assert abs(np.arctan2(along[1], along[0]) - 0.7) < 0.12


def test_flakes_darker_than_what_is_behind_them_darken_it():
    bright = np.ones((3, 90, 90), np.float32)
    fallen = snow(bright, dataclasses.replace(FALL, light=(0.6, 0.6, 0.6)), np.random.default_rng(0))
    assert fallen.min() < 0.75
    assert snow(0 * bright, FALL, np.random.default_rng(0)).max() > 0.5


def test_far_out_of_focus_flakes_have_softer_edges():
    steep = []
    for rim in (0.1, 1.5):
        layer = dataclasses.replace(LAYER, diameter=16.0, rim=rim, density=300.0)
        steep.append(np.abs(np.gradient(flake_opacity(layer, 200, 200, np.random.default_rng(4)))).max())
    assert steep[1] < 0.5 * steep[0]
