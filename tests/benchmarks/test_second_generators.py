import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "restoration"))
from second_generators import SECOND, degrade_second
from second_optics import _spot, _turned
from second_weather import _filled, _scene

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "restoration"


@pytest.fixture(scope="module")
def smooth():
    """A picture with some detail, small enough to be degraded in every way."""
    rows, columns = torch.meshgrid(torch.linspace(0, 9, 70), torch.linspace(0, 12, 91), indexing="ij")
    return (0.45 + 0.3 * torch.stack([rows.sin(), columns.cos(), (rows + columns).sin()])).clamp(0, 1)


@pytest.mark.parametrize("kind", SECOND)
def test_seed_and_index_decide_every_bit(kind, smooth):
    first = degrade_second(smooth, kind, seed=3, index=5)
    assert torch.equal(first, degrade_second(smooth, kind, seed=3, index=5))
    assert not torch.equal(first, degrade_second(smooth, kind, seed=3, index=6))
    assert not torch.equal(first, degrade_second(smooth, kind, seed=4, index=5))


@pytest.mark.parametrize("kind", SECOND)
@pytest.mark.parametrize(("height", "width"), [(2, 2), (7, 31), (64, 61)])
def test_any_size_gives_levels_of_8_bits_and_leaves_the_input_alone(kind, height, width):
    image = torch.from_numpy(np.random.default_rng(7).random((3, height, width), dtype=np.float32))
    before = image.clone()
    for index in range(3):
        out = degrade_second(image, kind, seed=0, index=index)
        assert out.shape == image.shape
        assert out.dtype == torch.float32
        levels = out * 255
        assert (levels - levels.round()).abs().max() < 1e-3
        assert 0 <= out.min() <= out.max() <= 1
    assert torch.equal(image, before)


@pytest.mark.parametrize("kind", SECOND)
def test_every_kind_changes_pictures_visibly_on_average(kind, smooth):
    changes = [(degrade_second(smooth, kind, seed=2026, index=k) - smooth).square().mean().item() for k in range(8)]
    assert np.mean(changes) > 1e-4  # 40 dB


def test_the_second_generators_share_no_code_with_the_simulators_that_networks_learn_from():
    for path in BENCHMARKS.glob("second_*.py"):
        assert "degradations" not in path.read_text(encoding="utf-8"), path


def test_haze_of_disparities_is_thicker_where_the_scene_is_farther():
    image = torch.zeros(3, 40, 60)
    disparity = np.tile(np.linspace(20, 80, 60), (40, 1))
    hazy = degrade_second(image, "haze", seed=1, index=0, disparity=disparity)[0, 20]
    assert (hazy.diff() <= 0).all()
    assert hazy[0] > hazy[-1] + 0.1


def test_unknown_disparities_take_the_farther_of_their_neighbors():
    found = _filled(np.array([[0, 5, 0, 0, 9, 0], [4, 4, 4, 4, 4, 4.0]]))
    assert found.tolist() == [[5, 5, 5, 5, 9, 9], [4, 4, 4, 4, 4, 4]]


def test_the_ground_of_a_scene_comes_nearer_downward():
    for seed in range(5):
        depth = _scene(60, 90, np.random.default_rng(seed))
        assert (depth > 0).all()
        assert depth[-1].mean() < depth[0].mean()


def test_a_turn_about_the_axis_keeps_the_middle_and_a_pan_moves_everything():
    middle, corner = np.array([[50.0, 40.0]]), np.array([[0.0, 0.0]])
    np.testing.assert_allclose(_turned(middle, np.array([0, 0, 0.1]), 100, 80, 100), middle, atol=1e-9)
    assert np.abs(_turned(corner, np.array([0, 0, 0.1]), 100, 80, 100) - corner).max() > 3
    np.testing.assert_allclose(_turned(middle, np.array([0, 0.1, 0]), 100, 80, 100) - middle, [[10.03, 0]], atol=0.01)


@pytest.mark.parametrize("radius", [0.3, 1, 4.5, 12])
def test_spots_sum_to_one_and_are_as_wide_as_their_radius(radius):
    kernel = _spot(radius)
    reach = len(kernel) // 2
    offset = np.arange(-reach, reach + 1)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-12)
    # a disc spreads by radius / 2 along each axis, its soft rim by a fourth of the radius
    wanted = np.sqrt(radius**2 / 4 + radius**2 / 16)
    assert np.sqrt(kernel.sum(axis=0) @ offset**2) == pytest.approx(wanted, abs=0.3)
