import dataclasses

import numpy as np
import pytest

from passband.data.degradations.parts.strokes import Marks
from passband.data.degradations.scratch import Folds, Scratch, Stain, sample_scratch, scratch

LINES = Marks(
    cover=0.03, length=60, width=2, opacity=1, bright=1, value=1, tint=0, direction=0, spread=0, bend=0, wander=0,
    broken=0, soft=0,
)  # fmt: skip
NEW = Scratch(marks=(), relief=0, stain=None, folds=None)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).random((3, height, width), dtype=np.float32)


def worn(image: np.ndarray, wear: Scratch, seed: int = 0) -> np.ndarray:
    return scratch(image, wear, np.random.default_rng(seed))


def lines(**changes: float) -> Scratch:
    return dataclasses.replace(NEW, marks=(dataclasses.replace(LINES, **changes),))


def test_without_wear_nothing_changes():
    image = noise(40, 50)
    assert np.array_equal(worn(image, NEW), image)


def test_bright_marks_only_brighten_and_dark_ones_only_darken():
    image = noise(80, 90)
    brighter, darker = worn(image, lines()), worn(image, lines(bright=0))
    assert (brighter >= image).all()
    assert (darker <= image).all()
    assert (brighter > image).any()
    assert (darker < image).any()


@pytest.mark.parametrize("length", [3, 40, 1000])
@pytest.mark.parametrize("side", [60, 300])
def test_marks_cover_the_stated_share_of_crops_and_of_pictures(length, side):
    black = np.zeros((3, side, side), dtype=np.float32)
    count = 200 if side == 60 else 12
    for cover in (0.005, 0.05):
        shares = [worn(black, lines(cover=cover, length=length, spread=3), seed).mean() for seed in range(count)]
        # ends taper, discs of a short mark reach beyond its length, strokes overlap
        assert np.mean(shares) == pytest.approx(cover, rel=0.75 if length == 3 else 0.35)


def test_lines_of_one_direction_are_longer_along_it():
    black = np.zeros((3, 200, 200), dtype=np.float32)
    out = worn(black, lines(direction=0.0, length=80))[0] > 0.5  # 0 is to the right
    along = (out[:, 1:] & out[:, :-1]).sum()
    across = (out[1:] & out[:-1]).sum()
    assert along > 1.5 * across


def test_broken_lines_show_less_and_soft_ones_as_much():
    black = np.zeros((3, 300, 300), dtype=np.float32)
    whole, broken, soft = (worn(black, lines(**one)).mean() for one in ({}, {"broken": 0.6}, {"soft": 1.0}))
    assert 0.15 * whole < broken < 0.75 * whole
    assert soft == pytest.approx(whole, rel=0.05)


def test_stains_cover_their_share_and_pull_to_their_color():
    white = np.ones((3, 200, 200), dtype=np.float32)
    stain = Stain(share=0.3, scale=25, strength=1, rim=0, edge=0.01, color=(0.5, 0.4, 0.2))
    out = np.stack([worn(white, dataclasses.replace(NEW, stain=stain), seed) for seed in range(10)])
    assert (out[:, 2] < 0.6).mean() == pytest.approx(0.3, abs=0.06)
    assert out.min(axis=(0, 2, 3)) == pytest.approx([0.5, 0.4, 0.2], abs=1e-5)


def test_a_fold_has_light_on_one_side_and_shadow_on_the_other():
    gray = np.full((3, 150, 150), 0.5, dtype=np.float32)
    folds = Folds(count=4, width=1, opacity=0, value=1, shade=0.3, reach=10)
    outs = [worn(gray, dataclasses.replace(NEW, folds=folds), seed) for seed in range(10)]
    creased = [out for out in outs if np.ptp(out) > 0]
    assert creased
    assert all(out.max() > 0.6 and out.min() < 0.4 for out in creased)


def test_ranges_are_as_documented():
    rng = np.random.default_rng(0)
    wears = [sample_scratch(rng) for _ in range(300)]
    assert all(wear.marks or wear.stain or wear.folds for wear in wears)
    for mark in (mark for wear in wears for mark in wear.marks):
        assert 0.0005 <= mark.cover <= 0.1
        assert 0.5 <= mark.width <= 9
        assert 0.6 <= mark.length <= 1500
        assert 0.15 <= mark.opacity <= 1
        assert 0 <= mark.broken <= 0.7
    stains = [wear.stain for wear in wears if wear.stain]
    folds = [wear.folds for wear in wears if wear.folds]
    assert 0.15 < len(stains) / len(wears) < 0.45
    assert 0.1 < len(folds) / len(wears) < 0.4
    assert all(0.05 <= stain.share <= 0.6 and 0.1 <= stain.strength <= 0.8 for stain in stains)
    assert all(0.5 <= fold.count <= 6 and 1 <= fold.width <= 6 for fold in folds)
