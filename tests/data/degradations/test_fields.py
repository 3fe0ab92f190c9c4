import numpy as np
import pytest

from passband.data.degradations.parts.fields import enlarge, fractal_map, normal_map, reduce


@pytest.mark.parametrize("scale", [1, 1.5, 7, 40])
def test_normal_maps_have_mean_0_and_deviation_1_at_any_scale(scale):
    rng = np.random.default_rng(0)
    maps = np.stack([normal_map(97, 61, rng, scale) for _ in range(400)])
    assert maps.mean() == pytest.approx(0, abs=0.1)
    assert maps.std() == pytest.approx(1, abs=0.06)


def test_fractal_maps_are_uniform_over_many_draws():
    rng = np.random.default_rng(0)
    maps = np.stack([fractal_map(97, 61, rng, 30) for _ in range(200)])
    assert np.quantile(maps, [0.1, 0.25, 0.5, 0.75, 0.9]) == pytest.approx([0.1, 0.25, 0.5, 0.75, 0.9], abs=0.04)


def test_a_map_is_as_smooth_as_its_scale_says():
    rng = np.random.default_rng(0)
    coarse, fine = (np.abs(np.diff(normal_map(200, 200, rng, scale))).mean() for scale in (50, 5))
    assert fine > 7 * coarse


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (97, 2)])
def test_maps_have_any_size(height, width):
    rng = np.random.default_rng(0)
    assert normal_map(height, width, rng, 13).shape == (height, width)
    field = fractal_map(height, width, rng, 13)
    assert field.shape == (height, width)
    assert field.dtype == np.float32
    assert 0 <= field.min() <= field.max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (13, 8), (12, 9)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_reducing_and_enlarging_keep_a_constant(height, width, factor):
    image = np.full((3, height, width), 0.3, np.float32)
    small = reduce(image, factor)
    assert small.shape == (3, -(-height // factor), -(-width // factor))
    np.testing.assert_allclose(enlarge(small, height, width), image, rtol=1e-6)


def test_reducing_averages_blocks():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_array_equal(reduce(image, 2), [[2.5, 4.5], [10.5, 12.5]])
