import functools
import sys
from types import SimpleNamespace

import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure, visual_information_fidelity
from torchvision.models import alexnet, vgg16

from passband.metrics import METRICS, image_metric, psnr_hvs_m
from passband.ops.frequency_distance import frequency_distances, jpeg_weights

RANDOM = torch.Generator().manual_seed(0)
CLEAN = torch.rand(2, 3, 176, 179, generator=RANDOM)
RESTORED = (CLEAN + 0.1 * torch.randn(CLEAN.shape, generator=RANDOM)).clamp(0, 1)
NETWORKS = ("lpips", "lpips-vgg", "dists")


@pytest.mark.parametrize("name", [name for name in METRICS if name not in NETWORKS])
def test_each_metric_gives_a_value_for_each_image_and_its_direction_is_right(name):
    metric = image_metric(name)
    restored, clean = (images[..., : metric.smallest, : metric.smallest + 3] for images in (RESTORED, CLEAN))
    values = metric(restored, clean)
    assert values.shape == (2,)
    for number in (0, 1):
        [alone] = metric(restored[number : number + 1], clean[number : number + 1])
        assert float(alone) == pytest.approx(float(values[number]), rel=1e-6)
    better = metric(clean + (restored - clean) / 4, clean)
    assert bool(((better > values) == metric.higher_is_better).all())


def test_values_are_those_of_the_functions_behind_the_names():
    torch.testing.assert_close(image_metric("psnr-hvs-m")(RESTORED, CLEAN), psnr_hvs_m(RESTORED, CLEAN))
    expected = frequency_distances(RESTORED.double(), CLEAN.double(), jpeg_weights(90), stride=4)
    torch.testing.assert_close(image_metric("frequency:jpeg:quality=90,stride=4")(RESTORED, CLEAN), expected)
    similarity = multiscale_structural_similarity_index_measure(RESTORED, CLEAN, data_range=1.0, reduction="none")
    torch.testing.assert_close(image_metric("ms-ssim")(RESTORED, CLEAN).float(), similarity)
    small = [images[..., :48, :56] for images in (RESTORED, CLEAN)]
    fidelity = visual_information_fidelity(*[255 * images.double() for images in small])
    torch.testing.assert_close(image_metric("vif")(*small).mean(), fidelity)


def test_an_image_smaller_than_the_window_is_refused_with_the_size_that_is_needed():
    for name, side in (("psnr-hvs", 8), ("frequency:csf", 8), ("vif", 41), ("ms-ssim", 176)):
        metric = image_metric(name)
        image = torch.rand(1, 3, side, side)
        assert metric(image, image).isfinite().all() or name == "psnr-hvs"
        with pytest.raises(ValueError, match=rf"{name} needs images of at least {side}x{side} pixels, got {side}x7"):
            metric(image[:, :, :7], image[:, :, :7])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("psnr-hsv", "unknown metric 'psnr-hsv'; did you mean 'psnr-hvs'"),
        ("msssim", "did you mean 'ms-ssim'"),
        ("frequency:cfs", "did you mean 'frequency:csf'"),
        ("csf", "did you mean 'frequency:csf'"),
        ("ssim", "ssim is always scored, as the protocol defines it"),
        ("frequency:jpeg:qualty=9", "takes the options quality, power, stride, masking.*Did you mean 'quality'"),
        ("frequency:jpeg:quality=high", "the option quality of frequency:jpeg needs a number, got 'high'"),
        ("frequency:jpeg:quality=0", "quality needs a value from 1 to 100, got 0"),
        ("frequency:csf:stride=3", "stride needs a divisor of the block's side of 8, got 3"),
    ],
)
def test_mistakes_in_a_name_are_found_before_any_image(name, message):
    with pytest.raises(ValueError, match=message):
        image_metric(name)


@pytest.mark.parametrize(
    ("name", "package"), [("ms-ssim", "torchmetrics"), ("lpips", "torchmetrics"), ("pyiqa:nlpd", "pyiqa")]
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(name, package, monkeypatch):
    for module in (package, *(known for known in sys.modules if known.startswith(f"{package}."))):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{name} needs {package}: pip install .*{package}"):
        image_metric(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_cannot_be_downloaded_are_named(name, monkeypatch, tmp_path):
    def refused(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refused)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refused)
    network = "AlexNet" if name == "lpips" else "VGG-16"
    with pytest.raises(RuntimeError, match=f"{name} needs the weights of {network}, which .*: no route to host"):
        image_metric(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_metrics_of_networks_compare_image_by_image(name, monkeypatch):
    untrained = functools.cache(lambda kind: kind(weights=None))
    for kind in (alexnet, vgg16):
        for module in ("torchvision.models", "torchmetrics.functional.image.dists"):
            monkeypatch.setattr(f"{module}.{kind.__name__}", lambda weights, kind=kind: untrained(kind), raising=False)
    metric = image_metric(name)
    side = metric.smallest
    values = metric(RESTORED[..., :side, :side], CLEAN[..., :side, :side])
    assert values.shape == (2,)
    assert bool((values > 0).all())
    assert not values.requires_grad
    alone = metric(RESTORED[1:, :, :side, :side], CLEAN[1:, :, :side, :side])
    torch.testing.assert_close(alone, values[1:])


def test_metrics_of_pyiqa_are_taken_by_their_names(monkeypatch):
    class Metric:
        metric_mode, lower_better = "FR", True

        def __call__(self, restored, clean):
            return (restored - clean).abs().mean((1, 2, 3))[:, None]

    package = SimpleNamespace(list_models=lambda: ["nlpd"], create_metric=lambda name, device: Metric())
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    metric = image_metric("pyiqa:nlpd")
    assert (metric.name, metric.label, metric.higher_is_better) == ("pyiqa:nlpd", "nlpd", False)
    torch.testing.assert_close(metric(RESTORED, CLEAN), (RESTORED - CLEAN).abs().mean((1, 2, 3)))
    with pytest.raises(ValueError, match="unknown metric of pyiqa 'nldp'; did you mean 'nlpd'"):
        image_metric("pyiqa:nldp")


def test_values_are_written_with_their_unit():
    assert image_metric("psnr-hvs").text(31.204) == "31.20 dB"
    assert image_metric("psnr-hvs").heading == "PSNR-HVS, dB"
    assert image_metric("ms-ssim").text(0.98765) == "0.9877"
    assert image_metric("frequency:jpeg:quality=90").heading == "frequency distance, jpeg (quality=90)"
