import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.data.cubes.channel_statistics import ChannelStatistics, shipped_statistics
from passband.io.arrays import from_array
from passband.layers.channels import channel_subset
from passband.ops.cube import image_cube

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def cubes(count, channels=5, seed=0):
    """Cubes of different sizes and batches, with a mean that is large beside their deviation."""
    rng = np.random.default_rng(seed)
    shapes = [(int(rng.integers(1, 4)), channels, *map(int, rng.integers(1, 8, 2))) for _ in range(count)]
    return [torch.from_numpy(1000 + rng.standard_normal(shape) * 3) for shape in shapes]


@settings(max_examples=25)
@given(st.integers(1, 7), st.integers(0, 1000))
def test_statistics_are_numpys_of_all_positions_at_once(count, seed):
    parts = cubes(count, seed=seed)
    together = np.concatenate([np.moveaxis(part.numpy(), 1, 0).reshape(5, -1) for part in parts], axis=1)
    statistics = ChannelStatistics.fit(iter(parts))
    torch.testing.assert_close(statistics.mean, torch.from_numpy(together.mean(1)), **CLOSE)
    # numpy, too, squares differences of numbers around 1,000
    torch.testing.assert_close(statistics.std, torch.from_numpy(together.std(1)), rtol=1e-10, atol=1e-10)
    assert statistics.positions == together.shape[1]
    assert statistics.images == sum(len(part) for part in parts)


@settings(max_examples=25)
@given(st.integers(2, 9), st.data())
def test_batches_and_merging_do_not_matter(count, data):
    parts = cubes(count)
    cut = data.draw(st.integers(1, count - 1))
    whole = ChannelStatistics.fit(parts)
    merged = ChannelStatistics.fit(parts[cut:]).merge(ChannelStatistics.fit(parts[:cut]))
    one_by_one = ChannelStatistics.fit(picture[None] for part in parts for picture in part)
    for other in (merged, one_by_one):
        torch.testing.assert_close(other.mean, whole.mean, **CLOSE)
        torch.testing.assert_close(other.std, whole.std, rtol=1e-10, atol=1e-10)
        assert (other.positions, other.images) == (whole.positions, whole.images)


def test_half_precision_is_summed_in_double():
    values = torch.full((1, 2, 300, 300), 0.1).half()
    statistics = ChannelStatistics.fit([values, values])
    torch.testing.assert_close(statistics.mean, values.double()[0, :, 0, 0], **CLOSE)
    torch.testing.assert_close(statistics.std, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-12)


def test_normalized_cubes_have_mean_0_and_deviation_1_and_come_back():
    parts = cubes(6)
    statistics = ChannelStatistics.fit(parts)
    again = ChannelStatistics.fit(statistics.normalize(part) for part in parts)
    torch.testing.assert_close(again.mean, torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(again.std, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(statistics.denormalize(statistics.normalize(parts[0])), parts[0])
    one = statistics.normalize(parts[0][0].float())
    assert one.dtype == torch.float32
    torch.testing.assert_close(one, statistics.normalize(parts[0])[0].float(), rtol=0, atol=1e-4)  # 7 digits of 1,000


def test_a_channel_that_never_changes_is_only_centered():
    constant = ChannelStatistics.fit([torch.full((2, 1, 3, 3), 7.0)])
    assert torch.equal(constant.normalize(torch.full((1, 1, 2, 2), 7.5)), torch.full((1, 1, 2, 2), 0.5))
    assert torch.equal(constant.denormalize(torch.full((1, 1, 2, 2), 0.5)), torch.full((1, 1, 2, 2), 7.5))


@pytest.mark.parametrize("stride", [8, 4])
def test_statistics_of_a_subset_are_those_of_its_cubes(stride, photograph):
    subset = channel_subset("24S")
    whole = image_cube(photograph[None, :, :64, :96], stride)
    selected = ChannelStatistics.fit([whole], stride).select(subset)
    expected = ChannelStatistics.fit([subset.select(whole, stride)], stride)
    torch.testing.assert_close(selected.mean, expected.mean, **CLOSE)
    torch.testing.assert_close(selected.std, expected.std, **CLOSE)
    with pytest.raises(ValueError, match="these have 24 channels"):
        selected.select(subset)


def test_a_file_gives_back_every_digit(tmp_path):
    provenance = {"files": "noise", "date": "2026-11-21"}
    statistics = ChannelStatistics.fit(cubes(3), 4, provenance)
    path = tmp_path / "new" / "noise.json"
    statistics.save(path)
    again = ChannelStatistics.load(path)
    assert torch.equal(again.mean, statistics.mean)
    assert torch.equal(again.std, statistics.std)
    assert (again.positions, again.images, again.stride) == (statistics.positions, statistics.images, 4)
    assert again.provenance == provenance


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: "no JSON", "is not a file of channel statistics.*JSONDecodeError"),
        (lambda content: [], "is not a file of channel statistics"),
        (lambda content: content | {"mean": ["a"]}, "is not a file of channel statistics"),
        (lambda content: {key: content[key] for key in content if key != "std"}, "KeyError: 'std'"),
        (lambda content: content | {"mean": [0.0]}, r"as many finite means as deviations.*\[1\] and \[5\]"),
        (lambda content: content | {"std": [-1.0] * 5}, "not negative"),
        (lambda content: content | {"mean": [float("nan")] * 5}, "finite"),
        (lambda content: content | {"positions": 0}, "positive integers as positions"),
        (lambda content: content | {"stride": 5}, "stride of 8 or 4; got .*5"),
    ],
)
def test_a_file_that_is_something_else_is_refused_by_name(change, message, tmp_path):
    path = tmp_path / "statistics.json"
    ChannelStatistics.fit(cubes(1)).save(path)
    changed = change(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(ValueError, match=message) as caught:
        ChannelStatistics.load(path)
    assert str(path) in str(caught.value)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="at least one cube that is not empty"):
        ChannelStatistics.fit([torch.rand(0, 3, 4, 4)])
    with pytest.raises(ValueError, match="cube 1 has NaN or infinite"):
        ChannelStatistics.fit([torch.rand(1, 1, 2, 2), torch.full((1, 1, 1, 1), float("inf"))])
    with pytest.raises(ValueError, match="got 3 channels at stride 8 and 4 at stride 8"):
        ChannelStatistics.fit([torch.rand(1, 3, 2, 2), torch.rand(1, 4, 2, 2)])


@pytest.mark.parametrize("stride", [8, 4])
def test_shipped_statistics_bring_photographs_near_mean_0_and_deviation_1(stride, photograph):
    statistics = shipped_statistics(f"imagenet-{stride}")
    assert statistics.stride == stride
    assert statistics.images == 355
    assert statistics.provenance["files"] == "355 ImageNet photographs"
    assert len(statistics.mean) == 3 * stride**2
    normalized = statistics.normalize(image_cube(photograph[None, :, :296, :448], stride))
    lowest = normalized[:, [0, stride**2, 2 * stride**2]]
    assert lowest.mean((0, 2, 3)).abs().max() < 1.5
    assert 0.1 < normalized.std() < 2


def test_shipped_statistics_fall_from_low_to_high_frequencies_and_from_luma_to_chroma():
    statistics = shipped_statistics("imagenet-8")
    deviations = statistics.std.view(3, 8, 8)
    assert (deviations[:, 0, 0] > 5 * deviations[:, 0, 1]).all()
    diagonals = deviations.diagonal(dim1=1, dim2=2)
    assert (diagonals[:, :4].diff(dim=1) < 0).all()
    assert (deviations[1:].mean(0) < deviations[0]).all()
    with pytest.raises(ValueError, match=r"unknown channel statistics 'imagenet-9'; did you mean"):
        shipped_statistics("imagenet-9")


def test_statistics_of_pixels_and_of_a_file_are_in_the_same_units():
    image, _ = from_array(np.full((16, 16, 3), 200, np.uint8))
    statistics = ChannelStatistics.fit([image_cube(image[None])])
    assert statistics.mean[0].item() == pytest.approx(8 * (200 - 128), abs=1e-3)
