"""Haze keeps to its formula and its documented ranges."""

from dataclasses import replace

import numpy as np

from passband.data.degradations.haze import LEAST_TRANSMISSION, haze, sample_haze, transmission


def _picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).random((3, height, width), dtype=np.float32)


def test_air_that_scatters_nothing_leaves_the_picture_alone():
    image = _picture(40, 40)
    for seed in range(10):
        air = replace(sample_haze(np.random.default_rng(seed)), beta=0.0)
        # a round trip through linear light in float32
        np.testing.assert_allclose(haze(image, air, np.random.default_rng(seed)), image, atol=1e-5)


def test_more_scattering_lets_less_light_arrive():
    image = _picture(40, 40)
    air = sample_haze(np.random.default_rng(0))
    thin, thick = (transmission(image, replace(air, beta=beta), np.random.default_rng(5)) for beta in (0.4, 0.9))
    assert (thick < thin).all()


def test_each_pixel_lies_between_the_scene_and_the_airlight():
    image = _picture(40, 40)
    air = replace(
        sample_haze(np.random.default_rng(0)),
        beta=1.0, airlight=(0.8, 0.7, 0.6), gradient=(0.0, 0.0), lamps=0, spread=0.0, noise=0.0, linear=False,
    )  # fmt: skip
    light = np.array(air.airlight, np.float32)[:, None, None]
    hazy = haze(image, air, np.random.default_rng(3))
    t = transmission(image, air, np.random.default_rng(3))
    np.testing.assert_allclose(hazy, image * t + light * (1 - t), atol=1e-6)


def test_the_documented_ranges_hold():
    draws = [sample_haze(np.random.default_rng(seed)) for seed in range(200)]
    assert all(0.15 <= air.beta <= 3.5 for air in draws)
    assert all(0 <= channel <= 1 for air in draws for channel in air.airlight)
    assert all(np.mean(air.airlight) >= 0.25 for air in draws)
    assert all(max(air.airlight) - min(air.airlight) <= 0.3 for air in draws)
    assert all(0 <= air.patchiness <= 0.7 and 80 <= air.patch <= 800 for air in draws)
    assert all(0 <= air.noise <= 0.03 and 0 <= air.spread <= 3 and 0 <= air.lamps <= 4 for air in draws)
    assert 0.35 < np.mean([air.outdoors for air in draws]) < 0.65
    image = _picture(24, 24)
    for seed, air in enumerate(draws):
        t = transmission(image, air, np.random.default_rng(seed))
        assert t.min() >= np.float32(LEAST_TRANSMISSION)
        assert t.max() <= 1


def test_haze_ranges_from_hardly_visible_to_severe():
    image = _picture(48, 48)
    errors = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        errors.append(np.mean((haze(image, sample_haze(rng), rng) - image) ** 2))
    psnr = -10 * np.log10(errors)
    assert np.percentile(psnr, 5) < 11
    assert np.percentile(psnr, 95) > 22
