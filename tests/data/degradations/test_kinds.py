import numpy as np
import pytest
import torch

from passband.data.degradations import KINDS, NEWEST, VERSIONS, degrade, degrade_and_develop, split_kind

KINDS_OF_VERSIONS = [(kind, version) for version, kinds in VERSIONS.items() for kind in kinds]
SIZES = [(1, 1), (1, 37), (7, 300), (97, 101)]
VALUES = [0.0, 1.0, None]


def noise(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(7).random((3, height, width), dtype=np.float32))


@pytest.mark.parametrize(("kind", "version"), [*KINDS_OF_VERSIONS, ("rain+haze", NEWEST)])
def test_seed_and_index_decide_every_bit(kind, version):
    image = noise(61, 47)
    first = degrade(image, kind, seed=3, index=5, version=version)
    assert torch.equal(first, degrade(image, kind, seed=3, index=5, version=version))
    others = [degrade(image, kind, seed=seed, index=index, version=version) for seed, index in ((3, 6), (4, 5))]
    assert not any(torch.equal(first, other) for other in others)


@pytest.mark.parametrize(("kind", "version"), KINDS_OF_VERSIONS)
def test_global_random_state_is_neither_read_nor_changed(kind, version):
    image = noise(40, 40)
    outputs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
        outputs.append(degrade(image, kind, seed=1, index=2, version=version))
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(*outputs)


@pytest.mark.parametrize(("kind", "version"), KINDS_OF_VERSIONS)
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("value", VALUES)
def test_any_size_stays_in_range_and_leaves_the_input_alone(kind, version, height, width, value):
    image = noise(height, width) if value is None else torch.full((3, height, width), value)
    before = image.clone()
    first = 4 * (len(VALUES) * SIZES.index((height, width)) + VALUES.index(value))  # other draws for each case
    for index in range(first, first + 4):
        out = degrade(image, kind, seed=0, index=index, version=version)
        assert out.shape == image.shape
        assert out.dtype == torch.float32
        assert out.min() >= 0
        assert out.max() <= 1
        assert torch.equal(image, before)


def test_versions_differ_and_the_newest_is_the_default():
    image = noise(64, 64)
    first, second = (degrade(image, "rain", seed=1, index=1, version=version) for version in (1, 2))
    assert not torch.equal(first, second)
    assert torch.equal(second, degrade(image, "rain", seed=1, index=1))
    assert max(VERSIONS) == NEWEST
    assert set(VERSIONS[1]) < set(KINDS)


def test_a_mixture_is_made_in_the_order_of_the_light_path():
    image = noise(33, 65)
    hazy = degrade(image, "haze", seed=2, index=9)
    expected = degrade(hazy, "rain", seed=2, index=9)
    assert torch.equal(degrade(image, "rain+haze", seed=2, index=9), expected)
    assert torch.equal(degrade(image, "haze+rain", seed=2, index=9), expected)
    assert split_kind("scratch+defocus+snow") == ["snow", "defocus", "scratch"]


def test_a_camera_exposes_both_pictures_and_faults_stay_with_the_degraded_one():
    image = torch.full((3, 32, 32), 0.5)
    developed = [degrade_and_develop(image, "scratch", seed=0, index=index) for index in range(40)]
    assert all(clean.std() < 1e-6 or clean.std(dim=(1, 2)).max() < 1e-6 for _, clean in developed)
    assert len({round(float(clean.mean()), 5) for _, clean in developed}) > 10
    first, again = (degrade_and_develop(image, "scratch", seed=0, index=7) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'motion-blur'"):
        degrade(noise(4, 4), "motionblur", seed=0, index=0)
    with pytest.raises(ValueError, match="Did you mean 'rain'"):
        degrade(noise(4, 4), "haze+rian", seed=0, index=0)
    with pytest.raises(ValueError, match="each kind of a mixture once"):
        degrade(noise(4, 4), "haze+haze", seed=0, index=0)
    for function in (degrade, degrade_and_develop):
        with pytest.raises(ValueError, match="a version among 1, 2, got 3"):
            function(noise(4, 4), "haze", seed=0, index=0, version=3)
    with pytest.raises(ValueError, match="raindrop"):  # which the first version does not have
        degrade(noise(4, 4), "raindrop", seed=0, index=0, version=1)
    with pytest.raises(ValueError, match="count from 0"):
        degrade(noise(4, 4), "rain", seed=0, index=-1)
