import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from passband.inference.video.temporal import SmoothedStatistics, smoothed_statistics
from passband.layers import LocalAvgPool2d
from passband.models import load_model
from passband.models.restoration.bands import restore_in_bands
from passband.models.restoration.whole import restore_batch
from tests.models.restoration.test_bands import network


class Pools(nn.Module):
    """A network that returns what its pooling layers make."""

    def __init__(self, window=None):
        super().__init__()
        self.first, self.second = LocalAvgPool2d(window), LocalAvgPool2d()

    def forward(self, x):
        return self.first(x), self.second(x.square())


def _clip(frames, channels=2, seed=0):
    return torch.rand(frames, channels, 6, 9, generator=torch.Generator().manual_seed(seed))


def _by_hand(values, strength, cuts):
    out = []
    for value, cut in zip(values, cuts, strict=True):
        out.append(value if cut or not out else strength * out[-1] + (1 - strength) * value)
    return torch.stack(out)


@given(st.lists(st.booleans(), min_size=7, max_size=7), st.floats(0, 0.99), st.integers(1, 7))
def test_averages_are_exponential_moving_averages_that_begin_anew_at_cuts(cuts, strength, batch):
    clip, model = _clip(7), Pools().eval()
    seen = []
    with smoothed_statistics(model, strength) as smoother:
        for start in range(0, 7, batch):
            smoother.begin(cuts[start : start + batch])
            seen.append(model(clip[start : start + batch])[1])
    expected = _by_hand(clip.square().mean((-2, -1), keepdim=True), strength, cuts)
    torch.testing.assert_close(torch.cat(seen), expected, rtol=1e-5, atol=1e-6)


def test_where_pooling_is_local_only_the_mean_over_the_frame_is_smoothed():
    clip, model = _clip(5), Pools(window=128).eval()
    local = model(clip)[0]
    assert local.shape == clip.shape
    with smoothed_statistics(model, 0.8) as smoother:
        smoother.begin([False] * 5)
        smoothed = model(clip)[0]
    means = local.mean((-2, -1), keepdim=True)
    torch.testing.assert_close(smoothed, local - means + _by_hand(means, 0.8, [True] + [False] * 4))


def test_a_frame_that_is_restored_again_because_memory_ran_out_counts_once():
    clip, model = _clip(4), Pools().eval()
    with smoothed_statistics(model, 0.5) as smoother:
        seen = []
        for frame in clip[:, None]:
            smoother.begin([False])
            assert not smoother.used
            model.first(frame)  # as far as the first try came
            seen.append(torch.stack(model(frame)))
            assert smoother.used
    for layer, maps in enumerate((clip, clip.square())):
        expected = _by_hand(maps.mean((-2, -1), keepdim=True), 0.5, [True, False, False, False])
        torch.testing.assert_close(torch.cat([frame[layer] for frame in seen]), expected)


@pytest.mark.parametrize(("pool_window", "pool_mode"), [(None, "fraction"), (100, "fraction"), (24, "tlc")])
@torch.no_grad()
def test_frames_by_bands_are_smoothed_as_whole_ones_are_whatever_the_pooling(pool_window, pool_mode):
    model = network(pool_window, pool_mode, depth=1)
    for parameter in model.parameters():
        if parameter.ndim == 4:  # fresh convolutions shrink what they get, and smoothing would hardly show
            parameter *= 2
    height, width = 40, 56
    levels = torch.tensor([0.1, 0.5, 0.3])[:, None, None, None]
    clip = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(4)) * (1 - levels) + 0.9 * levels
    alone, whole, banded = [], [], []
    with smoothed_statistics(model, 0.8) as smoother:
        for frame in clip[:, None]:
            smoother.begin([False])
            whole.append(restore_batch(model, frame))
    with smoothed_statistics(model, 0.8) as smoother:
        statistics = SmoothedStatistics(smoother, model)
        for frame in clip[:, None]:
            smoother.begin([False])
            banded.append(restore_in_bands(model, frame, rows=8, statistics=statistics))
        layers = sum(isinstance(module, LocalAvgPool2d) for module in model.modules())
        assert len(smoother.averages) == layers
    for frame in clip[:, None]:
        alone.append(restore_batch(model, frame))
    torch.testing.assert_close(torch.cat(banded), torch.cat(whole), rtol=0, atol=1e-5)
    assert (whole[1] - alone[1]).abs().max() > 5e-3


def test_going_on_with_the_averages_of_before_equals_not_having_stopped():
    clip, model = _clip(6), Pools().eval()

    def run(frames, averages):
        with smoothed_statistics(model, 0.7) as smoother:
            smoother.averages.update(averages)
            out = []
            for frame in frames[:, None]:
                smoother.begin([False])
                out.append(model(frame)[0])
            return torch.cat(out), smoother.averages

    whole, _ = run(clip, {})
    first, averages = run(clip[:3], {})
    second, _ = run(clip[3:], averages)
    assert torch.equal(torch.cat([first, second]), whole)


def test_all_of_sfnets_statistics_are_smoothed_and_strength_0_changes_nothing(tiny_weights):
    model = load_model(tiny_weights).eval()
    frames = _clip(2, channels=3).repeat(1, 1, 3, 2)[..., :16, :16]
    with torch.inference_mode():
        alone = model(frames)[-1]
        with smoothed_statistics(model, 0.0) as smoother:
            smoother.begin([False, False])
            same = model(frames)[-1]
        with smoothed_statistics(model, 0.9) as smoother:
            smoother.begin([False, False])
            smoothed = model(frames)[-1]
        after = model(frames)[-1]
    layers = sum(isinstance(module, LocalAvgPool2d) for module in model.modules())
    assert len(smoother.averages) == layers > 0
    torch.testing.assert_close(same, alone, rtol=0, atol=1e-6)  # x + (m - m) may round
    torch.testing.assert_close(smoothed[0], alone[0], rtol=0, atol=1e-6)
    assert not torch.allclose(smoothed[1], alone[1], rtol=0, atol=1e-6)
    assert torch.equal(after, alone)


@pytest.mark.parametrize("strength", [-0.1, 1.0, 2.0])
def test_a_strength_outside_0_to_1_is_refused(strength):
    with pytest.raises(ValueError, match="at least 0 and below 1"), smoothed_statistics(Pools(), strength):
        pass


def test_a_network_without_statistics_is_refused():
    message = (
        "needs a network with pooled statistics.*Identity has none: choose other weights, or leave out the smoothing"
    )
    with pytest.raises(ValueError, match=message), smoothed_statistics(nn.Identity()):
        pass
