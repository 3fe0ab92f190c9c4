"""Defocus spreads light by the aperture, keeps it, and lets near things cover far ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from passband.data.degradations import defocus as module
from passband.data.degradations.defocus import Defocus, defocus, sample_defocus
from passband.data.degradations.parts.kernels import aperture_kernel
from passband.ops.color import srgb_to_linear

FLAT = Defocus(
    far=4, near=4, outdoors=False, split=None, blades=0, angle=0, roundness=0, rim=0, gaussian=False, cat_eye=0,
    axis=(0.5, 0.5), fringe=0, highlights=0, linear=True,
)  # fmt: skip


def _picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).random((3, height, width), dtype=np.float32)


def _light(image: np.ndarray) -> np.ndarray:
    return srgb_to_linear(torch.from_numpy(image)).numpy()


def _point() -> np.ndarray:
    image = np.zeros((3, 61, 61), np.float32)
    image[:, 30, 30] = 1
    return image


def test_a_plain_picture_stays_as_it_is_through_any_lens():
    image = np.full((3, 40, 56), 0.3, np.float32)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        np.testing.assert_allclose(defocus(image, sample_defocus(rng), rng), image, atol=3e-4)  # float32 FFT


def test_a_point_becomes_the_aperture():
    lens = replace(FLAT, blades=5, angle=0.4, rim=0.5)
    light = _light(defocus(_point(), lens, np.random.default_rng(0)))
    expected = np.pad(aperture_kernel(4, blades=5, angle=0.4, rim=0.5), 26)
    np.testing.assert_allclose(light, np.stack([expected] * 3), atol=1e-5)


def test_behind_the_focus_the_aperture_is_turned_and_its_rim_inverted():
    lens = replace(FLAT, far=-4.0, near=-4.0, blades=5, rim=0.5)
    light = _light(defocus(_point(), lens, np.random.default_rng(0)))[0]
    expected = np.pad(aperture_kernel(4, blades=5, rim=-0.5)[::-1, ::-1], 26)
    np.testing.assert_allclose(light, expected, atol=1e-5)


def test_a_gaussian_has_half_the_radius_as_its_deviation():
    light = _light(defocus(_point(), replace(FLAT, gaussian=True), np.random.default_rng(0)))[0]
    offset = np.arange(61) - 30
    # it is cut off at 2.5 deviations
    assert np.sqrt(light.sum(axis=0) @ offset**2 / light.sum()) == pytest.approx(2, rel=0.06)


def test_a_fringe_gives_red_and_blue_radii_of_their_own():
    red, green, blue = _light(defocus(_point(), replace(FLAT, fringe=0.8), np.random.default_rng(0)))
    assert red.max() < green.max() < blue.max()
    for channel in (red, green, blue):
        assert channel.sum() == pytest.approx(1, abs=1e-3)


def test_cats_eyes_point_to_the_middle_of_the_scene():
    image = np.zeros((3, 300, 300), np.float32)
    image[:, 20, 150] = image[:, 280, 150] = image[:, 150, 20] = image[:, 150, 280] = 1
    light = _light(defocus(image, replace(FLAT, far=8.0, near=8.0, cat_eye=0.8), np.random.default_rng(0)))[0]

    def tall(y: int, x: int) -> float:
        spot = light[y - 12 : y + 13, x - 12 : x + 13]
        offset = np.arange(-12, 13)
        down, across = (spot.sum(axis=axis) / spot.sum() for axis in (1, 0))
        return (down @ offset**2 - (down @ offset) ** 2) / (across @ offset**2 - (across @ offset) ** 2)

    assert tall(20, 150) < 0.9
    assert tall(280, 150) < 0.9
    assert tall(150, 20) > 1.1
    assert tall(150, 280) > 1.1


def _two_planes(monkeypatch) -> np.ndarray:
    """A dark near thing on the right before a bright far wall, with that depth."""
    image = np.full((3, 64, 64), 0.8, np.float32)
    image[:, :, 32:] = 0.2
    depth = np.where(np.arange(64) < 32, np.float32(1), np.float32(0.5))
    monkeypatch.setattr(module, "scene_depth", lambda image, rng, **_: np.tile(depth, (64, 1)))
    return image


def test_a_sharp_near_thing_keeps_its_outline_before_a_blurred_wall(monkeypatch):
    image = _two_planes(monkeypatch)
    lens = replace(FLAT, far=-8.0, near=0.0, split=0.5)
    np.testing.assert_allclose(defocus(image, lens, np.random.default_rng(0)), image, atol=1e-3)


def test_a_blurred_near_thing_spreads_over_a_sharp_wall(monkeypatch):
    image = _two_planes(monkeypatch)
    lens = replace(FLAT, far=0.0, near=8.0, split=0.5)
    got = defocus(image, lens, np.random.default_rng(0))[0, 32]
    assert got[27] < 0.78  # the thing reaches out over the wall
    assert got[36] > 0.22  # and the wall shines through the thing's edge
    np.testing.assert_allclose(got[:22], 0.8, atol=1e-3)


def test_the_documented_ranges_hold():
    lenses = [sample_defocus(np.random.default_rng(seed)) for seed in range(200)]
    largest = [max(abs(lens.far), abs(lens.near)) for lens in lenses]
    assert all(0.8 <= radius <= 12 for radius in largest)
    assert min(largest) < 1
    assert max(largest) > 11
    assert all(lens.far <= lens.near or lens.far == pytest.approx(lens.near, rel=0.11) for lens in lenses)
    assert all(lens.blades == 0 or 5 <= lens.blades <= 9 for lens in lenses)
    assert all(-0.8 <= lens.rim <= 1 and 0 <= lens.cat_eye <= 0.8 and 0 <= lens.highlights <= 8 for lens in lenses)
    assert all(abs(lens.fringe) <= min(0.8, 0.1 * radius) for lens, radius in zip(lenses, largest, strict=True))
    assert 0.5 < np.mean([lens.split is not None for lens in lenses]) < 0.7
