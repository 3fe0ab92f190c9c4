"""The blocks of SFNet against the published ones, a literal form of the filter, and their laws."""

import pytest
import torch
import torch.nn.functional as F

from passband.layers import DynamicFilter, GlobalModulation, LocalAvgPool2d, Modulator, WindowModulation
from tests import golden

MODULATOR = {
    "squeeze.weight": "fc.weight",
    "squeeze.bias": "fc.bias",
    "excite_high.weight": "fcs.0.weight",
    "excite_high.bias": "fcs.0.bias",
    "excite_low.weight": "fcs.1.weight",
    "excite_low.bias": "fcs.1.bias",
    "join.weight": "out.weight",
    "join.bias": "out.bias",
}
DYNAMIC = (
    {"predict.weight": "conv.weight"}
    | {
        f"norm.{name}": f"bn.{name}"
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    | {f"modulator.{ours}": f"modulate.{theirs}" for ours, theirs in MODULATOR.items()}
)


@pytest.fixture(params=[("global", "mod-a", None), ("fraction80", "mod-b", 80)], ids=["global", "local"])
def case(request):
    """Golden outputs, their tag, and a maker of the pooling they were made with."""
    name, tag, window = request.param
    return golden.outputs(f"sfnet_modules_{name}"), tag, lambda: LocalAvgPool2d(window)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_dynamic_filter_gives_the_published_output_and_low_part(case, kernel_size):
    expected, tag, pool = case
    module = DynamicFilter(16, kernel_size, pool=pool()).eval()
    golden.fill_module(module, f"{tag}.dynamic{kernel_size}", DYNAMIC)
    x = golden.features(f"{tag}-x")
    torch.testing.assert_close(module.low_pass(x), expected[f"dynamic{kernel_size}_low"], rtol=0, atol=1e-5)
    torch.testing.assert_close(module(x), expected[f"dynamic{kernel_size}"], rtol=0, atol=1e-5)


def test_modulator_gives_the_published_output(case):
    expected, tag, pool = case
    module = Modulator(16, pool=pool()).eval()
    golden.fill_module(module, f"{tag}.modulator", MODULATOR)
    out = module(golden.features(f"{tag}-x"), golden.features(f"{tag}-y"))
    torch.testing.assert_close(out, expected["modulator"], rtol=0, atol=1e-5)


def test_global_modulation_gives_the_published_output(case):
    expected, tag, pool = case
    module = GlobalModulation(16, pool=pool()).eval()
    golden.fill_module(module, f"{tag}.global", {"high": "fscale_h", "low": "fscale_d"})
    torch.testing.assert_close(module(golden.features(f"{tag}-x")), expected["global"], rtol=0, atol=1e-5)


def test_window_modulation_gives_the_published_output(case):
    expected, tag, pool = case
    module = WindowModulation(16, pool=pool()).eval()
    golden.fill_module(module, f"{tag}.window", {"high": "h", "low": "l"})
    torch.testing.assert_close(module(golden.features(f"{tag}-x")), expected["window"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(7, 13), (4, 4), (31, 5)])
def test_low_pass_equals_an_unfolded_filter_with_each_samples_own_kernels(height, width):
    module = DynamicFilter(16, 5).double().eval()
    x = torch.randn(3, 16, height, width, dtype=torch.float64)
    kernels = module.kernels(x).flatten(2)  # B G k^2
    padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
    patches = F.unfold(padded, 5).view(3, 8, 2, 25, height, width)
    expected = (patches * kernels[:, :, None, :, None, None]).sum(3).view_as(x)
    torch.testing.assert_close(module.low_pass(x), expected)


def test_kernels_are_positive_add_to_one_and_keep_a_constant():
    module = DynamicFilter(32, 3).eval()
    x = torch.randn(2, 32, 9, 11)
    kernels = module.kernels(x)
    assert (kernels > 0).all()
    torch.testing.assert_close(kernels.sum((-2, -1)), torch.ones(2, 8))
    constant = torch.full((1, 32, 9, 11), 0.3)
    torch.testing.assert_close(module.low_pass(constant), constant)


def test_a_batch_of_one_trains_on_running_statistics_and_a_larger_one_on_its_own():
    module = DynamicFilter(16, 3).train()
    x = torch.randn(2, 16, 8, 8)
    before = module.norm.running_mean.clone()
    one = module.kernels(x[:1])
    torch.testing.assert_close(module.norm.running_mean, before)
    torch.testing.assert_close(one, module.eval().kernels(x[:1]))
    module.train().kernels(x)
    assert not torch.equal(module.norm.running_mean, before)


def test_fresh_modulation_keeps_what_differs_globally_and_starts_windows_at_zero():
    x = torch.randn(2, 8, 6, 10)
    torch.testing.assert_close(GlobalModulation(8)(x), x - x.mean((-2, -1), keepdim=True))
    torch.testing.assert_close(WindowModulation(8)(x), torch.zeros_like(x))


def test_window_modulation_of_low_one_returns_the_mean_of_each_quadrant():
    module = WindowModulation(4)
    torch.nn.init.ones_(module.low)
    x = torch.randn(1, 4, 6, 10)
    expected = F.adaptive_avg_pool2d(x, 2).repeat_interleave(3, -2).repeat_interleave(5, -1)
    torch.testing.assert_close(module(x), expected)


def test_window_modulation_refuses_an_odd_map_and_says_what_to_do():
    with pytest.raises(ValueError, match=r"divisible by 2, got 7x8.*pad_to_multiple"):
        WindowModulation(4)(torch.randn(1, 4, 7, 8))


@pytest.mark.parametrize(("arguments", "message"), [((12, 3), "divisible by groups=8"), ((16, 4), "odd kernel_size")])
def test_dynamic_filter_refuses_numbers_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicFilter(*arguments)


def blended(high, low, x):
    """Blended window modulation, position by position in float64."""
    height, width = x.shape[-2:]
    out = torch.zeros(x.shape, dtype=torch.float64)
    means = [
        [x[..., i * height // 2 : (i + 1) * height // 2, j * width // 2 : (j + 1) * width // 2] for j in (0, 1)]
        for i in (0, 1)
    ]
    for row in range(height):
        for column in range(width):
            # the centers of the windows lie at a quarter and at three quarters
            down = min(max((row + 0.5) / height * 2 - 0.5, 0), 1)
            across = min(max((column + 0.5) / width * 2 - 0.5, 0), 1)
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                share = (down if i else 1 - down) * (across if j else 1 - across)
                mean = means[i][j].mean((-2, -1))
                own_high, own_low = high.view(-1, 2, 2)[:, i, j], low.view(-1, 2, 2)[:, i, j]
                out[..., row, column] += share * (x[..., row, column] * own_high + mean * (own_low - own_high))
    return out


def test_blended_windows_interpolate_weights_and_averages_between_the_centers():
    layer = WindowModulation(3, blended=True)
    torch.nn.init.normal_(layer.high)
    torch.nn.init.normal_(layer.low)
    x = torch.randn(2, 3, 10, 14)
    expected = blended(layer.high.detach().double(), layer.low.detach().double(), x.double())
    torch.testing.assert_close(layer(x), expected.float(), rtol=0, atol=1e-5)


def test_blended_windows_leave_no_step_on_a_smooth_map():
    x = torch.linspace(0, 1, 64).expand(1, 4, 64, 64) + torch.linspace(0, 1, 64)[:, None]
    steps = {}
    for smooth in (False, True):
        torch.manual_seed(0)
        layer = WindowModulation(4, blended=smooth)
        torch.nn.init.normal_(layer.high)
        torch.nn.init.normal_(layer.low)
        steps[smooth] = float(layer(x).detach().diff(dim=-1)[..., 31].abs().mean())
    assert steps[False] > 0.2
    assert steps[True] < 0.1


def test_windows_of_equal_weights_and_averages_are_the_same_blended_or_not():
    layers = [WindowModulation(4, blended=smooth) for smooth in (False, True)]
    for layer in layers:
        torch.nn.init.constant_(layer.high, 0.7)
        torch.nn.init.constant_(layer.low, -0.3)
    x = torch.randn(1, 4, 8, 8).repeat(1, 1, 2, 2)
    torch.testing.assert_close(layers[0](x), layers[1](x))
