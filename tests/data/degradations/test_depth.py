"""Random depth has its edges where the picture has them, and knows the sky."""

import numpy as np
import pytest

from passband.data.degradations.parts.depth import find_sky, scene_depth, segment


def _landscape(height: int, width: int) -> np.ndarray:
    """Draw a blue sky over rough green ground."""
    image = np.empty((3, height, width), np.float32)
    image[:, : height // 2] = np.array([0.5, 0.65, 0.9], np.float32)[:, None, None]
    ground = np.random.default_rng(0).uniform(0.1, 0.5, (height - height // 2, width)).astype(np.float32)
    image[:, height // 2 :] = ground * np.array([0.6, 1, 0.3], np.float32)[:, None, None]
    return image


@pytest.mark.parametrize("outdoors", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 53), (47, 31), (131, 257)])
def test_depth_is_positive_and_follows_from_the_generator_alone(outdoors, height, width):
    image = np.random.default_rng(1).random((3, height, width), dtype=np.float32)
    for seed in range(5):
        one, other = (scene_depth(image, np.random.default_rng(seed), outdoors=outdoors) for _ in range(2))
        assert one.shape == (height, width)
        assert one.dtype == np.float32
        assert one.min() >= 0.03 - 1e-6
        assert one.max() <= (3 if outdoors else 1) + 1e-6
        np.testing.assert_array_equal(one, other)


def test_the_sky_is_found_and_the_ground_is_not_taken_for_it():
    found, mistaken = [], []
    for seed in range(30):
        parts = segment(_landscape(64, 64), 6, np.random.default_rng(seed))
        sky = find_sky(parts)[parts.labels]
        found.append(sky[:28].mean())
        mistaken.append(sky[36:].mean())
    assert np.mean(found) > 0.9
    assert np.mean(mistaken) < 0.02


def test_the_sky_is_at_least_as_far_as_the_ground():
    image = _landscape(96, 96)
    differences = []
    for seed in range(20):
        depth = scene_depth(image, np.random.default_rng(seed), outdoors=True)
        differences.append(depth[:40].mean() - depth[56:].mean())
    assert np.mean(np.array(differences) > 0) >= 0.85  # now and then there is one segment only, or the sky is a wall


@pytest.mark.parametrize("outdoors", [False, True])
def test_depth_steps_where_the_picture_steps(outdoors):
    image = np.full((3, 96, 96), 0.1, np.float32)
    image[:, :, 48:] = np.array([0.8, 0.6, 0.2], np.float32)[:, None, None]
    at_edge, elsewhere = 0.0, 0.0
    for seed in range(40):
        slope = np.abs(
            np.diff(scene_depth(image, np.random.default_rng(seed), outdoors=outdoors, softness=0.5), axis=1)
        )
        at_edge += slope[:, 44:51].mean()
        elsewhere += slope[:, 5:40].mean() + slope[:, 56:-5].mean()
    assert at_edge > 3 * elsewhere


def test_segments_describe_the_picture():
    parts = segment(_landscape(64, 64), 12, np.random.default_rng(3))
    assert parts.labels.max() == parts.count - 1
    np.testing.assert_allclose(parts.share.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(parts.share @ parts.color, _landscape(64, 64).mean(axis=(1, 2)), rtol=1e-4)
    assert ((parts.bottom > 0) & (parts.bottom <= 1)).all()
