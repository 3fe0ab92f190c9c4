import dataclasses

import numpy as np
import pytest

from passband.data.degradations.raindrop import Raindrop, raindrop, sample_raindrop

DRY = Raindrop(
    cover=0, smallest=3, largest=10, falloff=1, uneven=0, stretch=1, reduction=8, blur=1, opacity=1, gain=1, sky=0,
    skylight=0.5, rim=0, sparkle=0, runs=0, mist=0, mist_share=1,
)  # fmt: skip
WET = dataclasses.replace(DRY, cover=0.3)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).random((3, height, width), dtype=np.float32)


def wet(image: np.ndarray, glass: Raindrop, seed: int = 0) -> np.ndarray:
    return raindrop(image, glass, np.random.default_rng(seed))


def test_a_dry_pane_changes_nothing():
    image = noise(40, 50)
    assert np.array_equal(wet(image, DRY), image)


def test_beside_the_drops_nothing_changes():
    image = noise(150, 150)
    changed = (wet(image, dataclasses.replace(WET, cover=0.05)) != image).any(axis=0)
    assert 0.02 < changed.mean() < 0.35


def test_drops_cover_the_stated_share():
    white = np.ones((3, 300, 300), dtype=np.float32)
    for cover in (0.03, 0.2):
        glass = dataclasses.replace(DRY, cover=cover, blur=0.4, gain=0.2)
        shares = [(wet(white, glass, seed) < 0.8).any(axis=0).mean() for seed in range(8)]
        assert np.mean(shares) == pytest.approx(cover, rel=0.25)


def test_a_drop_shows_the_scene_upside_down():
    image = np.zeros((3, 240, 240), dtype=np.float32)
    image[:, :120] = 1  # the sky is above
    glass = dataclasses.replace(WET, smallest=12, largest=16, cover=0.3, blur=0.4, reduction=12)
    ground = wet(image, glass)[0, 140:]
    step = ground[8:] - ground[:-8]  # on the dark ground the sky shows in the lower part of each drop
    brighter, darker = (step > 0.5).sum(), ((step < -0.5) & (ground[8:] > 0)).sum()
    assert brighter > 100
    assert brighter > 3 * darker


def test_a_gray_scene_shows_no_drop_that_has_no_light_of_its_own():
    image = np.full((3, 120, 120), 0.5, dtype=np.float32)
    glass = dataclasses.replace(WET, cover=0.3)
    out = wet(image, glass)
    # each drop is brighter or darker by some 15 % of its light, which is some 7 % of its value
    assert np.abs(out - image).max() < 0.2


def test_mist_lowers_contrast_where_there_is_no_drop():
    image = noise(100, 100)
    out = wet(image, dataclasses.replace(DRY, mist=0.8))
    assert out.std() < 0.7 * image.std()


def test_runs_are_taller_than_wide():
    dark = np.zeros((3, 400, 400), dtype=np.float32)
    glass = dataclasses.replace(DRY, runs=3, blur=0.5, sky=1, skylight=1)
    bright = wet(dark, glass)[1] > 0.05
    assert bright.any()
    down = (bright[1:] & bright[:-1]).sum() / bright.sum()
    across = (bright[:, 1:] & bright[:, :-1]).sum() / bright.sum()
    assert down > across


def test_ranges_are_as_documented():
    rng = np.random.default_rng(0)
    panes = [sample_raindrop(rng) for _ in range(300)]
    ranges = {
        "cover": (0.005, 0.4), "smallest": (1.5, 12), "largest": (3, 30), "falloff": (0.5, 3), "uneven": (0, 0.25),
        "stretch": (0.9, 1.4), "reduction": (4, 30), "blur": (0.4, 5), "opacity": (0.55, 1), "gain": (0.6, 1.5),
        "sky": (0, 0.9), "skylight": (0.1, 1), "rim": (0, 0.9), "sparkle": (0, 2), "runs": (0, 4), "mist": (0, 0.8),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        values = np.array([getattr(pane, name) for pane in panes])
        assert low <= values.min() <= values.max() <= high, name
        assert np.ptp(values) > 0.8 * (high - low) * (0.5 if name in ("blur", "cover") else 1), name
    assert all(pane.largest >= 1.3 * pane.smallest for pane in panes)
    assert all(pane.blur <= pane.largest / 2 for pane in panes)
