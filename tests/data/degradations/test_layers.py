"""Holes are filled with what lies around them."""

import numpy as np

from passband.data.degradations.parts.layers import cover, expand_highlights, fill, split


def test_a_hole_in_a_plain_picture_disappears_however_large_it_is():
    picture = np.full((3, 61, 80), 0.4, np.float32)
    hole = np.zeros((61, 80), np.float32)
    hole[3:, 3:] = 1
    painted = np.where(hole > 0, np.float32(1), picture)
    np.testing.assert_allclose(fill(painted, hole), picture, rtol=1e-4)


def test_what_stays_is_not_changed():
    picture = np.random.default_rng(0).random((3, 31, 17), dtype=np.float32)
    hole = np.zeros((31, 17), np.float32)
    hole[10:20] = 1
    filled = fill(picture, hole)
    np.testing.assert_array_equal(filled[:, :10], picture[:, :10])
    np.testing.assert_array_equal(fill(picture, np.ones((31, 17), np.float32)), picture)


def test_an_object_that_was_split_off_covers_its_place_exactly():
    rng = np.random.default_rng(0)
    picture, front = rng.random((3, 31, 17), dtype=np.float32), rng.random((31, 17), dtype=np.float32)
    np.testing.assert_allclose(cover(*split(picture, front)), picture, atol=1e-6)


def test_only_places_where_every_channel_may_be_clipped_are_expanded():
    light = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (3, 1, 1))
    light[2, :, -5:] = 0.5  # bright yellow, whose blue was measured
    expanded = expand_highlights(light, 5.0)
    plain = light.min(axis=0) <= 0.9
    np.testing.assert_array_equal(expanded[:, plain], light[:, plain])
    assert (expanded[:, ~plain] > light[:, ~plain]).all()
